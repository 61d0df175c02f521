//! Pods: bound by a scheduler, run and removed by a kubelet, all of it simulated.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Container, Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::FAILING_IMAGE;
use crate::conditions::{as_json, condition, time};
use crate::context::{Context, within};
use crate::key::Key;
use crate::nodes::is_ready as node_is_ready;
use crate::pod_state::{is_active, is_over};
use crate::schedule;

/// Brings a Pod one state further.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(pod) = cx.get(&cx.stores.pods, key) else {
        return Ok(());
    };
    let api: Api<Pod> = cx.api(&key.namespace);
    let current = as_json(pod.status.as_ref());
    let Some(node_name) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) else {
        return schedule(cx, &api, &pod, &current).await;
    };
    cx.bound.lock().remove(pod.metadata.uid.as_deref().unwrap_or_default());
    if pod.metadata.deletion_timestamp.is_some() {
        // Zero is what the removal itself leaves behind while a finalizer holds the Pod.
        let waits = pod
            .metadata
            .deletion_grace_period_seconds
            .is_none_or(|seconds| seconds > 0);
        return if waits {
            cx.delete(&api, pod.as_ref(), Some(0)).await
        } else {
            Ok(())
        };
    }
    if is_over(&pod) {
        return Ok(());
    }
    let node = cx.stores.nodes.find(|node| node.name_any() == node_name);
    let status = status_on_node(&pod, &current, node.as_deref(), cx.now());
    cx.report(&api, &key.name, &current, &status).await
}

async fn schedule(cx: &Context, api: &Api<Pod>, pod: &Pod, current: &Value) -> Result<()> {
    let ours = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref());
    let gated = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()));
    if !is_active(pod) || gated || ours.is_some_and(|name| name != "default-scheduler") {
        return Ok(());
    }
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let chosen = {
        let mut bound = cx.bound.lock();
        let chosen = schedule::choose(pod, &cx.stores.nodes.state(), &cx.stores.pods.state(), &bound);
        if let Ok(node) = &chosen {
            bound.insert(uid.clone(), node.clone());
        }
        chosen
    };
    let name = pod.name_any();
    match chosen {
        Ok(node) => {
            let result = bind(cx, pod, &name, &node).await;
            if result.is_err() {
                cx.bound.lock().remove(&uid);
            }
            result
        }
        Err(reason) => {
            let waits = condition(current, "PodScheduled", "False", "Unschedulable", &reason, cx.now());
            cx.report(api, &name, current, &json!({"phase": "Pending", "conditions": [waits]}))
                .await
        }
    }
}

async fn bind(cx: &Context, pod: &Pod, name: &str, node: &str) -> Result<()> {
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "uid": pod.metadata.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let namespace = pod.namespace().unwrap_or_default();
    let request = http::Request::post(format!("/api/v1/namespaces/{namespace}/pods/{name}/binding"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(&binding).context("a binding cannot be written")?)
        .context("a binding cannot be sent")?;
    within(cx.client.request::<Value>(request))
        .await
        .with_context(|| format!("{name} cannot be bound to {node}"))?;
    Ok(())
}

/// The status that the kubelet of the Pod's node would report; without a node it stays as it is.
fn status_on_node(pod: &Pod, current: &Value, node: Option<&Node>, now: Timestamp) -> Value {
    let Some((spec, node)) = pod.spec.as_ref().zip(node) else {
        return json!({});
    };
    let state = if !node_is_ready(node) {
        State::Lost
    } else if spec.containers.iter().any(fails) {
        State::Stuck
    } else if spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always") {
        State::Finished
    } else {
        State::Running
    };
    if state == State::Lost && current["phase"] != "Running" {
        return json!({});
    }
    let ready = |kind: &str| match state {
        State::Running => condition(current, kind, "True", "", "", now),
        State::Finished => condition(current, kind, "False", "PodCompleted", "", now),
        State::Stuck => condition(
            current,
            kind,
            "False",
            "ContainersNotReady",
            "A container's image is made to fail.",
            now,
        ),
        State::Lost => condition(current, kind, "False", "NodeNotReady", "The node is not ready.", now),
    };
    let done = |kind: &str| condition(current, kind, "True", "", "", now);
    let mut status = json!({
        "phase": match state {
            State::Running | State::Lost => "Running",
            State::Finished => "Succeeded",
            State::Stuck => "Pending",
        },
        "conditions": [done("PodScheduled"), done("Initialized"), ready("ContainersReady"), ready("Ready")],
    });
    if state == State::Lost {
        return status;
    }
    let since = current["startTime"].as_str().map_or_else(|| time(now), Value::from);
    let containers = spec
        .containers
        .iter()
        .map(|container| container_status(container, state, &since));
    status["containerStatuses"] = containers.collect();
    status["startTime"] = since;
    if current["podIP"].is_null() {
        let address = address(pod.metadata.uid.as_deref().unwrap_or_default());
        status["podIPs"] = json!([{"ip": &address}]);
        status["podIP"] = address.into();
    }
    status
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Finished,
    /// A container never becomes ready.
    Stuck,
    /// The node does not report.
    Lost,
}

