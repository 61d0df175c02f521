//! What users break by hand is repaired, and changes of strategy keep what is placed (hub-behaviour 12.3, 12.4).

use api::kinds;
use api::resource::Resource;
use fairway_core::effects::{Target, Write};
use serde_json::{Value, json};

use crate::hub::{Hub, config_map, member, spec};
use crate::life::yes;

fn all() -> Value {
    spec(json!({"placementType": "PickAll"}))
}

/// A placement that is available on two members.
fn placed(spec: Value) -> Hub {
    let mut hub = Hub::new(&["a", "b"]);
    hub.place(spec);
    hub.settle();
    available(&mut hub);
    hub
}

fn available(hub: &mut Hub) {
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
}

fn delete(hub: &mut Hub, kind: Resource, name: &str) {
    let found: Vec<Target> = hub
        .objects
        .keys()
        .filter(|t| t.resource == kind && (name.is_empty() || t.name == name))
        .cloned()
        .collect();
    assert!(!found.is_empty());
    for target in found {
        hub.apply(&Write::Delete { target, uid: None }).unwrap();
    }
    hub.log.clear();
}

fn touched(hub: &Hub, kind: Resource) -> bool {
    hub.log.iter().any(|write| write.target().resource == kind)
}

#[test]
fn a_work_deleted_by_hand_comes_back_once_it_is_gone() {
    let mut hub = placed(all());
    delete(&mut hub, kinds::WORK, "web-work");
    hub.settle();
    assert_eq!(hub.condition("WorkSynchronized").unwrap().1, "WorkNotSynchronizedYet");
    hub.finish_works();
    hub.settle();
    assert_eq!(hub.count(kinds::WORK), 2);
    available(&mut hub);
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
}

#[test]
fn snapshots_deleted_by_hand_come_back_without_disturbing_members() {
    for kind in [
        kinds::CLUSTER_RESOURCE_SNAPSHOT,
        kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
    ] {
        let mut hub = placed(all());
        delete(&mut hub, kind.clone(), "");
        hub.settle();
        assert_eq!(hub.count(kind), 1);
        assert!(!touched(&hub, kinds::WORK), "{:?}", hub.log);
        assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
        assert_eq!(hub.placement()["status"]["observedResourceIndex"], "0");
    }
    // An older one that holds the same content becomes the latest again; other content gets the next index.
    let mut hub = placed(all());
    hub.index.put(config_map("one", "2"));
    for _ in 0..3 {
        hub.settle();
        available(&mut hub);
    }
    delete(&mut hub, kinds::CLUSTER_RESOURCE_SNAPSHOT, "web-1-snapshot");
    hub.settle();
    assert_eq!(hub.placement()["status"]["observedResourceIndex"], "1");
    assert!(!touched(&hub, kinds::WORK), "{:?}", hub.log);
    delete(&mut hub, kinds::CLUSTER_RESOURCE_SNAPSHOT, "web-1-snapshot");
    hub.index.put(config_map("one", "1"));
    for _ in 0..3 {
        hub.settle();
        available(&mut hub);
    }
    assert_eq!(hub.placement()["status"]["observedResourceIndex"], "0");
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
}

#[test]
fn handing_the_rollout_over_keeps_the_status_complete_on_old_content() {
    let mut hub = placed(all());
    let mut external = all();
    external["strategy"] = json!({"type": "External"});
    hub.place(external);
    hub.settle();
    assert!(
        !touched(&hub, kinds::WORK) && !touched(&hub, kinds::CLUSTER_RESOURCE_BINDING),
        "{:?}",
        hub.log
    );
    for type_ in [
        "Scheduled",
        "RolloutStarted",
        "Overridden",
        "WorkSynchronized",
        "Applied",
        "Available",
    ] {
        assert_eq!(hub.condition(type_).unwrap().0, "True", "{type_}");
    }
    hub.index.put(config_map("two", "1"));
    hub.settle();
    let status = &hub.placement()["status"];
    assert_eq!(status["observedResourceIndex"], "0");
    assert_eq!(status["selectedResources"].as_array().unwrap().len(), 2);
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_SNAPSHOT), 1);
    // A member that joins is scheduled and left alone, so the clusters no longer agree.
    hub.members.push(member("c", json!({})));
    hub.settle();
    assert_eq!(hub.binding("c").unwrap()["spec"]["state"], "Scheduled");
    let unknown = ("Unknown".to_owned(), "RolloutControlledByExternalController".to_owned());
    assert_eq!(hub.condition("RolloutStarted"), Some(unknown));
    let status = &hub.placement()["status"];
    assert!(status.get("observedResourceIndex").is_none() && status.get("selectedResources").is_none());
}

