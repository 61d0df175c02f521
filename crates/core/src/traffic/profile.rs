//! The profile itself (networking 6).

use std::time::Duration;

use api::condition;
use api::networking::traffic_names::is_owned;
use api::networking::v1beta1::TrafficManagerProfileStatus;
use api::text::conditions::networking::PROGRAMMED;
use api::text::events::traffic as events;
use api::text::finalizers as fin;
use api::text::messages::profile as messages;
use api::text::reasons::networking as reasons;
use serde_json::Value;

use super::arm::{Action, Call, Failure, ProfileId, Subject};
use super::observed::{Failed, Observed, delete_call, read_call};
use super::pass::{ConditionValues, Pass, ReportedObject, profile_id, with_right};
use super::wanted::WantedProfile;
use super::{MeasuredKind, held};
use crate::objects::TrafficProfile;

/// How far the profile is, for its backends.
pub(super) struct ProfileStage<'a> {
    /// What backends have to go by.
    pub(super) state: State<'a>,
    /// The profile in the traffic manager, where its resource group is known.
    pub(super) id: Option<ProfileId>,
}

pub(super) enum State<'a> {
    /// There is no such profile.
    Missing,
    /// Answers that decide about it are outstanding.
    Waiting,
    /// It is not programmed and will not be by itself.
    Invalid,
    /// It is not programmed yet.
    Pending,
    /// It cannot be read.
    Unreadable(String),
    /// It is being deleted; whether that has failed before.
    Leaving { failed: bool },
    /// It is being deleted and gone from the traffic manager; whether somebody else still holds the object.
    Gone { stays: bool },
    /// It is programmed, and this is what the traffic manager holds.
    Ready(&'a Value),
}

impl State<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Waiting => "waiting for answers",
            Self::Invalid => "invalid",
            Self::Pending => "pending",
            Self::Unreadable(_) => "unreadable",
            Self::Leaving { .. } => "leaving",
            Self::Gone { .. } => "gone",
            Self::Ready(_) => "programmed",
        }
    }
}

pub(super) fn run<'a>(pass: &mut Pass<'a>) -> ProfileStage<'a> {
    let Some(profile) = pass.slice.profile.as_deref() else {
        return ProfileStage {
            state: State::Missing,
            id: None,
        };
    };
    let named = Some(profile.spec.resource_group.as_str()).filter(|group| !group.is_empty());
    let group = named.or(pass.slice.default_group.as_deref());
    let id = group.map(|group| profile_id(&profile.meta.uid, group));
    let work = ProfilePass {
        profile,
        object: ReportedObject {
            meta: &profile.meta,
            kind: MeasuredKind::Profile,
        },
    };
    if let Some(id) = &id {
        warn(pass, work.object, id);
    }
    let state = if profile.meta.is_deleting() {
        work.delete(pass, id.as_ref())
    } else {
        work.update(pass, id.as_ref(), named.is_some())
    };
    pass.trace.record(|trace| trace.profile = state.name().to_owned());
    ProfileStage { state, id }
}

/// What becomes of the name and the id in the status.
enum Found<'a> {
    Keep,
    Clear,
    Is(&'a Value),
}

#[derive(Clone, Copy)]
struct ProfilePass<'a> {
    profile: &'a TrafficProfile,
    object: ReportedObject<'a>,
}

