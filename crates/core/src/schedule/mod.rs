//! Stage 3: which clusters a placement gets (hub-behaviour 4.3 to 4.14).
//!
//! [`schedule`] takes the members, the policy and the existing bindings and answers what is to happen to bindings and
//! what the policy snapshot's status shall say. Selected clusters are never reconsidered for label, taint, property or
//! health changes.

mod affinity;
mod assign;
mod classify;
mod cycle;
mod decisions;
mod due;
mod eligible;
mod explain;
mod filter;
mod fixed;
mod pick;
mod taints;
mod terms;
mod topology;
mod trace;

use std::sync::Arc;

use api::placement::v1beta1::{ClusterDecision, PlacementPolicy, PlacementType};
use jiff::Timestamp;

pub use affinity::BadProperty;
pub use cycle::{Cycle, CycleInput, cycle};
pub use due::is_due;
pub use eligible::eligible;
pub use terms::reads_properties;
pub use trace::{ClusterTrace, Comparison, Filter, FilterResult, SortedBy, SpreadScore, TermScore, Trace};

use crate::objects::{Binding, BindingState, Member, PlacementKey};
use crate::problem::Problem;
use crate::trace::Recorder;

/// The input of the scheduler.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The placement.
    pub key: &'a PlacementKey,
    /// The policy of the current policy snapshot; `None` means all clusters.
    pub policy: Option<&'a PlacementPolicy>,
    /// The number of clusters of PickN, from the snapshot's annotation.
    pub number_of_clusters: Option<i64>,
    /// Name of the current policy snapshot.
    pub policy_snapshot: &'a str,
    /// All members, sorted by name.
    pub members: &'a [Arc<Member>],
    /// All bindings of the placement, sorted by name.
    pub bindings: &'a [Arc<Binding>],
    /// The current time.
    pub now: Timestamp,
}

/// What the scheduler decides.
#[derive(Debug, Default, PartialEq)]
pub struct SchedulingResult {
    /// What happens to bindings, at most one action for each.
    pub actions: Vec<Action>,
    /// What the policy snapshot's status shall say; `None` leaves it alone.
    pub decisions: Option<PolicyDecisions>,
    /// Properties of members that are no quantities; each deserves a warning.
    pub bad_properties: Vec<BadProperty>,
}

/// The content of the policy snapshot's status.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDecisions {
    /// Selected clusters first, then the most telling of the others.
    pub decisions: Vec<ClusterDecision>,
    /// Number of selected clusters.
    pub selected: usize,
    /// Whether the policy is fulfilled.
    pub fulfilled: bool,
}

/// One change to a binding.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A new binding for a cluster.
    Create {
        /// The cluster.
        cluster: String,
        /// Why it was picked.
        decision: ClusterDecision,
    },
    /// An existing binding, of an older policy or unscheduled before, belongs to the current policy from now on.
    Adopt {
        /// Name of the binding.
        binding: String,
        /// Its state from now on.
        state: BindingState,
        /// Why its cluster was picked.
        decision: ClusterDecision,
    },
    /// The cluster of the binding is no longer wanted.
    Unschedule {
        /// Name of the binding.
        binding: String,
    },
    /// The binding is being deleted; the scheduler lets it go.
    Release {
        /// Name of the binding.
        binding: String,
    },
}

/// Runs the scheduling cycle.
///
/// # Errors
/// An unexpected problem when the policy cannot be evaluated or a binding contradicts itself.
pub fn schedule(input: &Input<'_>, mut trace: Recorder<'_, Trace>) -> Result<SchedulingResult, Problem> {
    let classes = classify::Classes::of(input);
    let mut result = SchedulingResult::default();
    let releases = classes.deleting.iter().map(|b| Action::Release {
        binding: b.meta.name.clone(),
    });
    let dangling = classes.dangling.iter().map(|b| Action::Unschedule {
        binding: b.meta.name.clone(),
    });
    result.actions.extend(releases.chain(dangling));
    let type_ = input
        .policy
        .and_then(|policy| policy.placement_type)
        .unwrap_or(PlacementType::PickAll);
    trace.record(|trace| {
        trace.placement_type = Some(type_);
        trace.held.extend(classes.picked());
    });
    match type_ {
        PlacementType::PickAll => pick::all(input, &classes, &mut result, trace)?,
        PlacementType::PickN => pick::number(input, &classes, &mut result, trace)?,
        PlacementType::PickFixed => fixed::fixed(input, &classes, &mut result, trace)?,
    }
    Ok(result)
}

#[cfg(test)]
mod tests;
