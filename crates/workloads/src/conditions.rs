//! Statuses as JSON: conditions that keep their times, and patches that are sent only when they change something.

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One condition. Its transition time is kept from `status` as long as its value stays.
pub fn condition(status: &Value, kind: &str, value: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let known = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|known| known["type"] == kind);
    let since = known
        .filter(|known| known["status"] == value)
        .map(|known| known["lastTransitionTime"].clone());
    let mut fresh = json!({
        "type": kind,
        "status": value,
        "lastTransitionTime": since.filter(Value::is_string).unwrap_or_else(|| time(now)),
    });
    for (field, text) in [("reason", reason), ("message", message)] {
        if !text.is_empty() {
            fresh[field] = text.into();
        }
    }
    fresh
}

/// A time of Kubernetes: whole seconds.
pub fn time(now: Timestamp) -> Value {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// A count that is absent when it is zero, as most counts in statuses are.
pub fn count(number: usize) -> Value {
    if number == 0 { Value::Null } else { number.into() }
}

/// A typed status as JSON; an absent one is an empty object.
pub fn as_json<T: Serialize>(status: Option<&T>) -> Value {
    let value = status.and_then(|status| serde_json::to_value(status).ok());
    value
        .filter(Value::is_object)
        .unwrap_or_else(|| Value::Object(Map::new()))
}

/// Whether a merge patch would change anything.
pub fn changes(current: &Value, patch: &Value) -> bool {
    match (current, patch) {
        (Value::Object(current), Value::Object(patch)) => patch.iter().any(|(key, wanted)| match current.get(key) {
            Some(found) => changes(found, wanted),
            None => !wanted.is_null(),
        }),
        (current, patch) => current != patch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_time_lasts_as_long_as_the_value() {
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).expect("valid"));
        let first = condition(&json!({}), "Ready", "False", "Why", "", early);
        assert_eq!(first["lastTransitionTime"], "1970-01-01T00:00:00Z");
        let status = json!({"conditions": [first]});
        assert_eq!(
            condition(&status, "Ready", "False", "Else", "", late)["lastTransitionTime"],
            "1970-01-01T00:00:00Z"
        );
        assert_eq!(
            condition(&status, "Ready", "True", "Why", "", late)["lastTransitionTime"],
            "1970-01-01T00:01:00Z"
        );
    }

    #[test]
    fn a_patch_of_present_values_changes_nothing() {
        let current = json!({"replicas": 2, "conditions": [{"type": "A"}]});
        for (patch, expected) in [
            (json!({"replicas": 2, "readyReplicas": null}), false),
            (json!({"replicas": null}), true),
            (json!({"readyReplicas": 1}), true),
            (json!({"conditions": [{"type": "A"}]}), false),
            (json!({"conditions": []}), true),
        ] {
            assert_eq!(changes(&current, &patch), expected, "{patch}");
        }
    }
}
