//! Whole lives of placements.

use std::time::Duration;

use api::kinds;
use fairway_core::effects::{Target, Write};
use fairway_core::objects::PlacementKey;
use fairway_core::placement::{Moment, Stages};
use serde_json::{Value, json};

use crate::hub::{Hub, config_map, find_condition, member, member_with, spec};

pub(crate) fn yes(reason: &str) -> Option<(String, String)> {
    Some(("True".to_owned(), reason.to_owned()))
}

fn no(reason: &str) -> Option<(String, String)> {
    Some(("False".to_owned(), reason.to_owned()))
}

#[test]
fn from_creation_to_available_in_few_writes_and_round_trips() {
    let mut hub = Hub::new(&["a", "b", "c"]);
    hub.settings.progress_grace = Duration::from_millis(200);
    hub.place(spec(json!({"placementType": "PickAll"})));
    let first = hub.pass();
    assert!(first.facts.withheld, "the status waits for the members");
    assert_eq!(
        first.steps.len(),
        2,
        "one round trip for finalizers and snapshots, one for bindings and works"
    );
    assert_eq!(first.requeue, Some(Duration::from_millis(200)));
    let binding = hub.binding("a").unwrap();
    assert_eq!(binding["spec"]["state"], "Bound");
    assert_eq!(binding["spec"]["resourceSnapshotName"], "web-0-snapshot");
    assert_eq!(binding["spec"]["applyStrategy"]["type"], "ClientSideApply");
    assert_eq!(
        binding["metadata"]["finalizers"],
        json!([
            "kubernetes-fleet.io/scheduler-crb-cleanup",
            "kubernetes-fleet.io/work-cleanup"
        ])
    );
    assert_eq!(
        hub.placement()["metadata"]["finalizers"],
        json!([
            "kubernetes-fleet.io/crp-cleanup",
            "kubernetes-fleet.io/scheduler-cleanup"
        ])
    );
    hub.answer(true, Some("AllManifestsAvailable"));
    let second = hub.pass();
    let own: Vec<&Target> = second.steps.iter().flatten().map(Write::target).collect();
    assert_eq!(
        own,
        [&hub
            .key
            .target(kinds::CLUSTER_RESOURCE_PLACEMENT, kinds::RESOURCE_PLACEMENT)]
    );
    assert_eq!(
        second.deferrable.len(),
        4,
        "the bindings' statuses and that of the policy"
    );
    assert_eq!(second.requeue, None, "a complete placement is not looked at again");
    for (type_, reason) in [
        ("Scheduled", "SchedulingPolicyFulfilled"),
        ("RolloutStarted", "RolloutStarted"),
        ("Overridden", "NoOverrideSpecified"),
        ("WorkSynchronized", "WorkSynchronized"),
        ("Applied", "ApplySucceeded"),
        ("Available", "ResourceAvailable"),
    ] {
        assert_eq!(hub.condition(type_), yes(reason), "{type_}");
    }
    let writes = hub.log.len() + hub.events.len();
    assert!(
        writes <= 4 * 3 + 10,
        "{writes} writes: {:#?}",
        hub.log.iter().map(Write::target).collect::<Vec<_>>()
    );
    assert_eq!(hub.plan().writes().count(), 0, "quiet when idle");
}

#[test]
fn details_that_are_left_out_are_planned_again() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.pass();
    hub.answer(true, Some("AllManifestsAvailable"));
    let hurried = hub.plan();
    for write in hurried.steps.iter().flatten() {
        hub.apply(write).unwrap();
    }
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
    let later = hub.plan();
    assert!(later.steps.is_empty() && !later.deferrable.is_empty());
    assert_eq!(later.deferrable, hurried.deferrable);
    hub.settle();
    let available = find_condition(hub.binding("b").unwrap(), "Available");
    assert_eq!(available, yes("AllWorkAreAvailable"));
}

#[test]
fn works_are_held_from_the_start_where_a_living_agent_holds_works() {
    for (holds, minutes, finalizers) in [
        (false, 0, json!(null)),
        (true, 0, json!(["kubernetes-fleet.io/work-cleanup"])),
        (true, 6, json!(null)),
    ] {
        let mut hub = Hub::new(&[]);
        let heartbeat = hub.now.to_string();
        hub.members = vec![member_with("a", json!({}), json!({}), &heartbeat)];
        hub.place(spec(json!({"placementType": "PickFixed", "clusterNames": ["a"]})));
        hub.members_with_finalizers
            .extend(holds.then(|| "fleet-member-a".to_owned()));
        let scheduled = hub.settings.stages;
        hub.settings.stages.work = false;
        hub.pass();
        hub.settings.stages = scheduled;
        hub.wait(Duration::from_secs(60 * minutes));
        hub.pass();
        let mut created = hub.log.iter().filter_map(|write| match write {
            Write::Create { target, object } if target.resource == kinds::WORK => Some(object),
            _ => None,
        });
        let work = created.next().unwrap();
        assert_eq!(work["metadata"]["finalizers"], finalizers, "{holds} {minutes}");
    }
}

