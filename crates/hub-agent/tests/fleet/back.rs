//! Statuses that go back to their originals, and repairs that must not wait for a problem elsewhere.

use std::time::Duration;

use kit::writer::Patch;
use kit::{ObjectKey, Resource};
use serde_json::{Value, json};

use crate::world::{PLACEMENT, WORK, World, has_condition, is_available};

const SERVICE: Resource = Resource::namespaced("", "v1", "Service", "services");
const ENVELOPE: Resource = Resource::namespaced(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ResourceEnvelope",
    "resourceenvelopes",
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_placed_object_reaches_its_original_once() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1"]).await;
    world.application("app").await;
    let service = json!({
        "metadata": {"name": "web", "namespace": "app"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    });
    world.create(&SERVICE, Some("app"), &service).await;
    let (placements, services) = (world.follow(PLACEMENT), world.follow(SERVICE));
    let placement = json!({
        "metadata": {"name": "crp"},
        "spec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "app"}],
            "policy": {"placementType": "PickFixed", "clusterNames": ["m1"]},
            "strategy": {"reportBackStrategy": {"type": "Mirror", "destination": "OriginalResource"}},
        },
    });
    world.create(&PLACEMENT, None, &placement).await;
    placements
        .until(&ObjectKey::cluster("crp"), "available", is_available)
        .await;

    let key = ObjectKey::namespaced("app", "web");
    let work = ObjectKey::namespaced("fleet-member-m1", "crp-work");
    for ingress in [
        json!([{"ip": "10.0.0.7", "ipMode": "VIP"}]),
        json!([{"hostname": "web.example.com"}]),
    ] {
        let observed = json!({"apiVersion": "v1", "kind": "Service", "status": {"loadBalancer": {"ingress": ingress}}});
        let entry = json!({
            "identifier": {"ordinal": 0, "version": "v1", "kind": "Service", "resource": "services",
                "namespace": "app", "name": "web"},
            "conditions": [],
            "backReportedStatus": {"observedStatus": observed, "observationTime": "2026-11-21T12:00:00Z"},
        });
        let body = json!({"status": {"manifestConditions": [entry]}});
        world
            .user
            .patch(&WORK, &work, Some("status"), Patch::Merge, &body)
            .await
            .unwrap();
        let is_there = |service: &Value| service.pointer("/status/loadBalancer/ingress") == Some(&ingress);
        services.until(&key, "as the member reports", is_there).await;
    }
    // The next pass reads the originals again, and finds them as they should be.
    world.config_map("app", "more", "1").await;
    let moved = |p: &Value| is_available(p) && p.pointer("/status/observedResourceIndex") == Some(&json!("1"));
    placements
        .until(&ObjectKey::cluster("crp"), "on new content", moved)
        .await;
    let to_services: Vec<_> = world
        .writes()
        .into_iter()
        .filter(|(what, _)| what.contains("services"))
        .collect();
    assert!(matches!(to_services.as_slice(), [(_, 2)]), "{to_services:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_repair_comes_when_it_is_due_although_something_is_wrong() {
    let mut world = World::new().await;
    world.start(&["--resource-snapshot-creation-minimum-interval=30s"]);
    world.join(&["m1"]).await;
    world.application("app").await;
    let envelope = |content: Value| json!({"metadata": {"name": "sealed", "namespace": "app"}, "data": {"a": content}});
    let broken = envelope(json!({"what": "is this"}));
    world.create(&ENVELOPE, Some("app"), &broken).await;
    let placements = world.follow(PLACEMENT);
    world.place("crp", "app").await;
    let crp = ObjectKey::cluster("crp");
    let refused = |p: &Value| has_condition(p, "ClusterResourcePlacementWorkSynchronized", "False");
    placements.until(&crp, "refused", refused).await;

    let before = tokio::time::Instant::now();
    let good = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "inner", "namespace": "app"}});
    let body = json!({"data": {"a": {"what": null, "apiVersion": good["apiVersion"], "kind": good["kind"], "metadata": good["metadata"]}}});
    world
        .patch(&ENVELOPE, &ObjectKey::namespaced("app", "sealed"), body)
        .await;
    placements.until(&crp, "available", is_available).await;
    let took = before.elapsed();
    assert!(took > Duration::from_secs(20), "changes are collected first: {took:?}");
    assert!(took < Duration::from_secs(40), "{took:?}");
    world.stop().await;
}
