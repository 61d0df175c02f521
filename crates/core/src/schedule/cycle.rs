//! The scheduling cycle as a stage of a pass: it runs when it is due, and records its result in the bindings and in the
//! status of the policy snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::placement::v1beta1::{BindingState, ResourceBindingSpec, SchedulingPolicySnapshotStatus};
use api::text::conditions::snapshot::SCHEDULED;
use api::text::{annotations, finalizers, labels, messages, reasons};
use api::{Condition, ConditionStatus, Time, condition, names};
use jiff::Timestamp;

use super::{Action, BadProperty, Input, PolicyDecisions, Trace, is_due, schedule};
use crate::digest::Digest;
use crate::effects::Tracked;
use crate::meta::Meta;
use crate::objects::{Binding, Member, PlacementKey, PolicySnapshot, Work};
use crate::problem::Problem;
use crate::trace::Recorder;

/// What the cycle goes by, beside the policy and the bindings.
#[derive(Clone, Copy)]
pub struct CycleInput<'a> {
    /// The placement.
    pub key: &'a PlacementKey,
    /// Its metadata.
    pub placement: &'a Meta,
    /// All members, sorted by name.
    pub members: &'a [Arc<Member>],
    /// The placement's Works; one that a crashed pass has left behind gives its name to a new binding.
    pub works: &'a [Arc<Work>],
    /// The current time.
    pub now: Timestamp,
    /// Makes the names of new bindings fresh.
    pub nonce: u64,
}

/// A cycle that ran.
#[derive(Debug, Default)]
pub struct Cycle {
    /// What went wrong; with any problem the policy snapshot's status stays as it is.
    pub problems: Vec<Problem>,
    /// Properties of members that are no quantities; each deserves a warning.
    pub bad_properties: Vec<BadProperty>,
}

/// Runs the cycle for the current policy snapshot, if it is due. Bindings are sorted by name.
pub fn cycle(
    policy: &mut Tracked<PolicySnapshot>,
    bindings: &mut Vec<Tracked<Binding>>,
    input: &CycleInput<'_>,
    mut trace: Recorder<'_, Trace>,
) -> Option<Cycle> {
    let current = Arc::clone(policy.get()?);
    let existing: Vec<Arc<Binding>> = bindings.iter().filter_map(Tracked::get).cloned().collect();
    let looked_at = Input {
        key: input.key,
        policy: current.policy.as_ref(),
        number_of_clusters: current.number_of_clusters(),
        policy_snapshot: &current.meta.name,
        members: input.members,
        bindings: &existing,
        now: input.now,
    };
    let due = is_due(&looked_at, &current);
    trace.record(|trace| {
        trace.policy_snapshot.clone_from(&current.meta.name);
        trace.due = due;
    });
    if !due {
        return None;
    }
    let mut cycle = Cycle::default();
    let result = match schedule(&looked_at, trace) {
        Ok(result) => result,
        Err(problem) => {
            cycle.problems.push(problem);
            return Some(cycle);
        }
    };
    cycle.bad_properties = result.bad_properties;
    for action in result.actions {
        if let Err(problem) = perform(bindings, action, &current.meta, input) {
            cycle.problems.push(problem);
        }
    }
    if let (Some(decisions), true) = (result.decisions, cycle.problems.is_empty()) {
        record(policy, decisions, input.now);
    }
    Some(cycle)
}

/// Carries an action of the scheduler out.
fn perform(
    bindings: &mut Vec<Tracked<Binding>>,
    action: Action,
    policy: &Meta,
    input: &CycleInput<'_>,
) -> Result<(), Problem> {
    match action {
        Action::Create { cluster, decision } => {
            let name = binding_name(bindings, &cluster, input)?;
            let mut binding = new_binding(input.placement, name);
            binding.spec.scheduling_policy_snapshot_name.clone_from(&policy.name);
            binding.spec.target_cluster = cluster;
            binding.spec.cluster_decision = decision;
            bindings.push(Tracked::created(binding));
        }
        Action::Adopt {
            binding,
            state,
            decision,
        } => edit(bindings, &binding, |b| {
            b.meta.annotations.remove(annotations::PREVIOUS_BINDING_STATE);
            b.spec.state = state;
            b.spec.scheduling_policy_snapshot_name.clone_from(&policy.name);
            b.spec.cluster_decision = decision;
        }),
        Action::Unschedule { binding } => edit(bindings, &binding, |b| {
            let before = b.spec.state.as_str().to_owned();
            b.meta
                .annotations
                .insert(annotations::PREVIOUS_BINDING_STATE.to_owned(), before);
            b.spec.state = BindingState::Unscheduled;
        }),
        // Its finalizers go together, once its Works are withdrawn: the pass does that for all bindings that leave.
        Action::Release { .. } => {}
    }
    Ok(())
}

