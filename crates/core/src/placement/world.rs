//! The state that the stages of a pass hand on: stored objects and what has been decided about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::text::conditions::PlacementCondition;
use api::text::finalizers;
use api::{Condition, ConditionStatus, condition, names};
use jiff::Timestamp;

use super::{Pass, Settings, Slice, Stages, Trace};
use crate::effects::{Event, Tracked, Versioned};
use crate::objects::{Binding, Placement, PolicySnapshot, ResourceSnapshot};
use crate::problem::{Class, Problem};
use crate::report::Mistakes;
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
    /// Why the policy cannot be evaluated, which the user has to correct.
    pub(super) unschedulable: Option<String>,
    /// Bindings of the placement that cannot be read, by their cluster. They are not among `bindings`.
    pub(super) unreadable: BTreeMap<String, String>,
    /// What users have to correct so that Works can be made.
    pub(super) mistakes: Mistakes,
    /// Warnings that go with the placement's status: recorded when that is written.
    warnings: Vec<Event>,
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
            unschedulable: None,
            unreadable: unreadable(slice),
            mistakes: Mistakes::default(),
            warnings: Vec::new(),
        };
        // Snapshots that are being deleted are as good as gone; nothing of ours holds them back.
        world
            .policies
            .retain(|s| s.get().is_some_and(|s| !s.meta.is_deleting()));
        world
            .resources
            .retain(|s| s.get().is_some_and(|s| !s.meta.is_deleting()));
        let unreadable = &world.unreadable;
        world.bindings.retain(|b| {
            b.get()
                .is_some_and(|b| unreadable.get(b.cluster()) != Some(&b.meta.name))
        });
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

    /// Notes what went wrong; the stages that do not depend on it still run.
    pub(super) fn fail(&mut self, problem: Problem) {
        if problem.class != Class::User {
            self.pass.notes.push(problem.message.clone());
        }
        self.pass.problems.push(problem);
    }

    /// Warns about the placement.
    pub(super) fn warn(&mut self, reason: &'static str, note: String) {
        let warning = self.warning(reason, note);
        self.pass.events.push(warning);
    }

    fn warning(&self, reason: &'static str, note: String) -> Event {
        Event {
            about: self.placement.target(),
            uid: self.placement.meta.uid.clone(),
            warning: true,
            reason,
            note,
        }
    }

    /// The stored Scheduled condition, if it is about the current generation.
    fn reported(&self) -> Option<&Condition> {
        let type_ = PlacementCondition::Scheduled.on(self.placement.key().kind());
        condition::find(&self.placement.status.conditions, type_)
            .filter(|c| c.observed_generation == self.placement.meta.generation)
    }

    /// Warns about a mistake that no condition reports, in the first pass over this generation.
    pub(super) fn warn_first(&mut self, reason: &'static str, message: &str) {
        if self.reported().is_none() {
            let warning = self.warning(reason, message.to_owned());
            self.warnings.push(warning);
        }
    }

    /// Warns about the placement, once its status is written, unless the stored one reports the same for this generation.
    pub(super) fn warn_once(&mut self, reason: &'static str, message: &str) {
        let is_same = |c: &Condition| c.status == ConditionStatus::False && c.message == message;
        if !self.reported().is_some_and(is_same) {
            let warning = self.warning(reason, message.to_owned());
            self.warnings.push(warning);
        }
    }

    /// Records the warnings that go with the placement's status, which is written in this pass if it is new.
    pub(super) fn report_mistakes(&mut self) {
        let unreported = std::mem::take(&mut self.mistakes).unreported(&self.placement);
        let mistakes: Vec<Event> = unreported
            .into_iter()
            .map(|(reason, note)| self.warning(reason, note))
            .collect();
        self.pass.events.append(&mut self.warnings);
        self.pass.events.extend(mistakes);
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

/// Bindings of the placement that cannot be read, by cluster: known from when they could be, or by the form of their name.
fn unreadable(slice: &Slice<'_>) -> BTreeMap<String, String> {
    let cluster_of = |name: &String| {
        let known = slice.bindings.iter().find(|b| b.meta.name == *name);
        known.map(|b| b.cluster().to_owned()).or_else(|| {
            let members = slice.members.iter().map(|m| m.name());
            let mut own = members.filter(|cluster| names::is_binding_of(name, &slice.key.name, cluster));
            own.next().map(str::to_owned)
        })
    };
    let of_placement = slice.unreadable_bindings.iter();
    of_placement
        .filter_map(|name| Some((cluster_of(name)?, name.clone())))
        .collect()
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
