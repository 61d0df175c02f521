//! Nodes: plain API objects that say what a kubelet would.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::NODE_READY_ANNOTATION;
use crate::conditions::{as_json, condition};
use crate::context::{Context, is, within};
use crate::key::Key;
use crate::options::Options;

/// Keeps new Pods away from a node that is not ready.
const NOT_READY_TAINT: &str = "node.kubernetes.io/not-ready";

/// Creates the nodes of the options; those that are there already stay as they are.
pub async fn create(client: &Client, options: &Options) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    for number in 1..=options.nodes {
        let name = format!("node-{number}");
        let mut labels = options.node_labels.clone();
        labels.insert("kubernetes.io/hostname".to_owned(), name.clone());
        labels.insert("kubernetes.io/os".to_owned(), "linux".to_owned());
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
        let node: Node = serde_json::from_value(node).context("a node cannot be built")?;
        match within(nodes.create(&Default::default(), &node)).await {
            Err(error) if is(&error, kube::core::Status::is_already_exists) => {}
            other => drop(other.with_context(|| format!("the node {name} cannot be created"))?),
        }
    }
    Ok(())
}

/// Whether a node shall be and is ready.
pub fn is_ready(node: &Node) -> bool {
    wanted_ready(node) && node.metadata.deletion_timestamp.is_none()
}

fn wanted_ready(node: &Node) -> bool {
    node.annotations()
        .get(NODE_READY_ANNOTATION)
        .is_none_or(|value| value != "false")
}

/// Makes taint and status say what they should.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(node) = cx.get(&cx.stores.nodes, key) else {
        return Ok(());
    };
    let api: Api<Node> = Api::all(cx.client.clone());
    if let Some(taints) = wanted_taints(&node) {
        cx.merge(&api, &key.name, &json!({"spec": {"taints": taints}})).await?;
    }
    let current = as_json(node.status.as_ref());
    let status = wanted_status(&node, &current, &cx.options, cx.now());
    cx.report(&api, &key.name, &current, &status).await
}

/// The taints that the node should have, if it has others.
fn wanted_taints(node: &Node) -> Option<Vec<Value>> {
    let taints = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default();
    let tainted = taints.iter().any(|taint| taint.key == NOT_READY_TAINT);
    if tainted != wanted_ready(node) {
        return None;
    }
    let others = taints.iter().filter(|taint| taint.key != NOT_READY_TAINT);
    let mut wanted: Vec<Value> = others.filter_map(|taint| serde_json::to_value(taint).ok()).collect();
    if !wanted_ready(node) {
        wanted.push(json!({"key": NOT_READY_TAINT, "effect": "NoSchedule"}));
    }
    Some(wanted)
}

fn wanted_status(node: &Node, current: &Value, options: &Options, now: Timestamp) -> Value {
    let ready = if wanted_ready(node) {
        condition(current, "Ready", "True", "KubeletReady", "The node is simulated.", now)
    } else {
        condition(
            current,
            "Ready",
            "False",
            "KubeletNotReady",
            "The node is made not ready by an annotation.",
            now,
        )
    };
    let fine = |kind: &str, reason: &str| condition(current, kind, "False", reason, "", now);
    let mut status = json!({
        "conditions": [
            fine("MemoryPressure", "KubeletHasSufficientMemory"),
            fine("DiskPressure", "KubeletHasNoDiskPressure"),
            fine("PIDPressure", "KubeletHasSufficientPID"),
            ready,
        ],
    });
    let size = &options.node_size;
    let has = json!({"cpu": size.cpu, "memory": size.memory, "pods": size.pods.to_string()});
    let capacity = if current["capacity"].is_object() {
        &current["capacity"]
    } else {
        &has
    };
    for field in ["capacity", "allocatable"] {
        // Who creates a node with a size of its own says so in the capacity.
        if !current[field].is_object() {
            status[field] = capacity.clone();
        }
    }
    if !current["addresses"].is_array() {
        status["addresses"] = json!([{"type": "Hostname", "address": node.name_any()}]);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::changes;

    fn node(value: Value) -> Node {
        serde_json::from_value(value).expect("a node")
    }

    #[test]
    fn a_new_node_becomes_ready_with_capacity_and_is_not_written_again() {
        let fresh = node(json!({"metadata": {"name": "node-1"}, "spec": {"taints": [
            {"key": NOT_READY_TAINT, "effect": "NoSchedule"}, {"key": "mine", "effect": "NoSchedule"},
        ]}}));
        let left = wanted_taints(&fresh).expect("a change");
        assert_eq!(left, [json!({"key": "mine", "effect": "NoSchedule"})]);
        let (options, now) = (Options::default(), Timestamp::UNIX_EPOCH);
        let status = wanted_status(&fresh, &json!({}), &options, now);
        assert_eq!(
            status["allocatable"],
            json!({"cpu": "4", "memory": "16Gi", "pods": "110"})
        );
        assert_eq!(status["conditions"][3]["status"], "True");
        let later = Timestamp::from_second(9).expect("valid");
        assert!(!changes(&status, &wanted_status(&fresh, &status, &options, later)));
    }

    #[test]
    fn the_annotation_makes_a_node_unready_and_tainted() {
        let off = node(json!({"metadata": {"name": "n", "annotations": {NODE_READY_ANNOTATION: "false"}}}));
        assert!(!is_ready(&off));
        assert_eq!(
            wanted_taints(&off).expect("a change"),
            [json!({"key": NOT_READY_TAINT, "effect": "NoSchedule"})]
        );
        let status = wanted_status(
            &off,
            &json!({"capacity": {"cpu": "64"}}),
            &Options::default(),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(status["conditions"][3]["status"], "False");
        assert_eq!(status["allocatable"], json!({"cpu": "64"}), "a size of its own stays");
    }
}
