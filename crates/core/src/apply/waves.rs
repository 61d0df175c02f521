//! The order in which manifests of one Work are applied (member-behaviour 4.8).

/// Groups whose plurals have a place in the table; the two lookups are independent of each other on purpose.
const GROUPS: [&str; 12] = [
    "",
    "networking.k8s.io",
    "scheduling.k8s.io",
    "policy",
    "storage.k8s.io",
    "apiextensions.k8s.io",
    "rbac.authorization.k8s.io",
    "apps",
    "autoscaling",
    "apiregistration.k8s.io",
    "admissionregistration.k8s.io",
    "batch",
];

/// The wave of everything that is not in the table.
pub const LAST_WAVE: u16 = 999;

/// The wave of a resource: what others build upon comes first.
pub fn wave(group: &str, plural: &str) -> u16 {
    if !GROUPS.contains(&group) {
        return LAST_WAVE;
    }
    match plural {
        "namespaces" | "priorityclasses" => 0,
        "networkpolicies"
        | "resourcequotas"
        | "limitranges"
        | "podsecuritypolicies"
        | "poddisruptionbudgets"
        | "serviceaccounts"
        | "secrets"
        | "configmaps"
        | "storageclasses"
        | "persistentvolumes"
        | "persistentvolumeclaims"
        | "customresourcedefinitions"
        | "ingressclasses" => 1,
        "clusterroles" | "roles" => 2,
        "clusterrolebindings" | "rolebindings" => 3,
        "services"
        | "daemonsets"
        | "pods"
        | "replicationcontrollers"
        | "replicasets"
        | "deployments"
        | "horizontalpodautoscalers"
        | "statefulsets"
        | "jobs"
        | "cronjobs"
        | "ingresses" => 4,
        "apiservices" | "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => 5,
        _ => LAST_WAVE,
    }
}

#[cfg(test)]
mod tests {
    use super::wave;

    #[test]
    fn order_of_kinds() {
        let cases = [
            ("", "namespaces", 0),
            ("scheduling.k8s.io", "priorityclasses", 0),
            ("", "configmaps", 1),
            ("apiextensions.k8s.io", "customresourcedefinitions", 1),
            ("rbac.authorization.k8s.io", "roles", 2),
            ("rbac.authorization.k8s.io", "rolebindings", 3),
            ("apps", "deployments", 4),
            ("batch", "jobs", 4),
            ("apiregistration.k8s.io", "apiservices", 5),
            ("example.com", "configmaps", 999),
            ("", "endpoints", 999),
            ("apps", "configmaps", 1),
        ];
        for (group, plural, wanted) in cases {
            assert_eq!(wave(group, plural), wanted, "{group}/{plural}");
        }
    }
}
