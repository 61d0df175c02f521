//! The stages of a pass for a placement that lives: each hands its part of the state to the module that decides, and
//! takes what that answers into the pass.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::placement::v1beta1::ResourceIdentifier;
use api::text::events::warning as events;

use super::SchedulingFact;
use super::obstacles::{self, REFUSED};
use super::works::Works;
use super::world::World;
use crate::problem::{Class, Problem};
use crate::{report, rollout, schedule, select, snapshot};

/// How the selection ended.
pub(super) enum Selected {
    /// The identifiers to report, in order.
    Known(Vec<ResourceIdentifier>),
    /// The user has to correct the selectors; the message says why.
    Invalid(String),
    /// The selection has moved to another namespace than the one that shows the status (hub-behaviour 8.7).
    Moved(String),
    /// A snapshot that is needed cannot be read or created; the message says which and why.
    Blocked(String),
    /// Not known now; it will be tried again.
    Unknown,
}

/// After which time a wrong selection and an incomplete rollout are looked at again.
pub(super) const SAFETY_NET: Duration = Duration::from_secs(30 * 60);

/// Selection and snapshots (hub-behaviour 3.2 steps 3 to 6).
pub(super) fn select_and_snapshot(world: &mut World<'_>) -> Selected {
    if !world.settings.stages.placement {
        return Selected::Unknown;
    }
    let placement = Arc::clone(&world.placement);
    if let Err(message) = report::consistent(&placement) {
        world.warn_once(events::INVALID_RESOURCE_SELECTORS, &message);
        return Selected::Moved(message);
    }
    let selection = select::select(
        world.slice.key,
        &placement.spec.resource_selectors,
        world.slice.resources,
        world.settings.selection(),
        world.trace.part(|trace| &mut trace.selection),
    );
    let manifests = match selection {
        Ok(manifests) => manifests,
        Err(problem) if problem.class == Class::User => {
            world.pass.look_again(SAFETY_NET);
            world.warn_once(events::INVALID_RESOURCE_SELECTORS, &problem.message);
            return Selected::Invalid(problem.message);
        }
        Err(problem) => {
            world.fail(problem);
            return Selected::Unknown;
        }
    };
    let selected = report::identifiers(&manifests);
    if let Some(message) = obstacles::unreadable(world) {
        world.fail(Problem::expected(message.clone()));
        return Selected::Blocked(message);
    }
    let (mut policies, mut resources) = (world.policies.clone(), world.resources.clone());
    let held = snapshot::take(
        &mut policies,
        &mut resources,
        &placement,
        manifests,
        (world.settings.snapshots(), world.now),
        world.trace.part(|trace| &mut trace.snapshots),
    );
    if let Some(message) = obstacles::refused(world, &policies, &resources) {
        world.pass.look_again(REFUSED);
        return Selected::Blocked(message);
    }
    (world.policies, world.resources) = (policies, resources);
    match held {
        Ok(held) => {
            if let Some(wait) = held.wait {
                world.pass.look_again(wait);
            }
            Selected::Known(report::identifiers(&held.manifests))
        }
        Err(problem) if problem.class == Class::User => {
            world.unschedulable = Some(problem.message);
            Selected::Known(selected)
        }
        Err(problem) => {
            world.fail(problem);
            Selected::Unknown
        }
    }
}

/// Scheduling (hub-behaviour 4).
pub(super) fn schedule(world: &mut World<'_>) {
    // A binding that cannot be read may hold any cluster's place, so that none is given to another.
    if !world.settings.stages.schedule || !world.unreadable.is_empty() {
        return;
    }
    let Some(position) = snapshot::current_policy(&world.policies) else {
        return;
    };
    let placement = Arc::clone(&world.placement);
    let input = schedule::CycleInput {
        key: world.slice.key,
        placement: &placement.meta,
        members: world.slice.members,
        works: &world.slice.works,
        now: world.now,
        nonce: world.nonce,
    };
    let trace = world.trace.part(|trace| &mut trace.scheduling);
    let Some(cycle) = schedule::cycle(&mut world.policies[position], &mut world.bindings, &input, trace) else {
        return;
    };
    let failed = !cycle.problems.is_empty();
    world.pass.facts.scheduling = Some(SchedulingFact { failed });
    for bad in cycle.bad_properties {
        let note = format!(
            "The property {:?} of member cluster {:?} is {:?}, which is no quantity; it counts as not available.",
            bad.property, bad.member, bad.value
        );
        world.warn(events::INVALID_CLUSTER_PROPERTY, note);
    }
    for problem in cycle.problems {
        if problem.class == Class::User {
            world.unschedulable = Some(problem.message);
        } else {
            world.fail(problem);
        }
    }
}

/// The rolling update and the Works (hub-behaviour 5, 7).
///
/// Works come first, so that budgets are judged by what members have answered already. Where nothing changes for a
/// member, a cluster that has just moved is ready at once and makes room for the next, so both repeat. Each round moves a
/// binding that no later one touches again, so there are at most as many rounds as bindings; the pass says so if that
/// should ever not be enough, and leaves the rest to the next one.
pub(super) fn roll_out_and_render(world: &mut World<'_>) -> Works {
    let stages = world.settings.stages;
    let rolls_out = stages.rollout && !world.placement.is_external();
    let mut works = Works::default();
    if rolls_out {
        // Apply strategies know no budget, and conditions about older ones say nothing.
        rollout::push_apply_strategy(&mut world.bindings, &world.placement.apply_strategy());
        if stages.work {
            works.refresh(world);
        }
    }
    let limit = world.bindings.len() + 1;
    let rested = repeat(limit, || {
        let moved = rolls_out && roll_out(world, &works.awaited);
        if stages.work {
            works.complete(world);
        }
        moved && stages.work
    });
    if !rested {
        world.fail(Problem::unexpected(format!(
            "The rolling update and its Works have not come to rest in {limit} rounds; the next pass continues."
        )));
    }
    works
}

/// Repeats a round while it returns true, `limit` times at most. Answers whether the last one returned false.
fn repeat(limit: usize, mut again: impl FnMut() -> bool) -> bool {
    (0..limit).any(|_| !again())
}

/// The rolling update. Answers whether anything was moved or removed.
fn roll_out(world: &mut World<'_>, awaited: &BTreeSet<String>) -> bool {
    let placement = Arc::clone(&world.placement);
    let input = rollout::StageInput {
        key: world.slice.key,
        placement: &placement,
        members: world.slice.members,
        resources: &world.resources,
        overrides: world.slice.overrides,
        awaited,
        now: world.now,
    };
    let trace = world.trace.part(|trace| &mut trace.rollout);
    let result = rollout::run(&mut world.bindings, &input, trace);
    if let Some(wait) = result.requeue {
        world.pass.look_again(wait);
    }
    for problem in result.problems {
        if problem.class == Class::User {
            world.warn_first(events::INVALID_STRATEGY, &problem.message);
        }
        if !world.pass.problems.contains(&problem) {
            world.fail(problem);
        }
    }
    result.moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_end_with_the_first_that_returns_false_and_at_the_limit() {
        let mut rounds = 0;
        let mut until = |limit, content: usize| {
            rounds = 0;
            let rested = repeat(limit, || {
                rounds += 1;
                rounds < content
            });
            (rested, rounds)
        };
        assert_eq!(until(5, 3), (true, 3));
        assert_eq!(until(5, 5), (true, 5));
        assert_eq!(until(5, 6), (false, 5), "the bound is reached");
    }
}
