//! Rolling updates over several clusters.

use std::time::Duration;

use api::kinds;
use api::resource::Resource;
use fairway_core::effects::Target;
use serde_json::{Value, json};

use crate::hub::{Hub, config_map, member, spec};

const CLUSTERS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn available(hub: &mut Hub) {
    hub.answer(true, Some("AllManifestsAvailable"));
}

/// Rolls the placement out until it is available everywhere.
fn roll_out(hub: &mut Hub, spec: Value) {
    hub.place(spec);
    hub.settle();
    available(hub);
    hub.settle();
}

/// Clusters whose binding is in a state, or points to a snapshot.
fn clusters(hub: &Hub, field: &str, value: &str) -> Vec<&'static str> {
    let says = |cluster: &&&str| hub.binding(cluster).is_some_and(|b| b["spec"][field] == json!(value));
    CLUSTERS.iter().filter(says).copied().collect()
}

#[test]
fn one_of_four_moves_at_a_time() {
    let mut hub = Hub::new(&CLUSTERS[..4]);
    roll_out(&mut hub, spec(json!({"placementType": "PickAll"})));
    hub.index.put(config_map("one", "2"));
    for moved in 1..=4 {
        hub.settle();
        assert_eq!(
            clusters(&hub, "resourceSnapshotName", "web-1-snapshot"),
            CLUSTERS[..moved]
        );
        assert_eq!(
            hub.settle().writes().count(),
            0,
            "nothing more moves before the cluster is available"
        );
        let expected = if moved < 4 {
            "RolloutNotStartedYet"
        } else {
            "RolloutStarted"
        };
        assert_eq!(hub.condition("RolloutStarted").unwrap().1, expected);
        available(&mut hub);
    }
    hub.settle();
    assert_eq!(hub.condition("Available").unwrap().0, "True");
}

#[test]
fn moving_to_other_clusters_keeps_within_both_budgets() {
    let mut hub = Hub::new(&CLUSTERS);
    hub.members = CLUSTERS
        .iter()
        .enumerate()
        .map(|(i, name)| member(name, json!({"half": if i < 4 { "first" } else { "second" }})))
        .collect();
    let on = |half: &str| {
        let terms = json!([{"labelSelector": {"matchLabels": {"half": half}}}]);
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"clusterSelectorTerms": terms}});
        spec(json!({"placementType": "PickN", "numberOfClusters": 4, "affinity": {"clusterAffinity": required}}))
    };
    roll_out(&mut hub, on("first"));
    hub.place(on("second"));
    let mut serving: Vec<&str> = CLUSTERS[..4].to_vec();
    for _ in 0..4 {
        for _ in 0..8 {
            hub.pass();
            let (old, new) = (clusters(&hub, "state", "Unscheduled"), clusters(&hub, "state", "Bound"));
            assert!(
                old.len() + new.len() <= 5,
                "one more than wanted at most: {old:?} {new:?}"
            );
            serving.retain(|cluster| old.contains(cluster) || new.contains(cluster));
            assert!(serving.len() >= 3, "one less than wanted at most: {serving:?}");
        }
        hub.finish_works();
        available(&mut hub);
        serving = CLUSTERS
            .into_iter()
            .filter(|cluster| hub.binding(cluster).is_some_and(|b| b["spec"]["state"] != "Scheduled"))
            .collect();
    }
    hub.settle();
    assert_eq!(clusters(&hub, "state", "Bound"), CLUSTERS[4..]);
    assert_eq!(hub.count(kinds::WORK), 4);
    assert_eq!(hub.condition("Available").unwrap().0, "True");
}

