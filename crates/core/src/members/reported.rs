//! What a member reports besides its agents, as far as the MemberCluster can hold it (placement-api 4.1).
//!
//! The API server refuses a status as a whole for one value of a wrong type. So each value is looked at here, and one that
//! does not fit is left out alone.

use api::quantity::Quantity;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Reads one part of a report; what does not fit is left out, with a sentence about it.
type Read = fn(&Value, &mut Vec<String>) -> Option<Value>;

/// The parts of a report and how they are read.
pub(super) const REPORTS: [(&str, Read); 3] = [
    ("resourceUsage", resource_usage),
    ("namespaces", namespaces),
    ("properties", properties),
];

fn properties(value: &Value, left_out: &mut Vec<String>) -> Option<Value> {
    entries("property", "properties", value, left_out, |property| {
        property.get("value").is_some_and(Value::is_string) && property.get("observationTime").is_some_and(is_time)
    })
}

fn namespaces(value: &Value, left_out: &mut Vec<String>) -> Option<Value> {
    entries("namespace", "namespaces", value, left_out, Value::is_string)
}

fn resource_usage(value: &Value, left_out: &mut Vec<String>) -> Option<Value> {
    let Some(usage) = value.as_object() else {
        left_out.push(sentence("resourceUsage", "is no object"));
        return None;
    };
    let mut kept = Map::new();
    for (key, part) in usage {
        match key.as_str() {
            "capacity" | "allocatable" | "available" => {
                let field = format!("resourceUsage.{key}");
                let part = (!part.is_null()).then(|| entries("resource", &field, part, left_out, is_quantity));
                kept.extend(part.flatten().map(|part| (key.clone(), part)));
            }
            "observationTime" if !is_time(part) => {
                if !part.is_null() {
                    left_out.push(sentence("resourceUsage.observationTime", "is no time"));
                }
            }
            _ => drop(kept.insert(key.clone(), part.clone())),
        }
    }
    Some(Value::Object(kept))
}

/// The entries of a map that fit; nothing when it is no map.
fn entries(
    what: &str,
    field: &str,
    value: &Value,
    left_out: &mut Vec<String>,
    fits: fn(&Value) -> bool,
) -> Option<Value> {
    let Some(map) = value.as_object() else {
        left_out.push(sentence(field, "is no object"));
        return None;
    };
    let (kept, bad): (Map<_, _>, Map<_, _>) = map.clone().into_iter().partition(|(_, entry)| fits(entry));
    left_out.extend(bad.keys().map(|name| {
        format!("The {what} {name:?} that the member cluster reports in {field} cannot be stored and is left out.")
    }));
    Some(Value::Object(kept))
}

fn sentence(field: &str, why: &str) -> String {
    format!("The field {field} that the member cluster reports {why} and is left out.")
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok())
}

/// An integer or a text in the notation of quantities.
fn is_quantity(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::String(text) => text.parse::<Quantity>().is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(part: &str, value: &Value) -> (Option<Value>, usize) {
        let mut left_out = Vec::new();
        let (_, read) = REPORTS.into_iter().find(|(name, _)| *name == part).unwrap();
        (read(value, &mut left_out), left_out.len())
    }

    #[test]
    fn what_does_not_fit_is_left_out_alone() {
        let time = "2026-01-01T00:00:00Z";
        let good = json!({"value": "3", "observationTime": time});
        let reported = json!({"a": good, "b": {"value": 3, "observationTime": time}, "c": "x", "d": {"value": "1"}});
        assert_eq!(read("properties", &reported), (Some(json!({ "a": good })), 3));
        assert_eq!(read("properties", &json!([])), (None, 1));
        assert_eq!(
            read("namespaces", &json!({"a": "", "b": 1})),
            (Some(json!({"a": ""})), 1)
        );
        let usage = json!({"capacity": {"cpu": "4", "memory": true, "pods": 110}, "available": 7, "allocatable": null,
                           "observationTime": "yesterday"});
        assert_eq!(
            read("resourceUsage", &usage),
            (Some(json!({"capacity": {"cpu": "4", "pods": 110}})), 3)
        );
        let fine = json!({"capacity": {"cpu": "4"}, "observationTime": time});
        assert_eq!(read("resourceUsage", &fine), (Some(fine.clone()), 0));
    }
}
