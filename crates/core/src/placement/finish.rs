//! The end of a pass: all writes in as few steps as their dependencies allow.

use std::sync::Arc;
use std::time::Duration;

use api::text::finalizers;

use super::cleanup::Teardown;
use super::status::Report;
use super::works::Works;
use super::world::World;
use super::{Pass, writes};
use crate::effects::{Tracked, Write};
use crate::objects::Binding;
use crate::report;

/// Orders all writes into as few steps as their dependencies allow: what owns and protects, then bindings and Works,
/// then the placement's status, then what repeats it for each part.
pub(super) fn order(mut world: World<'_>, works: Works, teardown: Teardown, report: Option<Report>) -> Pass {
    let key = world.slice.key;
    let placement = Arc::clone(&world.placement);
    own_and_snapshot(&mut world);
    let mut teardown_steps = teardown.steps.into_iter();
    let mut second: Vec<Write> = live(&world.bindings).filter_map(|b| writes::binding(key, b)).collect();
    let waiting = !works.awaited.is_empty();
    let mut work_steps = works.into_steps(&mut world).into_iter();
    second.extend(work_steps.next().into_iter().flatten());
    second.extend(teardown_steps.next().into_iter().flatten());
    world.pass.step(second);
    loop {
        let next: Vec<_> = [work_steps.next(), teardown_steps.next()]
            .into_iter()
            .flatten()
            .collect();
        if next.is_empty() {
            break;
        }
        world.pass.step(next.into_iter().flatten());
    }
    let policies = world.policies.iter().filter_map(|p| writes::policy_status(key, p));
    let bindings = live(&world.bindings).filter_map(|b| Some((Arc::clone(b.get()?), writes::binding_status(key, b)?)));
    // What reports a failure does not wait for other placements.
    let (urgent, bindings): (Vec<_>, Vec<_>) =
        bindings.partition(|(binding, _)| binding.status.conditions.iter().any(report::is_failure));
    let mut urgent: Vec<Write> = urgent.into_iter().map(|(_, write)| write).collect();
    let mut details: Vec<Write> = policies.chain(bindings.into_iter().map(|(_, write)| write)).collect();
    let (mut copy, mut own, mut events) = (None, None, Vec::new());
    let mut is_urgent = false;
    if let Some(report) = report {
        is_urgent = report::adds_failures(&placement, &report.status);
        let body = report::status_patch(&placement.status, &report.status);
        own = body.map(|body| writes::status(placement.target(), body));
        (copy, events) = (report.copy, report.events);
    }
    let anything = own.is_some() || copy.is_some() || !details.is_empty() || !urgent.is_empty();
    if waiting && !is_urgent && hold_back(&mut world, anything) {
        details.clear();
        urgent.clear();
        events.clear();
        (copy, own) = (None, None);
    } else {
        world.report_mistakes();
    }
    let mut third = teardown.release;
    // The status says that the copy is made, so it waits for the copy.
    let last = if copy.is_some() { own.take() } else { None };
    third.extend(copy.into_iter().chain(own));
    world.pass.step(third);
    world.pass.step(last);
    world.pass.step(urgent);
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
/// exist than the user's limit allows. The master of a group comes before its other parts: without it nobody could know
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
    let waited = Duration::try_from(world.now.duration_since(since)).unwrap_or_default();
    let left = grace.checked_sub(waited).filter(|left| !left.is_zero() && anything);
    let Some(left) = left else { return false };
    world.pass.facts.withheld = true;
    world.pass.look_again(left);
    true
}
