//! The backends of a profile (networking 7.2 to 7.5).

mod deletion;

use std::time::Duration;

use api::condition;
use api::networking::v1beta1::{TrafficManagerBackendStatus, TrafficManagerEndpointStatus};
use api::text::conditions::networking::{ACCEPTED, PROGRAMMED};
use api::text::events::traffic as events;
use api::text::finalizers as fin;
use api::text::messages::backend as messages;
use api::text::reasons::networking as reasons;
use serde_json::Value;

use super::MeasuredKind;
use super::arm::{Action, Call, Failure, ProfileId, Subject};
use super::endpoints::{self, Comparison, Wanted, WantedEndpoint};
use super::observed::{Observed, delete_endpoint_call};
use super::pass::{ConditionValues, Pass, ReportedObject, with_right};
use super::profile::{ProfileStage, State};
use super::time::{later, until_then};
use super::trace::BackendTrace;
use super::{priorities, wanted};
use crate::objects::TrafficBackend;
use crate::services::EndpointSettings;
use crate::trace::Recorder;

/// An endpoint whose weight alone differs is written after this time, whatever its exports do meanwhile,
const LONGEST: Duration = Duration::from_secs(30);
/// and one that is missing or points elsewhere after this.
const LONGEST_UNSERVED: Duration = Duration::from_secs(3);
/// Clusters that a message names at most.
const MAX_NAMED: usize = 10;

/// A backend in a pass.
#[derive(Clone, Copy)]
struct BackendPass<'a> {
    backend: &'a TrafficBackend,
    object: ReportedObject<'a>,
}

/// What was decided about a backend without its endpoints.
enum Decision<'a> {
    /// The status stays as it is until further answers are there.
    Unchanged,
    /// The condition is this. The endpoints are those that are served.
    Report(ConditionValues),
    /// Its endpoints are to be brought in line.
    Endpoints(Endpoints<'a>),
}

/// Endpoint work of a backend.
struct Endpoints<'a> {
    held: &'a Value,
    wanted: Wanted,
    comparison: Comparison<'a>,
    /// The condition once no endpoint is left, where none is wanted.
    without: Option<ConditionValues>,
}

/// Plans all backends: first deletions in the traffic manager, then writes, then statuses.
pub(super) fn run<'a>(pass: &mut Pass<'a>, stage: &ProfileStage<'a>) {
    let mut backends: Vec<&'a TrafficBackend> = pass.slice.backends.iter().map(AsRef::as_ref).collect();
    backends.sort_by_key(|backend| (backend.meta.created, &backend.meta.name));
    let mut decided = Vec::new();
    for backend in backends {
        let work = BackendPass {
            backend,
            object: ReportedObject {
                meta: &backend.meta,
                kind: MeasuredKind::Backend,
            },
        };
        if backend.meta.is_deleting() {
            deletion::run(pass, stage, work);
            continue;
        }
        let mut trace = BackendTrace {
            name: backend.meta.name.clone(),
            ..BackendTrace::default()
        };
        let recorder = match pass.trace.is_on() {
            true => Recorder::on(&mut trace),
            false => Recorder::off(),
        };
        let decision = work.decide(pass, stage, recorder);
        decided.push((work, decision, trace));
    }
    let id = stage.id.clone().unwrap_or_default();
    for (_, decision, _) in &decided {
        if let Decision::Endpoints(work) = decision {
            for name in &work.comparison.stale {
                pass.call(delete_endpoint_call(&id, name));
            }
        }
    }
    let works = || decided.iter().filter_map(|(_, decision, _)| decision.endpoints());
    let mut due = Vec::new();
    for work in works() {
        let is_clean = work.comparison.stale.is_empty();
        for endpoint in &work.comparison.missing {
            pass.plan.facts.differing.push(endpoint.name.clone());
            if is_clean && is_due(pass, endpoint) {
                due.push(endpoint.clone());
            }
        }
    }
    if let Some(held) = works().next().map(|work| work.held)
        && pass.slice.profile.as_deref().is_some_and(wanted::routes_by_priority)
    {
        let wanted: Vec<&WantedEndpoint> = works().flat_map(|work| &work.wanted.endpoints).collect();
        due = priorities::arrange(due, &wanted, held, |endpoint| {
            let subject = Subject::WriteEndpoint(endpoint.name.to_ascii_lowercase());
            pass.failure(&id, &subject).is_some()
        });
    }
    for endpoint in due {
        pass.call(endpoint.call(&id));
    }
    oldest_first(pass);
    for (work, decision, mut trace) in decided {
        let outcome = match decision {
            Decision::Unchanged => None,
            Decision::Report(values) => {
                let served = work.served(pass, stage);
                Some((values, served))
            }
            Decision::Endpoints(endpoints) => work.judge(pass, &id, endpoints),
        };
        trace.outcome = outcome.as_ref().map(|(values, _)| values.message.clone());
        match outcome {
            None => pass.unchanged(work.object, &work.backend.status.conditions),
            Some((values, endpoints)) => work.report(pass, values, endpoints),
        }
        pass.trace.record(|all| all.backends.push(trace));
    }
}

