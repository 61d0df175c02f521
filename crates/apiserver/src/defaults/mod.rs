//! Defaults of built-in kinds, as the real server fills them in.

mod pods;
mod workloads;

use crate::object::{child, default_with};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

/// Fills in the defaults of a built-in kind, named by its table.
pub fn apply(table: &str, value: &mut Value) {
    match table {
        "pods" => {
            pods::spec(child(value, "spec"));
            pods::own(child(value, "spec"));
            pods::status(value.get_mut("status"));
        }
        "nodes" => node(value),
        "namespaces" => namespace_label(value),
        "services" => service(value),
        "secrets" => secret(value),
        "persistentvolumeclaims" => drop(
            child(value, "spec")
                .entry("volumeMode")
                .or_insert_with(|| "Filesystem".into()),
        ),
        "persistentvolumes" => {
            let spec = child(value, "spec");
            default_with(spec, "volumeMode", || "Filesystem".into());
            default_with(spec, "persistentVolumeReclaimPolicy", || "Retain".into());
            if let Some(Value::Object(host)) = spec.get_mut("hostPath") {
                default_with(host, "type", || "".into());
            }
        }
        "endpoints" => endpoints(value),
        "endpointslices.discovery.k8s.io" => {
            ports(value.get_mut("ports"));
            each(value.get_mut("endpoints")).for_each(|endpoint| default_with(endpoint, "conditions", || json!({})));
        }
        "networkpolicies.networking.k8s.io" => network_policy(value),
        "storageclasses.storage.k8s.io" => {
            let class = crate::object::as_map(value);
            default_with(class, "reclaimPolicy", || "Delete".into());
            default_with(class, "volumeBindingMode", || "Immediate".into());
        }
        "priorityclasses.scheduling.k8s.io" => {
            let class = crate::object::as_map(value);
            default_with(class, "preemptionPolicy", || "PreemptLowerPriority".into());
            default_with(class, "value", || 0.into());
        }
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => binding(value),
        "horizontalpodautoscalers.autoscaling" => {
            let cpu = json!([{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 80}}}]);
            default_with(child(value, "spec"), "minReplicas", || 1.into());
            default_with(child(value, "spec"), "metrics", || cpu);
        }
        "customresourcedefinitions.apiextensions.k8s.io" => definition(value),
        _ => workloads::apply(table, value),
    }
}

