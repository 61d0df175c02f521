//! EndpointSlices: the ready Pods behind a Service.

use std::sync::Arc;

use anyhow::Result;
use k8s_openapi::api::core::v1::{Pod, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{owner_reference, suffix};
use crate::conditions::changes;
use crate::context::{Context, owned};
use crate::key::Key;
use crate::pod_state::{is_ready, serves};

/// Keeps the one slice of a Service with a selector.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(service) = cx.get(&cx.stores.services, key) else {
        return Ok(());
    };
    let Some(spec) = service
        .spec
        .as_ref()
        .filter(|_| service.metadata.deletion_timestamp.is_none())
    else {
        return Ok(());
    };
    let Some(selector) = spec.selector.as_ref().filter(|selector| !selector.is_empty()) else {
        return Ok(());
    };
    let pods = cx.pods_behind(&key.namespace, Some(selector));
    let wanted = content(&pods, spec.ports.as_deref().unwrap_or_default());
    let uid = service.uid().unwrap_or_default();
    let name = format!("{}-{}", key.name, suffix(&uid));
    let api: Api<EndpointSlice> = cx.api(&key.namespace);
    match owned(&cx.stores.slices, &uid).get(&name) {
        Some(slice) => {
            let current = serde_json::to_value(slice.as_ref()).unwrap_or_default();
            if changes(&current, &wanted) {
                cx.merge(&api, &name, &wanted).await
            } else {
                Ok(())
            }
        }
        None => {
            let mut slice = wanted;
            slice["metadata"] = json!({
                "name": name,
                "namespace": key.namespace,
                "labels": {
                    "kubernetes.io/service-name": key.name,
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
                "ownerReferences": [owner_reference(service.as_ref())],
            });
            slice["addressType"] = "IPv4".into();
            cx.create(&api, slice).await
        }
    }
}

fn content(pods: &[Arc<Pod>], ports: &[ServicePort]) -> Value {
    let endpoint = |pod: &Arc<Pod>| {
        let (ready, leaving) = (is_ready(pod), pod.metadata.deletion_timestamp.is_some());
        json!({
            "addresses": [pod.status.as_ref().and_then(|status| status.pod_ip.clone())],
            "conditions": {"ready": serves(pod), "serving": ready, "terminating": leaving},
            "nodeName": pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name_any(), "uid": pod.uid()},
        })
    };
    let first = pods.first().map(Arc::as_ref);
    let port = |port: &ServicePort| {
        let number = target(port, first)?;
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        Some(json!({"name": port.name.clone().unwrap_or_default(), "port": number, "protocol": protocol}))
    };
    json!({
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": ports.iter().filter_map(port).collect::<Vec<_>>(),
    })
}

/// The port on the Pods; a named one is looked up in a Pod and left out while there is none.
fn target(port: &ServicePort, pod: Option<&Pod>) -> Option<i32> {
    match port.target_port.as_ref() {
        Some(IntOrString::Int(number)) if *number != 0 => Some(*number),
        Some(IntOrString::String(name)) => {
            let containers = pod?.spec.as_ref()?.containers.iter();
            let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
            ports
                .find(|found| found.name.as_ref() == Some(name))
                .map(|found| found.container_port)
        }
        _ => Some(port.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_ports_come_from_pods_and_leaving_pods_are_not_ready() {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": "node-1", "containers": [
                {"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}]},
            "status": {"podIP": "10.244.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        let pods = [Arc::new(serde_json::from_value(pod).expect("a pod"))];
        let ports = json!([{"name": "a", "port": 80, "targetPort": "web"}, {"name": "b", "port": 81}]);
        let ports: Vec<ServicePort> = serde_json::from_value(ports).expect("ports");
        let content = content(&pods, &ports);
        assert_eq!(
            content["ports"],
            json!([
            {"name": "a", "port": 8080, "protocol": "TCP"}, {"name": "b", "port": 81, "protocol": "TCP"}])
        );
        let conditions = &content["endpoints"][0]["conditions"];
        assert_eq!(
            *conditions,
            json!({"ready": false, "serving": true, "terminating": true})
        );
        assert_eq!(target(&ports[0], None), None);
    }
}