fn edit(bindings: &mut [Tracked<Binding>], name: &str, change: impl FnOnce(&mut Binding)) {
    if let Some(binding) = bindings
        .iter_mut()
        .find(|b| b.get().is_some_and(|b| b.meta.name == name))
    {
        binding.edit(change);
    }
}

/// The name of a new binding. A Work that a crashed pass has made for a binding that was never created keeps its place:
/// the new binding takes the name that the Work knows.
fn binding_name(bindings: &[Tracked<Binding>], cluster: &str, input: &CycleInput<'_>) -> Result<String, Problem> {
    let namespace = names::member_namespace(cluster);
    let taken = |name: &str| bindings.iter().filter_map(Tracked::before).any(|b| b.meta.name == name);
    let orphans = input.works.iter().filter(|w| {
        w.is_live_of(input.key)
            && w.meta.namespace.as_deref() == Some(&namespace)
            && w.binding().is_some_and(|b| !taken(b))
    });
    if let Some(known) = orphans.filter_map(|w| w.binding()).min() {
        return Ok(known.to_owned());
    }
    names::binding(&input.placement.name, cluster, &digits(input.nonce, cluster)).map_err(|err| {
        Problem::user(format!(
            "No binding can be made for the member cluster {cluster:?}: {err}."
        ))
    })
}

/// Eight digits for the name of a new object about a cluster: fresh in each pass, the same for equal inputs.
fn digits(nonce: u64, cluster: &str) -> String {
    let mut digits = Digest::of(&format!("{nonce:016x}/{cluster}")).hex();
    digits.truncate(8);
    digits
}

fn new_binding(placement: &Meta, name: String) -> Binding {
    let parent = (labels::PARENT_PLACEMENT.to_owned(), placement.name.clone());
    Binding {
        meta: Meta {
            name,
            namespace: placement.namespace.clone(),
            labels: BTreeMap::from([parent]),
            finalizers: vec![finalizers::SCHEDULER_BINDING.to_owned()],
            ..Meta::default()
        },
        spec: ResourceBindingSpec {
            state: BindingState::Scheduled,
            resource_snapshot_name: String::new(),
            resource_override_snapshots: Vec::new(),
            cluster_resource_override_snapshots: Vec::new(),
            scheduling_policy_snapshot_name: String::new(),
            target_cluster: String::new(),
            cluster_decision: Default::default(),
            apply_strategy: None,
        },
        status: Default::default(),
    }
}

/// Records what the scheduler decided in the policy snapshot's status, unless it says the same already.
fn record(policy: &mut Tracked<PolicySnapshot>, decided: PolicyDecisions, now: Timestamp) {
    policy.edit(|policy| {
        let (status, reason, message) = if decided.fulfilled {
            let reason = reasons::placement::SCHEDULING_POLICY_FULFILLED;
            (ConditionStatus::True, reason, messages::scheduled(decided.selected))
        } else {
            let reason = reasons::placement::SCHEDULING_POLICY_UNFULFILLED;
            (
                ConditionStatus::False,
                reason,
                messages::not_scheduled(decided.selected),
            )
        };
        let mut conditions = policy.status.conditions.clone();
        condition::set(
            &mut conditions,
            Condition::new(SCHEDULED, status, reason, message, policy.meta.generation, Time(now)),
        );
        // The order of decisions is no difference.
        let by_name = |decisions: &[api::placement::v1beta1::ClusterDecision]| {
            let mut sorted = decisions.to_vec();
            sorted.sort_by(|a, b| a.cluster_name.cmp(&b.cluster_name));
            sorted
        };
        let stored = &policy.status.cluster_decisions;
        let decisions = if by_name(stored) == by_name(&decided.decisions) {
            stored.clone()
        } else {
            decided.decisions
        };
        policy.status = SchedulingPolicySnapshotStatus {
            observed_crp_generation: policy.placement_generation().unwrap_or_default(),
            conditions,
            cluster_decisions: decisions,
        };
    });
}
