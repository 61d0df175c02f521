//! The condition type that every status uses, and how conditions are set, compared and read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// Status of a condition.
    ConditionStatus {
        /// It holds.
        True,
        /// It does not hold.
        False,
        /// It is not known yet.
        Unknown,
    }
}

/// One observation about an object (placement-api 3.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect the condition describes.
    #[serde(rename = "type")]
    #[schemars(length(max = 316), extend("pattern" = TYPE_PATTERN))]
    pub type_: String,
    /// Whether the aspect holds.
    pub status: ConditionStatus,
    /// Generation of the object that was looked at; any other generation makes the condition stale.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// When the status last changed.
    pub last_transition_time: Time,
    /// The reason as one CamelCase word.
    #[schemars(length(min = 1, max = 1024), extend("pattern" = REASON_PATTERN))]
    pub reason: String,
    /// One sentence for people, possibly empty.
    #[schemars(length(max = 32768))]
    pub message: String,
}

const TYPE_PATTERN: &str = concat!(
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?",
    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
);
const REASON_PATTERN: &str = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";

fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// The state of a condition for one generation of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionState {
    /// Fresh and True.
    True,
    /// Fresh and False.
    False,
    /// Absent, Unknown, or about another generation.
    Stale,
}

impl Condition {
    /// A condition with `now` as transition time; [`set`] keeps the older time where the status stays.
    pub fn new(
        type_: impl Into<String>,
        status: ConditionStatus,
        reason: impl Into<String>,
        message: impl Into<String>,
        observed_generation: i64,
        now: Time,
    ) -> Self {
        Self {
            type_: type_.into(),
            status,
            observed_generation,
            last_transition_time: now,
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// What the condition says about `generation`.
    pub fn state(&self, generation: i64) -> ConditionState {
        match self.status {
            _ if self.observed_generation != generation => ConditionState::Stale,
            ConditionStatus::True => ConditionState::True,
            ConditionStatus::False => ConditionState::False,
            ConditionStatus::Unknown => ConditionState::Stale,
        }
    }

    /// Whether it is True for `generation`.
    pub fn is_true_for(&self, generation: i64) -> bool {
        self.state(generation) == ConditionState::True
    }

    /// Whether it is False for `generation`.
    pub fn is_false_for(&self, generation: i64) -> bool {
        self.state(generation) == ConditionState::False
    }

    /// Whether `self`, as stored, already says what `desired` wants: same type, status and reason, and an observed
    /// generation at least as new. Time and message are no difference (hub-behaviour 0.5).
    pub fn covers(&self, desired: &Condition) -> bool {
        self.type_ == desired.type_
            && self.status == desired.status
            && self.reason == desired.reason
            && self.observed_generation >= desired.observed_generation
    }
}

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// The state of the condition of a type; an absent condition is stale.
pub fn state(conditions: &[Condition], type_: &str, generation: i64) -> ConditionState {
    find(conditions, type_).map_or(ConditionState::Stale, |c| c.state(generation))
}

/// Whether the condition of a type is True for `generation`.
pub fn is_true(conditions: &[Condition], type_: &str, generation: i64) -> bool {
    state(conditions, type_, generation) == ConditionState::True
}

/// Whether the condition of a type is False for `generation`.
pub fn is_false(conditions: &[Condition], type_: &str, generation: i64) -> bool {
    state(conditions, type_, generation) == ConditionState::False
}

/// Puts `desired` into the list. The transition time changes only with the status; a new type goes to the end.
/// Returns whether anything changed.
pub fn set(conditions: &mut Vec<Condition>, desired: Condition) -> bool {
    let Some(current) = conditions.iter_mut().find(|c| c.type_ == desired.type_) else {
        conditions.push(desired);
        return true;
    };
    let mut desired = desired;
    if current.status == desired.status {
        desired.last_transition_time = current.last_transition_time.clone();
    }
    let changed = *current != desired;
    *current = desired;
    changed
}

/// Takes the condition of a type out of the list. Returns whether it was there.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) -> bool {
    let before = conditions.len();
    conditions.retain(|c| c.type_ != type_);
    conditions.len() != before
}

/// Whether the stored condition needs no write to say what is desired; both absent is fine too.
pub fn same(current: Option<&Condition>, desired: Option<&Condition>) -> bool {
    match (current, desired) {
        (None, None) => true,
        (Some(current), Some(desired)) => current.covers(desired),
        _ => false,
    }
}

/// Whether a stored list needs no write to say what `desired` says: the same types, each covered, in any order.
pub fn same_list(current: &[Condition], desired: &[Condition]) -> bool {
    current.len() == desired.len() && desired.iter().all(|d| same(find(current, &d.type_), Some(d)))
}

/// Takes over transition times from the stored list where the status of a type is unchanged.
pub fn keep_times(current: &[Condition], desired: &mut [Condition]) {
    for condition in desired {
        if let Some(old) = find(current, &condition.type_)
            && old.status == condition.status
        {
            condition.last_transition_time = old.last_transition_time.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ConditionStatus::{False, True, Unknown};
    use super::*;

    fn at(second: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
    }

    fn condition(status: ConditionStatus, generation: i64, second: i64) -> Condition {
        Condition::new("Ready", status, "Reason", "message", generation, at(second))
    }

    #[test]
    fn freshness() {
        let table = [
            (True, 3, ConditionState::True),
            (False, 3, ConditionState::False),
            (Unknown, 3, ConditionState::Stale),
            (True, 2, ConditionState::Stale),
            (False, 4, ConditionState::Stale),
        ];
        for (status, generation, expected) in table {
            let list = [condition(status, generation, 0)];
            assert_eq!(state(&list, "Ready", 3), expected, "{status} of {generation}");
            assert_eq!(is_true(&list, "Ready", 3), expected == ConditionState::True);
            assert_eq!(is_false(&list, "Ready", 3), expected == ConditionState::False);
        }
        assert_eq!(state(&[], "Ready", 3), ConditionState::Stale);
    }

    #[test]
    fn setting_keeps_the_time_while_the_status_stays() {
        let mut list = vec![];
        assert!(set(&mut list, condition(True, 1, 10)));
        assert!(
            !set(&mut list, condition(True, 1, 20)),
            "nothing but the time would change"
        );
        assert!(set(&mut list, condition(True, 2, 30)));
        assert_eq!(
            (list[0].observed_generation, &list[0].last_transition_time),
            (2, &at(10))
        );
        assert!(set(&mut list, condition(False, 2, 40)));
        assert_eq!(list[0].last_transition_time, at(40));
        assert!(set(
            &mut list,
            Condition {
                type_: "Other".into(),
                ..condition(True, 1, 50)
            }
        ));
        assert_eq!(
            list.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(),
            ["Ready", "Other"]
        );
        assert!(remove(&mut list, "Ready") && !remove(&mut list, "Ready"));
    }

    #[test]
    fn equality_ignores_time_message_and_newer_generations() {
        let stored = condition(True, 2, 10);
        let table = [
            (condition(True, 2, 99), true),
            (
                Condition {
                    message: "other".into(),
                    ..condition(True, 2, 10)
                },
                true,
            ),
            (condition(True, 1, 10), true),
            (condition(True, 3, 10), false),
            (condition(False, 2, 10), false),
            (
                Condition {
                    reason: "Other".into(),
                    ..condition(True, 2, 10)
                },
                false,
            ),
            (
                Condition {
                    type_: "Other".into(),
                    ..condition(True, 2, 10)
                },
                false,
            ),
        ];
        for (desired, expected) in table {
            assert_eq!(same(Some(&stored), Some(&desired)), expected, "{desired:?}");
            assert_eq!(same_list(std::slice::from_ref(&stored), &[desired]), expected);
        }
        assert!(same(None, None) && !same(Some(&stored), None) && !same(None, Some(&stored)));
        assert!(!same_list(std::slice::from_ref(&stored), &[]));
    }

    #[test]
    fn wanted_lists_take_over_times() {
        let stored = [condition(True, 1, 10)];
        let mut wanted = [
            condition(True, 2, 20),
            Condition {
                type_: "Other".into(),
                ..condition(True, 2, 20)
            },
        ];
        keep_times(&stored, &mut wanted);
        assert_eq!(
            [&wanted[0].last_transition_time, &wanted[1].last_transition_time],
            [&at(10), &at(20)]
        );
        let mut changed = [condition(False, 2, 20)];
        keep_times(&stored, &mut changed);
        assert_eq!(changed[0].last_transition_time, at(20));
    }
}
