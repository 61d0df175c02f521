//! What a placement reports elsewhere than in its own status: originals, and a namespace of its users.

use api::kinds;
use api::resource::Resource;
use fairway_core::effects::{Target, Write};
use fairway_core::problem::Class;
use serde_json::{Value, json};

use crate::hub::{Hub, find_condition, spec};
use crate::life::yes;

fn service(status: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "app"}, "status": status})
}

fn address(ip: &str) -> Value {
    json!({"loadBalancer": {"ingress": [{"ip": ip}]}})
}

fn mirroring(policy: Value, destination: &str) -> Value {
    let mut spec = spec(policy);
    spec["strategy"]["reportBackStrategy"] = json!({"type": "Mirror", "destination": destination});
    spec
}

/// A placement on member `a` whose Service the member has given an address.
fn reporting(spec: Value) -> Hub {
    let mut hub = Hub::new(&["a"]);
    hub.index.put(service(json!({"loadBalancer": {}})));
    hub.place(spec);
    hub.settle();
    answer(&mut hub, "web", "10.0.0.7");
    hub
}

fn answer(hub: &mut Hub, name: &str, ip: &str) {
    hub.answer(true, Some("AllManifestsAvailable"));
    for (_, work) in hub
        .objects
        .iter_mut()
        .filter(|(target, _)| target.resource == kinds::WORK)
    {
        let observed = json!({"apiVersion": "v1", "kind": "Service", "status": address(ip)});
        work["status"]["manifestConditions"] = json!([{
            "identifier": {"ordinal": 0, "version": "v1", "kind": "Service", "resource": "services",
                "namespace": "app", "name": name},
            "conditions": [],
            "backReportedStatus": {"observedStatus": observed, "observationTime": "2026-01-01T00:00:00Z"},
        }]);
    }
    hub.settle();
}

fn one() -> Value {
    json!({"placementType": "PickN", "numberOfClusters": 1})
}

#[test]
fn the_status_of_a_placed_object_goes_back_to_its_original_until_it_is_there() {
    for policy in [one(), json!({"placementType": "PickFixed", "clusterNames": ["a"]})] {
        let mut hub = reporting(mirroring(policy, "OriginalResource"));
        let wanted = |ip: &str| {
            let services = Resource::namespaced("", "v1", "Service", "services");
            vec![Write::ReplaceStatus {
                target: Target::new(services, Some("app"), "web"),
                status: address(ip),
            }]
        };
        assert_eq!(hub.plan().best_effort, wanted("10.0.0.7"));
        hub.index.put(service(address("10.0.0.7")));
        let pass = hub.plan();
        assert_eq!(
            (pass.best_effort.len(), pass.writes().count()),
            (0, 0),
            "quiet once it is there"
        );
        answer(&mut hub, "web", "10.0.0.8");
        assert_eq!(hub.plan().best_effort, wanted("10.0.0.8"));
        hub.index.remove("Service", "web");
        assert_eq!(hub.plan().best_effort, vec![], "the original is gone");
    }
}

#[test]
fn only_what_is_asked_for_and_certain_is_reported_back() {
    let hub = reporting(mirroring(one(), "WorkAPI"));
    assert_eq!((hub.plan().best_effort, hub.plan().problems), (vec![], vec![]));
    let hub = reporting(spec(one()));
    assert_eq!((hub.plan().best_effort, hub.plan().problems), (vec![], vec![]));

    let mut hub = reporting(mirroring(one(), "OriginalResource"));
    answer(&mut hub, "unknown", "10.0.0.7");
    assert_eq!(hub.plan().best_effort, vec![], "not selected");
    for (pointer, value) in [
        ("/status/conditions/0/status", json!("False")),
        ("/status/conditions/0/observedGeneration", json!(0)),
        (
            "/metadata/labels/kubernetes-fleet.io~1parent-resource-binding",
            json!("other"),
        ),
    ] {
        let mut hub = reporting(mirroring(one(), "OriginalResource"));
        let target = Target::new(kinds::WORK, Some("fleet-member-a"), "web-work");
        *hub.objects.get_mut(&target).unwrap().pointer_mut(pointer).unwrap() = value;
        assert_eq!(hub.plan().best_effort, vec![], "{pointer}");
    }
    let mut hub = reporting(mirroring(one(), "OriginalResource"));
    let target = Target::new(kinds::WORK, Some("fleet-member-a"), "web-work");
    hub.objects.get_mut(&target).unwrap()["metadata"]["labels"]["kubernetes-fleet.io/envelope-work"] =
        json!("ResourceEnvelope");
    assert_eq!(hub.plan().best_effort, vec![], "a wrapped object has no original");
}

#[test]
fn several_clusters_cannot_report_back_and_the_user_is_warned_once() {
    for policy in [
        json!({"placementType": "PickAll"}),
        json!({"placementType": "PickN", "numberOfClusters": 2}),
        json!({"placementType": "PickFixed", "clusterNames": ["a", "b"]}),
    ] {
        let hub = reporting(mirroring(policy, "OriginalResource"));
        let pass = hub.plan();
        assert_eq!(pass.best_effort, vec![]);
        assert!(
            matches!(pass.problems.as_slice(), [p] if p.class == Class::User),
            "{:?}",
            pass.problems
        );
        let warnings = hub
            .events
            .iter()
            .filter(|reason| **reason == "InvalidReportBackStrategy");
        assert_eq!(warnings.count(), 1, "{:?}", hub.events);
    }
}

#[test]
fn a_status_that_users_of_a_namespace_read_does_not_move_with_the_selection() {
    let mut hub = Hub::new(&["a"]);
    hub.index
        .put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}));
    let accessible = |namespace: &str| {
        let mut spec = spec(json!({"placementType": "PickAll"}));
        spec["statusReportingScope"] = json!("NamespaceAccessible");
        spec["resourceSelectors"][0]["name"] = json!(namespace);
        spec
    };
    hub.place(accessible("app"));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("StatusSynced"), yes("StatusSyncSucceeded"));
    let before = hub.placement()["status"].clone();

    hub.place(accessible("other"));
    hub.settle();
    let invalid = ("False".to_owned(), "InvalidResourceSelectors".to_owned());
    assert_eq!(hub.condition("Scheduled"), Some(invalid));
    let others = |status: &Value| {
        let mut status = status.clone();
        let is_scheduled = |c: &Value| c["type"] == "ClusterResourcePlacementScheduled";
        status["conditions"]
            .as_array_mut()
            .unwrap()
            .retain(|c| !is_scheduled(c));
        status
    };
    assert_eq!(
        others(&hub.placement()["status"]),
        others(&before),
        "nothing else changes"
    );
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS), 1);
    assert_eq!(hub.count(kinds::WORK), 1, "what is placed stays");

    hub.place(accessible("app"));
    hub.settle();
    assert_eq!(hub.condition("StatusSynced"), yes("StatusSyncSucceeded"));
    assert_eq!(hub.condition("Scheduled"), yes("SchedulingPolicyFulfilled"));
    let available = find_condition(hub.placement(), "ClusterResourcePlacementAvailable");
    assert_eq!(available, yes("ResourceAvailable"));
}
