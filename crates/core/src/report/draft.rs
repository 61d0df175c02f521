//! A placement's own conditions under construction.

use api::text::conditions::PlacementCondition;
use api::{Condition, ConditionStatus, Time, condition};
use jiff::Timestamp;

use crate::objects::Placement;

/// The placement's own conditions under construction.
pub(super) struct Conditions<'a> {
    list: &'a mut Vec<Condition>,
    placement: &'a Placement,
    now: Timestamp,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(placement: &'a Placement, list: &'a mut Vec<Condition>, now: Timestamp) -> Self {
        Self { list, placement, now }
    }

    pub(super) fn set(&mut self, kind: PlacementCondition, status: ConditionStatus, reason: &str, message: &str) {
        let type_ = kind.on(self.placement.key().kind());
        let generation = self.placement.meta.generation;
        condition::set(
            self.list,
            Condition::new(type_, status, reason, message, generation, Time(self.now)),
        );
    }

    /// Drops what comes after the last of `set`, and what this placement never has. StatusSynced is not touched.
    pub(super) fn keep_up_to(&mut self, set: &[PlacementCondition]) {
        let kind = self.placement.key().kind();
        for condition in PlacementCondition::ALL {
            let fixed = [PlacementCondition::Scheduled, PlacementCondition::StatusSynced].contains(&condition);
            if !fixed && !set.contains(&condition) {
                condition::remove(self.list, condition.on(kind));
            }
        }
    }

    pub(super) fn keep_only_scheduled(&mut self) {
        self.keep_up_to(&[]);
    }
}

/// A condition of a status that is written anew: it keeps the time of the one before while it says the same.
pub(super) fn with_transition_of(mut new: Condition, before: Option<&Condition>) -> Condition {
    if let Some(before) = before.filter(|before| before.status == new.status) {
        new.last_transition_time = before.last_transition_time.clone();
    }
    new
}
