//! The decision about one ServiceExport (networking 9.1).

use api::condition::{self, Condition, ConditionStatus};
use api::text::events::export as events;
use api::text::{conditions, reasons};
use jiff::Timestamp;

use super::{ExportEvent, ExportView, ServiceView, weight};
use crate::services::{EndpointSettings, ExportReport, PublicIp, ServiceRef, WithdrawReason, Withdrawal};

/// What is to be done about a ServiceExport.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is reported to the hub.
    pub link: LinkStep,
    /// What becomes of the finalizer.
    pub finalizer: Finalizer,
    /// The conditions to write, when they differ from the stored ones.
    pub conditions: Option<Vec<Condition>>,
    /// Events to record after the status is written.
    pub events: Vec<ExportEvent>,
}

/// What is reported to the hub about an export.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a report is the common case")]
pub enum LinkStep {
    /// Nothing: what it knows stays.
    #[default]
    Keep,
    /// The export as it is now. The finalizer must be stored before.
    Report(ExportReport),
    /// The export is gone.
    Withdraw(Withdrawal),
}

/// What becomes of the finalizer of a ServiceExport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finalizer {
    /// It stays as it is.
    #[default]
    Keep,
    /// Stored before the report goes out.
    Add,
    /// Removed as soon as the hub has acknowledged the withdrawal.
    RemoveOnceWithdrawn,
}

impl Decision {
    /// The same with what was found out about the public address of the Service and about its endpoints, see
    /// [`super::address`] and [`super::readiness`].
    #[must_use]
    pub fn with_traffic(mut self, address: PublicIp, is_ready: Option<bool>) -> Self {
        if let LinkStep::Report(report) = &mut self.link {
            (report.public_ip, report.is_ready) = (address, is_ready);
        }
        self
    }

    /// The same without anything for traffic: the feature is off (networking 3.6 and 13.2).
    #[must_use]
    pub fn without_traffic(mut self) -> Self {
        if let LinkStep::Report(report) = &mut self.link {
            report.service_type.clear();
            report.weight = None;
            report.internal_load_balancer = false;
            (report.public_ip, report.is_ready) = (PublicIp::default(), None);
            report.endpoint = EndpointSettings::default();
        }
        self
    }
}

/// Decides about one ServiceExport. `since` is when the present version of its Service was first seen; `leaving` says
/// that the cluster leaves the fleet, which withdraws every export.
pub fn decide(
    export: &ExportView,
    service: Option<&ServiceView>,
    leaving: bool,
    since: Timestamp,
    now: Timestamp,
) -> Decision {
    if export.deleting || leaving {
        let reason = if leaving {
            WithdrawReason::Leaving
        } else {
            WithdrawReason::ExportDeleted
        };
        return withdrawn(export, reason);
    }
    let key = &export.key;
    let Some(service) = service.filter(|service| !service.deleting) else {
        let message = format!("service {key} is not found");
        return invalid(
            export,
            withdrawn(export, WithdrawReason::ServiceNotFound),
            reasons::networking::SERVICE_NOT_FOUND,
            message,
            events::SERVICE_NOT_FOUND,
            now,
        );
    };
    if !service.is_eligible() {
        let message = format!("service {key} is not eligible for export");
        return invalid(
            export,
            withdrawn(export, WithdrawReason::ServiceIneligible),
            reasons::networking::SERVICE_INELIGIBLE,
            message,
            events::SERVICE_NOT_ELIGIBLE,
            now,
        );
    }
    match weight(export.weight.as_deref()) {
        Err(why) => {
            let message = format!("serviceExport {key} has an invalid weight annotation, err = {why}");
            let reason = reasons::networking::SERVICE_EXPORT_INVALID_WEIGHT_ANNOTATION;
            invalid(export, Decision::default(), reason, message, reason, now)
        }
        Ok(0) => weightless(export, withdrawn(export, WithdrawReason::ZeroWeight), now),
        Ok(weight) => match &export.endpoint {
            Err(why) => {
                let message = format!("serviceExport {key} has an invalid endpoint annotation, err = {why}");
                let reason = reasons::networking::SERVICE_EXPORT_INVALID_ENDPOINT_ANNOTATION;
                invalid(export, Decision::default(), reason, message, reason, now)
            }
            Ok(endpoint) => {
                let report = ExportReport {
                    endpoint: endpoint.clone(),
                    ..report(service, weight, since)
                };
                exported(export, report, now)
            }
        },
    }
}

