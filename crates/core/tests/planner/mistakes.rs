//! Mistakes of users: where they are reported, how soon, and how often.

use std::time::Duration;

use api::kinds;
use api::resource::Resource;
use fairway_core::effects::Target;
use fairway_core::objects::PlacementKey;
use serde_json::{Value, json};

use crate::hub::{Hub, config_map, member, spec};

/// Reasons of the warnings since the last look.
fn warnings(hub: &mut Hub) -> Vec<&'static str> {
    let known = [
        "InvalidName",
        "InvalidResourceSelectors",
        "InvalidPolicy",
        "OverriddenFailed",
        "SyncWorkFailed",
    ];
    let mut events = std::mem::take(&mut hub.events);
    events.retain(|reason| known.contains(reason));
    events
}

fn message(hub: &Hub, type_: &str) -> String {
    let conditions = hub.placement()["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|c| c["type"].as_str().unwrap().ends_with(type_));
    found.unwrap()["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_placement_whose_name_does_not_fit_says_so_and_makes_nothing() {
    let long = "z".repeat(64);
    for (name, limit) in [(long.as_str(), "which may have 63"), ("my.app", "first 26 characters")] {
        for namespace in [None, Some("app")] {
            let mut hub = Hub::new(&["a"]);
            hub.key = match namespace {
                Some(namespace) => PlacementKey::namespaced(namespace, name),
                None => PlacementKey::cluster(name),
            };
            hub.place(spec(json!({"placementType": "PickAll"})));
            hub.settle();
            let unfulfilled = ("False".to_owned(), "SchedulingPolicyUnfulfilled".to_owned());
            assert_eq!(hub.condition("Scheduled"), Some(unfulfilled));
            assert!(
                message(&hub, "Scheduled").contains(limit),
                "{}",
                message(&hub, "Scheduled")
            );
            assert_eq!(hub.objects.len(), 1, "nothing but the placement itself");
            assert_eq!(warnings(&mut hub), ["InvalidName"]);
            hub.pass();
            assert_eq!(warnings(&mut hub), Vec::<&str>::new(), "reported once");
            // Another generation is reported again.
            hub.place(spec(json!({"placementType": "PickN", "numberOfClusters": 1})));
            hub.settle();
            assert_eq!(warnings(&mut hub), ["InvalidName"]);
            hub.delete_placement();
            hub.settle();
            assert!(hub.objects.is_empty());
        }
    }
}

#[test]
fn a_policy_that_cannot_be_evaluated_is_reported_in_the_status() {
    let required = |term: Value| {
        json!({"placementType": "PickAll", "affinity": {"clusterAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"clusterSelectorTerms": [term]}}}})
    };
    let property = |operator: &str, values: Value| {
        required(json!({"propertySelector": {"matchExpressions": [
            {"name": "kubernetes-fleet.io/node-count", "operator": operator, "values": values}]}}))
    };
    for (policy, why) in [
        (property("Gt", json!(["many"])), "invalid value \"many\""),
        (property("Gt", json!(["1", "2"])), "exactly one value"),
        (property("Above", json!(["1"])), "unknown operator \"Above\""),
        (
            required(json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}})),
            "cluster selector of the policy is invalid",
        ),
        (json!({"placementType": "PickN"}), "numberOfClusters"),
    ] {
        let mut hub = Hub::new(&["a"]);
        hub.place(spec(policy));
        let pass = hub.settle();
        assert!(
            hub.condition("Scheduled").is_some_and(|(status, _)| status == "False"),
            "{why}: {pass:?}"
        );
        assert!(
            message(&hub, "Scheduled").contains(why),
            "{}",
            message(&hub, "Scheduled")
        );
        assert_eq!(warnings(&mut hub), ["InvalidPolicy"]);
        assert_eq!(pass.problems, [], "nothing is retried before the user acts");
        hub.place(spec(json!({"placementType": "PickAll"})));
        hub.settle();
        assert_eq!(hub.condition("Scheduled").unwrap().0, "True");
    }
}

#[test]
fn selectors_that_cannot_be_used_are_warned_about_once() {
    let mut hub = Hub::new(&["a"]);
    let mut wrong = spec(json!({"placementType": "PickAll"}));
    wrong["resourceSelectors"] = json!([{"group": "", "version": "v1", "kind": "ConfigMap", "name": "one"}]);
    hub.place(wrong);
    hub.settle();
    assert_eq!(hub.condition("Scheduled").unwrap().1, "InvalidResourceSelectors");
    assert_eq!(warnings(&mut hub), ["InvalidResourceSelectors"]);
    hub.pass();
    assert_eq!(warnings(&mut hub), Vec::<&str>::new());
}

/// An envelope that holds a Namespace, which has no place in it.
fn bad_envelope(name: &str) -> Value {
    json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ResourceEnvelope",
        "metadata": {"name": name, "namespace": "app"},
        "data": {"x": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}}})
}