fn fails(container: &Container) -> bool {
    container
        .image
        .as_deref()
        .is_some_and(|image| image.starts_with(FAILING_IMAGE))
}

fn container_status(container: &Container, state: State, since: &Value) -> Value {
    let image = container.image.as_deref().unwrap_or_default();
    let runs = state == State::Running;
    let detail = match state {
        State::Finished => {
            json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": since, "finishedAt": since}})
        }
        State::Stuck if fails(container) => json!({"waiting": {"reason": "ImagePullBackOff"}}),
        _ => json!({"running": {"startedAt": since}}),
    };
    json!({
        "name": container.name,
        "image": image,
        "imageID": image,
        "ready": runs || (state == State::Stuck && !fails(container)),
        "started": state != State::Finished && !fails(container),
        "restartCount": 0,
        "state": detail,
    })
}

/// An address in 10.244.0.0/16 that follows from the Pod's uid.
fn address(uid: &str) -> String {
    let hash = uid.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let [_, _, third, fourth] = (hash ^ (hash >> 16)).to_be_bytes();
    format!("10.244.{third}.{}", fourth.clamp(1, 254))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NODE_READY_ANNOTATION;
    use crate::conditions::changes;

    fn pod(image: &str, policy: &str) -> Pod {
        let spec = json!({"restartPolicy": policy, "containers": [{"name": "c", "image": image}]});
        serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u"}, "spec": spec})).expect("a pod")
    }

    fn node(ready: bool) -> Node {
        let annotations = json!({NODE_READY_ANNOTATION: ready.to_string()});
        serde_json::from_value(json!({"metadata": {"name": "n", "annotations": annotations}})).expect("a node")
    }

    #[test]
    fn each_pod_comes_to_the_state_that_its_image_and_policy_say() {
        for (image, policy, phase, ready) in [
            ("nginx", "Always", "Running", "True"),
            ("nginx", "Never", "Succeeded", "False"),
            ("nginx", "OnFailure", "Succeeded", "False"),
            ("fail:nginx", "Always", "Pending", "False"),
            ("fail:nginx", "Never", "Pending", "False"),
        ] {
            let pod = pod(image, policy);
            let status = status_on_node(&pod, &json!({}), Some(&node(true)), Timestamp::UNIX_EPOCH);
            assert_eq!(
                (&status["phase"], &status["conditions"][3]["status"]),
                (&json!(phase), &json!(ready)),
                "{image}"
            );
            let later = Timestamp::from_second(60).expect("valid");
            let again = status_on_node(&pod, &status, Some(&node(true)), later);
            assert!(!changes(&status, &again), "{image}: nothing happens later");
        }
    }

    #[test]
    fn pods_of_a_node_that_does_not_report_are_not_ready_until_it_reports() {
        let (pod, now) = (pod("nginx", "Always"), Timestamp::UNIX_EPOCH);
        let running = status_on_node(&pod, &json!({}), Some(&node(true)), now);
        let lost = status_on_node(&pod, &running, Some(&node(false)), now);
        assert_eq!(
            (&lost["phase"], &lost["conditions"][3]["status"]),
            (&json!("Running"), &json!("False"))
        );
        assert!(changes(&lost, &status_on_node(&pod, &lost, Some(&node(true)), now)));
        assert_eq!(
            status_on_node(&pod, &json!({}), Some(&node(false)), now),
            json!({}),
            "it never began"
        );
    }
}
