//! Statuses: Works to binding (hub-behaviour 7.4), bindings to placement (hub-behaviour 8), placed objects to their
//! originals (hub-behaviour 7.7).
//!
//! A status is always computed anew and written only when it differs from the stored one; times alone are no
//! difference. Computing a status from its own outcome changes nothing.

mod aggregate;
mod back;
mod binding;
mod clusters;
mod draft;
mod external;
mod input;
mod lists;
mod mirror;
mod mistakes;
mod patch;
mod placement;
mod transitions;

#[cfg(test)]
mod tests;

pub use back::{BackInput, back_reports};
pub use binding::{awaits_member, binding_status};
pub use input::{Input, identifiers};
pub use mirror::{Mirror, consistent, mirror, target_namespace};
pub use mistakes::{Mistakes, adds_failures, is_failure};
pub use patch::{same, status_patch};
pub use placement::{invalid_selectors, placement_status, unscheduled};
pub use transitions::{PlacementFact, fact, is_complete, transitions};

use api::placement::v1beta1::ApplyStrategyType;
use api::text::conditions::PlacementCondition;

use crate::objects::Placement;

/// The conditions that a placement goes through after scheduling, in order (hub-behaviour 8.1).
pub fn expected(placement: &Placement) -> &'static [PlacementCondition] {
    use PlacementCondition::{Applied, Available, DiffReported, Overridden, RolloutStarted, WorkSynchronized};
    if placement.apply_strategy().type_ == Some(ApplyStrategyType::ReportDiff) {
        &[RolloutStarted, Overridden, WorkSynchronized, DiffReported]
    } else {
        &[RolloutStarted, Overridden, WorkSynchronized, Applied, Available]
    }
}
