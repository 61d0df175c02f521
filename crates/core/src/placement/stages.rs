//! The stages of a pass for a placement that lives, each over the state that the earlier ones leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::intstr::Round;
use api::placement::v1beta1::{BindingState, PlacementType, ResourceIdentifier, SchedulingPolicySnapshotStatus};
use api::text::conditions::snapshot::SCHEDULED;
use api::text::{annotations, finalizers, labels, messages, reasons};
use api::{Condition, ConditionStatus, IntOrString, Time, condition, names};

use super::cleanup::own_live;
use super::world::World;
use crate::effects::Tracked;
use crate::objects::{Binding, Manifest, Meta};
use crate::overrides;
use crate::problem::{Class, Problem};
use crate::render::envelope;
use crate::report;
use crate::rollout::{self, Budget};
use crate::schedule::{self, Action, Verdict};
use crate::select;
use crate::snapshot;

/// How the selection ended.
pub(super) enum Selected {
    /// The identifiers to report, in order.
    Known(Vec<ResourceIdentifier>),
    /// The user has to correct the selectors; the message says why.
    Invalid(String),
    /// The selection has moved to another namespace than the one that shows the status (hub-behaviour 8.7).
    Moved(String),
    /// Not known now; it will be tried again.
    Unknown,
}

/// After which time a wrong selection and an incomplete rollout are looked at again.
pub(super) const SAFETY_NET: Duration = Duration::from_secs(30 * 60);

/// Selection and snapshots (hub-behaviour 3.2 steps 3 to 6).
pub(super) fn select_and_snapshot(world: &mut World<'_>) -> Selected {
    let placement = Arc::clone(&world.placement);
    if let Err(message) = report::consistent(&placement) {
        return Selected::Moved(message);
    }
    let selectors = &placement.spec.resource_selectors;
    let manifests = match select::select(
        world.slice.key,
        selectors,
        world.slice.resources,
        world.settings.selection(),
    ) {
        Ok(manifests) => manifests,
        Err(problem) if problem.class == Class::User => {
            world.pass.look_again(SAFETY_NET);
            return Selected::Invalid(problem.message);
        }
        Err(problem) => {
            world.fail(problem);
            return Selected::Unknown;
        }
    };
    let policy = snapshot::PolicyInput {
        placement: &placement.meta,
        policy: placement.spec.policy.as_ref(),
        limit: placement.revision_limit(),
    };
    if let Err(problem) = snapshot::policy(&mut world.policies, &policy) {
        world.fail(problem);
        return Selected::Unknown;
    }
    if placement.is_external() {
        return Selected::Known(report::identifiers(&manifests));
    }
    snapshot_resources(world, &manifests)
}

fn snapshot_resources(world: &mut World<'_>, manifests: &[Arc<Manifest>]) -> Selected {
    let placement = Arc::clone(&world.placement);
    let input = snapshot::ResourcesInput {
        placement: &placement.meta,
        manifests,
        envelopes: manifests
            .iter()
            .filter(|manifest| envelope::kind_of(manifest).is_some())
            .count(),
        limit: placement.revision_limit(),
        collection: world.settings.snapshot_collection,
        minimum_interval: world.settings.snapshot_minimum_interval,
        now: world.now,
    };
    match snapshot::resources(&mut world.resources, &input) {
        Ok(outcome) => match outcome.wait {
            None => Selected::Known(report::identifiers(manifests)),
            Some(wait) => {
                world.pass.look_again(wait);
                let group = snapshot::group(&world.resources, outcome.index);
                Selected::Known(report::identifiers(group.iter().flat_map(|s| &s.manifests)))
            }
        },
        Err(problem) => {
            world.fail(problem);
            Selected::Unknown
        }
    }
}

/// Scheduling (hub-behaviour 4). Returns whether the cycle ran and failed.
pub(super) fn schedule(world: &mut World<'_>) -> Option<bool> {
    let position = world.current_policy()?;
    let current = Arc::clone(world.policies[position].get()?);
    let bindings = world.live_bindings();
    let input = schedule::Input {
        key: world.slice.key,
        policy: current.policy.as_ref(),
        number_of_clusters: current.number_of_clusters(),
        policy_snapshot: &current.meta.name,
        members: world.slice.members,
        bindings: &bindings,
        now: world.now,
    };
    if !schedule::is_due(&input, &current) {
        return None;
    }
    let outcome = match schedule::schedule(&input) {
        Ok(outcome) => outcome,
        Err(problem) => {
            world.fail(problem);
            return Some(true);
        }
    };
    for bad in outcome.bad_properties {
        let note = format!(
            "The property {:?} of member cluster {:?} is {:?}, which is no quantity; it counts as not available.",
            bad.property, bad.member, bad.value
        );
        world.warn(INVALID_PROPERTY, note);
    }
    let mut failed = false;
    for action in outcome.actions {
        if let Err(problem) = perform(world, action, &current.meta) {
            world.fail(problem);
            failed = true;
        }
    }
    if let (Some(verdict), false) = (outcome.verdict, failed) {
        decide(world, position, verdict);
    }
    Some(failed)
}

