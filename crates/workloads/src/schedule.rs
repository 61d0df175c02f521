//! Which node a Pod gets: the part of a scheduler that decides whether a Pod can run at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint};
use kube::ResourceExt;

use crate::context::controller;
use crate::nodes::is_ready;
use crate::pod_state::is_over;

/// The node for a Pod, or why there is none. Of several the one with the fewest Pods of the same controller is taken,
/// then the one with the fewest Pods, then the first by name.
///
/// `bound` are Pods by uid whose node is decided but not seen yet.
pub fn choose(
    pod: &Pod,
    nodes: &[Arc<Node>],
    pods: &[Arc<Pod>],
    bound: &BTreeMap<String, String>,
) -> Result<String, String> {
    let Some(spec) = &pod.spec else {
        return Err("the Pod has no spec".to_owned());
    };
    let mut best: Option<(usize, usize, String)> = None;
    let mut refusals: BTreeMap<&'static str, usize> = BTreeMap::new();
    for node in nodes {
        let name = node.name_any();
        let there: Vec<&Pod> = pods
            .iter()
            .map(Arc::as_ref)
            .filter(|other| is_on(other, &name, bound))
            .collect();
        match refusal(spec, node, &there) {
            Some(reason) => *refusals.entry(reason).or_default() += 1,
            None => {
                best = best
                    .into_iter()
                    .chain([(siblings(pod, &there), there.len(), name)])
                    .min()
            }
        }
    }
    best.map(|(_, _, name)| name).ok_or_else(|| {
        let reasons: Vec<String> = refusals
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        format!("0 of {} nodes fit: {}", nodes.len(), reasons.join(", "))
    })
}

fn siblings(pod: &Pod, there: &[&Pod]) -> usize {
    let owner = controller(pod).map(|owner| &owner.uid);
    let same = |other: &&&Pod| owner.is_some() && controller(**other).map(|owner| &owner.uid) == owner;
    there.iter().filter(same).count()
}

fn is_on(pod: &Pod, node: &str, bound: &BTreeMap<String, String>) -> bool {
    let node_name = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    let node_name = node_name.or_else(|| bound.get(pod.metadata.uid.as_deref().unwrap_or_default()));
    node_name.is_some_and(|node_name| node_name == node) && !is_over(pod)
}

fn refusal(spec: &PodSpec, node: &Node, there: &[&Pod]) -> Option<&'static str> {
    let unschedulable = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
    if !is_ready(node) {
        Some("not ready")
    } else if unschedulable && !tolerates_cordon(spec) {
        Some("unschedulable")
    } else if !selects(spec, node) {
        Some("not selected by the Pod")
    } else if !tolerates_taints(spec, node) {
        Some("with a taint that the Pod does not tolerate")
    } else if !fits(spec, node, there) {
        Some("without enough room")
    } else {
        None
    }
}

/// Whether a DaemonSet runs a Pod on a node. A cordon or an unready node does not keep such Pods away.
pub fn admits_daemon(spec: &PodSpec, node: &Node) -> bool {
    let system = |taint: &Taint| taint.key.starts_with("node.kubernetes.io/");
    let taints = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default();
    let tolerated = taints
        .iter()
        .filter(|taint| binds(taint) && !system(taint))
        .all(|taint| tolerates(spec, taint));
    selects(spec, node) && tolerated
}

fn selects(spec: &PodSpec, node: &Node) -> bool {
    let labels = node.labels();
    let plain = spec
        .node_selector
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    let affinity = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    plain && required.is_none_or(|required| required.node_selector_terms.iter().any(|term| matches(term, node)))
}

fn matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let (expressions, fields) = (
        term.match_expressions.iter().flatten(),
        term.match_fields.iter().flatten(),
    );
    let name = node.name_any();
    let by_label = |requirement: &NodeSelectorRequirement| holds(requirement, node.labels().get(&requirement.key));
    // The name is the only field that can be selected by.
    let by_field = |requirement: &NodeSelectorRequirement| holds(requirement, Some(&name));
    expressions.clone().next().or(fields.clone().next()).is_some()
        && expressions.clone().all(by_label)
        && fields.clone().all(by_field)
}

fn holds(requirement: &NodeSelectorRequirement, found: Option<&String>) -> bool {
    let listed = |found: &String| requirement.values.iter().flatten().any(|value| value == found);
    let number = |text: &String| text.parse::<i64>().ok();
    let bound = requirement.values.iter().flatten().next().and_then(number);
    match requirement.operator.as_str() {
        "In" => found.is_some_and(listed),
        "NotIn" => !found.is_some_and(listed),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => found
            .and_then(number)
            .zip(bound)
            .is_some_and(|(found, bound)| found > bound),
        "Lt" => found
            .and_then(number)
            .zip(bound)
            .is_some_and(|(found, bound)| found < bound),
        _ => false,
    }
}

fn tolerates_taints(spec: &PodSpec, node: &Node) -> bool {
    let taints = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default();
    taints
        .iter()
        .filter(|taint| binds(taint))
        .all(|taint| tolerates(spec, taint))
}

fn binds(taint: &Taint) -> bool {
    taint.effect == "NoSchedule" || taint.effect == "NoExecute"
}

fn tolerates_cordon(spec: &PodSpec) -> bool {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    tolerates(spec, &cordon)
}