#[test]
fn a_namespaced_placement_lives_in_its_namespace() {
    let mut hub = Hub::new(&["a"]);
    hub.key = PlacementKey::namespaced("app", "web");
    let selector = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    hub.place(json!({"resourceSelectors": [selector]}));
    hub.settle();
    for (target, object) in hub.objects.iter().filter(|(target, _)| target.resource != kinds::WORK) {
        assert_eq!(target.namespace.as_deref(), Some("app"), "{target:?}");
        assert!(target.resource.namespaced, "{target:?}");
        assert_eq!(object["metadata"]["namespace"], "app");
    }
    let work = hub.get(kinds::WORK, "app.web-work").unwrap();
    assert_eq!(
        work["metadata"]["labels"]["kubernetes-fleet.io/parent-placement-namespace"],
        "app"
    );
    assert_eq!(work["spec"]["workload"]["manifests"].as_array().unwrap().len(), 1);
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
    hub.delete_placement();
    hub.settle();
    hub.finish_works();
    assert!(hub.objects.is_empty());
}

#[test]
fn progress_is_shown_when_members_take_their_time() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.settings.progress_grace = Duration::from_millis(200);
    hub.place(spec(json!({"placementType": "PickAll"})));
    assert!(hub.pass().facts.withheld);
    assert_eq!(hub.condition("Scheduled"), None);
    hub.wait(Duration::from_millis(100));
    assert_eq!(hub.pass().requeue, Some(Duration::from_millis(100)));
    hub.wait(Duration::from_millis(100));
    let pass = hub.pass();
    assert!(!pass.facts.withheld);
    assert_eq!(hub.condition("WorkSynchronized"), yes("WorkSynchronized"));
    assert_eq!(hub.condition("Applied"), no("ApplyFailed"));
    assert_eq!(
        find_condition(hub.binding("a").unwrap(), "Applied"),
        no("ApplyInProgress")
    );
    assert_eq!(hub.pass().writes().count(), 0);
}

#[test]
fn progress_waits_longer_while_many_placements_wait() {
    let mut hub = Hub::new(&["a"]);
    hub.settings.progress_grace = Duration::from_millis(200);
    hub.others_awaited = 1;
    hub.place(spec(json!({"placementType": "PickAll"})));
    assert!(hub.pass().facts.withheld);
    hub.wait(Duration::from_millis(200));
    assert_eq!(hub.pass().requeue, Some(Duration::from_millis(200)));
    hub.others_awaited = 5000;
    assert_eq!(hub.pass().requeue, Some(Duration::from_millis(9800)));
    hub.wait(Duration::from_millis(9800));
    assert!(!hub.pass().facts.withheld);
}

