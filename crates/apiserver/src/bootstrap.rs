//! What a fresh server holds: standard namespaces, standard roles, the API's own Service.

use crate::namespaces::{self, create_own};
use crate::server::Core;
use serde_json::{Value, json};
use std::sync::Arc;

const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const CLUSTER_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";

/// Fills a fresh server.
pub fn run(core: &Arc<Core>) {
    for name in namespaces::STANDARD {
        namespaces::ensure(core, name);
    }
    for (name, rules) in roles() {
        create_own(core, CLUSTER_ROLES, role(name, rules));
    }
    for (role, groups) in [
        ("cluster-admin", &["system:masters"][..]),
        ("system:discovery", &["system:authenticated"]),
        ("system:basic-user", &["system:authenticated"]),
        (
            "system:public-info-viewer",
            &["system:authenticated", "system:unauthenticated"],
        ),
    ] {
        create_own(core, CLUSTER_BINDINGS, binding(role, groups));
    }
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None", "type": "ClusterIP",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]},
        "status": {"loadBalancer": {}}});
    create_own(core, "services", service);
}

fn role(name: &str, rules: Value) -> Value {
    let mut metadata = json!({"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}});
    let mut role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": rules});
    if matches!(name, "admin" | "edit" | "view") {
        // Whoever labels a role of a custom resource extends these.
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{name}");
        role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
        metadata["labels"]["rbac.authorization.k8s.io/bootstrapped"] = "true".into();
    }
    role["metadata"] = metadata;
    role
}

fn binding(role: &str, groups: &[&str]) -> Value {
    let subjects: Vec<Value> = groups
        .iter()
        .map(|name| json!({"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}))
        .collect();
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": role, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": subjects})
}

fn roles() -> Vec<(&'static str, Value)> {
    let paths = json!([
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/"
    ]);
    let read = json!(["get", "list", "watch"]);
    let write = json!([
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch"
    ]);
    let core_kinds = json!([
        "configmaps",
        "endpoints",
        "events",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "pods/log",
        "pods/status",
        "replicationcontrollers",
        "serviceaccounts",
        "services",
        "services/status"
    ]);
    let groups = [
        "apps",
        "batch",
        "autoscaling",
        "networking.k8s.io",
        "policy",
        "discovery.k8s.io",
    ];
    let kinds = |verbs: &Value| {
        vec![
            json!({"apiGroups": [""], "resources": core_kinds, "verbs": verbs}),
            json!({"apiGroups": groups, "resources": ["*"], "verbs": verbs}),
            json!({"apiGroups": [""], "resources": ["namespaces", "limitranges", "resourcequotas"], "verbs": read}),
        ]
    };
    let mut edit = kinds(&write);
    edit.push(json!({"apiGroups": [""], "resources": ["secrets", "serviceaccounts/token"], "verbs": write}));
    let mut admin = edit.clone();
    admin.push(
        json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": write}),
    );
    vec![
        (
            "cluster-admin",
            json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]),
        ),
        ("admin", json!(admin)),
        ("edit", json!(edit)),
        ("view", json!(kinds(&read))),
        (
            "system:discovery",
            json!([{"nonResourceURLs": paths, "verbs": ["get"]}]),
        ),
        (
            "system:basic-user",
            json!([
                {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
                {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
            ]),
        ),
        (
            "system:public-info-viewer",
            json!([{"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"], "verbs": ["get"]}]),
        ),
        (
            "system:auth-delegator",
            json!([
                {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
                {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
            ]),
        ),
    ]
}
