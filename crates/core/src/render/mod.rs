//! Work generation: what a member is to apply for one binding (hub-behaviour 7.2, 7.3, 7.5, 7.6).
//!
//! Each Work is made as a whole or not at all: a mistake in an object, an envelope or an override leaves the Work that it
//! concerns as it is, and the other Works of that cluster, like those of other clusters, are not affected.

mod faults;
mod group;
mod trace;
mod wanted;
mod withdraw;
mod works;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::placement::v1beta1::{ApplyStrategy, ReportBackStrategy};
use api::text::events;
use api::text::{annotations, labels};

pub use group::{Found, Group, Groups};
pub use trace::{Action, Trace, WorkTrace};
pub use withdraw::{Withdrawal, withdraw};

use crate::effects::{Event, Target, Write};
use crate::objects::{Binding, Digest, Member, OverrideSnapshot, PlacementKey, Work};
use crate::overrides::{Applicable, Cluster};
use crate::problem::Problem;
use faults::Faults;
use wanted::{Recorded, Rendering, Stopped, Wanted, Why};

/// A missing snapshot can be an external rollout tool that is ahead of our watch.
const SNAPSHOT_MISSING: Duration = Duration::from_secs(30);
/// A Work that the API server refused is tried again now and then, because the server may have changed its mind.
const REFUSED: Duration = Duration::from_secs(30);

/// What one binding is rendered from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The placement.
    pub key: &'a PlacementKey,
    /// The binding as the earlier stages leave it, Bound or Unscheduled and not deleting.
    pub binding: &'a Binding,
    /// Its cluster.
    pub member: &'a Member,
    /// `strategy.reportBackStrategy` of the placement; bindings have no field for it.
    pub report_back: Option<&'a ReportBackStrategy>,
    /// The placement's Works, terminating ones included. Those of other bindings do no harm.
    pub works: &'a [Arc<Work>],
    /// Works that exist and cannot be read.
    pub unreadable: &'a BTreeSet<Target>,
    /// Whether new Works are created with the member agent's finalizer, which saves the agent a write.
    pub adds_finalizer: bool,
    /// All override snapshots.
    pub overrides: &'a [Arc<OverrideSnapshot>],
    /// Works that the API server refused to write, see [`Refusals`].
    pub refused: &'a Refusals,
}

/// Writes that the API server refused for good (invalid, forbidden, too large, or the creation of what exists already), by
/// target: the fingerprint of the refused write and the server's words. A write with the same fingerprint is reported instead of repeated.
pub type Refusals = BTreeMap<Target, (Digest, String)>;

/// What is to be done for one binding.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Writes of Works, see [`steps`]. They come before the binding's status.
    pub writes: Vec<Write>,
    /// What the binding's status says about it.
    pub result: RenderResult,
    /// Events on the binding.
    pub events: Vec<Event>,
    /// When the next pass is due if nothing happens before.
    pub requeue: Option<Duration>,
}

/// How rendering ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RenderResult {
    /// The binding was never rolled out: there is nothing to render and nothing to report.
    Idle,
    /// An override cannot be applied.
    NotOverridden(Problem),
    /// The Works cannot be made or written.
    NotSynchronized(Problem),
    /// The Works are as they should be once the writes are done.
    Synchronized {
        /// Whether any Work is created, changed in what members see, or on its way out, so that answers are still to come.
        changed: bool,
        /// Names of the Works that remain as they are and represent the binding when nothing changed.
        works: Vec<String>,
    },
}

/// The writes of one binding's Works in steps: first what is new, then what changes, last what goes. An object that moves
/// to another Work is listed there before its old Work gives it up, also when a pass ends between the two.
pub fn steps(writes: Vec<Write>) -> Vec<Vec<Write>> {
    let mut steps = [Vec::new(), Vec::new(), Vec::new()];
    for write in writes {
        let step = match write {
            Write::Create { .. } => 0,
            Write::MergePatch { .. } | Write::ReplaceStatus { .. } => 1,
            Write::Delete { .. } => 2,
        };
        steps[step].push(write);
    }
    steps.into_iter().filter(|step| !step.is_empty()).collect()
}

/// Renders one binding.
pub fn render(input: &Input<'_>, groups: &mut Groups<'_>) -> Rendered {
    let binding = input.binding;
    let snapshot = binding.spec.resource_snapshot_name.as_str();
    if snapshot.is_empty() {
        return Rendered::without_writes(RenderResult::Idle);
    }
    let live = works::live(input.key, binding, input.works);
    let strategy = strategy(binding);
    let group = match groups.find(snapshot) {
        Found::Complete(group) => group,
        Found::Missing if !live.is_empty() && live.iter().all(|work| records(input.key, work, snapshot)) => {
            return only_strategies(input, &live, &strategy);
        }
        Found::Missing => {
            let message = format!("The resource snapshot {snapshot:?} that the binding names is not found.");
            let rendered = failed(
                input,
                &live,
                &strategy,
                RenderResult::NotSynchronized(Problem::user(message)),
            );
            return Rendered {
                requeue: Some(SNAPSHOT_MISSING),
                ..rendered
            };
        }
        Found::Incomplete(problem) => return failed(input, &live, &strategy, RenderResult::NotSynchronized(problem)),
    };
    match synchronize(input, &live, &strategy, &group) {
        Ok(rendered) => rendered,
        Err(result) => failed(input, &live, &strategy, result),
    }
}

