//! The status of a placement (hub-behaviour 8).

use api::placement::v1beta1::{ClusterDecision, PlacementStatus, PlacementType};
use api::text::conditions::{PlacementCondition, snapshot};
use api::text::reasons::placement as reasons;
use api::{Condition, ConditionStatus, condition};
use jiff::Timestamp;

use super::clusters::{self, Entries};
use super::draft::Conditions;
use super::input::Input;
use super::{aggregate, external};
use crate::objects::{Placement, PolicySnapshot, ResourceSnapshot};
use crate::problem::Problem;

/// The status that a placement should have. The condition StatusSynced is left as it is, see [`super::mirror()`].
///
/// # Errors
/// When a snapshot group that clusters agree on has no master.
pub fn placement_status(input: &Input<'_>) -> Result<PlacementStatus, Problem> {
    let placement = input.placement;
    let mut status = PlacementStatus {
        selected_resources: input.selected.to_vec(),
        observed_resource_index: input
            .latest
            .and_then(ResourceSnapshot::index)
            .map(|i| i.to_string())
            .unwrap_or_default(),
        placement_statuses: Vec::new(),
        conditions: placement.status.conditions.clone(),
    };
    let mut draft = Conditions::new(placement, &mut status.conditions, input.now);
    let Some(scheduled) = scheduled(placement, input.policy) else {
        let message = "The scheduler has not handled the current generation of the placement yet.";
        draft.set(
            PlacementCondition::Scheduled,
            ConditionStatus::Unknown,
            reasons::SCHEDULE_PENDING,
            message,
        );
        return Ok(status);
    };
    draft.set(
        PlacementCondition::Scheduled,
        scheduled.status,
        &scheduled.reason,
        &scheduled.message,
    );

    let Entries { entries, selected } = clusters::entries(input, &placeholders(input));
    status.placement_statuses = entries;
    if selected == 0 {
        draft.keep_only_scheduled();
        return Ok(status);
    }
    let clusters = &status.placement_statuses[..selected];
    if placement.is_external() {
        let view = external::view(clusters, input.snapshots)?;
        status.observed_resource_index = view.index;
        status.selected_resources = view.resources;
        if let Some(message) = view.undecided {
            let reason = reasons::ROLLOUT_CONTROLLED_BY_EXTERNAL_CONTROLLER;
            draft.set(
                PlacementCondition::RolloutStarted,
                ConditionStatus::Unknown,
                reason,
                &message,
            );
            draft.keep_up_to(&[PlacementCondition::RolloutStarted]);
            return Ok(status);
        }
    }
    aggregate::conditions(super::expected(placement), clusters, &mut draft);
    if let Some(name) = clusters
        .iter()
        .find_map(|entry| input.unreadable.get(&entry.cluster_name))
    {
        let rollout = PlacementCondition::RolloutStarted;
        let message = clusters::unreadable_message(name);
        draft.set(
            rollout,
            ConditionStatus::Unknown,
            reasons::ROLLOUT_STARTED_UNKNOWN,
            &message,
        );
    }
    Ok(status)
}

/// The status after a selection that is the user's mistake: only the Scheduled condition changes.
pub fn invalid_selectors(placement: &Placement, message: &str, now: Timestamp) -> PlacementStatus {
    not_scheduled(placement, reasons::INVALID_RESOURCE_SELECTORS, message, now)
}

/// The status of a placement that cannot be scheduled because of a mistake in it: only the Scheduled condition changes.
pub fn unscheduled(placement: &Placement, message: &str, now: Timestamp) -> PlacementStatus {
    not_scheduled(placement, reasons::SCHEDULING_POLICY_UNFULFILLED, message, now)
}

fn not_scheduled(placement: &Placement, reason: &str, message: &str, now: Timestamp) -> PlacementStatus {
    let mut status = placement.status.clone();
    let mut draft = Conditions::new(placement, &mut status.conditions, now);
    draft.set(PlacementCondition::Scheduled, ConditionStatus::False, reason, message);
    status
}

/// What the scheduler says, when it is about the current policy and the current generation of the placement.
fn scheduled<'a>(placement: &Placement, policy: &'a PolicySnapshot) -> Option<&'a Condition> {
    let condition = condition::find(&policy.status.conditions, snapshot::SCHEDULED)?;
    let fresh = condition.observed_generation >= policy.meta.generation
        && policy.status.observed_crp_generation >= placement.meta.generation;
    (fresh && condition.status != ConditionStatus::Unknown).then_some(condition)
}

/// The decisions that stand for slots without a cluster (hub-behaviour 8.3).
fn placeholders<'a>(input: &Input<'a>) -> Vec<&'a ClusterDecision> {
    let decisions = &input.policy.status.cluster_decisions;
    let selected = decisions.iter().filter(|d| d.selected).count();
    let wanted = match input.placement.placement_type() {
        PlacementType::PickN => {
            usize::try_from(input.policy.number_of_clusters().unwrap_or_default()).unwrap_or_default()
        }
        PlacementType::PickFixed => input
            .placement
            .spec
            .policy
            .as_ref()
            .map_or(0, |p| p.cluster_names.len()),
        PlacementType::PickAll => 0,
    };
    // While the wanted number is being lowered there are more selected clusters than slots for a moment.
    decisions
        .iter()
        .filter(|d| !d.selected)
        .take(wanted.saturating_sub(selected))
        .collect()
}