fn tolerates(spec: &PodSpec, taint: &Taint) -> bool {
    spec.tolerations.iter().flatten().any(|toleration| {
        let exists = toleration.operator.as_deref() == Some("Exists");
        let key = match toleration.key.as_deref().unwrap_or_default() {
            "" => exists,
            key => key == taint.key,
        };
        let value =
            exists || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
        key && value
            && toleration
                .effect
                .as_ref()
                .is_none_or(|effect| effect.is_empty() || *effect == taint.effect)
    })
}

fn fits(spec: &PodSpec, node: &Node, there: &[&Pod]) -> bool {
    let room = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    let room = |resource: &str| {
        let quantity = room
            .and_then(|room| room.get(resource))
            .and_then(|quantity| quantity.0.parse::<Quantity>().ok());
        quantity.unwrap_or_default()
    };
    let used = |resource: &str| {
        there
            .iter()
            .filter_map(|pod| pod.spec.as_ref())
            .fold(Quantity::default(), |sum, spec| sum + requested(spec, resource))
    };
    let enough = |resource: &str| {
        let demand = requested(spec, resource);
        demand.is_zero() || used(resource) + demand <= room(resource)
    };
    let pods = room("pods")
        .value()
        .and_then(|pods| usize::try_from(pods).ok())
        .unwrap_or_default();
    there.len() < pods && resources(spec).all(enough)
}

fn resources(spec: &PodSpec) -> impl Iterator<Item = &str> {
    let requests = spec
        .containers
        .iter()
        .filter_map(|container| container.resources.as_ref()?.requests.as_ref());
    requests.flat_map(|requests| requests.keys().map(String::as_str))
}

fn requested(spec: &PodSpec, resource: &str) -> Quantity {
    let requests = spec
        .containers
        .iter()
        .filter_map(|container| container.resources.as_ref()?.requests.as_ref());
    let quantities = requests.filter_map(|requests| requests.get(resource)?.0.parse::<Quantity>().ok());
    quantities.fold(Quantity::default(), |sum, quantity| sum + quantity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(name: &str, more: Value) -> Arc<Node> {
        let mut node = json!({
            "metadata": {"name": name, "labels": {"name": name, "size": "3"}},
            "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "2"}},
        });
        json_merge(&mut node, more);
        Arc::new(serde_json::from_value(node).expect("a node"))
    }

    fn json_merge(target: &mut Value, more: Value) {
        match more {
            Value::Object(more) => more
                .into_iter()
                .for_each(|(key, value)| json_merge(&mut target[key], value)),
            other => *target = other,
        }
    }

    fn pod(spec: Value) -> Arc<Pod> {
        let mut pod = json!({"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": [{"name": "c"}]}});
        json_merge(&mut pod["spec"], spec);
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn a_pod_is_bound_to_a_node_that_allows_it_and_has_room() {
        let two = [node("a", json!({})), node("b", json!({}))];
        let term = |requirement: Value| {
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": [requirement]}}}})
        };
        let requested = |cpu: &str| json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
        for (spec, expected) in [
            (json!({}), Some("a")),
            (json!({"nodeSelector": {"name": "b"}}), Some("b")),
            (json!({"nodeSelector": {"name": "c"}}), None),
            (
                term(json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]})),
                Some("b"),
            ),
            (
                term(json!({"matchExpressions": [{"key": "name", "operator": "NotIn", "values": ["a"]}]})),
                Some("b"),
            ),
            (
                term(json!({"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["3"]}]})),
                None,
            ),
            (term(json!({})), None),
            (requested("1"), Some("a")),
            (requested("1001m"), None),
        ] {
            let pod = pod(spec.clone());
            assert_eq!(
                choose(&pod, &two, &[], &BTreeMap::new()).ok().as_deref(),
                expected,
                "{spec}"
            );
        }
    }

    #[test]
    fn nodes_refuse_for_taints_cordon_readiness_and_room() {
        let off = crate::NODE_READY_ANNOTATION;
        let taint = json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}});
        let tolerant = json!({"tolerations": [{"key": "k", "operator": "Equal", "value": "v"}]});
        let everything = json!({"tolerations": [{"operator": "Exists"}]});
        let here = json!({"nodeName": "n"});
        for (more, spec, others, fits) in [
            (taint.clone(), json!({}), 0, false),
            (taint, tolerant, 0, true),
            (json!({"spec": {"unschedulable": true}}), json!({}), 0, false),
            (json!({"spec": {"unschedulable": true}}), everything, 0, true),
            (
                json!({"metadata": {"annotations": {off: "false"}}}),
                json!({}),
                0,
                false,
            ),
            (json!({}), json!({}), 1, true),
            (json!({}), json!({}), 2, false),
        ] {
            let others: Vec<_> = (0..others).map(|_| pod(here.clone())).collect();
            let chosen = choose(
                &pod(spec.clone()),
                &[node("n", more.clone())],
                &others,
                &BTreeMap::new(),
            );
            assert_eq!(chosen.is_ok(), fits, "{more} {spec}: {chosen:?}");
        }
    }

    #[test]
    fn pods_spread_over_nodes_and_pending_bindings_count() {
        let two = [node("a", json!({})), node("b", json!({}))];
        let waiting = pod(json!({}));
        let bound = BTreeMap::from([("u".to_owned(), "a".to_owned())]);
        assert_eq!(choose(&pod(json!({})), &two, &[waiting], &bound).as_deref(), Ok("b"));
    }
}