#[test]
fn content_changes_roll_out_and_disappear_with_the_placement() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    hub.index.put(config_map("one", "2"));
    hub.settle();
    assert_eq!(hub.placement()["status"]["observedResourceIndex"], "1");
    assert_eq!(
        hub.binding("a").unwrap()["spec"]["resourceSnapshotName"],
        "web-1-snapshot"
    );
    let work = hub.get(kinds::WORK, "web-work").unwrap();
    assert_eq!(
        work["metadata"]["labels"]["kubernetes-fleet.io/parent-resource-snapshot-index"],
        "1"
    );
    assert_eq!(work["spec"]["workload"]["manifests"][1]["data"]["a"], "2");
    assert_eq!(
        work["spec"]["workload"]["manifests"].as_array().unwrap().len(),
        2,
        "nothing of older content remains"
    );
    assert_eq!(hub.condition("Applied"), no("ApplyFailed"));
    // The member has answered for the older content, but not for this one yet.
    assert_eq!(
        find_condition(hub.binding("a").unwrap(), "Applied"),
        no("ApplyInProgress")
    );
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));

    hub.delete_placement();
    hub.events.clear();
    let pass = hub.pass();
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_PLACEMENT), 0, "{:?}", pass.steps);
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_BINDING), 0);
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_SNAPSHOT), 0);
    assert_eq!(hub.count(kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT), 0);
    assert!(hub.get(kinds::WORK, "web-work").unwrap()["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(hub.events, ["PlacementCleanupFinalizerRemoved"]);
    assert!(pass.facts.forget_placement);
    assert_eq!(hub.plan().writes().count(), 0);
}

fn override_snapshot(index: u64, latest: bool, value: &str) -> (Target, Value) {
    let name = format!("o-{index}");
    let object = json!({
        "metadata": {"name": name, "namespace": "app", "labels": {
            "kubernetes-fleet.io/parent-resource-override": "o",
            "kubernetes-fleet.io/override-index": index.to_string(),
            "kubernetes-fleet.io/is-latest-snapshot": latest.to_string(),
        }},
        "spec": {"overrideHash": "", "overrideSpec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "one"}],
            "policy": {"overrideRules": [{
                "clusterSelector": {"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"env": "x"}}}]},
                "jsonPatchOverrides": [{"op": "replace", "path": "/data/a", "value": value}],
            }]},
        }},
    });
    (
        Target::new(kinds::RESOURCE_OVERRIDE_SNAPSHOT, Some("app"), &name),
        object,
    )
}

#[test]
fn an_override_reaches_only_its_cluster() {
    let mut hub = Hub::new(&[]);
    hub.members = vec![member("a", json!({"env": "x"})), member("b", json!({"env": "y"}))];
    let (target, object) = override_snapshot(0, true, "first");
    hub.put(target.clone(), object);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    let content = |hub: &Hub, cluster: &str| {
        let target = Target::new(kinds::WORK, Some(&format!("fleet-member-{cluster}")), "web-work");
        hub.objects[&target]["spec"]["workload"]["manifests"][1]["data"]["a"].clone()
    };
    assert_eq!((content(&hub, "a"), content(&hub, "b")), (json!("first"), json!("1")));
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Overridden"), yes("OverriddenSucceeded"));

    hub.objects.remove(&target);
    for (index, value) in [(0, "first"), (1, "second")] {
        let (target, object) = override_snapshot(index, index == 1, value);
        hub.put(target, object);
    }
    hub.log.clear();
    hub.settle();
    assert_eq!((content(&hub, "a"), content(&hub, "b")), (json!("second"), json!("1")));
    let touched = |cluster: &str| {
        let name = hub.binding(cluster).unwrap()["metadata"]["name"].as_str().unwrap();
        hub.log.iter().any(|write| write.target().name == name)
    };
    assert!(touched("a") && !touched("b"), "the other cluster is left alone");
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
}

#[test]
fn a_wrong_selector_is_told_and_leaves_what_is_placed() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    let mut wrong = spec(json!({"placementType": "PickAll"}));
    wrong["resourceSelectors"][0]["name"] = json!("kube-system");
    hub.place(wrong);
    let pass = hub.settle();
    assert_eq!(hub.condition("Scheduled"), no("InvalidResourceSelectors"));
    assert_eq!(pass.requeue, Some(Duration::from_secs(30 * 60)));
    assert_eq!(hub.count(kinds::WORK), 1);
    assert!(
        hub.log
            .iter()
            .all(|write| write.target().resource == kinds::CLUSTER_RESOURCE_PLACEMENT),
        "{:?}",
        hub.log
    );
}

#[test]
fn an_index_that_is_not_complete_selects_nothing_partially() {
    let mut hub = Hub::new(&["a"]);
    hub.index.unsynced = Some("ConfigMap".to_owned());
    hub.place(spec(json!({"placementType": "PickAll"})));
    let pass = hub.pass();
    assert_eq!(pass.problems.len(), 1);
    let shown = pass.facts.placement.unwrap();
    assert_eq!(
        (shown.condition.as_str(), shown.status.as_str()),
        ("ClusterResourcePlacementScheduled", "nil")
    );
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_SNAPSHOT), 0);
    hub.index.unsynced = None;
    hub.settle();
    assert_eq!(hub.count(kinds::WORK), 1);
}

#[test]
fn a_member_that_leaves_takes_its_binding_along() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    hub.members.retain(|member| member.name() != "b");
    hub.settle();
    assert!(hub.binding("b").is_none());
    assert!(hub.binding("a").is_some());
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
    hub.finish_works();
    hub.members.push(member("b", json!({})));
    hub.settle();
    assert_eq!(hub.binding("b").unwrap()["spec"]["state"], "Bound");
}

