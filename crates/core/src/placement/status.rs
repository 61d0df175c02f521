//! The placement's status, and the parts of it that are copied elsewhere (hub-behaviour 7.7, 8).

use std::sync::Arc;

use api::placement::v1beta1::PlacementStatus;
use api::text::events::warning as events;

use super::stages::{SAFETY_NET, Selected};
use super::world::World;
use super::{Pass, writes};
use crate::effects::{Event, Write};
use crate::objects::ResourceSnapshot;
use crate::report;
use crate::snapshot;

/// The placement's status, to be written.
pub(super) struct Report {
    pub(super) status: PlacementStatus,
    /// The write of its copy in a namespace, which comes first.
    pub(super) copy: Option<Write>,
    pub(super) events: Vec<Event>,
}

/// Computes what is reported, the statuses of originals included. `None` while another agent reports, or when the stages
/// before could not say enough.
pub(super) fn report(world: &mut World<'_>, selected: &Selected) -> Option<Report> {
    if !world.settings.stages.placement {
        return None;
    }
    let report = compute(world, selected);
    let reported = report.as_ref().map_or(&world.placement.status, |report| &report.status);
    world.pass.facts.placement = Some(report::fact(&world.placement, reported));
    report_back(world, report.as_ref());
    report
}

/// The pass of a placement that cannot be placed under its name: it reports that and does nothing else.
pub(super) fn refuse_name(mut world: World<'_>, message: &str) -> Pass {
    let placement = Arc::clone(&world.placement);
    world.warn_once(events::INVALID_NAME, message);
    world.report_mistakes();
    let status = report::unscheduled(&placement, message, world.now);
    world.pass.facts.placement = Some(report::fact(&placement, &status));
    let body = report::status_patch(&placement.status, &status);
    let write = body.map(|body| writes::status(placement.target(), body));
    world.pass.step(write);
    world.pass
}

/// Computes the placement's status (hub-behaviour 8). `None` when the stages before could not say enough.
fn compute(world: &mut World<'_>, selected: &Selected) -> Option<Report> {
    let placement = Arc::clone(&world.placement);
    let (snapshots, bindings) = (world.live_resources(), world.live_bindings());
    let latest = latest(world, &snapshots);
    let mut status = match selected {
        Selected::Unknown => return None,
        Selected::Invalid(message) | Selected::Moved(message) => {
            report::invalid_selectors(&placement, message, world.now)
        }
        Selected::Blocked(message) => report::unscheduled(&placement, message, world.now),
        Selected::Known(_) if world.unschedulable.is_some() => {
            let message = world.unschedulable.clone().unwrap_or_default();
            world.warn_once(events::INVALID_POLICY, &message);
            report::unscheduled(&placement, &message, world.now)
        }
        Selected::Known(resources) => {
            let policy = Arc::clone(snapshot::current_policy(&world.policies).and_then(|i| world.policies[i].get())?);
            let input = report::Input {
                placement: &placement,
                policy: &policy,
                selected: resources,
                latest: latest.as_deref(),
                snapshots: &snapshots,
                bindings: &bindings,
                unreadable: &world.unreadable,
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
    // In the namespace that the selection has moved to, nobody requested the status.
    let copy = match selected {
        Selected::Moved(_) => None,
        _ => copy(world, &mut status),
    };
    if !report::is_complete(&placement, &status) {
        world.pass.look_again(SAFETY_NET);
    }
    let events = report::transitions(&placement, &status);
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
            world.warn_first(events::INVALID_REPORT_BACK_STRATEGY, &problem.message);
            world.fail(problem);
        }
    }
}

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
