//! Removing what the schema does not name.

use crate::Schema;
use crate::node::{Additional, Node};
use serde_json::{Map, Value};

/// Fields of `metadata` that every object may have.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

impl Schema {
    /// Removes fields that the schema does not name and returns their paths, sorted.
    ///
    /// Kept are everything under `x-kubernetes-preserve-unknown-fields` that is not named, and apiVersion, kind and metadata of
    /// the object and of embedded ones.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        prune(object, Some(&self.root), "", &mut unknown);
        unknown.sort();
        unknown
    }
}

/// The error of a request with strict field validation, without the wrapper that names the object. `None` without unknown
/// fields.
pub fn strict_decoding_error(unknown: &[String]) -> Option<String> {
    let fields: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    (!fields.is_empty()).then(|| format!("strict decoding error: {}", fields.join(", ")))
}

fn prune(value: &mut Value, node: Option<&Node>, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => prune_map(map, node, path, unknown),
        Value::Array(list) => {
            let preserved = node.is_some_and(|node| node.preserve_unknown);
            let item = node.and_then(|node| node.items.as_deref());
            for (index, element) in list.iter_mut().enumerate() {
                if item.is_some() || !preserved {
                    prune(element, item, &format!("{path}[{index}]"), unknown);
                }
            }
        }
        _ => {}
    }
}

fn prune_map(map: &mut Map<String, Value>, node: Option<&Node>, path: &str, unknown: &mut Vec<String>) {
    let preserved = node.is_some_and(|node| node.preserve_unknown);
    let embedded = node.is_some_and(|node| node.embedded);
    map.retain(|key, value| {
        let child_path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        if embedded && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
            if let (true, Value::Object(meta)) = (key == "metadata", value) {
                prune_metadata(meta, &child_path, unknown);
            }
            return true;
        }
        let child = node.and_then(|node| node.member(key));
        let open = node.is_some_and(|node| matches!(node.additional, Additional::Allowed(true)));
        match child {
            Some(child) => prune(value, Some(child), &child_path, unknown),
            None if preserved => {}
            None if open => prune(value, None, &child_path, unknown),
            None => {
                unknown.push(child_path);
                return false;
            }
        }
        true
    });
}

fn prune_metadata(meta: &mut Map<String, Value>, path: &str, unknown: &mut Vec<String>) {
    meta.retain(|key, _| {
        let known = METADATA.contains(&key.as_str());
        if !known {
            unknown.push(format!("{path}.{key}"));
        }
        known
    });
}
