//! Passes that are repeated elsewhere: from a recording, and from plain objects.

use std::time::Duration;

use api::kinds;
use fairway_core::objects::PlacementKey;
use fairway_core::placement::recording::{Recording, load};
use fairway_core::placement::{Pass, Trace};
use fairway_core::select::{Api, ApiKey};
use serde_json::{Value, json};

use crate::hub::{Hub, config_map, member_value, spec};

fn text(pass: &Pass) -> String {
    serde_json::to_string_pretty(pass).unwrap()
}

/// A hub on which everything has something to say: clusters with taints, labels and properties, overrides, an envelope,
/// a rollout that is under way, a Work that the member has not answered.
fn busy_hub() -> Hub {
    let mut hub = Hub::new(&[]);
    let heartbeat = "2036-01-01T00:00:00Z";
    for (name, labels, taints, heartbeat) in [
        ("a", json!({"region": "eu", "zone": "1"}), json!([]), heartbeat),
        ("b", json!({"region": "eu", "zone": "2"}), json!([]), heartbeat),
        ("c", json!({"region": "us", "zone": "1"}), json!([]), heartbeat),
        (
            "d",
            json!({"region": "eu", "zone": "3"}),
            json!([{"key": "team", "value": "other", "effect": "NoSchedule"}]),
            heartbeat,
        ),
        (
            "e",
            json!({"region": "eu", "zone": "3"}),
            json!([]),
            "2020-01-01T00:00:00Z",
        ),
    ] {
        hub.join(member_value(name, labels, json!({"taints": taints}), heartbeat));
    }
    hub.index.put(json!({
        "apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ResourceEnvelope",
        "metadata": {"name": "wrapped", "namespace": "app"},
        "data": {"quota.yaml": {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "app"}}},
    }));
    hub.override_snapshot(json!({
        "metadata": {"name": "scale-0", "namespace": "app", "labels": {
            "kubernetes-fleet.io/parent-resource-override": "scale", "kubernetes-fleet.io/is-latest-snapshot": "true",
            "kubernetes-fleet.io/override-index": "0"}},
        "spec": {"overrideHash": "aA==", "overrideSpec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "one"}],
            "policy": {"overrideRules": [{
                "clusterSelector": {"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"zone": "1"}}}]},
                "jsonPatchOverrides": [{"op": "add", "path": "/data/cluster", "value": "${MEMBER-CLUSTER-NAME}"}],
            }]},
        }},
    }));
    let requirement = json!({"labelSelector": {"matchLabels": {"region": "eu"}}});
    hub.place(spec(json!({
        "placementType": "PickN", "numberOfClusters": 2,
        "affinity": {"clusterAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"clusterSelectorTerms": [requirement]},
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 20, "preference": {"labelSelector": {"matchLabels": {"zone": "2"}}}}],
        }},
        "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}],
    })));
    hub.pass();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.pass();
    hub.index.put(config_map("one", "2"));
    hub.wait(Duration::from_secs(5));
    hub
}

#[test]
fn a_recorded_slice_gives_the_same_plan_again() {
    let hub = busy_hub();
    let pass = hub.plan();
    let (recorded, recording) = hub.record();
    assert_eq!(text(&recorded), text(&pass), "recording changes nothing");
    let json = serde_json::to_string(&recording).unwrap();
    let read: Recording = serde_json::from_str(&json).unwrap();
    assert_eq!(read, recording);
    assert_eq!(text(&read.replay()), text(&pass));
    assert_eq!(text(&read.explain().0), text(&pass), "asking why changes nothing");
}

/// A slice of an earlier release must give the plan that is stored beside it, byte for byte. A plan that changes on purpose
/// is accepted with `INSTA_UPDATE=always`.
#[test]
fn a_stored_recording_gives_the_stored_plan() {
    let recording: Recording = serde_json::from_str(include_str!("../data/recording.json")).unwrap();
    insta::assert_snapshot!("stored_plan", text(&recording.replay()));
    insta::assert_snapshot!(
        "stored_trace",
        serde_json::to_string_pretty(&recording.explain().1).unwrap()
    );
}

