//! What the hub says of an export, shown on the ServiceExport (networking 9.5 and 16.7).

use api::condition::{Condition, ConditionStatus};
use api::text::events::export as events;
use api::text::{conditions, reasons};
use jiff::Timestamp;

use super::decide::{pending, put, time};
use super::{ExportEvent, ExportView};
use crate::services::{Conflict, Verdict};

/// Shows a verdict. Returns the conditions to write and the event, or nothing when users already see it.
///
/// The hub's condition observes its own record, so generations are not compared (networking 9.5).
pub fn verdict(export: &ExportView, verdict: &Verdict, now: Timestamp) -> Option<(Vec<Condition>, ExportEvent)> {
    let (status, event) = match verdict.conflict {
        Conflict::NoConflict => (ConditionStatus::False, events::NO_CONFLICT_FOUND),
        Conflict::Conflict => (ConditionStatus::True, events::CONFLICT_FOUND),
        Conflict::Unknown => (ConditionStatus::Unknown, events::PENDING),
    };
    let kind = conditions::networking::CONFLICT;
    let desired = Condition::new(
        kind,
        status,
        &verdict.reason,
        &verdict.message,
        export.generation,
        time(now),
    );
    let mut all = export.conditions.clone();
    put(&mut all, desired).then(|| {
        let warning = verdict.conflict == Conflict::Conflict;
        (
            all,
            ExportEvent {
                source: events::FEEDBACK_CONTROLLER,
                warning,
                reason: event,
                note: verdict.message.clone(),
            },
        )
    })
}

/// Shows that the hub refused the report for good; `why` is a full sentence.
pub fn refused(export: &ExportView, why: &str, now: Timestamp) -> Option<(Vec<Condition>, ExportEvent)> {
    let mut desired = pending(export, now);
    desired.message = why.to_owned();
    let mut all = export.conditions.clone();
    put(&mut all, desired).then(|| {
        let reason = reasons::networking::SERVICE_PENDING_CONFLICT_RESOLUTION;
        (
            all,
            ExportEvent {
                source: events::FEEDBACK_CONTROLLER,
                warning: true,
                reason,
                note: why.to_owned(),
            },
        )
    })
}
