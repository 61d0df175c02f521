//! Mistakes of users, as they see them.

use std::time::Duration;

use api::kinds;
use api::text::labels;
use kit::{ObjectKey, Resource};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{BINDING, OVERRIDE, PLACEMENT, SNAPSHOT, WORK, World, has_condition, is_available};

const OVERRIDE_SNAPSHOT: Resource = kinds::CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT;
const IN_NAMESPACE: Resource = kinds::RESOURCE_PLACEMENT;

/// Placements that wait for a member that never answers.
const WAITING: usize = 200;

#[tokio::test(start_paused = true)]
async fn a_mistake_is_in_the_status_within_two_seconds_while_many_placements_wait_for_their_members() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1", "silent"]).await;
    let (placements, works, snapshots) = (
        world.follow(PLACEMENT),
        world.follow(WORK),
        world.follow(OVERRIDE_SNAPSHOT),
    );
    let over = json!({
        "metadata": {"name": "over"},
        "spec": {
            "clusterResourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "app"}],
            "policy": {"overrideRules": [{
                "clusterSelector": {"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"tier": "m1"}}}]},
                "jsonPatchOverrides": [{"op": "replace", "path": "/metadata/labels/none", "value": "x"}],
            }]},
        },
    });
    world.create(&OVERRIDE, None, &over).await;
    snapshots.until_all("there", |all| all.len() == 1).await;
    world.application("app").await;
    for number in 0..WAITING {
        let name = format!("waiting-{number}");
        world.application(&name).await;
        world.place(&name, &name).await;
    }
    works.until_all("made", |all| all.len() == 2 * WAITING).await;

    let start = Instant::now();
    world.place("crp", "app").await;
    placements
        .until(&ObjectKey::cluster("crp"), "known to be wrong", |placement| {
            has_condition(placement, "ClusterResourcePlacementOverridden", "False")
        })
        .await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placement_in_a_reserved_namespace_places_what_is_there() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1"]).await;
    let (placements, works) = (world.follow(IN_NAMESPACE), world.follow(WORK));
    world.application("kube-app").await;
    let selector = json!({"group": "", "version": "v1", "kind": "ConfigMap", "name": "config"});
    let object = json!({"metadata": {"name": "rp"}, "spec": {"resourceSelectors": [selector]}});
    world.create(&IN_NAMESPACE, Some("kube-app"), &object).await;
    placements
        .until(&ObjectKey::namespaced("kube-app", "rp"), "available", |placement| {
            has_condition(placement, "ResourcePlacementAvailable", "True")
        })
        .await;
    let manifests = |index: usize| {
        works.all()[index]
            .pointer("/spec/workload/manifests/0/metadata/name")
            .cloned()
    };
    assert_eq!((works.all().len(), manifests(0)), (1, Some(json!("config"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_override_that_names_a_placement_of_the_other_scope_gets_one_warning() {
    let mut world = World::new().await;
    world.start(&[]);
    let events = world.follow(kit::events::EVENTS);
    world.application("app").await;
    let selector = json!({"group": "", "version": "v1", "kind": "ConfigMap", "name": "config"});
    let over = json!({"metadata": {"name": "o"}, "spec": {
        "placement": {"name": "p"},
        "resourceSelectors": [selector],
        "policy": {"overrideRules": [{
            "clusterSelector": {"clusterSelectorTerms": []},
            "jsonPatchOverrides": [{"op": "replace", "path": "/data/value", "value": "x"}],
        }]},
    }});
    let in_namespace = Resource::namespaced(
        "placement.kubernetes-fleet.io",
        "v1beta1",
        "ResourceOverride",
        "resourceoverrides",
    );
    world.create(&in_namespace, Some("app"), &over).await;
    // The placement comes later than the override that means another one.
    let object = json!({"metadata": {"name": "p"}, "spec": {"resourceSelectors": [selector]}});
    world.create(&IN_NAMESPACE, Some("app"), &object).await;
    let of_override = |events: &[std::sync::Arc<serde_json::Value>]| {
        let mut of_kind: Vec<_> = events
            .iter()
            .filter(|e| e["involvedObject"]["kind"] == "ResourceOverride")
            .cloned()
            .collect();
        of_kind.sort_by_key(|event| event["metadata"]["name"].to_string());
        of_kind
    };
    events.until_all("warned", |all| !of_override(all).is_empty()).await;
    let warned = of_override(&events.all());
    assert_eq!(warned.len(), 1);
    assert_eq!(
        (&warned[0]["type"], &warned[0]["reason"]),
        (&json!("Warning"), &json!("ReferenceNeverMatches"))
    );
    assert!(
        warned[0]["message"].as_str().unwrap().contains("scope Cluster"),
        "{}",
        warned[0]["message"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binding_that_cannot_be_read_is_named_by_its_placement_until_it_can() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1"]).await;
    world.application("app").await;
    let (placements, bindings) = (world.follow(PLACEMENT), world.follow(BINDING));
    world.place("crp", "app").await;
    let key = ObjectKey::cluster("crp");
    placements.until(&key, "available", is_available).await;
    let binding = ObjectKey::of(&bindings.all()[0]);
    // The state of a binding is no enum for the API server.
    world
        .patch(&BINDING, &binding, json!({"spec": {"state": "Confused"}}))
        .await;
    let open = placements
        .until(&key, "in doubt", |placement| {
            has_condition(placement, "ClusterResourcePlacementRolloutStarted", "Unknown")
        })
        .await;
    assert!(open["status"].to_string().contains(&binding.name));
    world
        .patch(&BINDING, &binding, json!({"spec": {"state": "Bound"}}))
        .await;
    placements.until(&key, "available again", is_available).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_work_that_lost_its_label_is_named_by_its_placement_until_it_has_it_again() {
    let mut world = World::new().await;
    world.start(&[]);
    let placements = world.follow(PLACEMENT);
    let (placement, work) = (
        ObjectKey::cluster("crp"),
        ObjectKey::namespaced("fleet-member-m1", "crp-work"),
    );
    world.join(&["m1", "m2"]).await;
    world.application("app").await;
    world.place("crp", "app").await;
    placements.until(&placement, "available", is_available).await;
    let label = |value: Value| json!({"metadata": {"labels": {labels::PARENT_PLACEMENT: value}}});
    world.patch(&WORK, &work, label(Value::Null)).await;
    placements
        .until(&placement, "the Work that stops its cluster is named", |placement| {
            placement["status"].to_string().contains("its labels do not say")
        })
        .await;
    world.patch(&WORK, &work, label(json!("crp"))).await;
    placements.until(&placement, "available again", is_available).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_lost_its_label_is_named_by_its_placement_until_it_has_it_again() {
    let mut world = World::new().await;
    world.start(&[]);
    let placements = world.follow(PLACEMENT);
    let (placement, snapshot) = (ObjectKey::cluster("crp"), ObjectKey::cluster("crp-0-snapshot"));
    world.join(&["m1"]).await;
    world.application("app").await;
    world.place("crp", "app").await;
    placements.until(&placement, "available", is_available).await;
    let label = |value: Value| json!({"metadata": {"labels": {labels::PARENT_PLACEMENT: value}}});
    world.patch(&SNAPSHOT, &snapshot, label(Value::Null)).await;
    placements
        .until(&placement, "the snapshot that stops it is named", |placement| {
            let status = placement["status"].to_string();
            status.contains("crp-0-snapshot") && status.contains("its labels do not say")
        })
        .await;
    world.patch(&SNAPSHOT, &snapshot, label(json!("crp"))).await;
    placements.until(&placement, "available again", is_available).await;
    world.stop().await;
}
