//! What of an object counts in comparisons, and the hash of a manifest (member-behaviour 4.11, 4.14).

use api::hash::hex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::canonical::canonical;

/// Labels and annotations whose key contains one of these never count.
const RESERVED_DOMAINS: [&str; 3] = ["kubernetes.io/", "k8s.io/", "kubernetes-fleet.io/"];

/// Fields of the metadata that never count.
const IGNORED_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "generateName",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Where embedded pod templates keep a creation time that some encoders write as `null`.
const TEMPLATE_METADATA: [&[&str]; 2] = [
    &["spec", "template", "metadata"],
    &["spec", "jobTemplate", "spec", "template", "metadata"],
];

/// A copy of the object with only the fields that count in a comparison.
///
/// Emptied maps and lists of the metadata stay in place, because the hash covers them.
pub fn comparable(object: &Value) -> Value {
    let mut out = object.clone();
    let Some(root) = out.as_object_mut() else { return out };
    root.remove("status");
    for path in TEMPLATE_METADATA {
        let mut at = Some(&mut *root);
        for key in path {
            at = at.and_then(|map| map.get_mut(*key)).and_then(Value::as_object_mut);
        }
        if let Some(metadata) = at {
            metadata.remove("creationTimestamp");
        }
    }
    let metadata = root.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    let Some(metadata) = metadata.as_object_mut() else {
        return out;
    };
    for key in IGNORED_METADATA {
        metadata.remove(key);
    }
    metadata.remove("creationTimestamp");
    for key in ["annotations", "labels"] {
        let kept = metadata
            .get(key)
            .and_then(Value::as_object)
            .map(unreserved)
            .unwrap_or_default();
        metadata.insert(key.to_owned(), Value::Object(kept));
    }
    for key in ["finalizers", "managedFields", "ownerReferences"] {
        metadata.insert(key.to_owned(), json!([]));
    }
    out
}

/// The manifest hash that placed objects carry: lower-case hex SHA-256 of the canonical JSON of what counts.
pub fn manifest_hash(manifest: &Value) -> String {
    hex(&Sha256::digest(canonical(&comparable(manifest)).as_bytes()))
}

/// Whether a label or annotation key belongs to Kubernetes or the fleet and is therefore no drift.
pub fn is_reserved(key: &str) -> bool {
    RESERVED_DOMAINS.iter().any(|domain| key.contains(domain))
}

fn unreserved(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter()
        .filter(|(key, _)| !is_reserved(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_of_the_contract() {
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "ns"}, "data": {"k": "v<1>"}
        });
        assert_eq!(
            canonical(&comparable(&manifest)),
            r#"{"apiVersion":"v1","data":{"k":"v\u003c1\u003e"},"kind":"ConfigMap","metadata":{"annotations":{},"finalizers":[],"labels":{},"managedFields":[],"ownerReferences":[]}}"#
        );
        assert_eq!(
            manifest_hash(&manifest),
            "9fa38a1f654e137aca3250b4a2b3c7320f4e87d8b41b11663da965f915a8d5b6"
        );
    }

    #[test]
    fn what_servers_and_the_fleet_write_does_not_count() {
        let wanted = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"annotations": {"helm.sh/chart": "c"}, "labels": {"tier": "x"}, "custom": 1,
                "finalizers": [], "managedFields": [], "ownerReferences": []},
            "spec": {"template": {"metadata": {"labels": {"app.kubernetes.io/name": "kept in templates"}}}}
        });
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "a", "namespace": "b", "generateName": "c", "uid": "d", "resourceVersion": "1", "generation": 4,
                "selfLink": "x", "creationTimestamp": "t", "deletionTimestamp": "t", "deletionGracePeriodSeconds": 1, "custom": 1,
                "annotations": {"helm.sh/chart": "c", "deployment.kubernetes.io/revision": "1", "kubernetes-fleet.io/spec-hash": "x"},
                "labels": {"tier": "x", "app.kubernetes.io/name": "n", "node.k8s.io/y": "z"},
                "finalizers": ["f"], "managedFields": [{}], "ownerReferences": [{}]
            },
            "spec": {"template": {"metadata": {"creationTimestamp": null, "labels": {"app.kubernetes.io/name": "kept in templates"}}}},
            "status": {"replicas": 1}
        });
        assert_eq!(comparable(&live), wanted);
        assert_eq!(comparable(&wanted), wanted, "comparing twice changes nothing");
    }
}