/// The apply strategy with all defaults, so that both sides of a comparison are complete.
fn strategy(binding: &Binding) -> ApplyStrategy {
    let mut strategy = binding.spec.apply_strategy.clone().unwrap_or_default();
    api::defaults::apply_strategy(&mut strategy);
    strategy
}

fn synchronize(
    input: &Input<'_>,
    live: &[&Work],
    strategy: &ApplyStrategy,
    group: &Group,
) -> Result<Rendered, RenderResult> {
    let spec = &input.binding.spec;
    let recorded = Recorded::of(input.binding, &group.index).map_err(RenderResult::NotSynchronized)?;
    // What was rendered with overrides before stays as it is: a changed cluster label must not reach a cluster without
    // a rollout (hub-behaviour 6.5). Nor must it count as failed because the override was deleted since: the rollout
    // moves it within its budget.
    let overridden =
        !(spec.cluster_resource_override_snapshots.is_empty() && spec.resource_override_snapshots.is_empty());
    if overridden {
        let faulty = wanted::faulty(group);
        let (stopped, sound): (Vec<_>, Vec<_>) = live.iter().partition(|work| faulty.iter().any(|f| f.is_of(work)));
        if works::complete(group, &sound, &recorded) {
            let mut synced = Synced::default();
            synced.keep_all(input, &sound, strategy);
            synced.stop(input, &faulty, &stopped, strategy);
            synced.changed |= works::any_going(input.key, input.binding, input.works);
            return Ok(synced.into_rendered(input));
        }
    }
    let overrides = Applicable::load(
        &spec.cluster_resource_override_snapshots,
        &spec.resource_override_snapshots,
        input.overrides,
    )
    .map_err(RenderResult::NotOverridden)?;
    let cluster = Cluster {
        name: input.member.name(),
        labels: &input.member.meta.labels,
    };
    let Rendering { works, stopped } = wanted::works(group, &overrides, cluster);
    // A member that does not see all of them keeps what seems to be given up: it may have moved to one that is stopped.
    let recorded = recorded.with_works(works.len() + stopped.len());
    let location = works::WorkLocation {
        key: input.key,
        binding: input.binding,
        recorded: &recorded,
        strategy,
        report_back: input.report_back,
        compare_content: overrides.is_empty(),
        adds_finalizer: input.adds_finalizer,
    };
    let mut synced = Synced::default();
    for wanted in &works {
        synced.make(input, &location, live, wanted);
    }
    let left: Vec<&Work> = live
        .iter()
        .copied()
        .filter(|work| !synced.kept.contains(&work.meta.name))
        .collect();
    let (standing, surplus): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|work| stopped.iter().any(|stopped| stopped.is_of(work)));
    synced.stop(input, &stopped, &standing, strategy);
    let is_missing = |stopped: &Stopped| !standing.iter().any(|work| stopped.is_of(work));
    synced.leave_out_refused(input);
    if !synced.is_blocked && !stopped.iter().any(is_missing) {
        for work in surplus {
            synced.remove(work);
        }
    }
    synced.changed |= works::any_going(input.key, input.binding, input.works);
    Ok(synced.into_rendered(input))
}

/// Only the way of applying may differ; nothing is rendered.
fn only_strategies(input: &Input<'_>, live: &[&Work], strategy: &ApplyStrategy) -> Rendered {
    let mut synced = Synced::default();
    synced.keep_all(input, live, strategy);
    synced.into_rendered(input)
}

/// The apply strategy reaches the Works even when none of them can be made.
fn failed(input: &Input<'_>, live: &[&Work], strategy: &ApplyStrategy, result: RenderResult) -> Rendered {
    let mut rendered = only_strategies(input, live, strategy);
    rendered.result = result;
    rendered
}

/// Whether a Work says that it was made from this snapshot. Works of old releases only have the index.
fn records(key: &PlacementKey, work: &Work, snapshot: &str) -> bool {
    match work.meta.annotation(annotations::PARENT_SNAPSHOT_NAME) {
        Some(name) => name == snapshot,
        None => work
            .meta
            .label(labels::PARENT_SNAPSHOT_INDEX)
            .and_then(|index| index.parse().ok())
            .is_some_and(|index| api::names::master_snapshot(&key.name, index) == snapshot),
    }
}

