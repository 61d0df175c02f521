//! Classes of bindings and the arithmetic of the budgets (hub-behaviour 5.3 to 5.5).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::Condition;
use api::condition::ConditionState;
use api::placement::v1beta1::BindingState;
use api::text::conditions::cluster as conditions;
use api::text::reasons::{cluster, placement, work};
use jiff::Timestamp;
use serde::Serialize;

use super::{Budget, Input};
use crate::effects::Tracked;
use crate::objects::Binding;

/// What may happen to a binding in this pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "role", rename_all = "camelCase")]
pub enum Role {
    /// Scheduled: may be bound.
    Bind,
    /// Bound to older resources or overrides: may be updated.
    Update {
        /// Whether its cluster has failed, so that nothing is lost by it.
        failed: bool,
    },
    /// Bound to the latest.
    UpToDate,
    /// No longer wanted: may be removed; `freely` when that cannot make anything unavailable.
    Remove {
        /// Whether no budget applies.
        freely: bool,
    },
    /// Its cluster is not known or leaves the fleet, or an older binding still leaves the same cluster: nothing happens.
    Blocked,
    /// It is being deleted.
    Leaving,
}

/// All bindings of a placement, by position in the list.
#[derive(Debug, Default)]
pub(super) struct Classes {
    pub(super) roles: Vec<Role>,
    pub(super) ready: i64,
    pub(super) can_be_ready: i64,
    pub(super) can_be_unavailable: i64,
    /// Whether any cluster has two bindings.
    pub(super) has_twins: bool,
    /// Whether any Bound or Unscheduled binding is not ready.
    pub(super) any_unready: bool,
    /// The shortest time after which an untrackable binding counts as ready.
    pub(super) shortest_wait: Option<Duration>,
}

/// Whether a binding serves its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    /// Untrackable, and its period is not over.
    In(Duration),
    NotReady,
}

impl Role {
    /// Whether a budget decides about the binding.
    pub(super) fn is_candidate(self) -> bool {
        matches!(self, Self::Bind | Self::Update { .. } | Self::Remove { .. })
    }
}

impl Classes {
    pub(super) fn of(bindings: &[Tracked<Binding>], input: &Input<'_>) -> Self {
        let mut per_cluster: BTreeMap<&str, usize> = BTreeMap::new();
        for binding in bindings.iter().filter_map(Tracked::get) {
            *per_cluster.entry(binding.cluster()).or_default() += 1;
        }
        let mut classes = Self::default();
        for binding in bindings {
            let role = match binding.get() {
                None => Role::Leaving,
                Some(binding) => {
                    let has_twin = per_cluster.get(binding.cluster()).is_some_and(|count| *count > 1);
                    classes.has_twins |= has_twin;
                    classes.add(binding, has_twin, input)
                }
            };
            classes.roles.push(role);
        }
        classes
    }

    /// Counts a binding and finds its role.
    fn add(&mut self, binding: &Binding, has_twin: bool, input: &Input<'_>) -> Role {
        let deleting = binding.meta.is_deleting();
        let failed = has_failed(binding);
        let is_gone = !input.overrides.contains_key(binding.cluster());
        let is_leaving = input.leaving.contains(binding.cluster());
        // A cluster that is gone serves nobody, whatever its last report says.
        if binding.state() != BindingState::Scheduled && !is_gone {
            let readiness = readiness(binding, input.budget.unavailable_period, input.now);
            let answer = answer(binding, input);
            let ready = readiness == Readiness::Ready;
            self.ready += i64::from(ready);
            self.can_be_ready +=
                i64::from((!failed || matches!(answer, Answer::Awaited { .. })) && !reports_diff(binding));
            // One that leaves the fleet takes what it serves with it, so no budget applies.
            self.can_be_unavailable += i64::from(ready && (deleting || is_leaving));
            self.any_unready |= !ready;
            let waits = match (readiness, answer) {
                (Readiness::In(wait), _) | (_, Answer::Awaited { for_: wait }) => Some(wait),
                _ => None,
            };
            if let Some(wait) = waits {
                self.shortest_wait = Some(self.shortest_wait.map_or(wait, |known| known.min(wait)));
            }
        }
        match binding.state() {
            _ if deleting => Role::Leaving,
            // To delete its Works would make the member's agent remove what has to stay.
            _ if is_leaving => Role::Blocked,
            BindingState::Unscheduled => {
                let never_placed = binding.spec.resource_snapshot_name.is_empty();
                Role::Remove {
                    freely: failed || is_gone || never_placed,
                }
            }
            _ if has_twin => Role::Blocked,
            state => match input.overrides.get(binding.cluster()) {
                None => Role::Blocked,
                Some(_) if state == BindingState::Scheduled => Role::Bind,
                Some(picked)
                    if binding.spec.resource_snapshot_name == input.snapshot
                        && binding.spec.cluster_resource_override_snapshots == picked.cluster
                        && binding.spec.resource_override_snapshots == picked.namespaced =>
                {
                    Role::UpToDate
                }
                Some(_) => Role::Update { failed },
            },
        }
    }