#[test]
fn untrackable_resources_count_as_available_after_a_while() {
    let mut hub = Hub::new(&CLUSTERS[..2]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    hub.answer(true, Some("WorkNotTrackable"));
    hub.settle();
    hub.wait(Duration::from_secs(61));
    hub.index.put(config_map("one", "2"));
    hub.settle();
    hub.answer(true, Some("WorkNotTrackable"));
    let pass = hub.settle();
    assert_eq!(clusters(&hub, "resourceSnapshotName", "web-1-snapshot"), ["a"]);
    assert_eq!(pass.requeue, Some(Duration::from_secs(60)));
    hub.wait(Duration::from_secs(20));
    assert_eq!(hub.settle().requeue, Some(Duration::from_secs(40)));
    hub.wait(Duration::from_secs(40));
    hub.settle();
    assert_eq!(clusters(&hub, "resourceSnapshotName", "web-1-snapshot"), ["a", "b"]);
}

#[test]
fn a_failed_rollout_stops_and_a_repair_passes_the_budget() {
    let mut hub = Hub::new(&CLUSTERS[..4]);
    roll_out(&mut hub, spec(json!({"placementType": "PickAll"})));
    hub.index.put(config_map("one", "broken"));
    hub.settle();
    let work = Target::new(kinds::WORK, Some("fleet-member-a"), "web-work");
    hub.answer_work(&work, true, Some("SomeManifestsAreNotAvailable"));
    hub.settle();
    assert_eq!(clusters(&hub, "resourceSnapshotName", "web-1-snapshot"), ["a"]);
    hub.index.put(config_map("one", "repaired"));
    hub.settle();
    assert_eq!(clusters(&hub, "resourceSnapshotName", "web-2-snapshot"), ["a"]);
    for _ in 0..4 {
        available(&mut hub);
        hub.settle();
    }
    assert_eq!(clusters(&hub, "resourceSnapshotName", "web-2-snapshot"), CLUSTERS[..4]);
}

#[test]
fn an_apply_strategy_reaches_all_clusters_at_once() {
    let mut hub = Hub::new(&CLUSTERS[..4]);
    roll_out(&mut hub, spec(json!({"placementType": "PickAll"})));
    let mut changed = spec(json!({"placementType": "PickAll"}));
    changed["strategy"]["applyStrategy"] = json!({"type": "ServerSideApply"});
    hub.place(changed);
    hub.settle();
    let strategies = |kind: Resource| -> Vec<Value> {
        let of_kind = hub.objects.iter().filter(|(t, _)| t.resource == kind);
        of_kind
            .map(|(_, v)| v["spec"]["applyStrategy"]["type"].clone())
            .collect()
    };
    assert_eq!(
        strategies(kinds::CLUSTER_RESOURCE_BINDING),
        vec![json!("ServerSideApply"); 4]
    );
    assert_eq!(strategies(kinds::WORK), vec![json!("ServerSideApply"); 4]);
    available(&mut hub);
    hub.settle();
    assert_eq!(hub.condition("Available").unwrap().0, "True");
}

#[test]
fn scaling_to_zero_cleans_all_members() {
    let mut hub = Hub::new(&CLUSTERS[..3]);
    roll_out(&mut hub, spec(json!({"placementType": "PickN", "numberOfClusters": 3})));
    hub.place(spec(json!({"placementType": "PickN", "numberOfClusters": 0})));
    hub.settle();
    hub.finish_works();
    assert_eq!(
        (hub.count(kinds::WORK), hub.count(kinds::CLUSTER_RESOURCE_BINDING)),
        (0, 0)
    );
    assert_eq!(hub.placement()["status"]["conditions"].as_array().unwrap().len(), 1);
    assert_eq!(hub.condition("Scheduled").unwrap().1, "SchedulingPolicyFulfilled");
}

#[test]
fn a_deleted_override_leaves_the_clusters_one_by_one() {
    let mut hub = Hub::new(&CLUSTERS[..4]);
    let target = Target::new(kinds::CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT, None, "o-0");
    let over = json!({
        "metadata": {"name": "o-0", "labels": {
            "kubernetes-fleet.io/parent-resource-override": "o",
            "kubernetes-fleet.io/override-index": "0",
            "kubernetes-fleet.io/is-latest-snapshot": "true",
        }},
        "spec": {"overrideHash": "", "overrideSpec": {
            "clusterResourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "app"}],
            "policy": {"overrideRules": [{
                "clusterSelector": {"clusterSelectorTerms": []},
                "jsonPatchOverrides": [{"op": "add", "path": "/metadata/labels", "value": {"over": "ridden"}}],
            }]},
        }},
    });
    hub.put(target.clone(), over);
    roll_out(&mut hub, spec(json!({"placementType": "PickAll"})));
    assert_eq!(hub.condition("Overridden").unwrap().1, "OverriddenSucceeded");
    hub.objects.remove(&target);
    for moved in 1..=4 {
        hub.settle();
        let free = CLUSTERS[..4]
            .iter()
            .filter(|cluster| {
                hub.binding(cluster).unwrap()["spec"]
                    .get("clusterResourceOverrideSnapshots")
                    .is_none()
            })
            .count();
        assert_eq!(free, moved, "the budget holds for the removal of an override too");
        available(&mut hub);
    }
    hub.settle();
    assert_eq!(hub.condition("Overridden").unwrap().1, "NoOverrideSpecified");
    assert_eq!(hub.condition("Available").unwrap().0, "True");
}

#[test]
fn clusters_for_which_nothing_changes_need_not_wait_for_each_other() {
    let mut hub = Hub::new(&CLUSTERS[..4]);
    roll_out(&mut hub, spec(json!({"placementType": "PickAll"})));
    // A content that comes back at once has reached one of them; the others get a new index and nothing else.
    hub.index.put(config_map("one", "2"));
    hub.settle();
    hub.index.put(config_map("one", "1"));
    hub.settle();
    assert_eq!(clusters(&hub, "resourceSnapshotName", "web-2-snapshot"), ["a"]);
    available(&mut hub);
    hub.settle();
    assert_eq!(clusters(&hub, "resourceSnapshotName", "web-2-snapshot"), CLUSTERS[..4]);
    assert_eq!(hub.condition("Available").unwrap().0, "True");
}

#[test]
fn a_work_that_goes_is_a_change_until_the_member_has_removed_it() {
    let envelope = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ResourceEnvelope",
        "metadata": {"name": "e", "namespace": "app"}, "data": {"w": config_map("wrapped", "1")}});
    let mut hub = Hub::new(&CLUSTERS[..2]);
    hub.index.put(envelope);
    roll_out(&mut hub, spec(json!({"placementType": "PickAll"})));
    assert_eq!(hub.count(kinds::WORK), 4);
    hub.index.remove("ResourceEnvelope", "e");
    for cluster in &CLUSTERS[..2] {
        // One cluster at a time: the one that is in progress is not available.
        hub.settle();
        let said = hub.binding(cluster).unwrap()["status"]["conditions"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(said.last().unwrap()["reason"], "ApplyInProgress");
        assert_eq!(hub.condition("RolloutStarted").unwrap().0 == "True", *cluster == "b");
        hub.finish_works();
    }
    hub.settle();
    assert_eq!(hub.count(kinds::WORK), 2);
    assert_eq!(
        hub.condition("Available").unwrap().0,
        "True",
        "the member need not answer anew about the others"
    );
}

