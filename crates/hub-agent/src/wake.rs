//! Who is to be worked on: the queues, and which words of a watch are only the echo of our own writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_core::effects::Target;
use fairway_core::objects::PlacementKey;
use kit::backoff::Backoff;
use kit::index::Origin;
use kit::queue::Queue;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use kit::ObjectKey;

use crate::metrics::HubMetrics;

/// Names an override of either kind: namespace and name.
pub type OverrideKey = ObjectKey;

/// Changes of rights that a slow listener may be behind; it then takes all members for concerned.
const RIGHTS_IN_FLIGHT: usize = 256;

/// The queues of all controllers.
pub struct Wake {
    /// Placements.
    pub placements: Queue<PlacementKey>,
    /// Members by name.
    pub members: Queue<String>,
    /// Overrides.
    pub overrides: Queue<OverrideKey>,
    /// Members whose rights may have changed: their Role or RoleBinding did.
    pub rights: broadcast::Sender<String>,
    /// Objects that are being written right now, with the versions that the watch told of meanwhile.
    in_flight: Mutex<BTreeMap<Target, Vec<String>>>,
    /// Counts the work of watchers.
    metrics: Option<Arc<HubMetrics>>,
}

impl Wake {
    /// Empty queues.
    pub fn new(backoff: Backoff) -> Self {
        Self {
            placements: Queue::new(backoff),
            members: Queue::new(backoff),
            overrides: Queue::new(backoff),
            rights: broadcast::Sender::new(RIGHTS_IN_FLIGHT),
            in_flight: Mutex::default(),
            metrics: None,
        }
    }

    /// Counts what the watchers do.
    #[must_use]
    pub fn counted_by(mut self, metrics: Arc<HubMetrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Does the work of watchers: finds out who is concerned by a change.
    pub fn watched<T>(&self, watchers: &[&str], work: impl FnOnce() -> T) -> T {
        match &self.metrics {
            Some(metrics) => metrics.watch(watchers, work),
            None => work(),
        }
    }

    /// Whether a change is news to whoever works on the object, rather than an answer to, or an echo of, our own write.
    ///
    /// A change that arrives while we write the object cannot be told apart yet; it is kept for [`Self::landed`].
    pub fn is_news(&self, target: &Target, version: &str, origin: Origin) -> bool {
        if origin == Origin::Fold {
            return false;
        }
        match self.in_flight.lock().get_mut(target) {
            Some(seen) => {
                seen.push(version.to_owned());
                false
            }
            None => true,
        }
    }

    /// We are about to write an object.
    pub fn departs(&self, target: &Target) {
        self.in_flight.lock().insert(target.clone(), Vec::new());
    }

    /// The write was answered with a version (empty when the object is gone, `None` when it failed).
    /// Answers whether somebody else wrote the object meanwhile.
    pub fn landed(&self, target: &Target, version: Option<&str>) -> bool {
        let seen = self.in_flight.lock().remove(target).unwrap_or_default();
        seen.iter().any(|other| version != Some(other.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::kinds;
    use std::time::Duration;

    #[test]
    fn only_words_of_others_are_news() {
        let wake = Wake::new(Backoff::new(Duration::from_millis(5), Duration::from_secs(1)));
        let work = Target::new(kinds::WORK, Some("n"), "w");
        assert!(wake.is_news(&work, "1", Origin::Watch));
        assert!(!wake.is_news(&work, "1", Origin::Fold));
        for (seen, answer, others) in [
            (vec!["5"], Some("5"), false),
            (vec![], Some("5"), false),
            (vec!["4", "5"], Some("5"), true),
            (vec![""], Some(""), false),
            (vec!["5"], None, true),
        ] {
            wake.departs(&work);
            for version in &seen {
                assert!(!wake.is_news(&work, version, Origin::Watch));
            }
            assert_eq!(wake.landed(&work, answer), others, "{seen:?} {answer:?}");
        }
        assert!(wake.is_news(&work, "6", Origin::Watch));
    }
}