    /// How many ready bindings may be updated or removed.
    pub(super) fn removable(&self, budget: &Budget) -> i64 {
        self.ready - self.can_be_unavailable - (budget.target - budget.max_unavailable)
    }

    /// How many clusters may be added.
    pub(super) fn addable(&self, budget: &Budget) -> i64 {
        budget.target + budget.max_surge - self.can_be_ready
    }

    /// Positions of the bindings that change in this pass: what is lost anyway, then removals before updates within
    /// `maxUnavailable`, and new clusters within `maxSurge`; each in the order of the list.
    pub(super) fn pick(&self, budget: &Budget) -> BTreeSet<usize> {
        let with = |wanted: Role| {
            let roles = self.roles.iter().enumerate();
            roles
                .filter(move |(_, role)| **role == wanted)
                .map(|(position, _)| position)
        };
        let mut picks: BTreeSet<usize> = with(Role::Update { failed: true }).collect();
        picks.extend(with(Role::Remove { freely: true }));
        let within = with(Role::Remove { freely: false }).chain(with(Role::Update { failed: false }));
        picks.extend(within.take(usize::try_from(self.removable(budget)).unwrap_or(0)));
        picks.extend(with(Role::Bind).take(usize::try_from(self.addable(budget)).unwrap_or(0)));
        picks
    }
}

/// Whether the binding serves its cluster (hub-behaviour 5.4).
fn readiness(binding: &Binding, period: Duration, now: Timestamp) -> Readiness {
    if binding.condition_state(conditions::DIFF_REPORTED) == ConditionState::True {
        return Readiness::Ready;
    }
    let generation = binding.meta.generation;
    let Some(available) = binding
        .condition(conditions::AVAILABLE)
        .filter(|c| c.is_true_for(generation))
    else {
        return Readiness::NotReady;
    };
    let untrackable = [
        cluster::NOT_ALL_WORK_ARE_AVAILABILITY_TRACKABLE,
        work::WORK_NOT_TRACKABLE,
    ];
    if !untrackable.contains(&available.reason.as_str()) {
        return Readiness::Ready;
    }
    left_of(period, available, now).map_or(Readiness::Ready, Readiness::In)
}

/// Whether something went wrong on the cluster (hub-behaviour 5.4): effectively every fresh False. A report of differences
/// that failed is one of them: what it could not report about is often what the next snapshot repairs.
pub fn has_failed(binding: &Binding) -> bool {
    let types = [
        conditions::OVERRIDDEN,
        conditions::WORK_SYNCHRONIZED,
        conditions::APPLIED,
        conditions::AVAILABLE,
        conditions::DIFF_REPORTED,
    ];
    let pending = [
        cluster::OVERRIDDEN_PENDING,
        placement::WORK_NOT_SYNCHRONIZED_YET,
        cluster::APPLY_PENDING,
        placement::RESOURCE_NOT_AVAILABLE_YET,
    ];
    types
        .iter()
        .filter_map(|type_| binding.condition(type_))
        .any(|condition| {
            condition.is_false_for(binding.meta.generation) && !pending.contains(&condition.reason.as_str())
        })
}

/// Whether the member has answered for what it was given last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It has, or it had the time to.
    Given,
    /// It has not, and may take this long before it counts as failed.
    Awaited { for_: Duration },
}

/// A member that has not answered yet may be updated like a failed one. It takes its share of `maxSurge` for the
/// unavailable period: otherwise every pass would admit one more cluster. After that it counts as failed, so that
/// members that never answer do not hold up the others (hub-behaviour 5.5).
fn answer(binding: &Binding, input: &Input<'_>) -> Answer {
    let generation = binding.meta.generation;
    let Some(applied) = binding
        .condition(conditions::APPLIED)
        .filter(|c| c.is_false_for(generation))
        .filter(|c| c.reason == cluster::APPLY_IN_PROGRESS || input.awaited.contains(&binding.meta.name))
    else {
        return Answer::Given;
    };
    match left_of(input.budget.unavailable_period, applied, input.now) {
        Some(for_) => Answer::Awaited { for_ },
        None => Answer::Given,
    }
}

/// How much of a period that began with a condition's last transition is left.
fn left_of(period: Duration, since: &Condition, now: Timestamp) -> Option<Duration> {
    // A transition in the future, by a skewed clock, counts as just now.
    let age = Duration::try_from(now.duration_since(since.last_transition_time.0)).unwrap_or_default();
    period.checked_sub(age).filter(|left| !left.is_zero())
}

fn reports_diff(binding: &Binding) -> bool {
    binding.condition_state(conditions::DIFF_REPORTED) != ConditionState::Stale
}
