//! The state that the stages of a pass hand on: stored objects and what has been decided about them.

use std::sync::Arc;

use api::text::finalizers;
use jiff::Timestamp;

use super::{Pass, Settings, Slice, Stages, Trace};
use crate::effects::{Event, Tracked, Versioned};
use crate::objects::{Binding, Placement, PolicySnapshot, ResourceSnapshot};
use crate::problem::{Class, Problem};
use crate::trace::Recorder;

/// Everything a pass knows and has decided so far.
pub(super) struct World<'a> {
    pub(super) slice: &'a Slice<'a>,
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
    pub(super) nonce: u64,
    pub(super) placement: Arc<Placement>,
    pub(super) policies: Vec<Tracked<PolicySnapshot>>,
    pub(super) resources: Vec<Tracked<ResourceSnapshot>>,
    /// Sorted by name, new ones at the end.
    pub(super) bindings: Vec<Tracked<Binding>>,
    pub(super) pass: Pass,
    pub(super) trace: Recorder<'a, Trace>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        slice: &'a Slice<'a>,
        placement: &Arc<Placement>,
        (settings, now, nonce): (&'a Settings, Timestamp, u64),
        trace: Recorder<'a, Trace>,
    ) -> Self {
        let mut world = Self {
            slice,
            settings,
            now,
            nonce,
            placement: Arc::clone(placement),
            policies: sorted(&slice.policy_snapshots, |s| &s.meta.name),
            resources: sorted(&slice.resource_snapshots, |s| &s.meta.name),
            bindings: sorted(&slice.bindings, |b| &b.meta.name),
            pass: Pass::default(),
            trace,
        };
        // Snapshots that are being deleted are as good as gone; nothing of ours holds them back.
        world
            .policies
            .retain(|s| s.get().is_some_and(|s| !s.meta.is_deleting()));
        world
            .resources
            .retain(|s| s.get().is_some_and(|s| !s.meta.is_deleting()));
        // So are bindings that only wait for us: this pass withdraws their Works and lets them go.
        for binding in &mut world.bindings {
            if binding
                .get()
                .is_some_and(|b| b.meta.is_deleting() && is_ours_alone(b, settings.stages))
            {
                binding.delete();
            }
        }
        world
    }

    /// Notes what went wrong; the stages that do not depend on it go on.
    pub(super) fn fail(&mut self, problem: Problem) {
        if problem.class != Class::User {
            self.pass.notes.push(problem.message.clone());
        }
        self.pass.problems.push(problem);
    }

    /// Warns about the placement.
    pub(super) fn warn(&mut self, reason: &'static str, note: String) {
        self.pass.events.push(Event {
            about: self.placement.target(),
            uid: self.placement.meta.uid.clone(),
            warning: true,
            reason,
            note,
        });
    }

    /// All resource snapshots as they shall be.
    pub(super) fn live_resources(&self) -> Vec<Arc<ResourceSnapshot>> {
        self.resources.iter().filter_map(Tracked::get).cloned().collect()
    }

    /// All bindings as they shall be.
    pub(super) fn live_bindings(&self) -> Vec<Arc<Binding>> {
        self.bindings.iter().filter_map(Tracked::get).cloned().collect()
    }
}

/// Whether nobody but the stages of this agent holds the object back.
fn is_ours_alone(binding: &Binding, stages: Stages) -> bool {
    let ours = [
        (stages.schedule, finalizers::SCHEDULER_BINDING),
        (stages.work, finalizers::WORK),
    ];
    binding
        .meta
        .finalizers
        .iter()
        .all(|f| ours.iter().any(|(on, finalizer)| *on && finalizer == f))
}

fn sorted<T: Versioned>(objects: &[Arc<T>], name: impl Fn(&T) -> &String) -> Vec<Tracked<T>> {
    let mut objects: Vec<_> = objects.to_vec();
    objects.sort_by(|a, b| name(a).cmp(name(b)));
    objects.into_iter().map(Tracked::stored).collect()
}
