//! Overrides by tables. Here: matching and picking.

mod apply;
mod references;
mod snapshots;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::placement::v1beta1::NamespacedName;
use serde_json::{Value, json};

use super::*;
use crate::objects::{Manifest, OverrideSnapshot, PlacementKey};

fn manifest(value: Value) -> Arc<Manifest> {
    Arc::new(Manifest::from_value(&value).unwrap())
}

fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// `namespace/name-index` of a snapshot, with the selectors and rules of its override.
fn snapshot(full_name: &str, selectors: Value, rules: Value) -> Value {
    let (namespace, name) = full_name.split_once('/').unwrap_or(("", full_name));
    let (parent, index) = name.rsplit_once('-').unwrap();
    let key = if namespace.is_empty() {
        "clusterResourceSelectors"
    } else {
        "resourceSelectors"
    };
    json!({
        "metadata": {
            "name": name, "namespace": if namespace.is_empty() { json!(null) } else { json!(namespace) }, "uid": "u",
            "labels": {
                "kubernetes-fleet.io/parent-resource-override": parent,
                "kubernetes-fleet.io/override-index": index,
                "kubernetes-fleet.io/is-latest-snapshot": "true",
            },
        },
        "spec": {"overrideSpec": {key: selectors, "policy": {"overrideRules": rules}}, "overrideHash": "aGFzaA=="},
    })
}

fn read(value: Value) -> Arc<OverrideSnapshot> {
    Arc::new(OverrideSnapshot::from_value(value).unwrap())
}

fn select(group: &str, version: &str, kind: &str, name: &str) -> Value {
    json!([{"group": group, "version": version, "kind": kind, "name": name}])
}

fn namespace_app() -> Value {
    select("", "v1", "Namespace", "app")
}

/// One rule for all clusters.
fn patch(op: &str, path: &str, value: Value) -> Value {
    json!({"clusterSelector": {"clusterSelectorTerms": []}, "jsonPatchOverrides": [{"op": op, "path": path, "value": value}]})
}

fn only_on(label: &str, mut rule: Value) -> Value {
    rule["clusterSelector"] = json!({"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"env": label}}}]});
    rule
}

fn labels(env: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("env".to_owned(), env.to_owned())])
}

#[test]
fn overrides_match_what_a_placement_holds() {
    let wrapped = |kind: &str, namespace: &str, wrapped: Value| {
        let mut envelope = object("placement.kubernetes-fleet.io/v1beta1", kind, namespace, "e");
        envelope["data"] = json!({"a": wrapped});
        manifest(envelope)
    };
    let config_map = manifest(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "cm", "namespace": "app", "annotations": {"kubernetes-fleet.io/envelope-configmap": "true"}},
        "data": {"a": object("apps/v1", "Deployment", "other", "inner").to_string()},
    }));
    let manifests = vec![
        manifest(object("v1", "Namespace", "", "app")),
        manifest(object("v1", "Service", "app", "web")),
        manifest(object("rbac.authorization.k8s.io/v1", "ClusterRole", "", "role")),
        wrapped("ClusterResourceEnvelope", "", object("v1", "A", "", "clusterwide")),
        wrapped("ResourceEnvelope", "sealed", object("v1", "A", "sealed", "local")),
        wrapped("ResourceEnvelope", "app", object("v1", "A", "elsewhere", "misplaced")),
        config_map,
    ];
    let cases = [
        ("c-0", namespace_app(), true),
        (
            "c-0",
            select("rbac.authorization.k8s.io", "v1", "ClusterRole", "role"),
            true,
        ),
        (
            "c-0",
            select("rbac.authorization.k8s.io", "v1", "ClusterRole", "other"),
            false,
        ),
        (
            "c-0",
            select("rbac.authorization.k8s.io", "v1beta1", "ClusterRole", "role"),
            true,
        ),
        ("c-0", select("", "v1", "Service", "web"), false),
        ("c-0", select("", "v1", "A", "clusterwide"), true),
        ("c-0", select("", "v1", "Namespace", "sealed"), true),
        ("c-0", select("", "v1", "Namespace", "other"), true),
        ("c-0", select("", "v1", "Namespace", "elsewhere"), false),
        ("app/r-0", select("", "v1", "Service", "web"), true),
        ("app/r-0", select("", "v1alpha1", "Service", "web"), true),
        ("app/r-0", select("other", "v1", "Service", "web"), false),
        ("other/r-0", select("", "v1", "Service", "web"), false),
        ("app/r-0", select("", "v1", "ConfigMap", "cm"), false),
        ("sealed/r-0", select("", "v1", "A", "local"), true),
        ("other/r-0", select("apps", "v1", "Deployment", "inner"), true),
        ("app/r-0", select("apps", "v1", "Deployment", "inner"), false),
    ];
    for (name, selectors, wanted) in cases {
        let all = [read(snapshot(name, selectors.clone(), json!([])))];
        let found = matched(&PlacementKey::cluster("crp"), &manifests, &all);
        assert_eq!(!found.is_empty(), wanted, "{name} {selectors}");
    }
}

