//! One pass over one placement.

use std::sync::Arc;

use api::condition;
use api::placement::v1beta1::PlacementStatus;
use api::text::conditions::PlacementCondition;
use api::text::finalizers;
use jiff::Timestamp;

use super::cleanup::{self, Farewell};
use super::stages::{self, SAFETY_NET, Selected};
use super::works::Works;
use super::world::World;
use super::{Pass, SchedulingFact, Settings, Slice, writes};
use crate::effects::{Event, Tracked, Write};
use crate::objects::{Binding, ResourceSnapshot};
use crate::report;
use crate::rollout;
use crate::snapshot;

/// Decides everything about one placement: writes, events, and when to look again.
///
/// `nonce` makes the names of new objects fresh; equal arguments give equal passes. Applying the writes of a pass and
/// planning again gives no further writes, unless something else happened.
pub fn plan(slice: &Slice<'_>, settings: &Settings, now: Timestamp, nonce: u64) -> Pass {
    let Some(placement) = &slice.placement else {
        return cleanup::leftovers(slice, settings.stages);
    };
    let mut world = World::new(slice, placement, settings, now, nonce);
    if placement.meta.is_deleting() {
        return cleanup::deletion(world);
    }
    let stages = settings.stages;
    let selected = if stages.placement {
        stages::select_and_snapshot(&mut world)
    } else {
        Selected::Unknown
    };
    if stages.schedule
        && let Some(failed) = stages::schedule(&mut world)
    {
        world.pass.facts.scheduling = Some(SchedulingFact { failed });
    }
    let rolls_out = stages.rollout && !placement.is_external();
    let mut works = Works::default();
    if rolls_out {
        // Apply strategies know no budget, and conditions about older ones say nothing.
        rollout::push_apply_strategy(&mut world.bindings, &placement.apply_strategy());
        if stages.work {
            works.refresh(&mut world);
        }
    }
    // Where nothing changes for a member, a cluster that has just moved is ready at once and makes room for the next. Each
    // round moves a binding that no later one touches again.
    loop {
        let moved = rolls_out && stages::roll_out(&mut world, &works.awaited);
        if stages.work {
            works.complete(&mut world);
        }
        if !(moved && stages.work) {
            break;
        }
    }
    let farewell = cleanup::farewell(&mut world);
    let report = if stages.placement {
        let report = status(&mut world, &selected);
        let told = report.as_ref().map_or(&placement.status, |report| &report.status);
        world.pass.facts.placement = Some(report::fact(placement, told));
        report_back(&mut world, report.as_ref());
        report
    } else {
        None
    };
    finish(world, works, farewell, report)
}

/// The placement's status, to be written.
struct Report {
    status: PlacementStatus,
    /// The write of its copy in a namespace, which comes first.
    copy: Option<Write>,
    events: Vec<Event>,
}

/// Computes the placement's status (hub-behaviour 8). `None` when the stages before could not say enough.
fn status(world: &mut World<'_>, selected: &Selected) -> Option<Report> {
    let placement = Arc::clone(&world.placement);
    let (snapshots, bindings) = (world.live_resources(), world.live_bindings());
    let latest = latest(world, &snapshots);
    let mut status = match selected {
        Selected::Unknown => return None,
        Selected::Invalid(message) | Selected::Moved(message) => {
            report::invalid_selectors(&placement, message, world.now)
        }
        Selected::Known(resources) => {
            let policy = Arc::clone(world.current_policy().and_then(|i| world.policies[i].get())?);
            let input = report::Input {
                placement: &placement,
                policy: &policy,
                selected: resources,
                latest: latest.as_deref(),
                snapshots: &snapshots,
                bindings: &bindings,
                now: world.now,
            };
            match report::placement_status(&input) {
                Ok(status) => status,
                Err(problem) => {
                    world.fail(problem);
                    return None;
                }
            }
        }
    };
    // Where the selection has moved to, nobody asked for the status.
    let copy = match selected {
        Selected::Moved(_) => None,
        _ => copy(world, &mut status),
    };
    if !report::is_complete(&placement, &status) {
        world.pass.look_again(SAFETY_NET);
    }
    let events = report::news(&placement, &status);
    Some(Report { status, copy, events })
}

/// Statuses of placed objects that go back to their originals (hub-behaviour 7.7).
fn report_back(world: &mut World<'_>, report: Option<&Report>) {
    let placement = Arc::clone(&world.placement);
    let bindings = world.live_bindings();
    let status = report.map_or(&placement.status, |report| &report.status);
    let input = report::BackInput {
        placement: &placement,
        selected: &status.selected_resources,
        bindings: &bindings,
        works: &world.slice.works,
        resources: world.slice.resources,
    };
    match report::back_reports(&input) {
        Ok(reports) => world.pass.best_effort = reports,
        Err(problem) => {
            let kind = PlacementCondition::Scheduled.on(placement.key().kind());
            let known = condition::find(&placement.status.conditions, kind);
            if known.is_none_or(|c| c.observed_generation != placement.meta.generation) {
                world.warn(INVALID_REPORT_BACK, problem.message.clone());
            }
            world.fail(problem);
        }
    }
}

/// Reason of the warning, once for each generation of a placement, that statuses cannot be reported back.
const INVALID_REPORT_BACK: &str = "InvalidReportBackStrategy";

