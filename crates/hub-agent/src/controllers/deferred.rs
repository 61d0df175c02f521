//! Writes that can wait while users wait for other placements.
//!
//! A placement is waited for while a pass brings it forward and while its members have not answered. Statuses of bindings
//! and policy snapshots repeat what the placement's own status says, so they are written once nobody waits, and after
//! [`LONGEST_DEFERRAL`] at the latest (decision 7).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fairway_core::objects::PlacementKey;
use jiff::Timestamp;
use parking_lot::Mutex;

/// How long writes are deferred at most.
const LONGEST_DEFERRAL: Duration = Duration::from_secs(5);

/// Which placements users wait for, and which have deferred writes.
#[derive(Default)]
pub struct DeferredWrites {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    awaited: BTreeSet<PlacementKey>,
    /// Since when.
    deferred: BTreeMap<PlacementKey, Timestamp>,
}

impl DeferredWrites {
    /// Users wait for a placement from now on.
    pub fn await_placement(&self, key: &PlacementKey) {
        self.state.lock().awaited.insert(key.clone());
    }

    /// Nobody waits for the placement any more. Answers those with deferred writes, once nobody waits for any placement.
    #[must_use = "their turn has come"]
    pub fn settled(&self, key: &PlacementKey) -> Vec<PlacementKey> {
        let mut state = self.state.lock();
        if state.awaited.remove(key) && state.awaited.is_empty() {
            state.deferred.keys().cloned().collect()
        } else {
            Vec::new()
        }
    }

    /// Number of other placements that users wait for.
    pub fn others_awaited(&self, key: &PlacementKey) -> usize {
        self.state.lock().others_awaited(key)
    }

    /// How much longer the writes of a placement are deferred; `None` when it is their turn.
    pub fn deferral(&self, key: &PlacementKey, now: Timestamp) -> Option<Duration> {
        let mut state = self.state.lock();
        let others = state.others_awaited(key);
        let since = *state.deferred.entry(key.clone()).or_insert(now);
        let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let left = LONGEST_DEFERRAL
            .checked_sub(waited)
            .filter(|left| others > 0 && !left.is_zero());
        if left.is_none() {
            state.deferred.remove(key);
        }
        left
    }

    /// A placement has nothing to defer.
    pub fn forget(&self, key: &PlacementKey) {
        self.state.lock().deferred.remove(key);
    }
}

impl State {
    fn others_awaited(&self, key: &PlacementKey) -> usize {
        self.awaited.len() - usize::from(self.awaited.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn key(name: &str) -> PlacementKey {
        PlacementKey::cluster(name)
    }

    #[test]
    fn writes_are_deferred_while_others_are_awaited() {
        let writes = DeferredWrites::default();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds| start.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        let (one, two) = (key("one"), key("two"));
        writes.await_placement(&one);
        assert_eq!(writes.deferral(&one, start), None, "nobody else is awaited");
        writes.await_placement(&two);
        assert_eq!(
            (writes.others_awaited(&one), writes.others_awaited(&key("three"))),
            (1, 2)
        );
        assert_eq!(writes.deferral(&one, at(0)), Some(LONGEST_DEFERRAL));
        assert_eq!(writes.settled(&one), [], "somebody is still awaited");
        assert_eq!(writes.deferral(&one, at(2)), Some(Duration::from_secs(3)));
        assert_eq!(writes.settled(&two), [key("one")]);
        assert_eq!(writes.settled(&two), [], "answered once");
        assert_eq!(writes.deferral(&one, at(3)), None);
        writes.await_placement(&two);
        assert_eq!(writes.deferral(&one, at(4)), Some(LONGEST_DEFERRAL), "anew");
        assert_eq!(writes.deferral(&one, at(9)), None, "it has an end");
        assert_eq!(writes.deferral(&one, at(9)), Some(LONGEST_DEFERRAL));
        writes.forget(&one);
        assert_eq!(writes.settled(&two), []);
    }
}
