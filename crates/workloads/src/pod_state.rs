//! What the status of a Pod says.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// Whether a Pod ran to its end.
pub fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether a Pod counts for its controller: neither over nor on its way out.
pub fn is_active(pod: &Pod) -> bool {
    !is_over(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// Whether a Pod says that it is ready.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether an event about this Pod may mean that a node has more room than before.
pub fn leaves_room(pod: &Pod) -> bool {
    !is_active(pod)
}

/// Whether a Service with this selector stands for the Pod: it is one of its Pods and has an address.
pub fn is_behind(pod: &Pod, namespace: &str, selector: &BTreeMap<String, String>) -> bool {
    let labels = pod.labels();
    let addressed = pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some());
    pod.namespace().as_deref() == Some(namespace)
        && addressed
        && !is_over(pod)
        && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether new connections may go to a Pod that a Service stands for.
pub fn serves(pod: &Pod) -> bool {
    is_ready(pod) && pod.metadata.deletion_timestamp.is_none()
}
