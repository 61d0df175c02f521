//! What a new placement status changes: events and the status metric (hub-behaviour 3.2, 8.8, 11.1).

use api::placement::v1beta1::PlacementStatus;
use api::text::conditions::PlacementCondition;
use api::text::events::placement as events;
use api::{ConditionStatus, condition};
use serde::Serialize;

use crate::effects::Event;
use crate::objects::Placement;

/// Labels of the placement status series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementFact {
    /// Generation of the placement.
    pub generation: i64,
    /// The first condition that is not fresh True, or `Completed`.
    pub condition: String,
    /// Its status, or `nil`.
    pub status: String,
    /// Its reason, or `nil`.
    pub reason: String,
}

/// Whether everything that the placement requires has happened.
pub fn is_complete(placement: &Placement, status: &PlacementStatus) -> bool {
    first_open(placement, status).is_none()
}

/// Events for the conditions that became True with this status, and for the completion.
pub fn transitions(placement: &Placement, status: &PlacementStatus) -> Vec<Event> {
    let about = |reason, note: String| Event {
        about: placement.target(),
        uid: placement.meta.uid.clone(),
        warning: false,
        reason,
        note,
    };
    let kind = placement.key().kind();
    let generation = placement.meta.generation;
    let mut all = Vec::new();
    for expected in super::expected(placement) {
        let type_ = expected.on(kind);
        let was = condition::is_true(&placement.status.conditions, type_, generation);
        let Some(now) = condition::find(&status.conditions, type_).filter(|c| c.is_true_for(generation)) else {
            continue;
        };
        if let Some(reason) = event(*expected).filter(|_| !was) {
            all.push(about(reason, now.message.clone()));
        }
    }
    if is_complete(placement, status) && !is_complete(placement, &placement.status) {
        let note = format!(
            "Placement {:?} has finished the rollout process and is up to date.",
            placement.meta.name
        );
        all.push(about(events::PLACEMENT_ROLLOUT_COMPLETED, note));
    }
    all
}

/// The labels of the status metric: the first condition that is not fresh True.
pub fn fact(placement: &Placement, status: &PlacementStatus) -> PlacementFact {
    let generation = placement.meta.generation;
    let Some(open) = first_open(placement, status) else {
        let done = || "Completed".to_owned();
        return PlacementFact {
            generation,
            condition: done(),
            status: "True".to_owned(),
            reason: done(),
        };
    };
    let said = condition::find(&status.conditions, open).filter(|c| c.observed_generation == generation);
    PlacementFact {
        generation,
        condition: open.to_owned(),
        status: said.map_or("nil", |c| c.status.as_str()).to_owned(),
        reason: said.map_or("nil", |c| c.reason.as_str()).to_owned(),
    }
}

/// The first of Scheduled and the expected conditions that is not True for the current generation.
fn first_open(placement: &Placement, status: &PlacementStatus) -> Option<&'static str> {
    let kind = placement.key().kind();
    [PlacementCondition::Scheduled]
        .iter()
        .chain(super::expected(placement))
        .map(|c| c.on(kind))
        .find(|type_| {
            let said = condition::find(&status.conditions, type_);
            !said.is_some_and(|c| {
                c.status == ConditionStatus::True && c.observed_generation == placement.meta.generation
            })
        })
}

fn event(kind: PlacementCondition) -> Option<&'static str> {
    match kind {
        PlacementCondition::RolloutStarted => Some(events::PLACEMENT_ROLLOUT_STARTED),
        PlacementCondition::Overridden => Some(events::PLACEMENT_OVERRIDDEN_SUCCEEDED),
        PlacementCondition::WorkSynchronized => Some(events::PLACEMENT_WORK_SYNCHRONIZED),
        PlacementCondition::Applied => Some(events::PLACEMENT_APPLIED),
        PlacementCondition::Available => Some(events::PLACEMENT_AVAILABLE),
        PlacementCondition::DiffReported => Some(events::PLACEMENT_DIFF_REPORTED),
        PlacementCondition::Scheduled | PlacementCondition::StatusSynced => None,
    }
}
