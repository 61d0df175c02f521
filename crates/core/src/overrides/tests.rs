//! Matching, picking, applying and keeping overrides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::placement::v1beta1::NamespacedName;
use serde_json::{Value, json};

use super::snapshots::{self, Override};
use super::*;
use crate::objects::{Manifest, Meta, OverrideKind, OverrideSnapshot, PlacementKey};
use crate::placement::Write;

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

// ---- matching and picking

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
            false,
        ),
        ("c-0", select("", "v1", "Service", "web"), false),
        ("c-0", select("", "v1", "A", "clusterwide"), true),
        ("c-0", select("", "v1", "Namespace", "sealed"), true),
        ("c-0", select("", "v1", "Namespace", "other"), true),
        ("c-0", select("", "v1", "Namespace", "elsewhere"), false),
        ("app/r-0", select("", "v1", "Service", "web"), true),
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

// ---- applying

/// Applies overrides in the order in which a binding names them.
fn apply(all: &[Arc<OverrideSnapshot>], env: &str, target: &Value) -> Result<Option<Value>, String> {
    let cluster: Vec<_> = all
        .iter()
        .filter(|s| s.meta.namespace.is_none())
        .map(|s| s.meta.name.clone())
        .collect();
    let namespaced: Vec<_> = all
        .iter()
        .filter_map(|s| {
            Some(NamespacedName {
                name: s.meta.name.clone(),
                namespace: s.meta.namespace.clone()?,
            })
        })
        .collect();
    let applicable = Applicable::load(&cluster, &namespaced, all).unwrap();
    let labels = labels(env);
    let on = Cluster {
        name: "member-1",
        labels: &labels,
    };
    let result = applicable.apply(&manifest(target.clone()), on);
    result.map(|kept| kept.map(|m| m.value())).map_err(|problem| {
        assert_eq!(problem.class.label(), "user");
        problem.message
    })
}

fn service() -> Value {
    let mut service = object("v1", "Service", "app", "web");
    service["spec"] = json!({"type": "ClusterIP", "ports": [{"port": 80}]});
    service
}

fn on_service(rules: Value) -> Arc<OverrideSnapshot> {
    read(snapshot("app/ro-1", select("", "v1", "Service", "web"), rules))
}

#[test]
fn patches_change_what_they_reach() {
    let cases = [
        (
            patch("add", "/spec/externalName", json!("x")),
            "/spec/externalName",
            json!("x"),
        ),
        (
            patch("replace", "/spec/type", json!("LoadBalancer")),
            "/spec/type",
            json!("LoadBalancer"),
        ),
        (patch("remove", "/spec/ports/0", json!(null)), "/spec/ports", json!([])),
        (
            patch("add", "/spec/ports/-", json!({"port": 81})),
            "/spec/ports/1/port",
            json!(81),
        ),
        (
            patch("add", "/spec/ports/-1", json!({"port": 82})),
            "/spec/ports/1/port",
            json!(82),
        ),
        (
            patch(
                "add",
                "/metadata/annotations",
                json!({"dns": "app-${MEMBER-CLUSTER-NAME}"}),
            ),
            "/metadata/annotations/dns",
            json!("app-member-1"),
        ),
        (
            patch("add", "/spec/env", json!("${MEMBER-CLUSTER-LABEL-KEY-env}")),
            "/spec/env",
            json!("prod"),
        ),
    ];
    for (rule, pointer, wanted) in cases {
        let result = apply(&[on_service(json!([rule]))], "prod", &service())
            .unwrap()
            .unwrap();
        assert_eq!(result.pointer(pointer), Some(&wanted), "{rule}");
    }
    // A missing value is a null, also where the schema makes it explicit.
    let mut rule = patch("add", "/spec/nothing", json!(null));
    rule["jsonPatchOverrides"][0].as_object_mut().unwrap().remove("value");
    let result = apply(&[on_service(json!([rule]))], "prod", &service())
        .unwrap()
        .unwrap();
    assert_eq!(result.pointer("/spec/nothing"), Some(&Value::Null));
}

#[test]
fn namespaced_overrides_win_and_rules_apply_in_order() {
    let cluster = |name: &str, value: &str| {
        read(snapshot(
            name,
            namespace_app(),
            json!([patch("add", "/spec/by", json!(value))]),
        ))
    };
    let rules = json!([
        patch("add", "/spec/by", json!("first rule")),
        only_on("test", patch("add", "/spec/by", json!("another cluster"))),
        only_on("prod", patch("add", "/spec/by", json!("last rule"))),
    ]);
    let result = |all: &[_]| apply(all, "prod", &service()).unwrap().unwrap()["spec"]["by"].clone();
    assert_eq!(result(&[cluster("c-1", "cluster")]), "cluster");
    assert_eq!(result(&[cluster("c-1", "one"), cluster("d-1", "two")]), "two");
    assert_eq!(result(&[on_service(rules), cluster("c-1", "cluster")]), "last rule");
}

