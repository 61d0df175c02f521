//! The workload controllers, for clusters without a controller manager.
//!
//! They write what the real ones write, with two differences: children have names that follow from their owner, so that
//! a repeated creation is harmless, and nothing waits for time to pass.

pub mod daemon_set;
pub mod deployment;
pub mod endpoints;
pub mod job;
mod pod_set;
pub mod replica_set;
pub mod stateful_set;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

/// A reference that makes `owner` the controller of a child.
fn owner_reference<K: Resource<DynamicType = ()>>(owner: &K) -> Value {
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "name": owner.name_any(),
        "uid": owner.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A Pod of a template.
fn pod_of<K: Resource<DynamicType = ()>>(owner: &K, template: &PodTemplateSpec, name: &str) -> Value {
    let meta = template.metadata.clone().unwrap_or_default();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": owner.namespace(),
            "labels": meta.labels,
            "annotations": meta.annotations,
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": template.spec,
    })
}

/// Ten characters that follow from a text, in the alphabet of generated names.
fn digest(text: &str) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let digits = std::iter::successors(Some(hash), |rest| Some(rest / 27)).take(10);
    digits
        .filter_map(|rest| ALPHABET.get(usize::try_from(rest % 27).ok()?))
        .map(|byte| char::from(*byte))
        .collect()
}

/// The digest of a template: equal templates are one revision.
fn revision_of(template: &PodTemplateSpec) -> String {
    digest(&serde_json::to_string(template).unwrap_or_default())
}

/// The first characters of a digest, as suffix of a name.
fn suffix(text: &str) -> String {
    digest(text).chars().take(5).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_differ_and_repeat() {
        assert_eq!(digest("a"), digest("a"));
        assert_ne!(digest("a"), digest("b"));
        assert_eq!((digest("").len(), suffix("a").len()), (10, 5));
    }
}
