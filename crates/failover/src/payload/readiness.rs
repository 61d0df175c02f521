//! Whether the payload does its job (`PayloadAvailable`).

use fairway_core::apply::{Availability, availability};
use serde_json::Value;

use super::object::{ObjectId, text};
use super::observed::Observed;
use super::resolve::{Object, Resolved};

/// The objects that do not do their job. The rules are those of Works (member-behaviour 5), with one more for Jobs.
pub fn unavailable(payload: &Resolved, observed: &Observed) -> Vec<ObjectId> {
    let down = |object: &&Object| {
        !observed
            .objects
            .get(&object.id)
            .is_some_and(|live| is_available(object, live))
    };
    payload
        .objects
        .iter()
        .filter(down)
        .map(|object| object.id.clone())
        .collect()
}

fn is_available(object: &Object, live: &Value) -> bool {
    let resource = &object.resource;
    if resource.group == "batch" && resource.plural == "jobs" {
        return job(live);
    }
    let found = availability(&resource.group, &resource.version, &resource.plural, live);
    matches!(found, Availability::Available | Availability::NotTrackable)
}

/// A Job does its job while it runs, is suspended on purpose, or has completed.
fn job(live: &Value) -> bool {
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
    let holds = |kind: &str| {
        let mut all = conditions.into_iter().flatten();
        all.any(|c| text(c, "/type") == kind && text(c, "/status") == "True")
    };
    let active = live
        .pointer("/status/active")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    !holds("Failed") && (holds("Complete") || holds("Suspended") || active > 0)
}
