//! What is known of each profile in the traffic manager, and whether calls about it are on their way. Nothing of it has to
//! survive: a fresh one costs a read (docs/decisions/0015).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use fairway_core::traffic::arm::{Call, Failure};
use fairway_core::traffic::{Batch, Collected, Collecting, Hint, Lately, Observed, Service};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::store::ProfileKey;

/// A call with its answer.
pub(super) type Answered = (Call, Result<Value, Failure>);

/// What is known of all profiles.
#[derive(Default)]
pub(super) struct Observations(Mutex<All>);

#[derive(Default)]
struct All {
    profiles: BTreeMap<ProfileKey, State>,
    lately: Lately,
    /// The profile that had the last turn.
    last: Option<ProfileKey>,
}

#[derive(Default, Clone)]
struct State {
    observed: Arc<Observed>,
    /// The calls that are on their way.
    batch: Batch,
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
    /// What holds its endpoints back.
    pub(super) collected: Collected,
}

impl Observations {
    /// What is known of a profile whose backends name these services.
    pub(super) fn of(&self, key: &ProfileKey, services: &BTreeMap<String, Service>, now: Timestamp) -> Known {
        let mut all = self.0.lock();
        let All { profiles, lately, .. } = &mut *all;
        let state = profiles.entry(key.clone()).or_default();
        Known {
            observed: Arc::clone(&state.observed),
            in_flight: !state.batch.is_over(),
            hints_in_flight: state.hints_in_flight,
            collected: state.collecting.update(services, lately, now),
        }
    }

    /// Forgets a profile that does not exist, unless something about it is on its way.
    pub(super) fn forget(&self, key: &ProfileKey) {
        let all = &mut self.0.lock().profiles;
        if all
            .get(key)
            .is_some_and(|state| state.batch.is_over() && !state.hints_in_flight)
        {
            all.remove(key);
        }
    }

    /// Records the endpoints of a profile that are not what they should be.
    pub(super) fn differ(&self, key: &ProfileKey, endpoints: &[String], now: Timestamp) {
        if let Some(state) = self.0.lock().profiles.get_mut(key) {
            state.collecting.differ(endpoints, now);
        }
    }

    /// Calls about a profile are on their way from now on, unless some were already. Returns those to send at once.
    pub(super) fn begin(&self, key: &ProfileKey, calls: Vec<Call>) -> Vec<Call> {
        let all = &mut self.0.lock().profiles;
        all.entry(key.clone()).or_default().batch.begin(calls)
    }

    /// What is on its way about a profile and not sent yet becomes what is wanted now. Returns whether nothing is on its
    /// way any more because of that.
    pub(super) fn revise(&self, key: &ProfileKey, revised: &[Call]) -> bool {
        let all = &mut self.0.lock().profiles;
        let batch = all.get_mut(key).map(|state| &mut state.batch);
        batch.filter(|batch| batch.is_waiting()).is_some_and(|batch| {
            batch.revise(revised);
            batch.is_over()
        })
    }

    /// Whether writes of endpoints wait for their turn.
    pub(super) fn is_waiting(&self) -> bool {
        let all = &self.0.lock().profiles;
        all.values().any(|state| state.batch.is_waiting())
    }

    /// The next write of an endpoint, as it is wanted now. Profiles take turns.
    pub(super) fn next(&self) -> Option<(ProfileKey, Call)> {
        let mut all = self.0.lock();
        let All { profiles, last, .. } = &mut *all;
        let waits = |(_, state): &(&ProfileKey, &mut State)| state.batch.is_waiting();
        let (key, state) = match last.take() {
            Some(last) => {
                let later = (Bound::Excluded(&last), Bound::Unbounded);
                match profiles.range_mut(later).find(waits) {
                    Some(found) => found,
                    None => profiles.iter_mut().find(waits)?,
                }
            }
            None => profiles.iter_mut().find(waits)?,
        };
        let key = key.clone();
        let call = state.batch.take_next()?;
        *last = Some(key.clone());
        Some((key, call))
    }

    /// A call about a profile is answered. Returns whether all are.
    pub(super) fn answered(&self, key: &ProfileKey, (call, answer): Answered, now: Timestamp) -> bool {
        let all = &mut self.0.lock().profiles;
        let state = all.entry(key.clone()).or_default();
        Arc::make_mut(&mut state.observed).record(&call, answer, now);
        state.batch.answered();
        state.batch.is_over()
    }
}

impl Observations {
    /// Hints about a profile are on their way from now on. False when some were already.
    pub(super) fn begin_hints(&self, key: &ProfileKey) -> bool {
        let all = &mut self.0.lock().profiles;
        let state = all.entry(key.clone()).or_default();
        !std::mem::replace(&mut state.hints_in_flight, true)
    }

    /// Hints about a profile were taken, or none was.
    pub(super) fn end_hints(&self, key: &ProfileKey, hints: &[Hint], taken: bool, now: Timestamp) {
        let all = &mut self.0.lock().profiles;
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
        assert_eq!(all.begin(&key, vec![call.clone()]), std::slice::from_ref(&call));
        assert_eq!(all.begin(&key, vec![call.clone()]), []);
        all.forget(&key);
        let of = || all.of(&key, &BTreeMap::new(), Timestamp::UNIX_EPOCH);
        assert!(of().in_flight);
        assert!(all.answered(&key, (call, Ok(Value::Null)), Timestamp::UNIX_EPOCH));
        assert!(!of().in_flight && *of().observed != Observed::default());
        assert!(all.begin_hints(&key) && !all.begin_hints(&key));
        all.forget(&key);
        assert!(of().hints_in_flight);
        all.end_hints(&key, &[], true, Timestamp::UNIX_EPOCH);
        all.forget(&key);
        assert!(all.0.lock().profiles.is_empty());
    }

    #[test]
    fn profiles_take_turns() {
        let all = Observations::default();
        let write = |name: &str| Call {
            profile: ProfileId::default(),
            action: Action::WriteEndpoint {
                name: name.to_owned(),
                body: Value::Null,
            },
            intent: Digest::default(),
        };
        for (key, names) in [("many", &["1", "2", "3"][..]), ("one", &["4"])] {
            let calls = names.iter().map(|name| write(name)).collect();
            assert_eq!(all.begin(&ProfileKey::namespaced("app", key), calls), []);
        }
        let next = || all.next().map(|(key, call)| (key.name, call));
        for (key, name) in [("many", "1"), ("one", "4"), ("many", "2"), ("many", "3")] {
            assert!(all.is_waiting());
            assert_eq!(next(), Some((key.to_owned(), write(name))));
        }
        assert_eq!(next(), None);
        assert!(!all.is_waiting());
        let many = ProfileKey::namespaced("app", "many");
        let answer = |name| all.answered(&many, (write(name), Ok(Value::Null)), Timestamp::UNIX_EPOCH);
        assert_eq!(["1", "2", "3"].map(answer), [false, false, true]);
    }
}