/// Collects what happens to the Works of a binding.
#[derive(Default)]
struct Synced {
    writes: Vec<Write>,
    changed: bool,
    kept: Vec<String>,
    faults: Faults,
    events: Vec<Event>,
    /// Whether a Work cannot be created or changed yet. Its objects may still be in Works that are no longer needed, so
    /// these stay.
    is_blocked: bool,
    requeue: Option<Duration>,
}

impl Synced {
    /// Creates or changes one Work. An envelope that has several, and a name that a Work of an earlier binding or one that
    /// cannot be read still occupies, stop this Work only.
    fn make(&mut self, input: &Input<'_>, location: &works::WorkLocation<'_>, live: &[&Work], wanted: &Wanted) {
        let matching: Vec<&Work> = live.iter().copied().filter(|work| wanted.is_of(work)).collect();
        match matching.as_slice() {
            [] => match works::obstacle(input, &wanted.name) {
                Some(why) => {
                    self.is_blocked = true;
                    self.faults.not_synchronized(Problem::expected(why));
                }
                None => {
                    self.changed = true;
                    self.writes.push(works::create(location, wanted));
                }
            },
            [work] => self.keep(work, works::update(location, wanted, work)),
            several => {
                self.keep_all(input, several, location.strategy);
                self.doubled(input, several);
            }
        }
    }

    /// Several Works of one envelope: none is deleted automatically.
    fn doubled(&mut self, input: &Input<'_>, works: &[&Work]) {
        let names: Vec<_> = works.iter().map(|work| work.meta.name.as_str()).collect();
        let problem = Problem::unexpected(format!(
            "One envelope has several Works, of which none is deleted automatically: {}.",
            names.join(", ")
        ));
        let kind = input.key.pick(kinds::CLUSTER_RESOURCE_BINDING, kinds::RESOURCE_BINDING);
        let meta = &input.binding.meta;
        self.events.push(Event {
            about: Target::new(kind, meta.namespace.as_deref(), &meta.name),
            uid: meta.uid.clone(),
            warning: true,
            reason: events::binding::DUPLICATE_ENVELOPE_WORKS,
            note: problem.message.clone(),
        });
        self.faults.not_synchronized(problem);
    }

    fn keep(&mut self, work: &Work, change: Option<works::Change>) {
        self.kept.push(work.meta.name.clone());
        if let Some(change) = change {
            self.changed |= change.seen_by_member;
            self.writes.push(change.write);
        }
    }

    /// The content of the Works stays; only the way of applying may change.
    fn keep_all(&mut self, input: &Input<'_>, works: &[&Work], strategy: &ApplyStrategy) {
        for work in works {
            self.keep(work, works::strategies(work, strategy, input.report_back));
        }
    }

    /// Notes Works that cannot be made; what exists of them stays as it is.
    fn stop(&mut self, input: &Input<'_>, stopped: &[Stopped], standing: &[&Work], strategy: &ApplyStrategy) {
        self.keep_all(input, standing, strategy);
        for stopped in stopped {
            match &stopped.why {
                Why::Override(problem) => self.faults.not_overridden(problem.clone()),
                Why::Content(problem) => self.faults.not_synchronized(problem.clone()),
            }
        }
    }

    /// A Work that goes is a change of the binding's Works like any other (hub-behaviour 7.2). Until the member has
    /// removed what was placed, the binding is in progress.
    fn remove(&mut self, work: &Work) {
        self.changed = true;
        self.writes.push(works::delete(work));
    }

    /// A write that was refused before is not repeated; the status reports the refusal.
    fn leave_out_refused(&mut self, input: &Input<'_>) {
        let Self {
            writes,
            faults,
            is_blocked,
            requeue,
            ..
        } = self;
        writes.retain(|write| match input.refused.get(write.target()) {
            Some((fingerprint, words)) if *fingerprint == write.fingerprint() => {
                let name = &write.target().name;
                faults.not_synchronized(Problem::user(format!(
                    "The API server refuses the Work {name:?}: {words}"
                )));
                *is_blocked = true;
                *requeue = Some(REFUSED);
                false
            }
            _ => true,
        });
    }

    fn into_rendered(mut self, input: &Input<'_>) -> Rendered {
        self.leave_out_refused(input);
        let synchronized = RenderResult::Synchronized {
            changed: self.changed,
            works: self.kept,
        };
        Rendered {
            writes: self.writes,
            result: self.faults.into_result().unwrap_or(synchronized),
            events: self.events,
            requeue: self.requeue,
        }
    }
}

impl Rendered {
    fn without_writes(result: RenderResult) -> Self {
        Self {
            writes: Vec::new(),
            result,
            events: Vec::new(),
            requeue: None,
        }
    }
}
