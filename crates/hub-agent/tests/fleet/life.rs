//! The life of placements: from creation to Available, changes, deletion, many at once, and silence afterwards.

use std::time::{Duration, Instant};

use kit::ObjectKey;
use serde_json::{Value, json};

use crate::world::{BINDING, OVERRIDE, PLACEMENT, POLICY_SNAPSHOT, SNAPSHOT, WORK, World, has_condition, is_available};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placement_becomes_available_with_few_requests_follows_changes_and_leaves_nothing() {
    let mut world = World::new().await;
    world.start(&["--leader-elect"]);
    world.join(&["m1", "m2", "m3"]).await;
    world.application("app").await;
    let (placements, works) = (world.follow(PLACEMENT), world.follow(WORK));
    let (bindings, snapshots) = (world.follow(BINDING), world.follow(SNAPSHOT));
    let policies = world.follow(POLICY_SNAPSHOT);
    let crp = ObjectKey::cluster("crp");

    // Placements begin once everything that can be selected is known.
    world.application("first").await;
    world.place("first", "first").await;
    placements
        .until(&ObjectKey::cluster("first"), "available", is_available)
        .await;
    world.delete(&PLACEMENT, &ObjectKey::cluster("first")).await;
    works.until_all("gone", <[_]>::is_empty).await;
    bindings.until_all("gone", <[_]>::is_empty).await;
    snapshots.until_all("gone", <[_]>::is_empty).await;
    placements.until_all("gone", <[_]>::is_empty).await;

    let (lists, before) = (world.lists(), world.written());
    world.place("crp", "app").await;
    let placed = placements.until(&crp, "available", is_available).await;
    let writes = world.written() - before;
    assert!(writes <= 4 * 3 + 10, "{writes} writes: {:#?}", world.writes());
    assert_eq!(world.lists(), lists, "no list after the start");
    assert_eq!(
        placed
            .pointer("/status/selectedResources")
            .and_then(Value::as_array)
            .unwrap()
            .len(),
        2
    );
    assert_eq!(placed.pointer("/status/observedResourceIndex"), Some(&json!("0")));
    assert_eq!(
        (bindings.all().len(), works.all().len(), snapshots.all().len()),
        (3, 3, 1)
    );

    // A change of what is selected travels by itself.
    world.config_map("app", "more", "1").await;
    placements
        .until(&crp, "available with the change", |p| {
            is_available(p) && p.pointer("/status/observedResourceIndex") == Some(&json!("1"))
        })
        .await;
    let manifests = |work: &Value| {
        work.pointer("/spec/workload/manifests")
            .and_then(Value::as_array)
            .unwrap()
            .len()
    };
    works
        .until_all("updated", |all| {
            all.len() == 3 && all.iter().all(|work| manifests(work) == 3)
        })
        .await;

    world.delete(&PLACEMENT, &crp).await;
    placements.until_all("gone", <[_]>::is_empty).await;
    bindings.until_all("gone", <[_]>::is_empty).await;
    works.until_all("gone", <[_]>::is_empty).await;
    snapshots.until_all("gone", <[_]>::is_empty).await;
    policies.until_all("gone", <[_]>::is_empty).await;
    assert_eq!(world.lists(), lists);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_placements_at_once_become_available_soon() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1", "m2", "m3"]).await;
    let placements = world.follow(PLACEMENT);
    for n in 0..50 {
        world.application(&format!("app-{n}")).await;
    }
    let start = Instant::now();
    for n in 0..50 {
        world.place(&format!("crp-{n}"), &format!("app-{n}")).await;
    }
    placements
        .until_all("all available", |all| {
            all.len() == 50 && all.iter().all(|p| is_available(p))
        })
        .await;
    println!(
        "50 placements available after {:?}; writes {:#?}",
        start.elapsed(),
        world.writes()
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_fleet_is_quiet() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1", "m2"]).await;
    world.application("app").await;
    let placements = world.follow(PLACEMENT);
    world.place("crp", "app").await;
    placements
        .until(&ObjectKey::cluster("crp"), "available", is_available)
        .await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (lists, before) = (world.lists(), world.writes());
    // Watches end and resume, safety nets and discoveries come and go; times pass that matter to nobody.
    tokio::time::sleep(Duration::from_secs(40 * 60)).await;
    assert_eq!(world.writes(), before);
    assert_eq!(world.lists(), lists);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_override_changes_one_cluster_and_a_bad_one_is_named() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1", "m2"]).await;
    world.application("app").await;
    let (placements, works) = (world.follow(PLACEMENT), world.follow(WORK));
    let over = |path: &str| {
        json!({
            "metadata": {"name": "over"},
            "spec": {
                "placement": {"name": "crp"},
                "clusterResourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "app"}],
                "policy": {"overrideRules": [{
                    "clusterSelector": {"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"tier": "m2"}}}]},
                    "jsonPatchOverrides": [{"op": "add", "path": path, "value": {"over": "ridden"}}],
                }]},
            },
        })
    };
    world.create(&OVERRIDE, None, &over("/metadata/labels")).await;
    world.place("crp", "app").await;
    let crp = ObjectKey::cluster("crp");
    placements.until(&crp, "available", is_available).await;
    let is_overridden = |work: &Value| work["spec"]["workload"]["manifests"].to_string().contains("ridden");
    works
        .until_all("overridden on m2 only", |all| {
            all.len() == 2
                && all
                    .iter()
                    .all(|w| is_overridden(w) == (w["metadata"]["namespace"] == "fleet-member-m2"))
        })
        .await;

    let spec = over("/spec/nowhere/deep").get("spec").cloned();
    world
        .patch(&OVERRIDE, &ObjectKey::cluster("over"), json!({"spec": spec}))
        .await;
    placements
        .until(&crp, "not overridden", |p| {
            has_condition(p, "ClusterResourcePlacementOverridden", "False")
        })
        .await;
    works
        .until_all("as they were", |all| {
            all.iter().filter(|w| is_overridden(w)).count() == 1
        })
        .await;

    let spec = over("/metadata/annotations").get("spec").cloned();
    world
        .patch(&OVERRIDE, &ObjectKey::cluster("over"), json!({"spec": spec}))
        .await;
    placements.until(&crp, "available again", is_available).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_kind_and_a_missing_selection_are_picked_up() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1"]).await;
    let placements = world.follow(PLACEMENT);
    let object = json!({
        "metadata": {"name": "crp"},
        "spec": {"resourceSelectors": [{"group": "example.io", "version": "v1", "kind": "Gadget", "name": "g"}]},
    });
    world.create(&PLACEMENT, None, &object).await;
    let crp = ObjectKey::cluster("crp");
    let refused = placements
        .until(&crp, "refused", |p| {
            has_condition(p, "ClusterResourcePlacementScheduled", "False")
        })
        .await;
    assert!(refused.to_string().contains("InvalidResourceSelectors"), "{refused:#?}");

    let definition = json!({
        "metadata": {"name": "gadgets.example.io"},
        "spec": {
            "group": "example.io",
            "scope": "Cluster",
            "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let definitions = kit::Resource::cluster(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    world.create(&definitions, None, &definition).await;
    placements.until(&crp, "available, though empty", is_available).await;
    let gadgets = kit::Resource::cluster("example.io", "v1", "Gadget", "gadgets");
    world.create(&gadgets, None, &json!({"metadata": {"name": "g"}})).await;
    placements
        .until(&crp, "available with the gadget", |p| {
            is_available(p) && p.pointer("/status/selectedResources/0/kind") == Some(&json!("Gadget"))
        })
        .await;
    world.stop().await;
}