#[test]
fn an_override_may_be_meant_for_one_placement() {
    let manifests = [manifest(object("v1", "Service", "app", "web"))];
    let crp = PlacementKey::cluster("web");
    let rp = PlacementKey::namespaced("app", "web");
    let cases = [
        ("c-0", json!(null), true, true),
        ("c-0", json!({"name": "web"}), true, false),
        ("c-0", json!({"name": "app/web"}), false, true),
        ("c-0", json!({"name": "other"}), false, false),
        ("app/r-0", json!({"name": "web"}), true, false),
        ("app/r-0", json!({"name": "web", "scope": "Cluster"}), true, false),
        ("app/r-0", json!({"name": "web", "scope": "Namespaced"}), false, true),
        ("app/r-0", json!({"name": "other", "scope": "Namespaced"}), false, false),
    ];
    for (name, placement, by_crp, by_rp) in cases {
        let selectors = if name == "c-0" {
            namespace_app()
        } else {
            select("", "v1", "Service", "web")
        };
        let mut value = snapshot(name, selectors, json!([]));
        value["spec"]["overrideSpec"]["placement"] = placement.clone();
        let all = [read(value)];
        let found = |key| !matched(key, &manifests, &all).is_empty();
        assert_eq!((found(&crp), found(&rp)), (by_crp, by_rp), "{name} {placement}");
    }
}

#[test]
fn of_several_latest_snapshots_the_newest_counts_and_old_ones_do_not() {
    let manifests = [manifest(object("v1", "Service", "app", "web"))];
    let at = |name: &str, latest: &str| {
        let mut value = snapshot(name, namespace_app(), json!([]));
        value["metadata"]["labels"]["kubernetes-fleet.io/is-latest-snapshot"] = json!(latest);
        read(value)
    };
    let all = [
        at("a-9", "true"),
        at("a-10", "true"),
        at("b-1", "false"),
        at("c-0", "true"),
    ];
    let found = matched(&PlacementKey::cluster("crp"), &manifests, &all);
    let names: Vec<_> = found.cluster.iter().map(|s| s.meta.name.as_str()).collect();
    assert_eq!(names, ["a-10", "c-0"]);
}

#[test]
fn rules_pick_clusters_by_labels() {
    let term = |term: Value| json!({"clusterSelector": {"clusterSelectorTerms": [term]}});
    let cases = [
        (json!([{}]), false),
        (json!([{"clusterSelector": {"clusterSelectorTerms": []}}]), true),
        (json!([term(json!({}))]), false),
        (json!([term(json!({"labelSelector": {}}))]), true),
        (
            json!([term(json!({"labelSelector": {"matchLabels": {"env": "prod"}}}))]),
            true,
        ),
        (
            json!([term(json!({"labelSelector": {"matchLabels": {"env": "test"}}}))]),
            false,
        ),
        (
            json!([{}, term(json!({"labelSelector": {"matchLabels": {"env": "prod"}}}))]),
            true,
        ),
    ];
    let manifests = [manifest(object("v1", "Namespace", "", "app"))];
    for (rules, wanted) in cases {
        let all = [read(snapshot("c-0", namespace_app(), rules.clone()))];
        let found = matched(&PlacementKey::cluster("crp"), &manifests, &all);
        let picked = pick(&found, &labels("prod"));
        assert_eq!(
            (!picked.cluster.is_empty(), picked.problems.len()),
            (wanted, 0),
            "{rules}"
        );
    }
    let broken = json!([term(
        json!({"labelSelector": {"matchExpressions": [{"key": "env", "operator": "Like"}]}})
    )]);
    let all = [read(snapshot("c-0", namespace_app(), broken))];
    let picked = pick(
        &matched(&PlacementKey::cluster("crp"), &manifests, &all),
        &labels("prod"),
    );
    assert_eq!(picked.cluster.len(), 0);
    assert!(
        picked.problems[0]
            .message
            .contains("ClusterResourceOverrideSnapshot \"c-0\""),
        "{:?}",
        picked.problems
    );
}

#[test]
fn picked_lists_are_sorted_as_text() {
    let manifests = [
        manifest(object("v1", "Service", "app", "web")),
        manifest(object("v1", "Service", "a", "web")),
    ];
    let always = json!([{"clusterSelector": {"clusterSelectorTerms": []}}]);
    let service = select("", "v1", "Service", "web");
    let all = [
        read(snapshot("b-9", namespace_app(), always.clone())),
        read(snapshot("a-10", namespace_app(), always.clone())),
        read(snapshot("app/a-1", service.clone(), always.clone())),
        read(snapshot("a/z-1", service, always)),
    ];
    let picked = pick(
        &matched(&PlacementKey::cluster("crp"), &manifests, &all),
        &labels("prod"),
    );
    assert_eq!(picked.cluster, ["a-10", "b-9"]);
    let names: Vec<_> = picked
        .namespaced
        .iter()
        .map(|n| format!("{}/{}", n.namespace, n.name))
        .collect();
    assert_eq!(names, ["a/z-1", "app/a-1"]);
}