/// The write of the status' copy in the namespace that the placement selects, and what the status says about it.
fn copy(world: &World<'_>, status: &mut PlacementStatus) -> Option<Write> {
    let placement = &world.placement;
    let namespace_usable = match report::target_namespace(placement).flatten() {
        Some(name) => {
            let namespaces = world.slice.resources.resolve("", "v1", "Namespace");
            let found = namespaces.and_then(|api| world.slice.resources.get(&api.key, None, name));
            found.is_some_and(|namespace| !namespace.deleting)
        }
        None => false,
    };
    let seen = report::Mirror {
        stored: world.slice.status_copy.as_deref(),
        namespace_usable,
    };
    report::mirror(placement, status, seen, world.now)
}

/// The master whose index the status names; none while somebody else rolls out.
fn latest(world: &World<'_>, snapshots: &[Arc<ResourceSnapshot>]) -> Option<Arc<ResourceSnapshot>> {
    if world.placement.is_external() {
        return None;
    }
    let name = &snapshot::latest_master(&world.resources)?.meta.name;
    snapshots.iter().find(|s| s.meta.name == *name).cloned()
}

/// Orders all writes into as few steps as their dependencies allow: what owns and protects, then bindings and Works,
/// then the status that users look at, then what repeats it for each part.
fn finish(mut world: World<'_>, works: Works, farewell: Farewell, report: Option<Report>) -> Pass {
    let key = world.slice.key;
    let placement = Arc::clone(&world.placement);
    own_and_snapshot(&mut world);
    let mut farewell_steps = farewell.steps.into_iter();
    let mut second: Vec<Write> = live(&world.bindings).filter_map(|b| writes::binding(key, b)).collect();
    let waiting = !works.awaited.is_empty();
    let mut work_steps = works.into_steps(&mut world).into_iter();
    second.extend(work_steps.next().into_iter().flatten());
    second.extend(farewell_steps.next().into_iter().flatten());
    world.pass.step(second);
    loop {
        let next: Vec<_> = [work_steps.next(), farewell_steps.next()]
            .into_iter()
            .flatten()
            .collect();
        if next.is_empty() {
            break;
        }
        world.pass.step(next.into_iter().flatten());
    }
    let policies = world.policies.iter().filter_map(|p| writes::policy_status(key, p));
    let bindings = live(&world.bindings).filter_map(|b| writes::binding_status(key, b));
    let mut details: Vec<Write> = policies.chain(bindings).collect();
    let (mut copy, mut own, mut events) = (None, None, Vec::new());
    if let Some(report) = report {
        let body = report::status_patch(&placement.status, &report.status);
        own = body.map(|body| writes::status(placement.target(), body));
        (copy, events) = (report.copy, report.events);
    }
    let anything = own.is_some() || copy.is_some() || !details.is_empty();
    if waiting && hold_back(&mut world, anything) {
        details.clear();
        events.clear();
        (copy, own) = (None, None);
    }
    let mut third = farewell.release;
    // The status says that the copy is made, so it waits for the copy.
    let last = if copy.is_some() { own.take() } else { None };
    third.extend(copy.into_iter().chain(own));
    world.pass.step(third);
    world.pass.step(last);
    world.pass.deferrable = details;
    world.pass.events.extend(events);
    world.pass
}

/// Bindings that stay and are not being deleted: those have their own way out.
fn live<'a>(bindings: &'a [Tracked<Binding>]) -> impl Iterator<Item = &'a Tracked<Binding>> + 'a {
    bindings
        .iter()
        .filter(|b| b.get().is_some_and(|b| !b.meta.is_deleting()))
}

/// Finalizers of the placement and snapshots. When snapshots are deleted, new ones wait for that, so that never more
/// exist than the user's limit allows. The master of a group comes before its other parts: without it nobody could tell
/// after a crash what they are parts of.
fn own_and_snapshot(world: &mut World<'_>) {
    let placement = Arc::clone(&world.placement);
    let owner = writes::Owner {
        key: world.slice.key,
        uid: &placement.meta.uid,
    };
    let stages = world.settings.stages;
    let mut wanted = placement.meta.finalizers.clone();
    for (on, finalizer) in [
        (stages.placement, finalizers::PLACEMENT),
        (stages.schedule, finalizers::SCHEDULER),
    ] {
        if on && !placement.meta.has_finalizer(finalizer) {
            wanted.push(finalizer.to_owned());
        }
    }
    let mut first: Vec<Write> = writes::placement_finalizers(&placement, &wanted).into_iter().collect();
    first.extend(world.policies.iter().filter_map(|s| writes::policy_snapshot(owner, s)));
    let mut masters = Vec::new();
    let mut parts = Vec::new();
    let mut deletes = false;
    for snapshot in &world.resources {
        let is_part = snapshot.get().is_some_and(|s| !s.is_master());
        match writes::resource_snapshot(owner, snapshot) {
            Some(write @ Write::Create { .. }) if is_part => parts.push(write),
            Some(write @ Write::Create { .. }) => masters.push(write),
            Some(write) => {
                deletes |= matches!(write, Write::Delete { .. });
                first.push(write);
            }
            None => {}
        }
    }
    if deletes {
        world.pass.step(first);
        world.pass.step(masters);
    } else {
        first.extend(masters);
        world.pass.step(first);
    }
    world.pass.step(parts);
}

/// Whether statuses wait a little longer for the members' answers, which would overwrite them at once.
fn hold_back(world: &mut World<'_>, anything: bool) -> bool {
    let grace = world.settings.grace(world.slice.others_awaited);
    let since = world.slice.withheld_since.unwrap_or(world.now);
    let waited = std::time::Duration::try_from(world.now.duration_since(since)).unwrap_or_default();
    let left = grace.checked_sub(waited).filter(|left| !left.is_zero() && anything);
    let Some(left) = left else { return false };
    world.pass.facts.withheld = true;
    world.pass.look_again(left);
    true
}