/// Reason of the warning about a property that cannot be compared.
const INVALID_PROPERTY: &str = "InvalidClusterProperty";

/// Carries an action of the scheduler out on the virtual bindings.
fn perform(world: &mut World<'_>, action: Action, policy: &Meta) -> Result<(), Problem> {
    match action {
        Action::Create { cluster, decision } => {
            let name = binding_name(world, &cluster)?;
            let placement = &world.placement.meta;
            let mut binding = new_binding(placement, name);
            binding.spec.scheduling_policy_snapshot_name.clone_from(&policy.name);
            binding.spec.target_cluster = cluster;
            binding.spec.cluster_decision = decision;
            world.bindings.push(Tracked::created(binding));
        }
        Action::Adopt {
            binding,
            state,
            decision,
        } => edit(world, &binding, |b| {
            b.meta.annotations.remove(annotations::PREVIOUS_BINDING_STATE);
            b.spec.state = state;
            b.spec.scheduling_policy_snapshot_name.clone_from(&policy.name);
            b.spec.cluster_decision = decision;
        }),
        Action::Unschedule { binding } => edit(world, &binding, |b| {
            let before = b.spec.state.as_str().to_owned();
            b.meta
                .annotations
                .insert(annotations::PREVIOUS_BINDING_STATE.to_owned(), before);
            b.spec.state = BindingState::Unscheduled;
        }),
        // Its finalizers go together, once its Works are withdrawn; see `cleanup`.
        Action::Release { .. } => {}
    }
    Ok(())
}

fn edit(world: &mut World<'_>, name: &str, change: impl FnOnce(&mut Binding)) {
    if let Some(binding) = world
        .bindings
        .iter_mut()
        .find(|b| b.get().is_some_and(|b| b.meta.name == name))
    {
        binding.edit(change);
    }
}