#[test]
fn plain_objects_give_the_plan_of_the_hub() {
    let hub = busy_hub();
    let objects = hub.dump();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let loaded = load::from_objects(&hub.key, [list], &[]);
    assert_eq!(loaded.unreadable, []);
    let recording = Recording {
        slice: loaded.slice,
        ..hub.record().1
    };
    assert_eq!(text(&recording.replay()), text(&hub.plan()));
    // The order of objects is of no importance.
    let reversed = load::from_objects(&hub.key, objects.into_iter().rev(), &[]);
    let recording = Recording {
        slice: reversed.slice,
        ..recording
    };
    assert_eq!(text(&recording.replay()), text(&hub.plan()));
}

#[test]
fn what_cannot_be_read_is_named_and_a_lost_binding_makes_the_slice_incomplete() {
    let key = PlacementKey::cluster("web");
    let broken = |kind: &str| json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": kind, "metadata": {"name": "x"}, "spec": 1});
    let loaded = load::from_objects(
        &key,
        [broken("ClusterResourceOverrideSnapshot"), json!({"kind": "X"})],
        &[],
    );
    assert_eq!(loaded.unreadable.len(), 2);
    assert!(loaded.slice.unreadable_bindings.is_empty());
    let loaded = load::from_objects(&key, [broken("ClusterResourceBinding")], &[]);
    assert_eq!(loaded.slice.unreadable_bindings.len(), 1);
    let mut work = broken("Work");
    work["metadata"] = json!({"name": "web-work", "namespace": "fleet-member-m"});
    let loaded = load::from_objects(&key, [work, broken("Work")], &[]);
    assert_eq!(loaded.slice.unreadable_works.len(), 1);
    let named = |kind: &str, name: &str| {
        let mut object = broken(kind);
        object["metadata"] = json!({ "name": name });
        object
    };
    let snapshots = [
        named("ClusterSchedulingPolicySnapshot", "web-1"),
        named("ClusterResourceSnapshot", "web-1-snapshot"),
        named("ClusterResourceSnapshot", "other-1-snapshot"),
    ];
    let loaded = load::from_objects(&key, snapshots, &[]);
    assert_eq!(loaded.slice.unreadable_snapshots.len(), 2);
}

#[test]
fn definitions_and_discovery_tell_apis_without_objects() {
    let key = PlacementKey::cluster("web");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "w.x.io"},
        "spec": {"group": "x.io", "scope": "Cluster", "names": {"kind": "Widget", "plural": "widgets"}, "versions": [
            {"name": "v1", "served": true, "storage": true}, {"name": "v2", "served": true, "storage": false},
            {"name": "v0", "served": false, "storage": false}]},
    });
    let roles = Api {
        key: ApiKey::new("rbac.authorization.k8s.io", "v1", "Role"),
        plural: "roles".to_owned(),
        namespaced: true,
        synced: true,
    };
    let loaded = load::from_objects(&key, [definition], &[roles]);
    let slice = loaded.slice.borrow();
    let stored = |version: &str| {
        slice
            .resources
            .resolve("x.io", version, "Widget")
            .map(|api| api.key.version)
    };
    assert_eq!(stored("v1").as_deref(), Some("v1"));
    assert_eq!(stored("v2").as_deref(), Some("v1"));
    assert_eq!(stored("v0"), None);
    let namespaced: Vec<String> = slice
        .resources
        .namespaced()
        .into_iter()
        .map(|api| api.key.kind)
        .collect();
    assert_eq!(namespaced, ["Role"]);
}

/// Finds the entry of a cluster.
fn cluster<'a>(trace: &'a Value, name: &str) -> &'a Value {
    let clusters = trace["scheduling"]["clusters"]["entries"].as_array().unwrap();
    clusters.iter().find(|entry| entry["cluster"] == name).unwrap()
}

