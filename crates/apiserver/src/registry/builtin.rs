//! The table of built-in kinds.

use super::{Resource, ScalePaths, Traits, Version};
use crate::status::qualified;
use std::sync::Arc;

/// One row: group, version, plural, kind, short names, flags.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    u16,
);

/// Objects live in namespaces.
const NS: u16 = 1;
/// Has `/status`.
const ST: u16 = 2;
/// Has `/scale`.
const SC: u16 = 4;
/// Counts generations.
const GEN: u16 = 8;
/// A replace must carry a resourceVersion.
const COND: u16 = 16;
/// A replace creates what is missing.
const UPSERT: u16 = 32;
/// Deletion answers with the object.
const RET: u16 = 64;
/// In the category `all`.
const ALL: u16 = 128;
/// Only `create`, nothing stored.
const VIRT: u16 = 256;

const CORE: &str = "";
const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const AUTHZ: &str = "authorization.k8s.io";
const AUTHN: &str = "authentication.k8s.io";

const ROWS: &[Row] = &[
    Row(CORE, "v1", "namespaces", "Namespace", &["ns"], ST | RET),
    Row(CORE, "v1", "configmaps", "ConfigMap", &["cm"], NS),
    Row(CORE, "v1", "secrets", "Secret", &[], NS),
    Row(CORE, "v1", "services", "Service", &["svc"], NS | ST | RET | ALL),
    Row(CORE, "v1", "serviceaccounts", "ServiceAccount", &["sa"], NS | RET),
    Row(CORE, "v1", "pods", "Pod", &["po"], NS | ST | RET | GEN | ALL),
    Row(CORE, "v1", "nodes", "Node", &["no"], ST),
    Row(CORE, "v1", "endpoints", "Endpoints", &["ep"], NS | UPSERT),
    Row(CORE, "v1", "events", "Event", &["ev"], NS | UPSERT),
    Row(
        CORE,
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        &["pvc"],
        NS | ST | RET,
    ),
    Row(CORE, "v1", "persistentvolumes", "PersistentVolume", &["pv"], ST | RET),
    Row(CORE, "v1", "limitranges", "LimitRange", &["limits"], NS | UPSERT),
    Row(CORE, "v1", "resourcequotas", "ResourceQuota", &["quota"], NS | ST | RET),
    Row(CORE, "v1", "podtemplates", "PodTemplate", &[], NS | GEN | RET),
    Row(
        CORE,
        "v1",
        "replicationcontrollers",
        "ReplicationController",
        &["rc"],
        NS | ST | SC | GEN | ALL,
    ),
    Row(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        &["deploy"],
        NS | ST | SC | GEN | ALL,
    ),
    Row(
        "apps",
        "v1",
        "statefulsets",
        "StatefulSet",
        &["sts"],
        NS | ST | SC | GEN | ALL,
    ),
    Row("apps", "v1", "daemonsets", "DaemonSet", &["ds"], NS | ST | GEN | ALL),
    Row(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        &["rs"],
        NS | ST | SC | GEN | ALL,
    ),
    Row("apps", "v1", "controllerrevisions", "ControllerRevision", &[], NS),
    Row("batch", "v1", "jobs", "Job", &[], NS | ST | GEN | ALL),
    Row("batch", "v1", "cronjobs", "CronJob", &["cj"], NS | ST | GEN | ALL),
    Row(RBAC, "v1", "roles", "Role", &[], NS | UPSERT),
    Row(RBAC, "v1", "rolebindings", "RoleBinding", &[], NS | UPSERT),
    Row(RBAC, "v1", "clusterroles", "ClusterRole", &[], UPSERT),
    Row(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", &[], UPSERT),
    Row("coordination.k8s.io", "v1", "leases", "Lease", &[], NS | COND | UPSERT),
    Row(
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "EndpointSlice",
        &[],
        NS | GEN,
    ),
    Row(
        "networking.k8s.io",
        "v1",
        "ingresses",
        "Ingress",
        &["ing"],
        NS | ST | GEN,
    ),
    Row(
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        "NetworkPolicy",
        &["netpol"],
        NS | GEN,
    ),
    Row("networking.k8s.io", "v1", "ingressclasses", "IngressClass", &[], GEN),
    Row(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        &["pdb"],
        NS | ST | GEN | COND,
    ),
    Row("storage.k8s.io", "v1", "storageclasses", "StorageClass", &["sc"], RET),
    Row(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        &["pc"],
        GEN,
    ),
    Row(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        &["hpa"],
        NS | ST | ALL,
    ),
    Row(
        "apiregistration.k8s.io",
        "v1",
        "apiservices",
        "APIService",
        &[],
        ST | COND,
    ),
    Row(
        ADMISSION,
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        &[],
        GEN | COND,
    ),
    Row(
        ADMISSION,
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        &[],
        GEN | COND,
    ),
    Row(
        ADMISSION,
        "v1",
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        &[],
        ST | GEN | COND,
    ),
    Row(
        ADMISSION,
        "v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        &[],
        GEN | COND,
    ),
    Row(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        &["crd", "crds"],
        ST | GEN | COND,
    ),
    Row("events.k8s.io", "v1", "events", "Event", &["ev"], NS | UPSERT),
    Row(AUTHN, "v1", "tokenreviews", "TokenReview", &[], VIRT),
    Row(AUTHN, "v1", "selfsubjectreviews", "SelfSubjectReview", &[], VIRT),
    Row(AUTHZ, "v1", "subjectaccessreviews", "SubjectAccessReview", &[], VIRT),
    Row(
        AUTHZ,
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        &[],
        VIRT,
    ),
    Row(
        AUTHZ,
        "v1",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        &[],
        VIRT,
    ),
    Row(
        AUTHZ,
        "v1",
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
        &[],
        VIRT | NS,
    ),
];

/// All built-in resources.
pub fn builtins() -> Vec<Resource> {
    ROWS.iter().map(resource).collect()
}

fn resource(row: &Row) -> Resource {
    let Row(group, version, plural, kind, short, flags) = row;
    let has = |flag: u16| flags & flag != 0;
    // Events are one storage seen through two groups.
    let owner = if *group == "events.k8s.io" {
        ("", "v1")
    } else {
        (*group, *version)
    };
    let mut categories = Vec::new();
    if has(ALL) {
        categories.push("all".to_owned());
    }
    if *group == "apiextensions.k8s.io" || *group == ADMISSION || *group == "apiregistration.k8s.io" {
        categories.push("api-extensions".to_owned());
    }
    Resource {
        group: (*group).to_owned(),
        plural: (*plural).to_owned(),
        singular: kind.to_lowercase(),
        kind: (*kind).to_owned(),
        list_kind: format!("{kind}List"),
        short_names: short.iter().map(|s| (*s).to_owned()).collect(),
        categories,
        namespaced: has(NS),
        versions: vec![Arc::new(Version {
            name: (*version).to_owned(),
            served: true,
            status: has(ST),
            scale: has(SC).then(|| ScalePaths {
                spec: ".spec.replicas".into(),
                status: ".status.replicas".into(),
                selector: None,
            }),
            extra_subresources: extra_subresources(plural),
            columns: Vec::new(),
            schema: None,
            raw_schema: None,
            deprecation: (*plural == "endpoints")
                .then(|| "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()),
            selectable: Vec::new(),
        })],
        storage_version: (*version).to_owned(),
        table: qualified(owner.0, plural).into(),
        traits: Traits {
            generation: has(GEN),
            unconditional_update: !has(COND),
            create_on_update: has(UPSERT),
            returns_deleted: has(RET),
            virtual_create: has(VIRT),
        },
        crd: None,
        generation: 0,
    }
}

fn extra_subresources(plural: &str) -> Vec<&'static str> {
    match plural {
        "serviceaccounts" => vec!["token"],
        "pods" => vec!["binding", "eviction"],
        "namespaces" => vec!["finalize"],
        _ => Vec::new(),
    }
}
