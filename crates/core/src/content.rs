//! The content of a Work in the form in which the API server stores it.
//!
//! Works are compared by a hash over what is stored. Whatever the API server would drop or rewrite must therefore be
//! dropped before it is sent: otherwise a Work would look changed for ever.

use std::sync::Arc;

use serde_json::Value;

use crate::objects::{Digest, Manifest};

/// Fields of object metadata. The API server drops others from embedded objects.
const METADATA: [&str; 14] = [
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
    "uid",
];

/// Drops what the API server would not store of an embedded object: nulls and unknown fields of its metadata.
pub fn storable(mut value: Value) -> Value {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, field| !field.is_null() && METADATA.contains(&key.as_str()));
    }
    value
}

/// The hash over a list of manifests, to be compared with that of a stored Work.
pub fn digest(manifests: &[Arc<Manifest>]) -> Digest {
    Digest::of_list(manifests.iter().map(|manifest| &**manifest.text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Work;
    use serde_json::json;

    #[test]
    fn a_stored_work_hashes_like_what_was_sent() {
        let sent = storable(json!({
            "apiVersion": "v1", "kind": "A", "ratio": 1.0, "text": "<&>", "nothing": null,
            "metadata": {"name": "a", "creationTimestamp": null, "unheardOf": 1},
        }));
        assert_eq!(sent["metadata"], json!({"name": "a"}));
        // The API server is written in Go: it stores 1.0 as 1.
        let stored = json!({
            "apiVersion": "v1", "kind": "A", "ratio": 1, "text": "<&>", "nothing": null, "metadata": {"name": "a"},
        });
        let work = json!({"metadata": {"name": "w", "namespace": "n"}, "spec": {"workload": {"manifests": [stored]}}});
        let manifest = Arc::new(Manifest::from_value(&sent).unwrap());
        assert_eq!(digest(&[manifest]), Work::from_value(work).unwrap().manifests_hash);
    }
}
