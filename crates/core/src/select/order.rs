//! The order of selected objects (hub-behaviour 2.6). It only makes snapshots deterministic; members have their own.

use std::cmp::Ordering;

use crate::objects::ObjectId;

const RANKED: [&str; 32] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Compares two objects: known kinds by rank, then version and name; unknown kinds after them, by kind and name.
pub fn compare(a: &ObjectId, b: &ObjectId) -> Ordering {
    let rank = |id: &ObjectId| RANKED.iter().position(|kind| *kind == id.kind).unwrap_or(RANKED.len());
    let place = |id: &ObjectId| format!("{}/{}", id.namespace, id.name);
    rank(a)
        .cmp(&rank(b))
        .then_with(|| match rank(a) {
            known if known < RANKED.len() => a.api_version().cmp(&b.api_version()),
            _ => kind_text(a).cmp(&kind_text(b)),
        })
        .then_with(|| place(a).cmp(&place(b)))
}

fn kind_text(id: &ObjectId) -> String {
    format!("{}/{}, Kind={}", id.group, id.version, id.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_kinds_first_then_by_text() {
        let id = |group: &str, version: &str, kind: &str, namespace: &str, name: &str| ObjectId {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        };
        let sorted = [
            id("", "v1", "Namespace", "", "b"),
            id("", "v1", "ConfigMap", "a", "z"),
            id("", "v1", "ConfigMap", "b", "a"),
            id("a.io", "v1", "Service", "a", "a"),
            id("", "v1", "Service", "a", "a"),
            id("apps", "v1", "Deployment", "a", "a"),
            id("", "v1", "Zebra", "a", "a"),
            id("a.io", "v1", "Alpha", "a", "a"),
            id("a.io", "v1", "Beta", "", "a"),
        ];
        let mut shuffled = sorted.to_vec();
        shuffled.reverse();
        shuffled.sort_by(compare);
        assert_eq!(shuffled, sorted);
    }
}