#[test]
fn delete_removes_the_object_where_its_rule_matches() {
    let delete = json!({"clusterSelector": {"clusterSelectorTerms": []}, "overrideType": "Delete"});
    let rules = json!([only_on("prod", delete)]);
    let all = [
        on_service(rules),
        read(snapshot(
            "c-1",
            namespace_app(),
            json!([patch("add", "/spec/x", json!(1))]),
        )),
    ];
    assert_eq!(apply(&all, "prod", &service()), Ok(None));
    assert_eq!(apply(&all, "test", &service()).unwrap().unwrap()["spec"]["x"], 1);
}

#[test]
fn untouched_manifests_are_handed_on_as_they_are() {
    let labels = labels("prod");
    let on = Cluster {
        name: "member-1",
        labels: &labels,
    };
    let all = [on_service(json!([patch("add", "/spec/x", json!(1))]))];
    let named = [NamespacedName {
        name: "ro-1".to_owned(),
        namespace: "app".to_owned(),
    }];
    let applicable = Applicable::load(&[], &named, &all).unwrap();
    let other = manifest(object("v1", "Service", "app", "other"));
    assert!(Arc::ptr_eq(&applicable.apply(&other, on).unwrap().unwrap(), &other));
}

#[test]
fn mistakes_are_sentences_that_name_the_override_and_the_object() {
    let begin = "The ResourceOverrideSnapshot \"app/ro-1\" cannot be applied to the Service \"app/web\": ";
    let cases = [
        (patch("replace", "/spec/missing", json!(1)), "/spec/missing"),
        (patch("remove", "/spec/missing", json!(null)), "/spec/missing"),
        (patch("add", "/spec/missing/deeper", json!(1)), "/spec/missing/deeper"),
        (patch("add", "/spec/ports/7", json!(1)), "/spec/ports/7"),
        (patch("add", "/spec/ports/first", json!(1)), "/spec/ports/first"),
        (
            patch("add", "/spec/x", json!("${MEMBER-CLUSTER-LABEL-KEY-zone}")),
            "has no label \"zone\"",
        ),
        (
            patch("add", "/spec/x", json!("${MEMBER-CLUSTER-LABEL-KEY-zone")),
            "is not closed",
        ),
        (patch("replace", "", json!([])), "the result is no object"),
        (patch("remove", "/kind", json!(null)), "the result is no object"),
    ];
    for (rule, wanted) in cases {
        let message = apply(&[on_service(json!([rule]))], "prod", &service()).unwrap_err();
        assert!(
            message.starts_with(begin) && message.contains(wanted),
            "{rule}: {message}"
        );
        assert!(message.ends_with('.') && !message.ends_with(".."), "{message}");
    }
}

#[test]
fn a_rule_with_a_bad_patch_applies_nothing_of_itself() {
    let mut rule = patch("add", "/spec/x", json!(1));
    rule["jsonPatchOverrides"]
        .as_array_mut()
        .unwrap()
        .push(json!({"op": "remove", "path": "/spec/missing"}));
    assert!(apply(&[on_service(json!([rule]))], "prod", &service()).is_err());
}

#[test]
fn a_snapshot_that_is_gone_is_the_users_mistake() {
    let named = [NamespacedName {
        name: "gone-1".to_owned(),
        namespace: "app".to_owned(),
    }];
    let err = Applicable::load(&[], &named, &[]).unwrap_err();
    assert_eq!(
        err.message,
        "The ResourceOverrideSnapshot \"app/gone-1\" that the binding names does not exist."
    );
    let err = Applicable::load(&["gone-2".to_owned()], &[], &[]).unwrap_err();
    assert_eq!(
        err.message,
        "The ClusterResourceOverrideSnapshot \"gone-2\" that the binding names does not exist."
    );
}

// ---- snapshots

fn an_override(rule_value: i64) -> Override {
    let spec = json!({
        "resourceSelectors": select("", "v1", "Service", "web"),
        "policy": {"overrideRules": [patch("add", "/spec/x", json!(rule_value))]},
    });
    Override {
        meta: Meta {
            name: "ro".to_owned(),
            namespace: Some("app".to_owned()),
            uid: "u1".to_owned(),
            resource_version: "5".to_owned(),
            finalizers: vec!["kubernetes-fleet.io/override-cleanup".to_owned()],
            ..Meta::default()
        },
        kind: OverrideKind::Namespaced(serde_json::from_value(spec.clone()).unwrap()),
        spec,
    }
}

/// Executes a plan over the list of snapshots.
fn execute(steps: &[Vec<Write>], snapshots: &mut Vec<Arc<OverrideSnapshot>>) {
    for write in steps.iter().flatten() {
        let name = write.target().name.clone();
        match write {
            Write::Create { object, .. } => snapshots.push(read(object.clone())),
            Write::Delete { .. } => snapshots.retain(|s| s.meta.name != name),
            Write::MergePatch { body, .. } => {
                let Some(found) = snapshots.iter_mut().find(|s| s.meta.name == name) else {
                    continue;
                };
                let latest = body["metadata"]["labels"]["kubernetes-fleet.io/is-latest-snapshot"]
                    .as_str()
                    .unwrap();
                let mut copy = OverrideSnapshot::clone(found);
                copy.meta
                    .labels
                    .insert("kubernetes-fleet.io/is-latest-snapshot".to_owned(), latest.to_owned());
                *found = Arc::new(copy);
            }
        }
    }
}

