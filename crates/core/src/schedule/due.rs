//! When the scheduling cycle runs (hub-behaviour 4.2, 4.14).

use api::ConditionStatus;
use api::condition;
use api::placement::v1beta1::PlacementType;
use api::text::conditions::snapshot;

use super::Input;
use super::classify::Classes;
use crate::objects::PolicySnapshot;

/// Whether anything happened that the scheduler has to answer. A placement that is scheduled to the full is not looked at
/// again because of its members, unless it wants all of them: what was picked once stays picked.
pub fn is_due(input: &Input<'_>, current: &PolicySnapshot) -> bool {
    let status = &current.status;
    let decided = condition::find(&status.conditions, snapshot::SCHEDULED)
        .filter(|c| c.observed_generation == current.meta.generation)
        .filter(|_| Some(status.observed_crp_generation) == current.placement_generation());
    let Some(decided) = decided else { return true };
    let type_ = input
        .policy
        .and_then(|policy| policy.placement_type)
        .unwrap_or(PlacementType::PickAll);
    if type_ == PlacementType::PickAll || decided.status != ConditionStatus::True {
        return true;
    }
    let classes = Classes::of(input);
    let held = classes.picked();
    let lost = status
        .cluster_decisions
        .iter()
        .any(|d| d.selected && !held.contains(&d.cluster_name));
    lost || !classes.deleting.is_empty() || !classes.dangling.is_empty() || !classes.obsolete.is_empty()
}