impl<'a> ProfilePass<'a> {
    fn update(self, pass: &mut Pass<'a>, id: Option<&ProfileId>, is_named: bool) -> State<'a> {
        let Some(id) = id else {
            let why = "the profile names no resource group, and the cloud config of the hub agent names none either: set \
                       spec.resourceGroup";
            return self.invalid(pass, why);
        };
        if !is_named {
            pass.set_group(self.object, &id.resource_group);
            self.unchanged(pass);
            return State::Waiting;
        }
        pass.add_finalizer(self.object, fin::METRICS);
        let wanted = match WantedProfile::of(self.profile) {
            Ok(wanted) => wanted,
            Err(why) => return self.invalid(pass, &why),
        };
        if let Some(other) = self.holder_of_name(pass) {
            let values = ConditionValues::no(reasons::DNS_NAME_NOT_AVAILABLE, name_not_available(Some(other)));
            self.report(pass, values, Found::Clear);
            return State::Invalid;
        }
        let observed = pass.observed(id);
        let reading = observed.and_then(Observed::reading);
        if let Some(failed) = observed.and_then(|known| known.failure(&Subject::Read)) {
            pass.call(read_call(id));
            if reading.is_none() || !self.is_single_failure(failed) {
                return self.unreadable(pass, &failed.failure);
            }
        }
        let Some(reading) = reading.filter(|reading| !reading.is_doubtful()) else {
            pass.call(read_call(id));
            self.unchanged(pass);
            return State::Waiting;
        };
        // While it is read again, what is known of it counts. No other call is made beside.
        match reading.is_due_in(id, pass.now) {
            Duration::ZERO => pass.call(read_call(id)),
            due => pass.plan.look_again(due),
        }
        let held = reading.profile.as_ref();
        let differences = held.map(|held| wanted.differences(held)).unwrap_or_default();
        pass.trace.record(|trace| trace.differences.clone_from(&differences));
        match held {
            Some(held) if differences.is_empty() => {
                pass.add_finalizer(self.object, fin::TRAFFIC_MANAGER_PROFILE);
                self.report(pass, programmed(), Found::Is(held));
                State::Ready(held)
            }
            _ => self.write(pass, id, observed, &wanted, held, reading.is_fresh(pass.now)),
        }
    }

    /// Writes the profile, or says why that fails. It is read right before, unless that has just been done.
    fn write(
        self,
        pass: &mut Pass<'a>,
        id: &ProfileId,
        observed: Option<&Observed>,
        wanted: &WantedProfile,
        held: Option<&Value>,
        is_fresh: bool,
    ) -> State<'a> {
        let call = Call {
            profile: id.clone(),
            action: Action::WriteProfile {
                body: wanted.body(held),
            },
            intent: wanted.intent(),
        };
        let Some(failure) = observed.and_then(|known| known.waiting(&call, pass.now)) else {
            if is_fresh {
                pass.add_finalizer(self.object, fin::TRAFFIC_MANAGER_PROFILE);
                pass.call(call);
            } else {
                pass.call(read_call(id));
            }
            self.unchanged(pass);
            return State::Waiting;
        };
        // Not before its time, which the plan takes note of.
        pass.call(call);
        if failure.is_dns_name_taken() {
            let other = pass.slice.same_dns_name.first().map(AsRef::as_ref);
            let values = ConditionValues::no(reasons::DNS_NAME_NOT_AVAILABLE, name_not_available(other));
            self.report(pass, values, Found::Clear);
            State::Invalid
        } else if failure.is_refusal() && failure.status != Some(409) {
            let values = ConditionValues::no(reasons::INVALID, messages::invalid(&failure.text()));
            self.report(pass, values, Found::Clear);
            State::Invalid
        } else {
            self.pending(pass, failure);
            State::Pending
        }
    }

    /// Whether a single read failed: the profile is programmed, and nobody refused the read.
    fn is_single_failure(self, failed: &Failed) -> bool {
        let generation = self.profile.meta.generation;
        let is_programmed = condition::is_true(&self.profile.status.conditions, PROGRAMMED, generation);
        is_programmed && failed.attempts < 2 && !failed.failure.is_refusal()
    }

