//! The version up to which an index knows its collection, and what proves that the server has gone back behind it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Longer than any write of ours takes: what was known so long ago was known before the write was sent.
const OLDER_THAN_WRITES: Duration = Duration::from_secs(60);

/// The newest collection version that a list or watch has told.
#[derive(Default)]
pub(super) struct Position {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    version: String,
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
            recent: Some((version.to_owned(), Instant::now())),
            old: String::new(),
        };
    }

    /// A watch has told of a version. Older ones change nothing.
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

    /// Whether a version of the collection proves that the server is behind what it has told before.
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

/// Whether both are numbers and `a` is the smaller one.
pub(super) fn is_older(a: &str, b: &str) -> bool {
    match (digits(a), digits(b)) {
        (Some(a), Some(b)) => (a.len(), a) < (b.len(), b),
        _ => false,
    }
}

/// Whether resource version `a` is newer than `b`. They are numbers too large for a machine word to be relied on.
/// Versions that are no numbers cannot be compared; then the later one counts.
pub fn is_newer(a: &str, b: &str) -> bool {
    match (digits(a), digits(b)) {
        (Some(a), Some(b)) => (a.len(), a) > (b.len(), b),
        _ => a != b || a.is_empty(),
    }
}

/// A number without leading zeros.
fn digits(text: &str) -> Option<&str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (a, b, newer, older) in [
            ("10", "9", true, false),
            ("9", "10", false, true),
            ("9", "9", false, false),
            ("123456789012345678901234567890", "5", true, false),
            ("x", "5", true, false),
            ("x", "x", false, false),
            ("", "5", true, false),
        ] {
            assert_eq!((is_newer(a, b), is_older(a, b)), (newer, older), "{a} {b}");
        }
    }

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
        assert_eq!(position.version(), "130");
    }
}
