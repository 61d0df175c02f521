//! The work stage: renders bindings and computes their statuses (hub-behaviour 7.1 to 7.5).
//!
//! It runs twice in a pass. Before the rollout, so that budgets are judged by what members have answered to the bindings
//! as the scheduler leaves them; and after it, when only bindings that the rollout has moved are rendered again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::condition::ConditionState;
use api::names;
use api::placement::v1beta1::{BindingState, ResourceBindingSpec};
use api::text::conditions::cluster as conditions;
use api::text::finalizers;
use api::text::reasons::cluster as reasons;
use jiff::Timestamp;

use super::world::World;
use crate::effects::Write;
use crate::objects::{Binding, Member, Work};
use crate::problem::Class;
use crate::render::{self, Groups, RenderResult, Rendered};
use crate::report;
use crate::schedule;

/// What was rendered in this pass, by position of the binding, and for which spec.
#[derive(Default)]
pub(super) struct Works {
    rendered: BTreeMap<usize, (ResourceBindingSpec, Rendered)>,
    /// Names of the bindings that only wait for their members to answer.
    pub(super) awaited: BTreeSet<String>,
}

/// Which bindings are rendered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// All that have been rolled out; the rollout has not set their conditions yet.
    BeforeRollout,
    /// Those about whose current generation the rollout has spoken.
    AfterRollout,
}

impl Works {
    /// Brings statuses up to date with what the members have answered, before budgets are judged.
    pub(super) fn refresh(&mut self, world: &mut World<'_>) {
        self.run(world, Phase::BeforeRollout);
    }

    /// Renders what has changed since, and completes all statuses.
    pub(super) fn complete(&mut self, world: &mut World<'_>) {
        self.run(world, Phase::AfterRollout);
    }

    /// The writes of all Works in steps; events and problems of rendering go into the pass. Each binding has steps of its
    /// own: a write that fails for one cluster delays the later steps of the others until the pass is repeated, and by
    /// then their first steps are done.
    pub(super) fn into_steps(self, world: &mut World<'_>) -> Vec<Vec<Write>> {
        let mut steps = Vec::new();
        for (position, (_, rendered)) in self.rendered {
            for (number, step) in render::steps(rendered.writes).into_iter().enumerate() {
                if steps.len() <= number {
                    steps.push(Vec::new());
                }
                steps[number].extend(step);
            }
            world.pass.events.extend(rendered.events);
            if let Some(wait) = rendered.requeue {
                world.pass.look_again(wait);
            }
            let (problem, reason) = match rendered.result {
                RenderResult::NotOverridden(problem) => (problem, reasons::OVERRIDDEN_FAILED),
                RenderResult::NotSynchronized(problem) => (problem, reasons::SYNC_WORK_FAILED),
                RenderResult::Idle | RenderResult::Synchronized { .. } => continue,
            };
            if problem.class == Class::User {
                let cluster = world.bindings[position].get().map(|b| b.cluster().to_owned());
                world
                    .mistakes
                    .add(&cluster.unwrap_or_default(), reason, &problem.message);
            } else {
                world.fail(problem);
            }
        }
        steps
    }

    fn run(&mut self, world: &mut World<'_>, phase: Phase) {
        let snapshots = world.live_resources();
        let mut groups = Groups::new(world.slice.key, snapshots.iter().map(|s| &**s));
        // A member that leaves keeps its Works as they are; its namespace goes with them.
        let staying = world.slice.members.iter().filter(|m| !m.meta.is_deleting());
        let members: BTreeMap<&str, &Arc<Member>> = staying.map(|m| (m.name(), m)).collect();
        let works = by_namespace(&world.slice.works);
        self.awaited.clear();
        for position in 0..world.bindings.len() {
            let current = world.bindings[position].get();
            let member = current
                .filter(|b| is_rendered(b, phase))
                .and_then(|b| members.get(b.cluster()));
            match member {
                Some(member) => {
                    let namespace = names::member_namespace(member.name());
                    let works = works.get(namespace.as_str()).map_or(&[][..], Vec::as_slice);
                    self.binding(world, position, (member, works), &mut groups, phase);
                }
                // What was rendered for a binding that is leaving now is not written.
                None => drop(self.rendered.remove(&position)),
            }
        }
    }

    fn binding(
        &mut self,
        world: &mut World<'_>,
        position: usize,
        (member, works): (&Member, &[Arc<Work>]),
        groups: &mut Groups<'_>,
        phase: Phase,
    ) {
        let tracked = &mut world.bindings[position];
        if phase == Phase::AfterRollout && tracked.get().is_some_and(|b| !b.meta.has_finalizer(finalizers::WORK)) {
            tracked.edit(|b| b.meta.finalizers.push(finalizers::WORK.to_owned()));
        }
        let Some(binding) = tracked.get().cloned() else { return };
        let known = self
            .rendered
            .get(&position)
            .is_some_and(|(spec, _)| *spec == binding.spec);
        if !known {
            let strategy = world.placement.spec.strategy.as_ref();
            let input = render::Input {
                key: world.slice.key,
                binding: &binding,
                member,
                report_back: strategy.and_then(|s| s.report_back_strategy.as_ref()),
                works,
                unreadable: world.slice.unreadable_works,
                adds_finalizer: removes_finalizer(member, world.slice.members_with_finalizers, world.now),
                overrides: world.slice.overrides,
                refused: world.slice.refused,
            };
            let rendered = render::render(&input, groups);
            world
                .trace
                .record(|trace| trace.rendered(render::Trace::of(&input, &rendered, groups)));
            self.rendered.insert(position, (binding.spec.clone(), rendered));
        }
        let Some((_, rendered)) = self.rendered.get(&position) else {
            return;
        };
        let status = report::binding_status(&binding, &rendered.result, works, world.now);
        if report::awaits_member(&binding, &rendered.result, works) {
            self.awaited.insert(binding.meta.name.clone());
        }
        if status != binding.status {
            world.bindings[position].edit(|b| b.status = status);
        }
    }
}

/// Whether the member's agent will take its finalizer off a Work that it never got: it does so with others, and it lives.
fn removes_finalizer(member: &Member, members_with_finalizers: &BTreeSet<String>, now: Timestamp) -> bool {
    members_with_finalizers.contains(&names::member_namespace(member.name())) && schedule::eligible(member, now).is_ok()
}

/// The Works of each member, so that nobody has to look through all of them.
fn by_namespace(works: &[Arc<Work>]) -> BTreeMap<&str, Vec<Arc<Work>>> {
    let mut grouped: BTreeMap<&str, Vec<Arc<Work>>> = BTreeMap::new();
    for work in works {
        grouped
            .entry(work.meta.namespace.as_deref().unwrap_or_default())
            .or_default()
            .push(Arc::clone(work));
    }
    grouped
}

/// Whether a binding has Works: it is rolled out, or was and is not removed yet.
fn is_rendered(binding: &Binding, phase: Phase) -> bool {
    if binding.meta.is_deleting() {
        return false;
    }
    match binding.state() {
        BindingState::Scheduled => false,
        BindingState::Bound => {
            phase == Phase::BeforeRollout
                || binding.condition_state(conditions::ROLLOUT_STARTED) != ConditionState::Stale
        }
        BindingState::Unscheduled => true,
    }
}
