//! How far one API server has come, as all who follow it through the same client know it together.
//!
//! Each index knows the version of its own API. A server that was restored from a backup is behind some of them and may
//! have overtaken others by the time they look; those could not notice. So the first proof that the history has gone back
//! counts for all ([`History::rewind`]), and each looks at the highest version that anybody has seen.

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::version::is_older;

/// What is known of the history of one server.
pub(crate) struct History {
    furthest: Mutex<Furthest>,
    rewinds: watch::Sender<u64>,
}

/// The highest version that anybody has seen, and the API whose version it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Furthest {
    /// The version; empty when nothing was seen.
    pub(crate) version: String,
    /// The path that lists the API, to which a query can be added.
    pub(crate) path: String,
}

impl Default for History {
    fn default() -> Self {
        Self {
            furthest: Mutex::default(),
            rewinds: watch::Sender::new(0),
        }
    }
}

impl History {
    /// The API has come to a version. Older ones change nothing.
    pub(crate) fn saw(&self, version: &str, path: &str) {
        let mut furthest = self.furthest.lock();
        if furthest.version.is_empty() || is_older(&furthest.version, version) {
            version.clone_into(&mut furthest.version);
            if furthest.path != path {
                path.clone_into(&mut furthest.path);
            }
        }
    }

    /// The highest version that anybody has seen since the history went back.
    pub(crate) fn furthest(&self) -> Furthest {
        self.furthest.lock().clone()
    }

    /// Somebody who knows of so many rewinds has proof of one more. Answers whether it is one that nobody has noticed
    /// before.
    pub(crate) fn rewind(&self, known: u64) -> bool {
        self.rewinds.send_if_modified(|rewinds| {
            let is_new = *rewinds == known;
            if is_new {
                *rewinds += 1;
                *self.furthest.lock() = Furthest::default();
            }
            is_new
        })
    }

    /// How often the history has gone back, for those who must list anew then.
    pub(crate) fn rewinds(&self) -> watch::Receiver<u64> {
        self.rewinds.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_counts_until_the_history_goes_back() {
        let history = History::default();
        let seen = |version: &str, path: &str| Furthest {
            version: version.to_owned(),
            path: path.to_owned(),
        };
        history.saw("9", "/a?");
        history.saw("100", "/b?");
        history.saw("99", "/a?");
        history.saw("", "/a?");
        assert_eq!(history.furthest(), seen("100", "/b?"));
        let mut rewinds = history.rewinds();
        assert!(history.rewind(0));
        assert!(!history.rewind(0), "two who prove the same are one rewind");
        assert_eq!(*rewinds.borrow_and_update(), 1);
        assert_eq!(history.furthest(), Furthest::default());
        history.saw("50", "/a?");
        assert_eq!(history.furthest(), seen("50", "/a?"));
    }
}