fn names(snapshots: &[Arc<OverrideSnapshot>]) -> Vec<String> {
    let mut names: Vec<_> = snapshots
        .iter()
        .map(|s| format!("{}{}", s.meta.name, if s.is_latest() { "*" } else { "" }))
        .collect();
    names.sort();
    names
}

#[test]
fn each_change_of_an_override_makes_one_snapshot() {
    let mut kept = Vec::new();
    let none = BTreeSet::new();
    for value in 0..3 {
        let over = an_override(value);
        let steps = snapshots::plan(&over, &kept, &none).unwrap();
        assert!(
            matches!(&steps[0][..], [Write::Create { .. }]),
            "the new one comes first: {steps:?}"
        );
        execute(&steps, &mut kept);
        assert_eq!(snapshots::plan(&over, &kept, &none).unwrap(), Vec::<Vec<Write>>::new());
    }
    assert_eq!(names(&kept), ["ro-0", "ro-1", "ro-2*"]);
    let Write::Create { object, .. } = &snapshots::plan(&an_override(9), &kept, &none).unwrap()[0][0] else {
        panic!()
    };
    assert_eq!(object["spec"]["overrideSpec"], an_override(9).spec);
    assert_eq!(object["metadata"]["ownerReferences"][0]["kind"], "ResourceOverride");
    assert_eq!(
        object["spec"]["overrideHash"].as_str().map(str::len),
        Some(88),
        "base64 of 64 digits"
    );

    // Going back to an earlier content is a new snapshot; a lost label comes back.
    execute(&snapshots::plan(&an_override(1), &kept, &none).unwrap(), &mut kept);
    assert_eq!(names(&kept), ["ro-0", "ro-1", "ro-2", "ro-3*"]);
    let mut copy = OverrideSnapshot::clone(&kept[3]);
    copy.meta
        .labels
        .insert("kubernetes-fleet.io/is-latest-snapshot".to_owned(), "false".to_owned());
    kept[3] = Arc::new(copy);
    execute(&snapshots::plan(&an_override(1), &kept, &none).unwrap(), &mut kept);
    assert_eq!(names(&kept), ["ro-0", "ro-1", "ro-2", "ro-3*"]);
}

#[test]
fn history_is_trimmed_but_never_what_a_binding_uses() {
    let mut kept = Vec::new();
    let in_use = BTreeSet::from(["ro-1".to_owned()]);
    for value in 0..12 {
        execute(
            &snapshots::plan(&an_override(value), &kept, &in_use).unwrap(),
            &mut kept,
        );
    }
    let left: BTreeSet<_> = kept.iter().map(|s| s.index().unwrap()).collect();
    assert_eq!(left, BTreeSet::from([1, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(kept.iter().filter(|s| s.is_latest()).count(), 1);
}

#[test]
fn a_deleted_override_takes_its_snapshots_along() {
    let mut kept = Vec::new();
    execute(
        &snapshots::plan(&an_override(0), &kept, &BTreeSet::new()).unwrap(),
        &mut kept,
    );
    let mut over = an_override(0);
    over.meta.deleted = Some("2026-11-21T12:00:00Z".parse().unwrap());
    let steps = snapshots::plan(&over, &kept, &BTreeSet::new()).unwrap();
    assert!(
        matches!(&steps[..], [a, b] if matches!(a[..], [Write::Delete { .. }]) && b.len() == 1),
        "{steps:?}"
    );
    let Write::MergePatch {
        body, resource_version, ..
    } = &steps[1][0]
    else {
        panic!()
    };
    assert_eq!(
        (body, resource_version.as_deref()),
        (&json!({"metadata": {"finalizers": []}}), Some("5"))
    );
    over.meta.finalizers.clear();
    assert_eq!(
        snapshots::plan(&over, &kept, &BTreeSet::new()).unwrap(),
        Vec::<Vec<Write>>::new()
    );
}

#[test]
fn a_new_override_gets_its_finalizer_first() {
    let mut over = an_override(0);
    over.meta.finalizers = vec!["other".to_owned()];
    let steps = snapshots::plan(&over, &[], &BTreeSet::new()).unwrap();
    let Write::MergePatch { body, .. } = &steps[0][0] else {
        panic!()
    };
    assert_eq!(
        body,
        &json!({"metadata": {"finalizers": ["other", "kubernetes-fleet.io/override-cleanup"]}})
    );
    assert!(matches!(&steps[1][..], [Write::Create { .. }]));
}

#[test]
fn a_snapshot_without_index_is_an_error() {
    let mut value = snapshot("app/ro-0", json!([]), json!([]));
    value["metadata"]["labels"]["kubernetes-fleet.io/override-index"] = json!("x");
    let err = snapshots::plan(&an_override(0), &[read(value)], &BTreeSet::new()).unwrap_err();
    assert_eq!(err.class.label(), "unexpected");
}
