//! The move of a `kubectl apply` user from client-side to server-side apply.

use super::Conflict;
use super::walk::{field_set, path_text};
use crate::types::TypeInfo;
use serde_json::Value;

/// The manager that kubectl's server-side apply uses.
pub(super) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The conflicts about fields that the user had not set by client-side apply before.
pub(super) fn without_last_applied(
    conflicts: Vec<Conflict>,
    live: Option<&Value>,
    types: TypeInfo<'_>,
) -> Vec<Conflict> {
    let text = live.and_then(|live| live["metadata"]["annotations"][ANNOTATION].as_str());
    let last = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let set = last
        .and_then(|last| field_set(&last, types, false).ok())
        .unwrap_or_default();
    let allowed: Vec<String> = set.paths().iter().map(|path| path_text(path)).collect();
    conflicts
        .into_iter()
        .filter(|conflict| !allowed.contains(&conflict.path))
        .collect()
}

/// Keeps the annotation of client-side apply, where there is one, equal to what was applied.
pub(super) fn sync_last_applied(object: &mut Value, config: &Value) {
    let Some(annotations) = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let Some(annotation) = annotations.get_mut(ANNOTATION) else {
        return;
    };
    let mut config = config.clone();
    if let Some(annotations) = config
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(ANNOTATION);
    }
    *annotation = Value::String(format!("{config}\n"));
}