#[test]
fn a_trace_tells_refusals_scores_budgets_overrides_and_works() {
    let hub = busy_hub();
    let first: Trace = {
        let mut hub = busy_hub();
        hub.objects
            .retain(|target, _| target.resource == kinds::CLUSTER_RESOURCE_PLACEMENT || is_override(target));
        hub.explain().1
    };
    let trace = serde_json::to_value(&first).unwrap();
    let c = cluster(&trace, "c");
    assert_eq!(
        (&c["result"], &c["filter"]),
        (&json!("refused"), &json!("ClusterAffinity"))
    );
    assert_eq!(
        c["compared"]["entries"][0],
        json!({"subject": "term 0: label region", "wanted": "In eu", "found": "us", "holds": false})
    );
    assert_eq!(cluster(&trace, "d")["filter"], "Taints");
    let e = cluster(&trace, "e");
    assert_eq!(e["filter"], "Eligibility");
    assert_eq!(e["compared"]["entries"][1]["found"], "2020-01-01T00:00:00Z");
    let b = cluster(&trace, "b");
    assert_eq!((&b["picked"], &b["affinityScore"]), (&json!(true), &json!(20)));
    assert_eq!(
        b["affinity"]["entries"][0],
        json!({"term": 0, "weight": 20, "sortedBy": null, "score": 20})
    );
    assert_eq!(b["topology"]["entries"][0]["domain"], "2");

    let trace = serde_json::to_value(hub.explain().1).unwrap();
    assert_eq!(trace["snapshots"]["resourcesAreNew"], true);
    let round = &trace["rollout"]["rounds"]["entries"][0];
    assert_eq!(
        (&round["target"], &round["maxUnavailable"], &round["maxSurge"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let removable = |field: &str| round[field].as_i64().unwrap();
    assert_eq!(
        removable("removable"),
        removable("ready") - removable("canBeUnavailable") - (removable("target") - removable("maxUnavailable"))
    );
    assert_eq!(
        trace["rollout"]["overrides"]["entries"],
        json!([{"cluster": "a", "snapshots": {"entries": ["app/scale-0"], "leftOut": 0}}])
    );
    let works = trace["works"]["entries"].as_array().unwrap();
    let of = |cluster: &str| works.iter().find(|entry| entry["cluster"] == cluster).unwrap();
    assert_eq!(
        of("a")["rules"]["entries"][0],
        json!({"snapshot": "app/scale-0", "rule": 0, "object": "v1, Kind=ConfigMap, app/one", "effect": "patch",
               "patches": [{"op": "add", "path": "/data/cluster", "value": "a"}]})
    );
    let actions: Vec<&Value> = of("a")["works"]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| &w["action"])
        .collect();
    assert!(
        actions
            .iter()
            .all(|action| ["update", "keep"].contains(&action.as_str().unwrap())),
        "{actions:?}"
    );
    assert!(actions.contains(&&json!("update")), "{actions:?}");
}

fn is_override(target: &fairway_core::effects::Target) -> bool {
    target.resource == kinds::RESOURCE_OVERRIDE_SNAPSHOT
}

#[test]
fn a_trace_of_a_large_fleet_is_bounded() {
    let mut hub = Hub::new(&[]);
    for number in 0..1000 {
        hub.join(member_value(
            &format!("m{number:04}"),
            json!({}),
            json!({}),
            "2036-01-01T00:00:00Z",
        ));
    }
    hub.place(spec(json!({"placementType": "PickAll"})));
    let trace = serde_json::to_value(hub.explain().1).unwrap();
    for list in [
        &trace["scheduling"]["clusters"],
        &trace["works"],
        &trace["rollout"]["rounds"]["entries"][0]["bindings"],
    ] {
        let held = list["entries"].as_array().unwrap().len();
        assert!(held <= 200, "{held}");
        assert!(list["leftOut"].as_u64().unwrap() > 0);
    }
    assert_eq!(trace["scheduling"]["clusters"]["leftOut"], 800);
}