#[test]
fn a_mistake_is_reported_at_once_while_thousand_placements_wait_for_their_members() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.settings.progress_grace = Duration::from_millis(200);
    hub.others_awaited = 1000;
    hub.place(spec(json!({"placementType": "PickFixed", "clusterNames": ["a", "b"]})));
    assert!(hub.pass().facts.withheld, "progress waits");
    assert_eq!(hub.condition("Scheduled"), None);
    // On one cluster everything is in progress; the other one cannot be placed to as a whole.
    hub.wait(Duration::from_millis(100));
    hub.index.put(bad_envelope("e"));
    let pass = hub.pass();
    assert!(!pass.facts.withheld);
    assert_eq!(hub.condition("WorkSynchronized").unwrap().0, "False");
    let failed = |resource: Resource| {
        pass.steps
            .iter()
            .flatten()
            .any(|write| write.target().resource == resource && format!("{write:?}").contains("SyncWorkFailed"))
    };
    assert!(
        failed(kinds::CLUSTER_RESOURCE_BINDING),
        "details that report it are not deferred"
    );
    assert_eq!(warnings(&mut hub), ["SyncWorkFailed"], "one event for all clusters");
    hub.pass();
    assert_eq!(warnings(&mut hub), Vec::<&str>::new());
}

#[test]
fn a_mistake_on_one_cluster_does_not_wait_for_the_others() {
    let mut hub = Hub::new(&[]);
    hub.members = vec![member("a", json!({"bad": "yes"})), member("b", json!({}))];
    hub.settings.progress_grace = Duration::from_millis(200);
    hub.others_awaited = 1000;
    let over = json!({
        "metadata": {"name": "o-0", "namespace": "app", "labels": {
            "kubernetes-fleet.io/parent-resource-override": "o",
            "kubernetes-fleet.io/override-index": "0",
            "kubernetes-fleet.io/is-latest-snapshot": "true",
        }},
        "spec": {"overrideHash": "", "overrideSpec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "one"}],
            "policy": {"overrideRules": [{
                "clusterSelector": {"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"bad": "yes"}}}]},
                "jsonPatchOverrides": [{"op": "replace", "path": "/nowhere/at/all", "value": "x"}],
            }]},
        }},
    });
    hub.put(Target::new(kinds::RESOURCE_OVERRIDE_SNAPSHOT, Some("app"), "o-0"), over);
    hub.place(spec(json!({"placementType": "PickAll"})));
    let pass = hub.pass();
    assert!(!pass.facts.withheld, "b has not answered, and a cannot be placed to");
    assert_eq!(hub.condition("Overridden").unwrap().0, "False");
    assert_eq!(warnings(&mut hub), ["OverriddenFailed"]);
    let entry = &hub.placement()["status"]["placementStatuses"][0]["conditions"];
    let message = entry.as_array().unwrap().last().unwrap()["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains("there is no object or list at \"/nowhere\""),
        "{message}"
    );
    // A status that only reports progress is withheld again.
    hub.index.put(config_map("two", "2"));
    hub.wait(Duration::from_secs(1));
    assert!(hub.pass().facts.withheld);
    assert_eq!(warnings(&mut hub), Vec::<&str>::new());
}

