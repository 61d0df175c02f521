//! Fast degradation: endpoints of which the hub knows that they serve nothing are degraded at once, without waiting for
//! probes (docs/decisions/0018). It is for profiles with an annotation that requests it, and needs a traffic manager that
//! takes hints.
//!
//! A hint that degrades ends by itself, so that a hub agent that is gone leaves nothing degraded. It is repeated for as
//! long as its cause holds, and taken back at once when the cause ends.

use std::collections::BTreeMap;
use std::time::Duration;

use api::networking::traffic_names::EndpointName;
use api::text::events::traffic as events;

use super::endpoints;
use super::hinted::{Cause, Hint, LASTS};
use super::observed::Observed;
use super::pass::{Pass, ReportedObject};
use super::profile::ProfileStage;
use super::silence::Silence;
use super::time::{later, until_then};
use super::trace::HintTrace;
use super::{MeasuredKind, wanted};

/// A hint is repeated after this time: early enough for several more attempts before it ends.
const REPEAT_AFTER: Duration = Duration::from_secs(25);
/// Hints in one request; the traffic manager takes no more.
const AT_ONCE: usize = 1000;

/// Plans the hints that are due.
pub(super) fn run(pass: &mut Pass<'_>, stage: &ProfileStage<'_>) {
    let slice = pass.slice;
    let profile = slice.profile.as_deref();
    let Some(profile) = profile.filter(|profile| !profile.meta.is_deleting() && slice.takes_hints) else {
        return;
    };
    let Some(observed) = stage.id.as_ref().and_then(|id| pass.observed(id)) else {
        return;
    };
    let is_wanted = matches!(wanted::fast_degradation(profile), Ok(true));
    let hinted = observed.hinted();
    if !is_wanted && hinted.held.is_empty() {
        return;
    }
    let mut due = Vec::new();
    for (endpoint, cause) in causes(pass, observed, is_wanted) {
        match (cause, hinted.held.get(endpoint)) {
            (Some(cause), Some(held)) if held.cause == cause => {
                match until_then(later(held.at, REPEAT_AFTER), pass.now) {
                    Duration::ZERO => due.push((endpoint, Some(cause))),
                    wait => pass.plan.look_again(wait),
                }
            }
            (None, None) => {}
            (cause, _) => due.push((endpoint, cause)),
        }
    }
    if due.is_empty() || slice.hints_in_flight {
        return;
    }
    let wait = hinted
        .again()
        .map_or(Duration::ZERO, |again| until_then(again, pass.now));
    if !wait.is_zero() {
        return pass.plan.look_again(wait);
    }
    let hints = due.into_iter().take(AT_ONCE).map(|(endpoint, cause)| Hint {
        endpoint: endpoint.to_owned(),
        cause,
        lasts: LASTS,
    });
    pass.plan.facts.hints = hints.collect();
}

/// The endpoints of the profile's backends that the traffic manager holds, and why each serves nothing.
fn causes<'a>(pass: &mut Pass<'_>, observed: &'a Observed, is_wanted: bool) -> BTreeMap<&'a str, Option<Cause>> {
    let mut causes = BTreeMap::new();
    let Some(held) = observed.reading().and_then(|reading| reading.profile.as_ref()) else {
        return causes;
    };
    let slice = pass.slice;
    for backend in &slice.backends {
        let service = slice.services.get(&backend.spec.backend.name);
        for endpoint in endpoints::owned(backend, held).filter(|endpoint| !endpoint.id().is_empty()) {
            let Some(EndpointName { cluster, .. }) = EndpointName::parse(endpoint.name()) else {
                continue;
            };
            let mut exporters = service.into_iter().flat_map(|service| &service.exporters);
            let exporter = exporters.find(|exporter| exporter.cluster == cluster);
            let export = exporter.and_then(|exporter| exporter.export.as_ref());
            let lost_at = slice.silent.get(&cluster).map(Silence::lost_at);
            let cause = if !is_wanted {
                None
            } else if lost_at.is_some_and(|at| at <= pass.now) {
                Some(Cause::MemberLost)
            } else {
                if let Some(at) = lost_at {
                    pass.plan.look_again(until_then(at, pass.now));
                }
                export
                    .is_some_and(|export| export.is_ready == Some(false))
                    .then_some(Cause::NotReady)
            };
            if let Some(cause) = cause {
                let object = ReportedObject {
                    meta: &backend.meta,
                    kind: MeasuredKind::Backend,
                };
                let note = format!(
                    "The endpoint of the cluster {cluster} is degraded without waiting for a probe: {}",
                    cause.text()
                );
                pass.warn(object, events::ENDPOINT_DEGRADED, note);
                let taken = observed.hinted().held.get(endpoint.id());
                let until = taken
                    .filter(|held| held.cause == cause)
                    .map(|held| later(held.at, LASTS));
                pass.trace.record(|trace| {
                    trace.hints.push(HintTrace {
                        backend: backend.meta.name.clone(),
                        cluster: cluster.clone(),
                        cause: cause.text(),
                        until,
                    });
                });
            }
            causes.insert(endpoint.id(), cause);
        }
    }
    causes
}