/// Whether an endpoint is to be written now: its exports are collected first, because its weight depends on all of them.
fn is_due(pass: &mut Pass<'_>, endpoint: &WantedEndpoint) -> bool {
    let Some(until) = pass.slice.collected.until else {
        return true;
    };
    let since = pass.slice.collected.differing.get(&endpoint.name);
    let longest = if endpoint.is_served { LONGEST } else { LONGEST_UNSERVED };
    let latest = later(since.copied().unwrap_or(pass.now), longest);
    let wait = until_then(until.min(latest), pass.now);
    if !wait.is_zero() {
        pass.plan.look_again(wait);
    }
    wait.is_zero()
}

/// Endpoints that have differed for long go before others, so that none waits for ever for those that change all the time.
fn oldest_first(pass: &mut Pass<'_>) {
    let (differing, now) = (&pass.slice.collected.differing, pass.now);
    let since = |call: &Call| match &call.action {
        Action::WriteEndpoint { name, .. } => differing.get(name).copied().unwrap_or(now),
        _ => now,
    };
    pass.plan.facts.calls.sort_by_key(since);
    pass.plan.facts.revised.sort_by_key(since);
}

impl<'a> Decision<'a> {
    fn endpoints(&self) -> Option<&Endpoints<'a>> {
        match self {
            Self::Endpoints(work) => Some(work),
            Self::Unchanged | Self::Report(_) => None,
        }
    }
}