#[test]
fn reporting_differences_replaces_applying_and_back() {
    let mut hub = placed(all());
    let mut diff = all();
    diff["strategy"]["applyStrategy"] = json!({"type": "ReportDiff"});
    hub.place(diff);
    hub.settle();
    assert_eq!(
        hub.condition("DiffReported").unwrap(),
        ("False".to_owned(), "DiffReportingIncompleteOrFailed".to_owned())
    );
    assert_eq!(hub.condition("Applied"), None);
    let now = hub.now.to_string();
    for (_, work) in hub
        .objects
        .iter_mut()
        .filter(|(target, _)| target.resource == kinds::WORK)
    {
        let entry = json!({
            "identifier": {"ordinal": 0, "version": "v1", "kind": "ConfigMap", "resource": "configmaps", "namespace": "app", "name": "one"},
            "conditions": [],
            "diffDetails": {"observationTime": now, "firstDiffedObservedTime": now,
                "observedDiffs": [{"path": "/data/a", "valueInMember": "x", "valueInHub": "1"}]},
        });
        work["status"] = json!({
            "conditions": [{"type": "DiffReported", "status": "True", "reason": "AllManifestsDiffReported", "message": "",
                "observedGeneration": work["metadata"]["generation"], "lastTransitionTime": now}],
            "manifestConditions": [entry],
        });
    }
    hub.settle();
    assert_eq!(hub.condition("DiffReported"), yes("DiffReportingCompleted"));
    let entries = hub.placement()["status"]["placementStatuses"].as_array().unwrap();
    for entry in entries {
        assert_eq!(entry["diffedPlacements"][0]["observedDiffs"][0]["path"], "/data/a");
        let types: Vec<_> = entry["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["type"].clone())
            .collect();
        assert_eq!(
            types,
            [
                "Scheduled",
                "RolloutStarted",
                "Overridden",
                "WorkSynchronized",
                "DiffReported"
            ]
        );
    }
    // New content reaches all clusters without waiting for any.
    hub.index.put(config_map("one", "2"));
    hub.settle();
    hub.place(all());
    hub.settle();
    available(&mut hub);
    available(&mut hub);
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
    assert_eq!(hub.condition("DiffReported"), None);
    assert!(
        hub.placement()["status"]["placementStatuses"][0]
            .get("diffedPlacements")
            .is_none()
    );
}

#[test]
fn taints_and_labels_keep_newcomers_out_and_move_nobody() {
    let mut hub = placed(all());
    hub.members = vec![
        crate::hub::member_with(
            "a",
            json!({}),
            json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}),
            "2036-01-01T00:00:00Z",
        ),
        member("b", json!({})),
        crate::hub::member_with(
            "c",
            json!({}),
            json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}),
            "2036-01-01T00:00:00Z",
        ),
    ];
    hub.settle();
    assert!(hub.binding("a").is_some() && hub.binding("c").is_none());
    assert_eq!(hub.condition("Scheduled"), yes("SchedulingPolicyFulfilled"));
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
    let entries = hub.placement()["status"]["placementStatuses"].as_array().unwrap().len();
    assert_eq!(entries, 2, "PickAll has no placeholders");
    let policy = hub.get(kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT, "web-0").unwrap();
    let reason = policy["status"]["targetClusters"][2]["reason"].as_str().unwrap();
    assert_eq!(reason, "ClusterUnschedulable, taint k=v:NoSchedule cannot be tolerated");
    let mut tolerant = all();
    tolerant["policy"]["tolerations"] = json!([{"key": "k", "operator": "Exists"}]);
    hub.place(tolerant);
    hub.settle();
    assert_eq!(hub.binding("c").unwrap()["spec"]["state"], "Bound");
    assert_eq!(
        hub.binding("a").unwrap()["spec"]["schedulingPolicySnapshotName"],
        "web-1"
    );
}