/// The export is to disappear from the hub; an export without the finalizer was never there.
///
/// The Service's uid is left out: the Service that is there now may not be the one that the hub has recorded, and a
/// withdrawal must reach the record of either. Sequence numbers and epochs keep it from reaching a later one.
fn withdrawn(export: &ExportView, reason: WithdrawReason) -> Decision {
    if !export.has_finalizer() {
        return Decision::default();
    }
    Decision {
        link: LinkStep::Withdraw(Withdrawal {
            service_uid: String::new(),
            reason,
        }),
        finalizer: Finalizer::RemoveOnceWithdrawn,
        ..Decision::default()
    }
}

fn invalid(
    export: &ExportView,
    mut decision: Decision,
    reason: &str,
    message: String,
    event: &'static str,
    now: Timestamp,
) -> Decision {
    let mut all = export.conditions.clone();
    if put(
        &mut all,
        valid(export, ConditionStatus::False, reason, message.clone(), now),
    ) {
        decision.conditions = Some(all);
        decision.events.push(ExportEvent {
            source: events::CONTROLLER,
            warning: true,
            reason: event,
            note: message,
        });
    }
    decision
}

/// A weight of 0 is valid and exports nothing, so a verdict of before no longer counts.
fn weightless(export: &ExportView, mut decision: Decision, now: Timestamp) -> Decision {
    let reason = reasons::networking::SERVICE_IS_VALID;
    let message = format!("exported service {} with 0 weight", export.key);
    let mut all = export.conditions.clone();
    let mut changed = put(
        &mut all,
        valid(export, ConditionStatus::True, reason, message.clone(), now),
    );
    if condition::find(&all, conditions::networking::CONFLICT).is_some() {
        changed |= put(&mut all, pending(export, now));
    }
    if changed {
        decision.conditions = Some(all);
        decision.events.push(ExportEvent {
            source: events::CONTROLLER,
            warning: false,
            reason: events::WEIGHTLESS,
            note: message,
        });
    }
    decision
}

fn exported(export: &ExportView, report: ExportReport, now: Timestamp) -> Decision {
    let key = &export.key;
    let message = format!("service {key} is valid for export");
    let mut all = export.conditions.clone();
    let reason = reasons::networking::SERVICE_IS_VALID;
    let mut changed = put(
        &mut all,
        valid(export, ConditionStatus::True, reason, message.clone(), now),
    );
    if condition::find(&all, conditions::networking::CONFLICT).is_none() {
        changed |= put(&mut all, pending(export, now));
    }
    let mut decision = Decision {
        link: LinkStep::Report(report),
        finalizer: if export.has_finalizer() {
            Finalizer::Keep
        } else {
            Finalizer::Add
        },
        ..Decision::default()
    };
    if changed {
        decision.conditions = Some(all);
        let pending = format!("service {key} is pending export conflict resolution");
        decision.events = vec![
            ExportEvent {
                source: events::CONTROLLER,
                warning: false,
                reason: events::VALID,
                note: message,
            },
            ExportEvent {
                source: events::CONTROLLER,
                warning: false,
                reason: events::PENDING,
                note: pending,
            },
        ];
    }
    decision
}

fn report(service: &ServiceView, weight: i64, since: Timestamp) -> ExportReport {
    ExportReport {
        service: ServiceRef {
            uid: service.uid.clone(),
            resource_version: service.resource_version.clone(),
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
        },
        exported_since: Some(since),
        ports: service.ports.clone(),
        service_type: service.service_type.clone(),
        weight: Some(weight),
        internal_load_balancer: service.internal_load_balancer,
        public_ip: PublicIp::default(),
        is_ready: None,
        endpoint: EndpointSettings::default(),
    }
}

fn valid(export: &ExportView, status: ConditionStatus, reason: &str, message: String, now: Timestamp) -> Condition {
    Condition::new(
        conditions::networking::VALID,
        status,
        reason,
        message,
        export.generation,
        time(now),
    )
}

pub(super) fn pending(export: &ExportView, now: Timestamp) -> Condition {
    Condition::new(
        conditions::networking::CONFLICT,
        ConditionStatus::Unknown,
        reasons::networking::SERVICE_PENDING_CONFLICT_RESOLUTION,
        format!("service {} is pending export conflict resolution", export.key),
        export.generation,
        time(now),
    )
}

/// Times on the wire have whole seconds.
pub(super) fn time(now: Timestamp) -> api::Time {
    api::Time(now)
}

/// Sets a condition unless it already says the same, message included: annotations do not move the generation, so the
/// message may be all that changes. Returns whether it did.
pub(super) fn put(all: &mut Vec<Condition>, desired: Condition) -> bool {
    let known = condition::find(all, &desired.type_);
    if known.is_some_and(|known| known.covers(&desired) && known.message == desired.message) {
        return false;
    }
    condition::set(all, desired)
}
