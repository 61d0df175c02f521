//! Stage 4: the rolling update (hub-behaviour 5.1 to 5.7).
//!
//! [`roll_out`] decides which bindings move to the latest resources, which are removed, and which wait, within
//! `maxUnavailable` and `maxSurge`. It changes bindings only.

mod budget;
mod classify;
mod stage;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::placement::v1beta1::{ApplyStrategy, BindingState};
use api::text::{conditions::cluster as conditions, messages, reasons::cluster as reasons};
use api::{Condition, ConditionStatus, Time, condition};
use jiff::Timestamp;

pub use budget::Budget;
pub use classify::Role;
pub use stage::{StageInput, StageResult, run};
pub use trace::{BindingTrace, ClusterOverrides, Round, Trace};

use classify::Classes;

use crate::effects::Tracked;
use crate::objects::Binding;
use crate::overrides::Picked;
use crate::trace::Recorder;

/// What the rollout goes by.
pub struct Input<'a> {
    /// Name of the latest master resource snapshot.
    pub snapshot: &'a str,
    /// The placement's apply strategy, complete.
    pub apply_strategy: &'a ApplyStrategy,
    /// Budgets and periods.
    pub budget: Budget,
    /// The overrides for each cluster that exists; a binding of another cluster is left alone in this pass.
    pub overrides: &'a BTreeMap<String, Picked>,
    /// Clusters that are leaving the fleet. What is placed there stays there, so their bindings wait until they are gone.
    pub leaving: &'a BTreeSet<&'a str>,
    /// Names of bindings whose members have not answered yet for what they were given last.
    pub awaited: &'a BTreeSet<String>,
    /// The current time.
    pub now: Timestamp,
}

/// How a round of the rollout ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutResult {
    /// When the next pass is due, if no event causes one before.
    pub requeue: Option<Duration>,
    /// Whether any binding was moved or removed, so that the budgets may have room for more.
    pub changed: bool,
}

/// How long a cluster with a leaving and a new binding is left alone before the next look.
const TWIN_WAIT: Duration = Duration::from_secs(5);

/// How long to wait when everything is ready and yet a budget holds something back; events come first.
const IDLE_WAIT: Duration = Duration::from_secs(30);

/// Gives every binding that is not leaving the placement's apply strategy, without regard to any budget.
pub fn push_apply_strategy(bindings: &mut [Tracked<Binding>], strategy: &ApplyStrategy) {
    for binding in bindings {
        let differs = |b: &Binding| !b.meta.is_deleting() && b.spec.apply_strategy.as_ref() != Some(strategy);
        if binding.get().is_some_and(|b| differs(b)) {
            binding.edit(|b| b.spec.apply_strategy = Some(strategy.clone()));
        }
    }
}

/// Runs one round. Bindings come sorted by name.
pub fn roll_out(bindings: &mut [Tracked<Binding>], input: &Input<'_>, mut trace: Recorder<'_, Trace>) -> RolloutResult {
    push_apply_strategy(bindings, input.apply_strategy);
    let classes = Classes::of(bindings, input);
    let picks = classes.pick(&input.budget);
    trace.record(|trace| trace.rounds.push(Round::of(bindings, &classes, &input.budget, &picks)));
    let mut result = RolloutResult {
        changed: !picks.is_empty(),
        ..RolloutResult::default()
    };
    if classes.has_twins {
        result.requeue = Some(TWIN_WAIT);
    }
    let any_candidate = classes.roles.iter().any(|role| role.is_candidate());
    for (position, role) in classes.roles.iter().enumerate() {
        let binding = &mut bindings[position];
        match role {
            Role::UpToDate => record_rollout_started(binding, true, input.now),
            Role::Remove { .. } if picks.contains(&position) => binding.delete(),
            Role::Update { .. } | Role::Bind if picks.contains(&position) => {
                move_to_latest(binding, input);
                record_rollout_started(binding, true, input.now);
            }
            Role::Update { .. } | Role::Bind => record_rollout_started(binding, false, input.now),
            Role::Remove { .. } | Role::Blocked | Role::Leaving => {}
        }
    }
    if any_candidate {
        let wait = match classes.shortest_wait {
            Some(wait) => wait.min(input.budget.unavailable_period),
            None if classes.any_unready => input.budget.unavailable_period,
            None => Duration::ZERO,
        };
        let wait = if wait.is_zero() { IDLE_WAIT } else { wait };
        result.requeue = Some(result.requeue.map_or(wait, |known| known.min(wait)));
    }
    result
}

/// Binds a binding to the latest resources and overrides.
fn move_to_latest(binding: &mut Tracked<Binding>, input: &Input<'_>) {
    let Some(picked) = binding.get().and_then(|b| input.overrides.get(b.cluster())) else {
        return;
    };
    binding.edit(|b| {
        b.spec.state = BindingState::Bound;
        b.spec.resource_snapshot_name = input.snapshot.to_owned();
        b.spec.cluster_resource_override_snapshots.clone_from(&picked.cluster);
        b.spec.resource_override_snapshots.clone_from(&picked.namespaced);
    });
    // What this pass has computed about the spec before says nothing about the new one, although both will be stored under
    // the same generation.
    binding.edit(|b| {
        for condition in &mut b.status.conditions {
            condition.observed_generation = condition.observed_generation.min(b.meta.generation - 1);
        }
    });
}

/// Records whether the binding was moved.
fn record_rollout_started(binding: &mut Tracked<Binding>, started: bool, now: Timestamp) {
    let Some(current) = binding.get() else { return };
    let (status, reason, message) = if started {
        (
            ConditionStatus::True,
            reasons::ROLLOUT_STARTED,
            messages::CLUSTER_ROLLOUT_STARTED,
        )
    } else {
        (ConditionStatus::False, reasons::ROLLOUT_NOT_STARTED_YET, NOT_STARTED)
    };
    let generation = current.meta.generation;
    let wanted = Condition::new(
        conditions::ROLLOUT_STARTED,
        status,
        reason,
        message,
        generation,
        Time(now),
    );
    if current
        .condition(conditions::ROLLOUT_STARTED)
        .is_some_and(|stored| stored.covers(&wanted))
    {
        return;
    }
    binding.edit(|b| {
        condition::set(&mut b.status.conditions, wanted);
    });
}

const NOT_STARTED: &str = "The resources cannot be updated to the latest because of the rollout strategy.";

#[cfg(test)]
mod tests;