#[test]
fn a_report_of_differences_that_failed_holds_no_later_snapshot_up() {
    let mut hub = Hub::new(&CLUSTERS[..4]);
    let mut reports = spec(json!({"placementType": "PickAll"}));
    reports["strategy"]["applyStrategy"] = json!({"type": "ReportDiff"});
    reports["strategy"]["rollingUpdate"] = json!({"maxUnavailable": "100%", "unavailablePeriodSeconds": 1});
    hub.place(reports);
    hub.settle();
    let report = |hub: &mut Hub, holds: bool| {
        hub.answer(holds, None);
        for (_, work) in hub
            .objects
            .iter_mut()
            .filter(|(target, _)| target.resource == kinds::WORK)
        {
            work["status"]["conditions"][0]["type"] = json!("DiffReported");
        }
    };
    report(&mut hub, true);
    hub.settle();
    assert_eq!(hub.condition("DiffReported").unwrap().0, "True");
    hub.index.put(config_map("one", "immutable"));
    hub.settle();
    report(&mut hub, false);
    hub.settle();
    assert_eq!(hub.condition("DiffReported").unwrap().0, "False");
    hub.index.put(config_map("one", "1"));
    hub.settle();
    assert_eq!(clusters(&hub, "resourceSnapshotName", "web-2-snapshot"), CLUSTERS[..4]);
    assert_eq!(hub.condition("RolloutStarted").unwrap().0, "True");
    report(&mut hub, true);
    hub.settle();
    assert_eq!(hub.condition("DiffReported").unwrap().0, "True");
}

#[test]
fn a_member_that_never_answers_does_not_hold_up_the_others() {
    let mut hub = Hub::new(&CLUSTERS);
    let on = |names: &[&str]| spec(json!({"placementType": "PickFixed", "clusterNames": names}));
    roll_out(&mut hub, on(&CLUSTERS[..4]));
    hub.place(on(&CLUSTERS[4..]));
    // The members of `e` and `f` are silent.
    for _ in 0..12 {
        hub.settle();
        hub.finish_works();
        for target in hub.works() {
            if !["fleet-member-e", "fleet-member-f"].contains(&target.namespace.as_deref().unwrap()) {
                hub.answer_work(&target, true, Some("AllManifestsAvailable"));
            }
        }
        hub.wait(Duration::from_secs(61));
    }
    assert_eq!(clusters(&hub, "state", "Bound"), CLUSTERS[4..]);
}