impl<'a> BackendPass<'a> {
    /// The checks of networking 7.2, in their order.
    fn decide(
        self,
        pass: &mut Pass<'a>,
        stage: &ProfileStage<'a>,
        mut trace: Recorder<'_, BackendTrace>,
    ) -> Decision<'a> {
        pass.add_finalizer(self.object, fin::METRICS);
        self.warn_of_exports(pass);
        let profile = &self.backend.spec.profile.name;
        let name = &self.backend.spec.backend.name;
        let arm = stage.id.clone().unwrap_or_default();
        let (group, arm_name) = (&arm.resource_group, &arm.name);
        let held = match &stage.state {
            State::Missing => return no(messages::profile_not_found(profile)),
            State::Waiting if self.is_judged() || is_programmed(pass) => return Decision::Unchanged,
            State::Waiting | State::Pending => return unknown(messages::profile_in_process(profile)),
            State::Invalid => return no(messages::invalid_profile(profile)),
            State::Unreadable(error) => {
                pass.warn(self.object, events::AZURE_API_ERROR, error.clone());
                return unknown(messages::azure_profile_unreadable(arm_name, group, error));
            }
            State::Leaving { .. } | State::Gone { stays: false } => return Decision::Unchanged,
            State::Gone { stays: true } => return no(messages::azure_profile_not_found(arm_name, group)),
            State::Ready(held) => *held,
        };
        let Some(service) = pass.slice.services.get(name) else {
            let values = ConditionValues::no(reasons::INVALID, messages::service_not_found(name));
            return self.without_endpoints(held, values, &mut trace);
        };
        if self.backend.weight() == 0 {
            let values = ConditionValues::yes(reasons::ACCEPTED, messages::accepted(0));
            return self.without_endpoints(held, values, &mut trace);
        }
        if service.exporters.is_empty() {
            return unknown(messages::EXPORTING.to_owned());
        }
        if let Some(missing) = service.exporters.iter().find(|exporter| exporter.export.is_none()) {
            let namespace = &pass.slice.namespace;
            return unknown(messages::export_not_found(namespace, name, &missing.cluster));
        }
        pass.add_finalizer(self.object, fin::TRAFFIC_MANAGER_BACKEND);
        let settings = match EndpointSettings::of(|name| self.backend.meta.annotation(name)) {
            Ok(settings) => settings,
            Err(why) => return no(messages::invalid(&why)),
        };
        let wanted = Wanted::of(self.backend, &settings, service);
        Decision::Endpoints(Endpoints {
            held,
            comparison: endpoints::compare(self.backend, &wanted, held, &mut trace),
            wanted,
            without: None,
        })
    }

    fn without_endpoints(
        self,
        held: &'a Value,
        values: ConditionValues,
        trace: &mut Recorder<'_, BackendTrace>,
    ) -> Decision<'a> {
        let wanted = Wanted::default();
        Decision::Endpoints(Endpoints {
            held,
            comparison: endpoints::compare(self.backend, &wanted, held, trace),
            wanted,
            without: Some(values),
        })
    }

    /// The condition and the endpoints to report; nothing while an answer is outstanding.
    fn judge(
        self,
        pass: &mut Pass<'a>,
        id: &ProfileId,
        work: Endpoints<'a>,
    ) -> Option<(ConditionValues, Vec<TrafficManagerEndpointStatus>)> {
        let Comparison {
            stale,
            missing,
            accepted,
        } = work.comparison;
        let served = endpoints::served(self.backend, work.held, Some(&work.wanted));
        let profile = &id.name;

        let mut left = Vec::new();
        for name in stale {
            let subject = Subject::DeleteEndpoint(name.to_ascii_lowercase());
            left.push((name, with_right(pass.failure(id, &subject)?, &subject, id)));
        }
        if let Some((name, error)) = left.first() {
            let values = ConditionValues::unknown(reasons::PENDING, messages::not_cleaned_up(name, profile, error));
            return Some((values, served));
        }

        let mut failed = Vec::new();
        for endpoint in &missing {
            let failure = pass.observed(id)?.waiting(&endpoint.call(id), pass.now)?;
            failed.push((endpoint, failure));
        }
        if let Some((endpoint, failure)) = failed.iter().find(|(_, failure)| !failure.is_refusal()) {
            let message = messages::not_written(&endpoint.name, profile, &failure.text());
            return Some((ConditionValues::unknown(reasons::PENDING, message), served));
        }
        if let Some(values) = work.without {
            return Some((values, Vec::new()));
        }
        let refused: Vec<(&str, String)> = failed
            .iter()
            .map(|(endpoint, failure)| (endpoint.cluster.as_str(), Failure::text(failure)))
            .collect();
        let values = match (refused.as_slice(), work.wanted.invalid.as_slice()) {
            ([], []) => ConditionValues::yes(reasons::ACCEPTED, messages::accepted(accepted.len())),
            (refused, invalid) => ConditionValues::no(reasons::INVALID, not_accepted(refused, invalid)),
        };
        Some((values, accepted))
    }

    /// The endpoints that the traffic manager serves, where that is known; else those that were reported.
    fn served(self, pass: &Pass<'a>, stage: &ProfileStage<'a>) -> Vec<TrafficManagerEndpointStatus> {
        if matches!(stage.state, State::Missing | State::Gone { .. }) {
            return Vec::new();
        }
        let observed = stage.id.as_ref().and_then(|id| pass.observed(id));
        match observed.and_then(Observed::reading) {
            None => self.backend.status.endpoints.clone(),
            Some(reading) => {
                let held = reading.profile.as_ref();
                held.map_or_else(Vec::new, |held| endpoints::served(self.backend, held, None))
            }
        }
    }

    /// Reports a condition, with the endpoints that belong to it.
    fn report(self, pass: &mut Pass<'a>, values: ConditionValues, mut endpoints: Vec<TrafficManagerEndpointStatus>) {
        endpoints::sort(&mut endpoints);
        let stored = &self.backend.status;
        let generation = self.backend.meta.generation;
        let wanted = TrafficManagerBackendStatus {
            conditions: pass.conditions(self.object, &stored.conditions, &values),
            endpoints,
        };
        let is_accepted =
            |status: &TrafficManagerBackendStatus| condition::is_true(&status.conditions, ACCEPTED, generation);
        let is_change = !is_accepted(stored) || stored.endpoints != wanted.endpoints;
        if is_accepted(&wanted) && is_change {
            pass.event(self.object, events::ACCEPTED, values.message);
        }
        pass.write_status(self.object, stored, &wanted);
    }

    /// Warns about each cluster whose export cannot be an endpoint.
    fn warn_of_exports(self, pass: &mut Pass<'a>) {
        let service = pass.slice.services.get(&self.backend.spec.backend.name);
        let Some(service) = service.filter(|_| self.backend.weight() > 0) else {
            return;
        };
        for (cluster, why) in Wanted::of(self.backend, &EndpointSettings::default(), service).invalid {
            let note = format!("The Service exported from the cluster {cluster} cannot be an endpoint: {why}");
            pass.warn(self.object, events::ENDPOINT_NOT_ACCEPTED, note);
        }
    }

    fn is_judged(self) -> bool {
        let known = condition::find(&self.backend.status.conditions, ACCEPTED);
        known.is_some_and(|known| known.observed_generation == self.backend.meta.generation)
    }
}

fn is_programmed(pass: &Pass<'_>) -> bool {
    pass.slice
        .profile
        .as_ref()
        .is_some_and(|profile| condition::is_true(&profile.status.conditions, PROGRAMMED, profile.meta.generation))
}

fn no<'a>(message: String) -> Decision<'a> {
    Decision::Report(ConditionValues::no(reasons::INVALID, message))
}

fn unknown<'a>(message: String) -> Decision<'a> {
    Decision::Report(ConditionValues::unknown(reasons::PENDING, message))
}

/// Why a backend is not accepted, with an example each and the names of all other clusters.
fn not_accepted(refused: &[(&str, String)], invalid: &[(String, String)]) -> String {
    let mut message = String::new();
    if let Some((_, why)) = refused.first() {
        message = messages::refused(refused.len(), why);
    }
    if let Some((cluster, why)) = invalid.first() {
        message.push_str(&messages::not_exposed(invalid.len(), cluster, why));
    }
    let others: Vec<&str> = refused.iter().skip(1).map(|(cluster, _)| *cluster).collect();
    let others = others
        .into_iter()
        .chain(invalid.iter().skip(1).map(|(cluster, _)| cluster.as_str()));
    let others: Vec<&str> = others.collect();
    if !others.is_empty() {
        let named = others.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = match others.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        message = format!("{}; also not accepted: {named}{more}", message.trim_end_matches("; "));
    }
    message
}
