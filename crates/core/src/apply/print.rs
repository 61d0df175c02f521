//! Fingerprints of objects: they show whether one still is as a pass left it, without keeping the object.
//!
//! Comparisons that users see leave out much that a manifest may well set, such as labels of reserved domains
//! (member-behaviour 4.11). Fingerprints cover that too, because applying the manifest again would put it back.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use api::text::annotations;
use serde_json::{Map, Value};

use super::comparable::is_reserved;
use super::prepare::{SERVER_METADATA, STRIPPED_ANNOTATIONS};

/// Fingerprint of an object without its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Print {
    /// What users and we ourselves write: everything but the marks.
    pub content: u64,
    /// What controllers write every now and then: finalizers, and annotations of reserved domains that are not ours.
    pub marks: u64,
}

impl Print {
    /// The fingerprint of an object. Objects that mean the same have the same one within one process.
    pub fn of(object: &Value) -> Self {
        let mut print = Self::default();
        for (key, value) in object.as_object().into_iter().flatten() {
            match key.as_str() {
                // Items of a list may come without the first two.
                "apiVersion" | "kind" | "status" => {}
                "metadata" => print.add_metadata(value),
                _ => add(&mut print.content, key, value),
            }
        }
        print
    }

    fn add_metadata(&mut self, metadata: &Value) {
        let metadata = metadata.as_object().into_iter().flatten();
        for (key, value) in metadata {
            match key.as_str() {
                "annotations" => {
                    for (name, value) in value.as_object().into_iter().flatten() {
                        self.add_annotation(name, value);
                    }
                }
                "finalizers" => add(&mut self.marks, key, value),
                // Which incarnation it is and whose counts, though no manifest says so.
                "uid" | "ownerReferences" => add(&mut self.content, key, value),
                left_out if SERVER_METADATA.contains(&left_out) => {}
                _ => add(&mut self.content, key, value),
            }
        }
    }

    fn add_annotation(&mut self, name: &str, value: &Value) {
        let is_ours = matches!(name, annotations::SPEC_HASH | annotations::LAST_APPLIED);
        if is_ours || !is_reserved(name) {
            add(&mut self.content, name, value);
        } else if !STRIPPED_ANNOTATIONS.contains(&name) {
            add(&mut self.marks, name, value);
        }
    }
}

/// Adds a member of a map; their order does not matter, and one that is null counts as absent.
fn add(sum: &mut u64, key: &str, value: &Value) {
    if value.is_null() {
        return;
    }
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hash(value, &mut hasher);
    *sum = sum.wrapping_add(hasher.finish());
}

fn hash(value: &Value, into: &mut DefaultHasher) {
    std::mem::discriminant(value).hash(into);
    match value {
        Value::Null => {}
        Value::Bool(flag) => flag.hash(into),
        Value::Number(number) => number.hash(into),
        Value::String(text) => text.hash(into),
        Value::Array(items) => {
            items.len().hash(into);
            for item in items {
                hash(item, into);
            }
        }
        Value::Object(map) => sum(map).hash(into),
    }
}

fn sum(map: &Map<String, Value>) -> u64 {
    let mut all = 0;
    for (key, value) in map {
        add(&mut all, key, value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "1", "generation": 1, "managedFields": [{}],
                "labels": {"app.kubernetes.io/name": "n"}, "ownerReferences": [{"uid": "w"}], "finalizers": ["f"],
                "annotations": {"own": "1", "service.beta.kubernetes.io/x": "1", "kubernetes-fleet.io/spec-hash": "h",
                    "deployment.kubernetes.io/revision": "1"}},
            "spec": {"ports": [{"port": 80}, {"port": 81}], "template": {"metadata": {"creationTimestamp": null}}},
            "status": {"x": 1}
        })
    }

    fn changed(path: &str, value: Value) -> Print {
        let mut object = object();
        *object.pointer_mut(path).unwrap() = value;
        Print::of(&object)
    }

    #[test]
    fn what_is_applied_again_has_its_fingerprint() {
        let before = Print::of(&object());
        for path in [
            "/spec/ports/0/port",
            "/metadata/labels/app.kubernetes.io~1name",
            "/metadata/ownerReferences/0/uid",
            "/metadata/annotations/own",
            "/metadata/annotations/kubernetes-fleet.io~1spec-hash",
            "/metadata/uid",
        ] {
            let after = changed(path, json!("other"));
            assert!(after.content != before.content && after.marks == before.marks, "{path}");
        }
        for path in [
            "/metadata/finalizers",
            "/metadata/annotations/service.beta.kubernetes.io~1x",
        ] {
            let after = changed(path, json!("other"));
            assert!(after.content == before.content && after.marks != before.marks, "{path}");
        }
        for path in [
            "/status",
            "/kind",
            "/metadata/resourceVersion",
            "/metadata/generation",
            "/metadata/managedFields",
            "/metadata/annotations/deployment.kubernetes.io~1revision",
        ] {
            assert_eq!(changed(path, json!("other")), before, "{path}");
        }
        assert_eq!(
            changed("/spec/template/metadata", json!({})),
            before,
            "what is null is as good as absent"
        );
        assert_ne!(changed("/spec/ports", json!([{"port": 81}, {"port": 80}])), before);
    }
}
