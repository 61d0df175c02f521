//! What is known of each profile in the traffic manager, and whether calls about it are on their way. Nothing of it has to
//! survive: a fresh one costs a read (docs/decisions/0015).

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_core::traffic::arm::{Call, Failure};
use fairway_core::traffic::{Collecting, Hint, Observed, Service};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::store::ProfileKey;

/// A call with its answer.
pub(super) type Answered = (Call, Result<Value, Failure>);

/// What is known of all profiles.
#[derive(Default)]
pub(super) struct Observations(Mutex<BTreeMap<ProfileKey, State>>);

#[derive(Default, Clone)]
struct State {
    observed: Arc<Observed>,
    in_flight: bool,
    hints_in_flight: bool,
    collecting: Collecting,
}

/// What is known of one profile.
pub(super) struct Known {
    pub(super) observed: Arc<Observed>,
    /// Calls are on their way.
    pub(super) in_flight: bool,
    /// Hints are on their way.
    pub(super) hints_in_flight: bool,
    /// Until when changes of its exports are collected.
    pub(super) collecting_until: Option<Timestamp>,
}

impl Observations {
    /// What is known of a profile whose backends name these services.
    pub(super) fn of(&self, key: &ProfileKey, services: &BTreeMap<String, Service>, now: Timestamp) -> Known {
        let mut all = self.0.lock();
        let state = all.entry(key.clone()).or_default();
        Known {
            observed: Arc::clone(&state.observed),
            in_flight: state.in_flight,
            hints_in_flight: state.hints_in_flight,
            collecting_until: state.collecting.update(services, now),
        }
    }

    /// Forgets a profile that does not exist, unless something about it is on its way.
    pub(super) fn forget(&self, key: &ProfileKey) {
        let mut all = self.0.lock();
        if all
            .get(key)
            .is_some_and(|state| !state.in_flight && !state.hints_in_flight)
        {
            all.remove(key);
        }
    }

    /// Calls about a profile are on their way from now on. False when some were already.
    pub(super) fn begin(&self, key: &ProfileKey) -> bool {
        let mut all = self.0.lock();
        let state = all.entry(key.clone()).or_default();
        !std::mem::replace(&mut state.in_flight, true)
    }

    /// The calls about a profile are answered.
    pub(super) fn end(&self, key: &ProfileKey, answers: Vec<Answered>, now: Timestamp) {
        let mut all = self.0.lock();
        let state = all.entry(key.clone()).or_default();
        state.in_flight = false;
        let observed = Arc::make_mut(&mut state.observed);
        for (call, answer) in answers {
            observed.record(&call, answer, now);
        }
    }
}

impl Observations {
    /// Hints about a profile are on their way from now on. False when some were already.
    pub(super) fn begin_hints(&self, key: &ProfileKey) -> bool {
        let mut all = self.0.lock();
        let state = all.entry(key.clone()).or_default();
        !std::mem::replace(&mut state.hints_in_flight, true)
    }

    /// Hints about a profile were taken, or none was.
    pub(super) fn end_hints(&self, key: &ProfileKey, hints: &[Hint], taken: bool, now: Timestamp) {
        let mut all = self.0.lock();
        let state = all.entry(key.clone()).or_default();
        state.hints_in_flight = false;
        Arc::make_mut(&mut state.observed).record_hints(hints, taken, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_core::digest::Digest;
    use fairway_core::traffic::arm::{Action, ProfileId};

    #[test]
    fn a_profile_has_one_batch_of_calls_at_a_time_and_is_forgotten_only_when_none_is_left() {
        let all = Observations::default();
        let key = ProfileKey::namespaced("app", "web");
        let call = Call {
            profile: ProfileId::default(),
            action: Action::ReadProfile,
            intent: Digest::default(),
        };
        assert!(all.begin(&key));
        assert!(!all.begin(&key));
        all.forget(&key);
        let of = || all.of(&key, &BTreeMap::new(), Timestamp::UNIX_EPOCH);
        assert!(of().in_flight);
        all.end(&key, vec![(call, Ok(Value::Null))], Timestamp::UNIX_EPOCH);
        assert!(!of().in_flight && *of().observed != Observed::default());
        assert!(all.begin_hints(&key) && !all.begin_hints(&key));
        all.forget(&key);
        assert!(of().hints_in_flight);
        all.end_hints(&key, &[], true, Timestamp::UNIX_EPOCH);
        all.forget(&key);
        assert!(all.0.lock().is_empty());
    }
}