#[test]
fn an_envelope_whose_name_does_not_fit_is_reported_and_stops_itself() {
    let name = "e".repeat(64);
    let mut envelope = bad_envelope(&name);
    envelope["data"]["x"] = config_map("wrapped", "1");
    let mut hub = Hub::new(&["a"]);
    hub.index.put(envelope);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    assert_eq!(hub.condition("WorkSynchronized").unwrap().0, "False");
    let entry = &hub.placement()["status"]["placementStatuses"][0]["conditions"];
    let message = entry.as_array().unwrap().last().unwrap()["message"].as_str().unwrap();
    assert!(
        message.contains("has 64 characters") && message.contains("may have 63"),
        "{message}"
    );
    assert_eq!(warnings(&mut hub), ["SyncWorkFailed"]);
    assert_eq!(hub.count(kinds::WORK), 1, "the Work of the other objects is there");
}

#[test]
fn a_binding_that_cannot_be_read_is_named_and_its_cluster_left_alone() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.place(spec(json!({"placementType": "PickN", "numberOfClusters": 1})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("Available").unwrap().0, "True");
    let name = hub.binding("b").unwrap()["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = Target::new(kinds::CLUSTER_RESOURCE_BINDING, None, &name);
    let stored = hub.objects[&target].clone();
    // Whether or not it could be read before.
    for known in [true, false] {
        hub.unreadable_bindings.insert(name.clone());
        if !known {
            hub.objects.remove(&target);
        }
        hub.index.put(config_map("one", if known { "2" } else { "3" }));
        hub.settle();
        assert_eq!(
            hub.condition("RolloutStarted").unwrap(),
            ("Unknown".to_owned(), "RolloutStartedUnknown".to_owned())
        );
        assert_eq!(hub.condition("Available"), None);
        assert!(message(&hub, "RolloutStarted").contains(&name));
        assert_eq!(hub.binding("a"), None, "no other cluster takes its place");
        assert_eq!(hub.count(kinds::WORK), 1, "what is placed stays");
        hub.objects.insert(target.clone(), stored.clone());
        hub.unreadable_bindings.clear();
        for _ in 0..2 {
            hub.settle();
            hub.answer(true, Some("AllManifestsAvailable"));
        }
        hub.settle();
        assert_eq!(hub.condition("Available").unwrap().0, "True");
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_is_named_and_not_made_again() {
    for (kind, name) in [
        (kinds::CLUSTER_RESOURCE_SNAPSHOT, "web-0-snapshot"),
        (kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT, "web-0"),
    ] {
        let mut hub = Hub::new(&["a"]);
        hub.place(spec(json!({"placementType": "PickAll"})));
        hub.settle();
        hub.answer(true, Some("AllManifestsAvailable"));
        hub.settle();
        let target = Target::new(kind, None, name);
        let stored = hub.objects.remove(&target).unwrap();
        hub.unreadable_snapshots.insert(target.clone());
        hub.index.put(config_map("one", "2"));
        let pass = hub.settle();
        assert!(!hub.objects.contains_key(&target), "it is not created again");
        assert_eq!(hub.condition("Scheduled").unwrap().0, "False");
        let said = message(&hub, "Scheduled");
        assert!(said.contains(&format!("{name:?} exists and cannot be read")), "{said}");
        assert_eq!(pass.problems.len(), 1, "the pass is repeated");
        assert_eq!(hub.count(kinds::WORK), 1, "what is placed stays");
        hub.objects.insert(target, stored);
        // An unreadable snapshot of which an earlier version is known stops nothing.
        for _ in 0..2 {
            hub.settle();
            hub.answer(true, Some("AllManifestsAvailable"));
        }
        hub.settle();
        assert_eq!(hub.condition("Available").unwrap().0, "True");
    }
}

#[test]
fn a_snapshot_that_cannot_be_created_is_named_and_stops_no_other_write() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    hub.index.put(config_map("one", "2"));
    let target = Target::new(kinds::CLUSTER_RESOURCE_SNAPSHOT, None, "web-1-snapshot");
    let planned = hub.plan();
    let create = planned.writes().find(|write| *write.target() == target).unwrap();
    hub.refused
        .insert(target.clone(), (create.fingerprint(), "it exists already.".to_owned()));
    let pass = hub.settle();
    assert!(!hub.objects.contains_key(&target));
    assert_eq!(
        message(&hub, "Scheduled"),
        "The API server refuses the ClusterResourceSnapshot \"web-1-snapshot\": it exists already."
    );
    assert!(pass.requeue.is_some(), "it is tried again");
    hub.refused.clear();
    hub.settle();
    assert!(hub.objects.contains_key(&target));
}