/// The name of a new binding. A Work that a crashed pass has made for a binding that was never created keeps its place:
/// the new binding takes the name that the Work knows.
fn binding_name(world: &World<'_>, cluster: &str) -> Result<String, Problem> {
    let namespace = names::member_namespace(cluster);
    let taken = |name: &str| world.slice.bindings.iter().any(|b| b.meta.name == name);
    let orphans = world.slice.works.iter().filter(|w| {
        own_live(world.slice.key, w)
            && w.meta.namespace.as_deref() == Some(&namespace)
            && w.binding().is_some_and(|b| !taken(b))
    });
    if let Some(known) = orphans.filter_map(|w| w.binding()).min() {
        return Ok(known.to_owned());
    }
    names::binding(&world.placement.meta.name, cluster, &world.digits(cluster)).map_err(|err| {
        Problem::user(format!(
            "No binding can be made for the member cluster {cluster:?}: {err}."
        ))
    })
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
        spec: api::placement::v1beta1::ResourceBindingSpec {
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

/// Records the scheduler's verdict in the policy snapshot's status, unless it says the same already.
fn decide(world: &mut World<'_>, position: usize, verdict: Verdict) {
    let now = Time(world.now);
    world.policies[position].edit(|policy| {
        let (status, reason, message) = if verdict.fulfilled {
            let reason = reasons::placement::SCHEDULING_POLICY_FULFILLED;
            (ConditionStatus::True, reason, messages::scheduled(verdict.selected))
        } else {
            let reason = reasons::placement::SCHEDULING_POLICY_UNFULFILLED;
            (
                ConditionStatus::False,
                reason,
                messages::not_scheduled(verdict.selected),
            )
        };
        let mut conditions = policy.status.conditions.clone();
        condition::set(
            &mut conditions,
            Condition::new(SCHEDULED, status, reason, message, policy.meta.generation, now),
        );
        // The order of decisions is no difference.
        let by_name = |decisions: &[api::placement::v1beta1::ClusterDecision]| {
            let mut sorted = decisions.to_vec();
            sorted.sort_by(|a, b| a.cluster_name.cmp(&b.cluster_name));
            sorted
        };
        let stored = &policy.status.cluster_decisions;
        let decisions = if by_name(stored) == by_name(&verdict.decisions) {
            stored.clone()
        } else {
            verdict.decisions
        };
        policy.status = SchedulingPolicySnapshotStatus {
            observed_crp_generation: policy.placement_generation().unwrap_or_default(),
            conditions,
            cluster_decisions: decisions,
        };
    });
}

/// The rolling update (hub-behaviour 5.1 to 5.6). `awaited` are the bindings whose members have not answered yet.
/// Answers whether anything was moved or removed.
pub(super) fn roll_out(world: &mut World<'_>, awaited: &BTreeSet<String>) -> bool {
    let placement = Arc::clone(&world.placement);
    let Some(master) = snapshot::latest_master(&world.resources).cloned() else {
        return false;
    };
    let Some(index) = master.index() else { return false };
    let group: Vec<_> = snapshot::group(&world.resources, index).into_iter().cloned().collect();
    if master.group_size().is_some_and(|size| group.len() < size) {
        let name = &master.meta.name;
        world.fail(Problem::expected(format!(
            "The group of resource snapshot {name} is not complete yet."
        )));
        return false;
    }
    let budget = match budget(world) {
        Ok(budget) => budget,
        Err(problem) => {
            world.fail(problem);
            return false;
        }
    };
    let manifests: Vec<_> = group.iter().flat_map(|s| s.manifests.iter().cloned()).collect();
    let matched = overrides::matched(world.slice.key, &manifests, world.slice.overrides);
    let clusters: BTreeSet<&str> = world
        .bindings
        .iter()
        .filter_map(Tracked::get)
        .map(|b| b.cluster())
        .collect();
    let mut picked = BTreeMap::new();
    for member in world.slice.members.iter().filter(|m| clusters.contains(m.name())) {
        picked.insert(member.name().to_owned(), overrides::pick(&matched, &member.meta.labels));
    }
    for problem in picked.values().flat_map(|p| p.problems.clone()) {
        if !world.pass.problems.contains(&problem) {
            world.fail(problem);
        }
    }
    let deleting = world.slice.members.iter().filter(|m| m.meta.is_deleting());
    let leaving: BTreeSet<&str> = deleting.map(|m| m.name()).collect();
    let input = rollout::Input {
        leaving: &leaving,
        awaited,
        snapshot: &master.meta.name,
        apply_strategy: &placement.apply_strategy(),
        budget,
        overrides: &picked,
        now: world.now,
    };
    // What leaves makes room for what comes: the next look would see it, so it is taken here. Each round moves or removes
    // a binding that no later round touches again, so there are at most as many as bindings.
    let mut moved = false;
    for _ in 0..=world.bindings.len() {
        let outcome = rollout::roll_out(&mut world.bindings, &input);
        if !outcome.changed {
            if let Some(wait) = outcome.requeue {
                world.pass.look_again(wait);
            }
            break;
        }
        moved = true;
    }
    moved
}

/// The budgets of the placement with defaults (hub-behaviour 0.7, 5.5).
fn budget(world: &World<'_>) -> Result<Budget, Problem> {
    let placement = &world.placement;
    let mut config = placement
        .spec
        .strategy
        .as_ref()
        .and_then(|s| s.rolling_update.clone())
        .unwrap_or_default();
    api::defaults::rolling_update(&mut config);
    let policy = placement.spec.policy.as_ref();
    let target = match placement.placement_type() {
        PlacementType::PickAll => rollout::count_targets(&world.bindings),
        PlacementType::PickFixed => policy.map_or(0, |p| i64::try_from(p.cluster_names.len()).unwrap_or(i64::MAX)),
        PlacementType::PickN => i64::from(policy.and_then(|p| p.number_of_clusters).unwrap_or_default()),
    };
    let scaled = |value: Option<IntOrString>, field: &str| {
        let value = value.unwrap_or(IntOrString::Int(0));
        value.scaled(target, Round::Up).map_err(|err| {
            Problem::user(format!(
                "The field {field} of the rollout strategy cannot be used: {err}."
            ))
        })
    };
    Ok(Budget {
        target,
        max_unavailable: scaled(config.max_unavailable, "maxUnavailable")?,
        max_surge: scaled(config.max_surge, "maxSurge")?,
        unavailable_period: Duration::from_secs(
            config
                .unavailable_period_seconds
                .and_then(|s| u64::try_from(s).ok())
                .unwrap_or_default(),
        ),
    })
}
