//! A plan under construction: what the profile and its backends add to it, and which calls may meet.

use api::condition::{self, Condition, ConditionStatus};
use api::kinds;
use api::networking::traffic_names;
use api::resource::Resource;
use api::text::events::traffic as events;
use api::text::finalizers as fin;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::arm::{Action, Call, Failure, ProfileId, Subject};
use super::observed::Observed;
use super::{Facts, Measured, MeasuredKind, Plan, Series, Slice, Trace};
use crate::difference::{self, tree};
use crate::effects::{Event, Standing, Target, Write};
use crate::meta::Meta;
use crate::trace::Recorder;

/// Warnings about one object at most.
const MAX_WARNINGS: usize = 20;

/// A plan under construction.
pub(super) struct Pass<'a> {
    pub(super) slice: &'a Slice,
    pub(super) now: Timestamp,
    pub(super) plan: Plan,
    pub(super) trace: Recorder<'a, Trace>,
    /// Written before any call is made.
    before: Vec<Write>,
    /// Finalizers to add, before any call is made.
    holds: Vec<(ReportedObject<'a>, &'static str)>,
    statuses: Vec<Write>,
    /// Finalizers that are removed.
    after: Vec<Write>,
}

/// An object that the pass reports on.
#[derive(Clone, Copy)]
pub(super) struct ReportedObject<'a> {
    pub(super) meta: &'a Meta,
    pub(super) kind: MeasuredKind,
}

/// What a condition shall be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConditionValues {
    pub(super) status: ConditionStatus,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl<'a> Pass<'a> {
    pub(super) fn new(slice: &'a Slice, now: Timestamp, trace: Recorder<'a, Trace>) -> Self {
        Self {
            slice,
            now,
            plan: Plan::default(),
            trace,
            before: Vec::new(),
            holds: Vec::new(),
            statuses: Vec::new(),
            after: Vec::new(),
        }
    }

    /// The plan, with the writes in their order.
    pub(super) fn finish(self) -> Plan {
        let mut plan = self.plan;
        let mut before = self.before;
        before.extend(added(&self.holds));
        plan.step(before);
        plan.step(self.statuses);
        plan.step(self.after);
        plan
    }

    /// What is known of a profile in the traffic manager.
    pub(super) fn observed(&self, id: &ProfileId) -> Option<&'a Observed> {
        self.slice.observed.about(id)
    }

    /// The standing failure of a subject.
    pub(super) fn failure(&self, id: &ProfileId, subject: &Subject) -> Option<&'a Failure> {
        Some(&self.observed(id)?.failure(subject)?.failure)
    }

    /// Plans a call as soon as it may be made. A write of the profile is alone, because it carries the endpoints; so is
    /// a read, whose answer may or may not show what is written beside it. Endpoints go before others come, and two that
    /// want the same target come one after the other, so that it is no matter of chance which one gets it.
    pub(super) fn call(&mut self, call: Call) {
        let observed = self.observed(&call.profile);
        let wait = observed.map_or_else(Default::default, |known| {
            known.wait(&call.subject(), call.intent, self.now)
        });
        if !wait.is_zero() {
            return self.plan.look_again(wait);
        }
        let Facts { calls, revised, .. } = &mut self.plan.facts;
        let planned = match self.slice.in_flight {
            false => calls,
            true if matches!(call.action, Action::WriteEndpoint { .. }) => revised,
            true => return,
        };
        if planned.iter().all(|other| may_meet(&other.action, &call.action)) {
            planned.push(call);
        }
    }

    /// Adds a finalizer if it is missing, before anything else is done.
    pub(super) fn add_finalizer(&mut self, object: ReportedObject<'a>, finalizer: &'static str) {
        if !object.meta.has_finalizer(finalizer) {
            self.holds.push((object, finalizer));
        }
    }

    /// Removes our finalizers from an object that is being deleted, and drops its series.
    pub(super) fn remove_finalizers(&mut self, object: ReportedObject<'_>) {
        self.plan.facts.dropped.push(object.measured());
        let late = object.late_finalizer();
        let ours = |name: &str| name == fin::METRICS || name == late;
        if !object.meta.finalizers.iter().any(|name| ours(name)) {
            return;
        }
        if object.meta.has_finalizer(late) {
            let note = match object.kind {
                MeasuredKind::Profile => "Deleted the Azure Traffic Manager profile",
                MeasuredKind::Backend => "Deleted the Azure Traffic Manager endpoints",
            };
            self.event(object, events::DELETED, note.to_owned());
        }
        let rest: Vec<&String> = object.meta.finalizers.iter().filter(|name| !ours(name)).collect();
        let write = object.patch(json!({ "metadata": { "finalizers": rest } }));
        self.after.push(write);
    }

    /// Writes the resource group of a profile that names none, before anything else is done about it.
    pub(super) fn set_group(&mut self, object: ReportedObject<'_>, group: &str) {
        let write = object.patch(json!({ "spec": { "resourceGroup": group } }));
        self.before.push(write);
        self.plan.look_again(std::time::Duration::ZERO);
    }

    /// Writes a status if it differs from the stored one.
    pub(super) fn write_status<T: Serialize>(&mut self, object: ReportedObject<'_>, stored: &T, wanted: &T) {
        if let Some(status) = difference::between(&tree(stored), &tree(wanted)) {
            self.statuses.push(Write::MergePatch {
                target: object.target(),
                body: json!({ "status": status }),
                status: true,
                resource_version: None,
            });
        }
    }

    /// The stored conditions with a new one. Also sets the object's series.
    pub(super) fn conditions(
        &mut self,
        object: ReportedObject<'_>,
        stored: &[Condition],
        values: &ConditionValues,
    ) -> Vec<Condition> {
        let mut all = stored.to_vec();
        let time = api::Time(self.now);
        let ConditionValues {
            status,
            reason,
            message,
        } = values.clone();
        let generation = object.meta.generation;
        let desired = Condition::new(object.condition(), status, reason, message, generation, time);
        self.measure(object, &desired);
        condition::set(&mut all, desired);
        all
    }

    /// Sets the series of an object whose status stays as it is.
    pub(super) fn unchanged(&mut self, object: ReportedObject<'_>, stored: &[Condition]) {
        if let Some(known) = condition::find(stored, object.condition()) {
            self.measure(object, known);
        }
    }

    fn measure(&mut self, object: ReportedObject<'_>, condition: &Condition) {
        if condition.observed_generation == object.meta.generation && !object.meta.is_deleting() {
            self.plan.facts.reported.push(Series {
                object: object.measured(),
                generation: object.meta.generation,
                condition: condition.type_.clone(),
                status: condition.status.as_str().to_owned(),
                reason: condition.reason.clone(),
            });
        }
    }

    /// An event that something has happened.
    pub(super) fn event(&mut self, object: ReportedObject<'_>, reason: &'static str, note: String) {
        self.plan.events.push(object.event(false, reason, note));
    }

    /// A warning that holds for as long as its cause does.
    pub(super) fn warn(&mut self, object: ReportedObject<'_>, reason: &'static str, note: String) {
        let event = object.event(true, reason, note);
        let others = self
            .plan
            .standing
            .iter()
            .filter(|known| known.event.about == event.about);
        if others.count() < MAX_WARNINGS {
            self.plan.standing.push(Standing {
                event,
                generation: object.meta.generation,
            });
        }
    }
}