#[test]
fn what_is_placed_on_a_member_that_leaves_is_not_withdrawn() {
    let mut hub = Hub::new(&["a", "b", "c"]);
    hub.place(spec(json!({"placementType": "PickN", "numberOfClusters": 2})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    let mut leaving = (*hub.members[1]).clone();
    leaving.meta.deleted = Some(hub.now);
    hub.members[1] = leaving.into();
    hub.index.put(config_map("one", "2"));
    let on_b = Target::new(kinds::WORK, Some("fleet-member-b"), "web-work");
    let before = hub.objects[&on_b].clone();
    hub.log.clear();
    for _ in 0..3 {
        hub.settle();
        assert_eq!(hub.objects[&on_b]["spec"], before["spec"]);
        assert!(hub.log.iter().all(|write| *write.target() != on_b), "{:?}", hub.log);
        hub.answer(true, Some("AllManifestsAvailable"));
    }
    assert_eq!(hub.binding("b").unwrap()["spec"]["state"], "Unscheduled");
    assert_eq!(
        hub.binding("a").unwrap()["spec"]["state"],
        "Bound",
        "it has a replacement"
    );
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
    // Its namespace goes, and nobody tries to write there again.
    hub.objects.remove(&on_b);
    hub.settle();
    assert!(!hub.objects.contains_key(&on_b));
    hub.members.remove(1);
    hub.settle();
    assert!(hub.binding("b").is_none());
}

#[test]
fn a_new_binding_waits_until_the_old_work_is_gone() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickN", "numberOfClusters": 1})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    let name = hub.binding("a").unwrap()["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = Target::new(kinds::CLUSTER_RESOURCE_BINDING, None, &name);
    hub.apply(&Write::Delete { target, uid: None }).unwrap();
    hub.settle();
    let binding = hub.binding("a").unwrap().clone();
    assert_ne!(
        binding["metadata"]["name"],
        json!(name),
        "the scheduler has picked the cluster again"
    );
    assert_eq!(find_condition(&binding, "WorkSynchronized"), no("SyncWorkFailed"));
    hub.finish_works();
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
}

#[test]
fn fixed_clusters_that_cannot_be_used_are_reported_as_placeholders() {
    let mut hub = Hub::new(&["a"]);
    hub.members.push(crate::hub::member_with(
        "sick",
        json!({}),
        json!({}),
        "2020-01-01T00:00:00Z",
    ));
    hub.place(spec(
        json!({"placementType": "PickFixed", "clusterNames": ["a", "sick", "none"]}),
    ));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Scheduled"), no("SchedulingPolicyUnfulfilled"));
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
    let statuses = hub.placement()["status"]["placementStatuses"].as_array().unwrap();
    let names: Vec<_> = statuses.iter().map(|s| s.get("clusterName").cloned()).collect();
    assert_eq!(names, [Some(json!("a")), None, None]);
    // Once placed, a cluster stays, whatever its health.
    hub.members[0] = crate::hub::member_with("a", json!({}), json!({}), "2020-01-01T00:00:00Z");
    hub.settle();
    assert_eq!(hub.binding("a").unwrap()["spec"]["state"], "Bound");
}

#[test]
fn stages_can_be_switched_off() {
    let mut hub = Hub::new(&["a"]);
    hub.settings.stages = Stages {
        placement: true,
        schedule: false,
        rollout: false,
        work: false,
    };
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    assert_eq!(
        hub.condition("Scheduled"),
        Some(("Unknown".to_owned(), "SchedulePending".to_owned()))
    );
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_BINDING), 0);
    hub.settings.stages = Stages {
        placement: false,
        schedule: true,
        rollout: false,
        work: false,
    };
    hub.settle();
    assert_eq!(hub.binding("a").unwrap()["spec"]["state"], "Scheduled");
    hub.settings.stages = Stages {
        placement: false,
        schedule: false,
        rollout: true,
        work: false,
    };
    hub.settle();
    assert_eq!(hub.binding("a").unwrap()["spec"]["state"], "Bound");
    assert_eq!(hub.count(kinds::WORK), 0);
    hub.settings.stages = Stages {
        placement: false,
        schedule: false,
        rollout: false,
        work: true,
    };
    hub.settle();
    assert_eq!(hub.count(kinds::WORK), 1);
    assert_eq!(
        find_condition(hub.binding("a").unwrap(), "WorkSynchronized"),
        yes("AllWorkSynced")
    );
    hub.settings.stages = Stages::default();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
}

