//! Statuses that go back to their originals, and repairs that must not wait for a problem elsewhere.

use std::time::Duration;

use kit::{ObjectKey, Resource};
use serde_json::{Value, json};

use crate::world::{PLACEMENT, World, has_condition, is_available};

const ENVELOPE: Resource = Resource::namespaced(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ResourceEnvelope",
    "resourceenvelopes",
);

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
