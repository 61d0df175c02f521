//! Which changes are only echoes of a controller's own writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_core::effects::Target;
use parking_lot::Mutex;

/// Changes of one object that are kept back at most; one more, and all are delivered. A delivered echo costs a pass.
const KEPT_BACK: usize = 64;

/// Distinguishes changes that others have made from echoes of one controller's own writes.
///
/// A change of an object that is being written cannot be classified before the write is answered. It is kept back until
/// no write of that object is on its way any more; then it is dropped when its version is one that was answered, and
/// delivered otherwise. That holds however a write ends: with an answer, with an error, by a panic or by cancellation.
#[derive(Default)]
pub struct EchoFilter {
    writing: Mutex<BTreeMap<Target, Writing>>,
}

/// An object that is being written.
#[derive(Default)]
struct Writing {
    /// Writes that are on their way.
    writes: usize,
    /// Versions that were answered to writes which overlap.
    answered: Vec<String>,
    kept_back: Vec<Change>,
}

struct Change {
    version: String,
    deliver: Box<dyn FnOnce() + Send>,
}

/// A write on its way, until it is dropped.
#[must_use]
pub struct InFlight {
    filter: Arc<EchoFilter>,
    target: Target,
}

impl EchoFilter {
    /// A write of an object begins.
    pub fn begin(self: &Arc<Self>, target: &Target) -> InFlight {
        self.writing.lock().entry(target.clone()).or_default().writes += 1;
        InFlight {
            filter: Arc::clone(self),
            target: target.clone(),
        }
    }

    /// Whether no write is on its way: then no change is an echo.
    pub fn is_idle(&self) -> bool {
        self.writing.lock().is_empty()
    }

    /// Delivers the change of an object to a version (empty when it is gone), now or once it is known to be no echo.
    pub fn change(&self, target: &Target, version: &str, deliver: impl FnOnce() + Send + 'static) {
        let mut writing = self.writing.lock();
        let Some(object) = writing.get_mut(target) else {
            drop(writing);
            return deliver();
        };
        object.kept_back.push(Change {
            version: version.to_owned(),
            deliver: Box::new(deliver),
        });
        if object.kept_back.len() > KEPT_BACK {
            let all = std::mem::take(&mut object.kept_back);
            drop(writing);
            all.into_iter().for_each(|change| (change.deliver)());
        }
    }

    fn end(&self, target: &Target) {
        let mut writing = self.writing.lock();
        let Some(object) = writing.get_mut(target) else { return };
        object.writes -= 1;
        if object.writes > 0 {
            return;
        }
        let ended = writing.remove(target).unwrap_or_default();
        drop(writing);
        ended
            .kept_back
            .into_iter()
            .filter(|change| !ended.answered.contains(&change.version))
            .for_each(|change| (change.deliver)());
    }
}

impl InFlight {
    /// The write was answered with this version; empty when the object is gone.
    pub fn answered(&self, version: &str) {
        if let Some(object) = self.filter.writing.lock().get_mut(&self.target) {
            object.answered.push(version.to_owned());
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.filter.end(&self.target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::kinds;

    /// A filter and the versions that it has delivered.
    #[derive(Default)]
    struct Watched {
        filter: Arc<EchoFilter>,
        delivered: Arc<Mutex<Vec<String>>>,
    }

    fn work() -> Target {
        Target::new(kinds::WORK, Some("n"), "w")
    }

    impl Watched {
        fn change(&self, version: &str) {
            let (delivered, text) = (Arc::clone(&self.delivered), version.to_owned());
            self.filter
                .change(&work(), version, move || delivered.lock().push(text));
        }

        fn delivered(&self) -> Vec<String> {
            std::mem::take(&mut *self.delivered.lock())
        }
    }

    #[test]
    fn changes_of_others_are_delivered_and_echoes_are_not() {
        let watched = Watched::default();
        watched.change("1");
        assert_eq!(watched.delivered(), ["1"], "nobody writes");
        for (seen, answer, others) in [
            (vec!["5"], Some("5"), vec![]),
            (vec![], Some("5"), vec![]),
            (vec!["4", "5"], Some("5"), vec!["4"]),
            (vec!["5", "6"], Some("5"), vec!["6"]),
            (vec![""], Some(""), vec![]),
            (vec!["5"], None, vec!["5"]),
        ] {
            let write = watched.filter.begin(&work());
            seen.iter().for_each(|version| watched.change(version));
            assert!(watched.delivered().is_empty(), "not known yet");
            if let Some(version) = answer {
                write.answered(version);
            }
            drop(write);
            assert_eq!(watched.delivered(), others, "{seen:?} {answer:?}");
            assert!(watched.filter.is_idle());
        }
    }

    #[test]
    fn overlapping_writes_of_one_object_lose_nothing() {
        let watched = Watched::default();
        let first = watched.filter.begin(&work());
        watched.change("3");
        let second = watched.filter.begin(&work());
        watched.change("4");
        first.answered("4");
        drop(first);
        watched.change("5");
        watched.change("6");
        second.answered("6");
        assert!(watched.delivered().is_empty());
        drop(second);
        assert_eq!(watched.delivered(), ["3", "5"]);
    }

    #[test]
    fn changes_that_come_faster_than_answers_are_not_kept_without_bound() {
        let watched = Watched::default();
        let _write = watched.filter.begin(&work());
        for version in 0..=KEPT_BACK {
            watched.change(&version.to_string());
        }
        assert_eq!(watched.delivered().len(), KEPT_BACK + 1);
    }

    #[tokio::test]
    async fn a_write_that_is_cancelled_or_panics_hides_nothing() {
        let watched = Watched::default();
        let write = || {
            let filter = Arc::clone(&watched.filter);
            async move {
                let _write = filter.begin(&work());
                std::future::pending::<()>().await;
            }
        };
        let cancelled = tokio::spawn(write());
        let panics = {
            let (filter, delivered) = (Arc::clone(&watched.filter), Arc::clone(&watched.delivered));
            tokio::spawn(async move {
                let _write = filter.begin(&work());
                filter.change(&work(), "8", move || delivered.lock().push("8".to_owned()));
                panic!("the answer cannot be read");
            })
        };
        assert!(panics.await.unwrap_err().is_panic());
        tokio::task::yield_now().await;
        watched.change("9");
        cancelled.abort();
        assert!(cancelled.await.unwrap_err().is_cancelled());
        let mut delivered = watched.delivered();
        delivered.sort();
        assert_eq!(delivered, ["8", "9"]);
        assert!(watched.filter.is_idle(), "nothing is left behind");
    }
}