    /// The profile cannot be read.
    fn unreadable(self, pass: &mut Pass<'a>, failure: &Failure) -> State<'a> {
        if failure.is_forbidden() {
            let values = ConditionValues::no(reasons::INVALID, messages::invalid(&failure.text()));
            self.report(pass, values, Found::Clear);
            return State::Invalid;
        }
        self.pending(pass, failure);
        State::Unreadable(failure.text())
    }

    /// Deletes the profile in the traffic manager, and with it its endpoints; then the object goes (networking 6.4).
    fn delete(self, pass: &mut Pass<'a>, id: Option<&ProfileId>) -> State<'a> {
        let stays = self.profile.meta.finalizers.iter().any(|name| {
            let ours = [fin::METRICS, fin::TRAFFIC_MANAGER_PROFILE];
            !ours.contains(&name.as_str())
        });
        let is_late = self.profile.meta.has_finalizer(fin::TRAFFIC_MANAGER_PROFILE);
        let Some(id) = id.filter(|_| is_late) else {
            pass.remove_finalizers(self.object);
            return State::Gone { stays };
        };
        let observed = pass.observed(id);
        let is_gone = observed
            .and_then(Observed::reading)
            .is_some_and(super::Reading::is_gone);
        if is_gone && !pass.slice.in_flight {
            pass.remove_finalizers(self.object);
            return State::Gone { stays };
        }
        pass.call(delete_call(id));
        let Some(failure) = pass.failure(id, &Subject::Delete) else {
            return State::Leaving { failed: false };
        };
        let message = format!(
            "Failed to delete the Azure Traffic Manager profile {:?} under {:?}: {}",
            id.name,
            id.resource_group,
            with_right(failure, &Subject::Delete, id)
        );
        self.report(pass, ConditionValues::unknown(reasons::PENDING, message), Found::Keep);
        State::Leaving { failed: true }
    }

    /// The other profile of this hub that has the domain name. A profile that was written before is left to the traffic
    /// manager's judgement.
    fn holder_of_name(self, pass: &Pass<'a>) -> Option<&'a TrafficProfile> {
        let is_late = |profile: &TrafficProfile| profile.meta.has_finalizer(fin::TRAFFIC_MANAGER_PROFILE);
        let age = |profile: &TrafficProfile| {
            let meta = &profile.meta;
            (meta.created, meta.namespace.clone(), meta.name.clone())
        };
        if is_late(self.profile) {
            return None;
        }
        let others = pass.slice.same_dns_name.iter().map(AsRef::as_ref);
        others
            .filter(|other| is_late(other) || (!other.meta.is_deleting() && age(other) < age(self.profile)))
            .min_by_key(|other| (!is_late(other), age(other)))
    }

    fn invalid(self, pass: &mut Pass<'a>, why: &str) -> State<'a> {
        self.report(
            pass,
            ConditionValues::no(reasons::INVALID, messages::invalid(why)),
            Found::Clear,
        );
        State::Invalid
    }

    fn pending(self, pass: &mut Pass<'a>, failure: &Failure) {
        let values = ConditionValues::unknown(reasons::PENDING, messages::pending(&failure.text()));
        self.report(pass, values, Found::Keep);
    }

    fn unchanged(self, pass: &mut Pass<'a>) {
        pass.unchanged(self.object, &self.profile.status.conditions);
    }

    fn report(self, pass: &mut Pass<'a>, values: ConditionValues, found: Found<'_>) {
        let stored = &self.profile.status;
        let (dns_name, resource_id) = match found {
            Found::Keep => (stored.dns_name.clone(), stored.resource_id.clone()),
            Found::Clear => (None, String::new()),
            Found::Is(held) => {
                let name = Some(held::fqdn(held)).filter(|name| !name.is_empty());
                let id = held::id(held);
                if name.is_none() || id.is_empty() {
                    let note = "The traffic manager answered without the id or the domain name of the profile.";
                    pass.plan.notes.push(note.to_owned());
                }
                (name.map(str::to_owned), id.to_owned())
            }
        };
        let wanted = TrafficManagerProfileStatus {
            dns_name,
            resource_id,
            conditions: pass.conditions(self.object, &stored.conditions, &values),
        };
        let generation = self.profile.meta.generation;
        let is_new = !condition::is_true(&stored.conditions, PROGRAMMED, generation);
        if is_new && condition::is_true(&wanted.conditions, PROGRAMMED, generation) {
            pass.event(self.object, events::PROGRAMMED, values.message);
        }
        pass.write_status(self.object, stored, &wanted);
    }
}

fn programmed() -> ConditionValues {
    ConditionValues::yes(reasons::PROGRAMMED, messages::PROGRAMMED.to_owned())
}

fn name_not_available(other: Option<&TrafficProfile>) -> String {
    let message = messages::DNS_NAME_NOT_AVAILABLE;
    match other {
        None => message.to_owned(),
        Some(other) => format!(
            "{message}: the TrafficManagerProfile {}/{} has it",
            other.namespace(),
            other.meta.name
        ),
    }
}

/// Warns about every call that fails, about those for endpoints on their backends. This is no matter of how far the
/// objects are: a warning that comes and goes would be recorded again and again.
fn warn<'a>(pass: &mut Pass<'a>, profile: ReportedObject<'a>, id: &ProfileId) {
    let Some(observed) = pass.observed(id) else { return };
    for (subject, failed) in observed.failures() {
        let text = with_right(&failed.failure, subject, id);
        let (Subject::WriteEndpoint(name) | Subject::DeleteEndpoint(name)) = subject else {
            pass.warn(profile, events::AZURE_API_ERROR, text);
            continue;
        };
        let backends = pass.slice.backends.iter();
        let owner = backends
            .map(AsRef::as_ref)
            .find(|backend| is_owned(name, &backend.meta.uid));
        if let Some(owner) = owner {
            let object = ReportedObject {
                meta: &owner.meta,
                kind: MeasuredKind::Backend,
            };
            pass.warn(object, events::AZURE_API_ERROR, format!("{name}: {text}"));
        }
    }
}