#[test]
fn an_empty_list_of_clusters_is_pending_until_one_is_named() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickFixed"})));
    hub.settle();
    assert_eq!(
        hub.condition("Scheduled"),
        Some(("Unknown".to_owned(), "SchedulePending".to_owned()))
    );
    hub.place(spec(json!({"placementType": "PickFixed", "clusterNames": ["a"]})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"));
}

#[test]
fn external_placements_are_scheduled_but_not_rolled_out() {
    let mut hub = Hub::new(&["a"]);
    let mut external = spec(json!({"placementType": "PickAll"}));
    external["strategy"] = json!({"type": "External"});
    hub.place(external);
    hub.settle();
    assert_eq!(hub.binding("a").unwrap()["spec"]["state"], "Scheduled");
    assert_eq!(hub.count(kinds::WORK), 0);
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_SNAPSHOT), 0);
    let unknown = Some(("Unknown".to_owned(), "RolloutControlledByExternalController".to_owned()));
    assert_eq!(hub.condition("RolloutStarted"), unknown);
}

#[test]
fn a_history_of_one_never_holds_two_snapshots() {
    let mut hub = Hub::new(&["a"]);
    let mut one = spec(json!({"placementType": "PickAll"}));
    one["revisionHistoryLimit"] = json!(1);
    hub.place(one);
    hub.settle();
    hub.answer(true, Some("SomeManifestsAreNotAvailable"));
    hub.settle();
    for content in ["2", "3"] {
        hub.index.put(config_map("one", content));
        let pass = hub.plan();
        let mut held = hub.count(kinds::CLUSTER_RESOURCE_SNAPSHOT);
        for step in &pass.steps {
            let of_kind = step
                .iter()
                .filter(|w| w.target().resource == kinds::CLUSTER_RESOURCE_SNAPSHOT);
            for write in of_kind {
                match write {
                    Write::Create { .. } => held += 1,
                    Write::Delete { .. } => held -= 1,
                    Write::MergePatch { .. } | Write::ReplaceStatus { .. } => {}
                }
            }
            assert!(held <= 1, "{step:?}");
            let both = |f: fn(&Write) -> bool| {
                step.iter()
                    .any(|w| w.target().resource == kinds::CLUSTER_RESOURCE_SNAPSHOT && f(w))
            };
            assert!(
                !(both(|w| matches!(w, Write::Create { .. })) && both(|w| matches!(w, Write::Delete { .. }))),
                "deleting and creating must not run side by side"
            );
        }
        hub.settle();
        assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_SNAPSHOT), 1);
        // The broken rollout is repaired without waiting for availability.
        let name = hub.placement()["status"]["observedResourceIndex"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            hub.binding("a").unwrap()["spec"]["resourceSnapshotName"],
            json!(format!("web-{name}-snapshot"))
        );
        hub.answer(true, Some("SomeManifestsAreNotAvailable"));
        hub.settle();
    }
}

#[test]
fn collected_changes_wait_and_the_status_speaks_of_the_old_content() {
    let mut hub = Hub::new(&["a"]);
    hub.settings.snapshot_collection = Duration::from_secs(15);
    hub.settings.snapshot_minimum_interval = Duration::from_secs(30);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    hub.wait(Duration::from_secs(60));
    hub.index.put(config_map("two", "1"));
    let pass = hub.pass();
    assert_eq!(pass.requeue, Some(Duration::from_secs(15)));
    assert_eq!(
        hub.placement()["status"]["selectedResources"].as_array().unwrap().len(),
        2
    );
    hub.wait(Duration::from_secs(14));
    assert_eq!(hub.settle().requeue, Some(Duration::from_secs(1)));
    // Going back clears the window.
    hub.index.remove("ConfigMap", "two");
    hub.settle();
    hub.index.put(config_map("two", "1"));
    assert_eq!(hub.pass().requeue, Some(Duration::from_secs(15)));
    hub.wait(Duration::from_secs(15));
    hub.settle();
    assert_eq!(hub.placement()["status"]["observedResourceIndex"], "1");
    assert_eq!(
        hub.placement()["status"]["selectedResources"].as_array().unwrap().len(),
        3
    );
}

#[test]
fn whoever_measures_scheduling_sees_when_it_begins_and_ends_and_changes_nothing() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    let (pass, seen) = hub.moments();
    assert_eq!(seen, [Moment::SchedulingBegins, Moment::SchedulingEnds]);
    assert_eq!(pass, hub.plan());
    hub.settle();
    hub.delete_placement();
    assert_eq!(hub.moments().1, [], "nothing is scheduled for a placement that goes");
}
