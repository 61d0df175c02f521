//! Placements that users wait for, and those whose details give way to them.
//!
//! A placement is waited for while a pass brings it forward and while its members have not answered. Statuses of bindings
//! and policy snapshots repeat what the placement's own status says, so they are written once nobody waits, and after
//! [`PATIENCE`] at the latest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fairway_core::objects::PlacementKey;
use jiff::Timestamp;
use parking_lot::Mutex;

/// How long details give way at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is waited for, and who gives way.
#[derive(Default)]
pub struct Crowd {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    awaited: BTreeSet<PlacementKey>,
    /// Since when.
    yielding: BTreeMap<PlacementKey, Timestamp>,
}

impl Crowd {
    /// Users wait for a placement from now on.
    pub fn join(&self, key: &PlacementKey) {
        self.state.lock().awaited.insert(key.clone());
    }

    /// Nobody waits for the placement any more. Answers those that gave way, once nobody waits for any.
    #[must_use = "who gave way has to be woken"]
    pub fn leave(&self, key: &PlacementKey) -> Vec<PlacementKey> {
        let mut state = self.state.lock();
        if state.awaited.remove(key) && state.awaited.is_empty() {
            state.yielding.keys().cloned().collect()
        } else {
            Vec::new()
        }
    }

    /// Number of other placements that users wait for.
    pub fn others(&self, key: &PlacementKey) -> usize {
        self.state.lock().others(key)
    }

    /// How much longer the details of a placement give way; `None` when it is their turn.
    pub fn give_way(&self, key: &PlacementKey, now: Timestamp) -> Option<Duration> {
        let mut state = self.state.lock();
        let others = state.others(key);
        let since = *state.yielding.entry(key.clone()).or_insert(now);
        let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let left = PATIENCE
            .checked_sub(waited)
            .filter(|left| others > 0 && !left.is_zero());
        if left.is_none() {
            state.yielding.remove(key);
        }
        left
    }

    /// A placement has no details to write.
    pub fn forget(&self, key: &PlacementKey) {
        self.state.lock().yielding.remove(key);
    }
}

impl State {
    fn others(&self, key: &PlacementKey) -> usize {
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
    fn details_give_way_while_others_are_awaited() {
        let crowd = Crowd::default();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds| start.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        let (one, two) = (key("one"), key("two"));
        crowd.join(&one);
        assert_eq!(crowd.give_way(&one, start), None, "nobody else is awaited");
        crowd.join(&two);
        assert_eq!((crowd.others(&one), crowd.others(&key("three"))), (1, 2));
        assert_eq!(crowd.give_way(&one, at(0)), Some(PATIENCE));
        assert_eq!(crowd.leave(&one), [], "somebody is still awaited");
        assert_eq!(crowd.give_way(&one, at(2)), Some(Duration::from_secs(3)));
        assert_eq!(crowd.leave(&two), [key("one")]);
        assert_eq!(crowd.leave(&two), [], "told once");
        assert_eq!(crowd.give_way(&one, at(3)), None);
        crowd.join(&two);
        assert_eq!(crowd.give_way(&one, at(4)), Some(PATIENCE), "anew");
        assert_eq!(crowd.give_way(&one, at(9)), None, "patience has an end");
        assert_eq!(crowd.give_way(&one, at(9)), Some(PATIENCE));
        crowd.forget(&one);
        assert_eq!(crowd.leave(&two), []);
    }
}
