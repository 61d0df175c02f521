//! When a status is written, and what is written.

use serde::Serialize;
use serde_json::{Value, json};

use crate::difference::{self, tree};

/// Times that change without anything else having changed.
const TIMES: [&str; 2] = ["lastTransitionTime", "observationTime"];

/// The merge patch of the status subresource that turns `stored` into `wanted`; `None` when only times differ.
pub fn status_patch<T: Serialize>(stored: &T, wanted: &T) -> Option<Value> {
    let (stored, wanted) = (tree(stored), tree(wanted));
    if without_times(&stored) == without_times(&wanted) {
        return None;
    }
    difference::between(&stored, &wanted).map(|status| json!({ "status": status }))
}

/// Whether two statuses say the same, times aside.
pub fn same<T: Serialize>(a: &T, b: &T) -> bool {
    without_times(&tree(a)) == without_times(&tree(b))
}

fn without_times(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !TIMES.contains(&key.as_str()))
            .map(|(key, field)| (key.clone(), without_times(field)))
            .collect(),
        Value::Array(items) => items.iter().map(without_times).collect(),
        other => other.clone(),
    }
}