/// Labels a namespace with its own name, so that selectors can choose it.
fn namespace_label(value: &mut Value) {
    let name = crate::object::name(value).to_owned();
    if !name.is_empty() {
        let labels = crate::object::meta_mut(value)
            .entry("labels")
            .or_insert_with(|| json!({}));
        crate::object::as_map(labels).insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

fn each(list: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    list.and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

fn ports(list: Option<&mut Value>) {
    each(list).for_each(|port| {
        default_with(port, "protocol", || "TCP".into());
        default_with(port, "name", || "".into());
    });
}

fn service(value: &mut Value) {
    let spec = child(value, "spec");
    default_with(spec, "type", || "ClusterIP".into());
    default_with(spec, "sessionAffinity", || "None".into());
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind != "ExternalName" {
        default_with(spec, "internalTrafficPolicy", || "Cluster".into());
    }
    if kind == "NodePort" || kind == "LoadBalancer" {
        default_with(spec, "externalTrafficPolicy", || "Cluster".into());
    }
    if kind == "LoadBalancer" {
        default_with(spec, "allocateLoadBalancerNodePorts", || true.into());
    } else {
        spec.remove("allocateLoadBalancerNodePorts");
    }
    if spec.get("sessionAffinity").is_some_and(|a| a == "ClientIP") {
        default_with(
            spec,
            "sessionAffinityConfig",
            || json!({"clientIP": {"timeoutSeconds": 10800}}),
        );
    }
    each(spec.get_mut("ports")).for_each(|port| {
        default_with(port, "protocol", || "TCP".into());
        let own = port.get("port").cloned().unwrap_or_default();
        let missing = port.get("targetPort").is_none_or(|t| t.is_null() || *t == 0 || t == "");
        if missing {
            port.insert("targetPort".into(), own);
        }
    });
    let status = child(value, "status");
    default_with(status, "loadBalancer", || json!({}));
    if let Some(Value::Object(balancer)) = status.get_mut("loadBalancer") {
        each(balancer.get_mut("ingress"))
            .filter(|i| i.contains_key("ip"))
            .for_each(|ingress| {
                default_with(ingress, "ipMode", || "VIP".into());
            });
    }
}

fn node(value: &mut Value) {
    let status = child(value, "status");
    if let Some(capacity) = status.get("capacity").cloned() {
        default_with(status, "allocatable", || capacity);
    }
}

/// Fields that core events always show. They are nobody's, so they are added when ownership has been settled.
pub fn event(value: &mut Value) {
    if value.get("apiVersion").is_some_and(|v| v == "v1") {
        let event = crate::object::as_map(value);
        event.entry("eventTime").or_insert(Value::Null);
        default_with(event, "reportingComponent", || "".into());
        default_with(event, "reportingInstance", || "".into());
    }
}

fn secret(value: &mut Value) {
    let secret = crate::object::as_map(value);
    default_with(secret, "type", || "Opaque".into());
    let Some(Value::Object(plain)) = secret.remove("stringData") else {
        return;
    };
    let data = crate::object::as_map(secret.entry("data").or_insert_with(|| json!({})));
    for (key, text) in plain {
        data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
    }
}

fn endpoints(value: &mut Value) {
    each(value.get_mut("subsets")).for_each(|subset| {
        each(subset.get_mut("ports")).for_each(|port| default_with(port, "protocol", || "TCP".into()));
    });
}

fn network_policy(value: &mut Value) {
    let spec = child(value, "spec");
    let egress = spec.get("egress").is_some_and(|e| !e.is_null());
    default_with(spec, "podSelector", || json!({}));
    default_with(spec, "policyTypes", || {
        if egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        }
    });
    for direction in ["ingress", "egress"] {
        each(spec.get_mut(direction)).for_each(|rule| {
            each(rule.get_mut("ports")).for_each(|port| default_with(port, "protocol", || "TCP".into()));
        });
    }
}

fn binding(value: &mut Value) {
    let group = "rbac.authorization.k8s.io";
    default_with(child(value, "roleRef"), "apiGroup", || group.into());
    each(value.get_mut("subjects")).for_each(|subject| {
        if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
            default_with(subject, "apiGroup", || group.into());
        }
    });
}

fn definition(value: &mut Value) {
    let spec = child(value, "spec");
    default_with(spec, "conversion", || json!({"strategy": "None"}));
    each(spec.get_mut("versions")).for_each(|version| {
        each(version.get_mut("additionalPrinterColumns")).for_each(|column| {
            if column.get("priority").is_some_and(|p| *p == 0) {
                column.remove("priority");
            }
        });
    });
    let names = crate::object::as_map(spec.entry("names").or_insert_with(|| json!({})));
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !kind.is_empty() {
        default_with(names, "singular", || kind.to_lowercase().into());
        default_with(names, "listKind", || format!("{kind}List").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_secrets_get_what_the_server_adds() {
        let mut service = json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}, {"port": 1, "targetPort": "x", "protocol": "UDP"}]}});
        apply("services", &mut service);
        assert_eq!(
            service["spec"]["ports"],
            json!([
            {"port": 80, "protocol": "TCP", "targetPort": 80}, {"port": 1, "targetPort": "x", "protocol": "UDP"}])
        );
        assert_eq!(service["spec"]["externalTrafficPolicy"], "Cluster");
        let mut secret = json!({"data": {"a": "MQ=="}, "stringData": {"b": "2"}});
        apply("secrets", &mut secret);
        assert_eq!(secret, json!({"data": {"a": "MQ==", "b": "Mg=="}, "type": "Opaque"}));
    }

    #[test]
    fn a_deployment_is_completed_and_stays_as_it_is_then() {
        let mut deployment = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}]}}}});
        apply("deployments.apps", &mut deployment);
        let spec = &deployment["spec"];
        assert_eq!(spec["replicas"], 1);
        assert_eq!(
            spec["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
        );
        let container = &spec["template"]["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(container["ports"][0]["protocol"], "TCP");
        assert_eq!(spec["template"]["spec"]["restartPolicy"], "Always");
        let once = deployment.clone();
        apply("deployments.apps", &mut deployment);
        assert_eq!(deployment, once);
    }
}
