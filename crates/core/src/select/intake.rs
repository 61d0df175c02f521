//! Takes a hub object into the index of selectable resources: sanitised, and judged by kind.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Exclusion, Selectable};
use crate::objects::{DecodeError, Digest, Manifest, ObjectId};

/// Server-set metadata that never travels (hub-behaviour 2.8).
const SERVER_METADATA: [&str; 8] = [
    "resourceVersion",
    "generation",
    "uid",
    "selfLink",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "ownerReferences",
];

const LOCAL_ANNOTATIONS: [&str; 2] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
];

const JOB_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// Turns a live object of the hub into what the index keeps of it.
///
/// # Errors
/// When `apiVersion` or `kind` is missing.
pub fn take_in(mut object: Value) -> Result<Selectable, DecodeError> {
    let id = ObjectId::of(&object)?;
    let deleting = object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|at| !at.is_null());
    let exclusion = exclusion(&id, &object);
    let status = object.get("status").and_then(Digest::of_value);
    sanitise(&id, &mut object);
    Ok(Selectable {
        manifest: Arc::new(Manifest::from_value(&object)?),
        deleting,
        exclusion,
        status,
    })
}

/// Whether kind and content forbid to propagate the object (hub-behaviour 2.7).
fn exclusion(id: &ObjectId, object: &Value) -> Exclusion {
    let owned = || {
        object
            .pointer("/metadata/ownerReferences")
            .and_then(Value::as_array)
            .is_some_and(|o| !o.is_empty())
    };
    let always = match (id.group.as_str(), id.version.as_str(), id.kind.as_str()) {
        ("apps", "v1", "ReplicaSet" | "ControllerRevision") => owned(),
        ("", "v1", "ConfigMap") => id.name == "kube-root-ca.crt",
        ("", "v1", "ServiceAccount") => id.name == "default",
        ("", "v1", "Secret") => {
            object.get("type").and_then(Value::as_str) == Some("kubernetes.io/service-account-token")
        }
        ("", "v1", "PersistentVolumeClaim") => return Exclusion::WhenHubRunsWorkloads,
        ("", "v1", "Endpoints") => return Exclusion::WhenServiceExists,
        ("discovery.k8s.io", "v1", "EndpointSlice") => object
            .pointer("/metadata/labels/endpointslice.kubernetes.io~1managed-by")
            .is_some(),
        _ => false,
    };
    if always { Exclusion::Always } else { Exclusion::None }
}

/// Removes what only makes sense on the hub (hub-behaviour 2.8).
fn sanitise(id: &ObjectId, object: &mut Value) {
    let Some(top) = object.as_object_mut() else { return };
    top.remove("status");
    if let Some(metadata) = map_mut(top, "metadata") {
        for key in SERVER_METADATA {
            metadata.remove(key);
        }
        if let Some(annotations) = map_mut(metadata, "annotations") {
            for key in LOCAL_ANNOTATIONS {
                annotations.remove(key);
            }
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    match (id.group.as_str(), id.version.as_str(), id.kind.as_str()) {
        ("", "v1", "Service") => sanitise_service(top),
        ("batch", "v1", "Job") => sanitise_job(top),
        _ => {}
    }
}

/// Drops addresses and ports that the hub allotted.
fn sanitise_service(top: &mut Map<String, Value>) {
    let Some(spec) = map_mut(top, "spec") else { return };
    if spec.get("clusterIP").is_some_and(|ip| ip.as_str() != Some("None")) {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    spec.remove("healthCheckNodePort");
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(port) = port.as_object_mut() {
            port.remove("nodePort");
        }
    }
}

/// Drops the selector that the hub generated, unless the user manages it.
fn sanitise_job(top: &mut Map<String, Value>) {
    let Some(spec) = map_mut(top, "spec") else { return };
    if spec.get("manualSelector").and_then(Value::as_bool) == Some(true) {
        return;
    }
    if let Some(labels) = map_mut(spec, "selector").and_then(|selector| map_mut(selector, "matchLabels")) {
        JOB_LABELS.iter().for_each(|key| drop(labels.remove(*key)));
    }
    if let Some(metadata) = map_mut(spec, "template").and_then(|template| map_mut(template, "metadata")) {
        metadata.remove("creationTimestamp");
        if let Some(labels) = map_mut(metadata, "labels") {
            JOB_LABELS.iter().for_each(|key| drop(labels.remove(*key)));
        }
    }
}

fn map_mut<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_a_user_wrote_remains() {
        let taken = take_in(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "web", "namespace": "app", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [], "ownerReferences": [{}],
                "finalizers": ["f"], "labels": {"a": "b"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
            "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "healthCheckNodePort": 1,
                     "ports": [{"port": 80, "nodePort": 30000}]},
            "status": {"loadBalancer": {}},
        }))
        .unwrap();
        assert_eq!(
            taken.manifest.value(),
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "web", "namespace": "app", "finalizers": ["f"], "labels": {"a": "b"}},
                "spec": {"ports": [{"port": 80}]},
            })
        );
        let headless = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "h"},
            "spec": {"clusterIP": "None", "clusterIPs": ["None"]}});
        assert_eq!(take_in(headless.clone()).unwrap().manifest.value(), headless);
    }

    #[test]
    fn generated_job_selectors_stay_behind() {
        let job = |manual: bool| {
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {
                "manualSelector": manual,
                "selector": {"matchLabels": {"controller-uid": "1", "batch.kubernetes.io/controller-uid": "1", "x": "y"}},
                "template": {"metadata": {"creationTimestamp": null, "labels": {"controller-uid": "1", "x": "y"}}},
            }})
        };
        let cleaned = take_in(job(false)).unwrap().manifest.value();
        assert_eq!(cleaned.pointer("/spec/selector/matchLabels"), Some(&json!({"x": "y"})));
        assert_eq!(
            cleaned.pointer("/spec/template/metadata"),
            Some(&json!({"labels": {"x": "y"}}))
        );
        assert_eq!(take_in(job(true)).unwrap().manifest.value(), job(true));
    }

    #[test]
    fn kinds_that_stay_on_the_hub() {
        let cases = [
            (
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "a", "ownerReferences": [{}]}}),
                Exclusion::Always,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "a"}}),
                Exclusion::None,
            ),
            (
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}}),
                Exclusion::Always,
            ),
            (
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
                Exclusion::Always,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "kubernetes.io/service-account-token"}),
                Exclusion::Always,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque"}),
                Exclusion::None,
            ),
            (
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "p"}}),
                Exclusion::WhenHubRunsWorkloads,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e"}}),
                Exclusion::WhenServiceExists,
            ),
            (
                json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "e",
                "labels": {"endpointslice.kubernetes.io/managed-by": "x"}}}),
                Exclusion::Always,
            ),
        ];
        for (object, expected) in cases {
            assert_eq!(take_in(object.clone()).unwrap().exclusion, expected, "{object}");
        }
    }
}
