//! The end of bindings and of placements (hub-behaviour 7.6, 12.1).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::names;
use api::placement::v1beta1::PropagationPolicy;
use api::text::{annotations, events, finalizers, labels};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::world::World;
use super::{Pass, Slice, Stages, writes};
use crate::effects::{Event, Standing, Target, Tracked, Write};
use crate::objects::{Binding, Placement, Work};
use crate::render;

/// What it takes to let bindings go: their Works first, then their finalizers.
#[derive(Default)]
pub(super) struct Teardown {
    /// Deletions of bindings and of Works, in order; with Abandon the Works are marked before.
    pub(super) steps: Vec<Vec<Write>>,
    /// Removal of finalizers, once all that is done.
    pub(super) release: Vec<Write>,
}

impl Teardown {
    /// Adds writes to a step, counted from the first.
    fn add(&mut self, step: usize, writes: impl IntoIterator<Item = Write>) {
        while self.steps.len() <= step {
            self.steps.push(Vec::new());
        }
        self.steps[step].extend(writes);
    }

    /// Lets a binding go. `deletes` says whether its deletion still has to be requested.
    pub(super) fn binding(
        &mut self,
        slice: &Slice<'_>,
        binding: &Binding,
        stages: Stages,
        abandon: bool,
        deletes: bool,
    ) {
        let mut own = Vec::new();
        if stages.schedule {
            own.push(finalizers::SCHEDULER_BINDING);
        }
        if stages.work {
            own.push(finalizers::WORK);
            let withdrawal = render::withdraw(slice.key, binding, &slice.works, abandon);
            for (step, writes) in withdrawal.steps.into_iter().enumerate() {
                self.add(step, writes);
            }
        }
        if deletes {
            self.add(0, [writes::delete_binding(slice.key, binding)]);
        }
        self.release.extend(writes::release_binding(slice.key, binding, &own));
    }

    /// Deletes a Work that belongs to no binding.
    fn work(&mut self, work: &Work, abandon: bool) {
        let target = Target::new(kinds::WORK, work.meta.namespace.as_deref(), &work.meta.name);
        let marked = work.meta.annotation(annotations::ABANDON_ON_DELETE) == Some(labels::TRUE);
        if abandon && !marked {
            let body = json!({ "metadata": { "annotations": { annotations::ABANDON_ON_DELETE: labels::TRUE } } });
            self.add(
                0,
                [Write::MergePatch {
                    target: target.clone(),
                    body,
                    status: false,
                    resource_version: None,
                }],
            );
        }
        let uid = Some(work.meta.uid.clone()).filter(|uid| !uid.is_empty());
        self.add(usize::from(abandon && !marked), [Write::Delete { target, uid }]);
    }
}

/// Whether members keep what was placed when the placement is deleted (hub-behaviour 7.8).
fn abandons(placement: &Placement) -> bool {
    let strategy = placement
        .spec
        .strategy
        .as_ref()
        .and_then(|s| s.delete_strategy.as_ref());
    strategy.and_then(|s| s.propagation_policy) == Some(PropagationPolicy::Abandon)
}

/// Lets go what the rollout has given up and what others have deleted, while the placement lives.
pub(super) fn teardown(world: &mut World<'_>) -> Teardown {
    let stages = world.settings.stages;
    let mut teardown = Teardown::default();
    for binding in &world.bindings {
        match (binding.before(), binding.get()) {
            (Some(stored), None) => teardown.binding(world.slice, stored, stages, false, !stored.meta.is_deleting()),
            (Some(stored), Some(_)) if stored.meta.is_deleting() => {
                teardown.binding(world.slice, stored, stages, false, false);
            }
            _ => {}
        }
    }
    if stages.work {
        for work in orphans(world.slice, &world.bindings) {
            match orphan_age(work, world.now) {
                Some(wait) => world.pass.look_again(wait),
                None => teardown.work(work, false),
            }
        }
        let blocked = blocked_deletions(world);
        world.pass.standing.extend(blocked);
    }
    teardown
}

/// Warnings about Works whose deletion something on the member holds up. The placement's status does not mention
/// clusters that are no longer selected, so its users see it nowhere else (docs/decisions/0013).
fn blocked_deletions(world: &World<'_>) -> Vec<Standing> {
    let placement = &world.placement;
    let deleting = world.slice.works.iter().filter(|work| work.meta.is_deleting());
    let mut notes: Vec<String> = deleting
        .filter_map(|work| {
            let cluster = names::member_of_namespace(work.meta.namespace.as_deref()?)?;
            let why = work.deletion_blocked()?;
            let name = &work.meta.name;
            Some(format!(
                "The Work {name:?} of member cluster {cluster:?} is not gone yet. The member says: {why}"
            ))
        })
        .collect();
    notes.sort();
    let warning = |note| Standing {
        event: Event {
            about: placement.target(),
            uid: placement.meta.uid.clone(),
            warning: true,
            reason: events::warning::DELETION_BLOCKED,
            note,
        },
        generation: placement.meta.generation,
    };
    notes.into_iter().map(warning).collect()
}

