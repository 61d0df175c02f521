//! The version up to which an index knows its collection, and what proves that the server has gone back behind it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::version::is_older;

/// Longer than any write of ours takes: what was known so long ago was known before the write was sent.
const OLDER_THAN_WRITES: Duration = Duration::from_secs(60);

/// The newest collection version that a list or watch has delivered.
#[derive(Default)]
pub(super) struct Position {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    version: String,
    /// The newest version that was answered to a write of ours; the watch may not have come to it yet.
    answered: String,
    /// A version of some time ago, and when it was noted.
    recent: Option<(String, Instant)>,
    /// A version that was known before any write that may still be answered was sent.
    old: String,
}

impl Position {
    pub(super) fn version(&self) -> String {
        self.inner.lock().version.clone()
    }

    /// Begins anew at the version of a complete list.
    pub(super) fn reset(&self, version: &str) {
        *self.inner.lock() = Inner {
            version: version.to_owned(),
            answered: String::new(),
            recent: Some((version.to_owned(), Instant::now())),
            old: String::new(),
        };
    }

    /// A watch has delivered a version. Older ones change nothing.
    pub(super) fn raise(&self, version: &str) {
        let mut inner = self.inner.lock();
        if version.is_empty() || is_older(version, &inner.version) {
            return;
        }
        version.clone_into(&mut inner.version);
        match &inner.recent {
            Some((_, at)) if at.elapsed() < OLDER_THAN_WRITES => {}
            _ => {
                let before = inner.recent.replace((version.to_owned(), Instant::now()));
                inner.old = before.map(|(version, _)| version).unwrap_or_default();
            }
        }
    }

    /// A write of ours was answered with a version.
    pub(super) fn answered(&self, version: &str) {
        let mut inner = self.inner.lock();
        if inner.answered.is_empty() || is_older(&inner.answered, version) {
            version.clone_into(&mut inner.answered);
        }
    }

    /// The newest version that the server is known to have come to, by whatever it said.
    pub(super) fn furthest(&self) -> String {
        let inner = self.inner.lock();
        let is_answer = inner.version.is_empty() || is_older(&inner.version, &inner.answered);
        if is_answer { &inner.answered } else { &inner.version }.clone()
    }

    /// Whether a version of the collection proves that the server is behind what it has delivered before.
    pub(super) fn is_ahead_of(&self, version: &str) -> bool {
        is_older(version, &self.inner.lock().version)
    }

    /// Whether the answer to a write proves it: its version is older than the one that was known of the object before
    /// the write was sent. An answer that the watch has merely overtaken proves nothing.
    pub(super) fn is_disproved_by(&self, answer: &str, known: &str) -> bool {
        let inner = self.inner.lock();
        is_older(answer, known) && (known == inner.old || is_older(known, &inner.old))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_an_answer_older_than_what_was_known_long_before_proves_something() {
        let position = Position::default();
        position.reset("100");
        position.raise("120");
        assert!(position.is_ahead_of("119") && !position.is_ahead_of("120"));
        assert!(
            !position.is_disproved_by("110", "115"),
            "the watch may have overtaken it"
        );
        tokio::time::advance(OLDER_THAN_WRITES).await;
        position.raise("130");
        assert!(position.is_disproved_by("90", "95"), "95 was known a minute ago");
        assert!(!position.is_disproved_by("110", "125"));
        assert!(!position.is_disproved_by("96", "95"));
        position.raise("5");
        assert_eq!((position.version(), position.furthest()), ("130".into(), "130".into()));
        position.answered("140");
        position.answered("135");
        assert_eq!((position.version(), position.furthest()), ("130".into(), "140".into()));
        position.reset("50");
        assert_eq!(
            position.furthest(),
            "50",
            "what was answered in another history does not count"
        );
    }
}
