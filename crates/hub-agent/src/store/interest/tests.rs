use super::*;
use fairway_core::select::take_in;
use serde_json::{Value, json};

fn placement(name: &str, namespace: Option<&str>, spec: Value) -> Arc<Placement> {
    let metadata = json!({"name": name, "namespace": namespace, "generation": 1});
    Arc::new(Placement::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
}

fn interest(placements: &[Arc<Placement>]) -> Interest {
    let interest = Interest::default();
    for placement in placements {
        interest.set(&placement.key(), Some(placement));
    }
    interest
}

fn object(kind: &str, namespace: Option<&str>, name: &str, labels: Value) -> Selectable {
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
    take_in(json!({"apiVersion": "v1", "kind": kind, "metadata": metadata})).unwrap()
}

fn names(keys: impl IntoIterator<Item = PlacementKey>) -> Vec<String> {
    keys.into_iter().map(|key| key.to_string()).collect()
}

#[test]
fn changes_of_resources_reach_those_who_select_them() {
    let namespace = |extra: Value| {
        let mut term = json!({"group": "", "version": "v1", "kind": "Namespace"});
        term.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"resourceSelectors": [term]})
    };
    let all = [
        placement("by-name", None, namespace(json!({"name": "app"}))),
        placement(
            "only",
            None,
            namespace(json!({"name": "app", "selectionScope": "NamespaceOnly"})),
        ),
        placement(
            "by-label",
            None,
            namespace(json!({"labelSelector": {"matchLabels": {"team": "a"}}})),
        ),
        placement("every", None, namespace(json!({}))),
        placement(
            "rp",
            Some("app"),
            json!({"resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "c"}]}),
        ),
        placement(
            "other-rp",
            Some("else"),
            json!({"resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap"}]}),
        ),
    ];
    let interest = interest(&all);
    let app = object("Namespace", None, "app", json!({"team": "a"}));
    let plain = object("Namespace", None, "app", json!({}));
    let config = object("ConfigMap", Some("app"), "c", json!({}));

    assert_eq!(
        names(interest.in_object(None, Some(&config), Some(&app))),
        ["by-label", "by-name", "every", "app/rp"]
    );
    assert_eq!(
        names(interest.in_object(Some(&config), None, Some(&plain))),
        ["by-name", "every", "app/rp"]
    );
    assert_eq!(
        names(interest.in_object(Some(&config), None, None)),
        ["app/rp"],
        "the namespace is gone"
    );
    assert_eq!(
        names(interest.in_object(Some(&app), Some(&plain), None)),
        ["by-label", "by-name", "every", "only"]
    );
    assert_eq!(names(interest.naming("", "ConfigMap")), ["app/rp", "else/other-rp"]);

    interest.set(&all[0].key(), None);
    interest.set(
        &all[3].key(),
        Some(&placement("every", None, namespace(json!({"name": "none"})))),
    );
    assert_eq!(names(interest.in_object(None, Some(&config), Some(&plain))), ["app/rp"]);
}

fn member(labels: Value, taints: Value, available: &str, joined: bool) -> Member {
    let now = "2026-01-01T00:00:00Z";
    let condition =
        |kind: &str| json!({"type": kind, "status": "True", "reason": "x", "message": "", "lastTransitionTime": now});
    let agents = json!([{"type": "MemberAgent", "lastReceivedHeartbeat": now,
        "conditions": [condition("Joined"), condition("Healthy")]}]);
    Member::from_value(json!({
        "metadata": {"name": "m", "labels": labels},
        "spec": {"taints": taints},
        "status": {"agentStatus": if joined { agents } else { json!([]) }, "resourceUsage": {"available": {"cpu": available}}},
    }))
    .unwrap()
}

#[test]
fn changes_of_members_reach_those_who_may_still_pick() {
    let pick_n = |status: &str| {
        let metadata = json!({"name": format!("n-{status}"), "generation": 1});
        let condition = json!({"type": "ClusterResourcePlacementScheduled", "status": status, "reason": "x", "message": "",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let spec = json!({"resourceSelectors": [], "policy": {"placementType": "PickN", "numberOfClusters": 1}});
        let value = json!({"metadata": metadata, "spec": spec, "status": {"conditions": [condition]}});
        Arc::new(Placement::from_value(value).unwrap())
    };
    let sorter = json!({"resourceSelectors": [], "policy": {"placementType": "PickAll", "affinity": {"clusterAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"clusterSelectorTerms": [
            {"propertySelector": {"matchExpressions": [{"name": "a", "operator": "Gt", "values": ["1"]}]}}]}}}}});
    let interest = interest(&[
        placement("all", None, json!({"resourceSelectors": []})),
        placement("sorter", None, sorter),
        pick_n("True"),
        pick_n("False"),
    ]);
    let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    let taint = json!([{"key": "k", "effect": "NoSchedule"}]);
    let base = member(json!({}), json!([]), "1", true);
    let reached = |old: Option<&Member>, new: Option<&Member>| names(interest.in_member(old, new, now));

    assert!(reached(Some(&base), Some(&base)).is_empty());
    assert_eq!(
        reached(None, Some(&base)),
        ["all", "n-False", "sorter"],
        "it became eligible"
    );
    assert_eq!(
        reached(Some(&base), Some(&member(json!({"a": "b"}), json!([]), "1", true))),
        ["all", "n-False", "sorter"]
    );
    assert_eq!(
        reached(Some(&base), Some(&member(json!({}), json!([]), "2", true))),
        ["sorter"]
    );
    let tainted = member(json!({}), taint, "1", true);
    assert!(
        reached(Some(&base), Some(&tainted)).is_empty(),
        "a further taint moves nothing"
    );
    assert_eq!(reached(Some(&tainted), Some(&base)), ["all", "n-False", "sorter"]);
    assert_eq!(reached(Some(&base), None).len(), 4, "gone");
    assert!(
        reached(Some(&base), Some(&member(json!({}), json!([]), "1", false))).is_empty(),
        "silence moves nothing"
    );
}