/// One patch for each object that gets finalizers.
fn added(holds: &[(ReportedObject<'_>, &'static str)]) -> Vec<Write> {
    let mut objects: Vec<(ReportedObject<'_>, Vec<&str>)> = Vec::new();
    for (object, finalizer) in holds {
        match objects.iter_mut().find(|(known, _)| known.target() == object.target()) {
            Some((_, all)) => all.push(finalizer),
            None => {
                let stored = object.meta.finalizers.iter().map(String::as_str);
                objects.push((*object, stored.chain([*finalizer]).collect()));
            }
        }
    }
    let patch =
        |(object, all): (ReportedObject<'_>, Vec<&str>)| object.patch(json!({ "metadata": { "finalizers": all } }));
    objects.into_iter().map(patch).collect()
}

/// Whether two calls may be on their way at the same time, the first being planned before the second.
fn may_meet(planned: &Action, next: &Action) -> bool {
    match (planned, next) {
        (Action::DeleteEndpoint { .. }, Action::DeleteEndpoint { .. }) => true,
        (Action::WriteEndpoint { .. }, Action::WriteEndpoint { .. }) => !planned.has_target_of(next),
        _ => false,
    }
}

impl ReportedObject<'_> {
    pub(super) fn late_finalizer(self) -> &'static str {
        match self.kind {
            MeasuredKind::Profile => fin::TRAFFIC_MANAGER_PROFILE,
            MeasuredKind::Backend => fin::TRAFFIC_MANAGER_BACKEND,
        }
    }

    fn condition(self) -> &'static str {
        use api::text::conditions::networking::{ACCEPTED, PROGRAMMED};
        match self.kind {
            MeasuredKind::Profile => PROGRAMMED,
            MeasuredKind::Backend => ACCEPTED,
        }
    }

    fn target(self) -> Target {
        let resource: Resource = match self.kind {
            MeasuredKind::Profile => kinds::TRAFFIC_MANAGER_PROFILE,
            MeasuredKind::Backend => kinds::TRAFFIC_MANAGER_BACKEND,
        };
        Target::new(resource, self.meta.namespace.as_deref(), &self.meta.name)
    }

    fn measured(self) -> Measured {
        Measured {
            kind: self.kind,
            namespace: self.meta.namespace.clone().unwrap_or_default(),
            name: self.meta.name.clone(),
        }
    }

    fn event(self, warning: bool, reason: &'static str, note: String) -> Event {
        Event {
            about: self.target(),
            uid: self.meta.uid.clone(),
            warning,
            reason,
            note,
        }
    }

    /// A patch that holds only for the version that was read.
    fn patch(self, body: Value) -> Write {
        Write::MergePatch {
            target: self.target(),
            body,
            status: false,
            resource_version: Some(self.meta.resource_version.clone()),
        }
    }
}

impl ConditionValues {
    pub(super) fn yes(reason: &'static str, message: String) -> Self {
        Self {
            status: ConditionStatus::True,
            reason,
            message,
        }
    }

    pub(super) fn no(reason: &'static str, message: String) -> Self {
        Self {
            status: ConditionStatus::False,
            reason,
            message,
        }
    }

    pub(super) fn unknown(reason: &'static str, message: String) -> Self {
        Self {
            status: ConditionStatus::Unknown,
            reason,
            message,
        }
    }
}

/// Names the profile of an object in the traffic manager.
pub(super) fn profile_id(uid: &str, group: &str) -> ProfileId {
    ProfileId {
        resource_group: group.to_owned(),
        name: traffic_names::profile(uid),
    }
}

/// A failure with the right that is missing, where that is why (networking 12.3).
pub(super) fn with_right(failure: &Failure, subject: &Subject, id: &ProfileId) -> String {
    let text = failure.text();
    if !failure.is_forbidden() {
        return text;
    }
    let (right, group) = (subject.right(), &id.resource_group);
    format!("{text}; the hub agent needs the right {right} on the resource group {group:?} and goes on once it has it")
}