/// A Work without binding is left alone for this long: the binding may only be unknown to a slow watch.
const ORPHAN_GRACE: Duration = Duration::from_secs(60);

/// How long a Work without binding is still left alone.
fn orphan_age(work: &Work, now: Timestamp) -> Option<Duration> {
    let since = work.meta.created.unwrap_or(now);
    let due = since
        .checked_add(SignedDuration::try_from(ORPHAN_GRACE).unwrap_or_default())
        .unwrap_or(Timestamp::MAX);
    Duration::try_from(now.duration_until(due))
        .ok()
        .filter(|wait| !wait.is_zero())
}

/// Works of the placement that name a binding which neither exists nor is being made. A binding that could not be read
/// may be any of them, so none is named then.
fn orphans<'a>(slice: &'a Slice<'_>, bindings: &[Tracked<Binding>]) -> Vec<&'a Work> {
    if !slice.unreadable_bindings.is_empty() {
        return Vec::new();
    }
    let known: BTreeSet<&str> = bindings
        .iter()
        .flat_map(|b| [b.before(), b.get()])
        .flatten()
        .map(|b| b.meta.name.as_str())
        .collect();
    let lost = |work: &&Work| work.is_live_of(slice.key) && work.binding().is_some_and(|name| !known.contains(name));
    slice.works.iter().map(|work| &**work).filter(lost).collect()
}

/// The pass of a placement that is being deleted.
pub(super) fn deletion(mut world: World<'_>) -> Pass {
    let placement = Arc::clone(&world.placement);
    let stages = world.settings.stages;
    let has = |finalizer: &str| placement.meta.has_finalizer(finalizer);
    let snapshots = stages.placement && has(finalizers::PLACEMENT);
    let bindings = stages.schedule && has(finalizers::SCHEDULER);
    let abandon = abandons(&placement);
    let mut teardown = Teardown::default();
    let mut first = Vec::new();
    if snapshots {
        let owner = writes::Owner {
            key: world.slice.key,
            uid: &placement.meta.uid,
        };
        for snapshot in &mut world.policies {
            snapshot.delete();
            first.extend(writes::policy_snapshot(owner, snapshot));
        }
        for snapshot in &mut world.resources {
            snapshot.delete();
            first.extend(writes::resource_snapshot(owner, snapshot));
        }
    }
    for binding in &world.slice.bindings {
        if bindings || binding.meta.is_deleting() {
            teardown.binding(world.slice, binding, stages, abandon, !binding.meta.is_deleting());
        }
    }
    if stages.work && bindings {
        for work in orphans(world.slice, &world.bindings) {
            teardown.work(work, abandon);
        }
    }
    teardown.add(0, first);
    let own = [(snapshots, finalizers::PLACEMENT), (bindings, finalizers::SCHEDULER)];
    let left: Vec<String> = placement
        .meta
        .finalizers
        .iter()
        .filter(|f| !own.iter().any(|(ours, name)| *ours && name == f))
        .cloned()
        .collect();
    for step in teardown.steps {
        world.pass.step(step);
    }
    world.pass.step(teardown.release);
    world.pass.step(writes::placement_finalizers(&placement, &left));
    if snapshots {
        world.pass.events.push(cleaned_up(&placement));
        world.pass.facts.forget_placement = true;
    }
    world.pass
}

fn cleaned_up(placement: &Placement) -> Event {
    Event {
        about: placement.target(),
        uid: placement.meta.uid.clone(),
        warning: false,
        reason: events::placement::PLACEMENT_CLEANUP_FINALIZER_REMOVED,
        note: "The snapshots of the placement are deleted and its clean-up finalizer is removed.".to_owned(),
    }
}

/// The pass of a placement that is gone: bindings that are still being deleted must not wait for it.
pub(super) fn leftovers(slice: &Slice<'_>, stages: Stages) -> Pass {
    let mut pass = Pass::default();
    let mut teardown = Teardown::default();
    for binding in slice.bindings.iter().filter(|b| b.meta.is_deleting()) {
        teardown.binding(slice, binding, stages, false, false);
    }
    for step in teardown.steps {
        pass.step(step);
    }
    pass.step(teardown.release);
    pass.facts.forget_placement = true;
    pass
}
