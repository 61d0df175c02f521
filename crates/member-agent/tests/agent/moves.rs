//! Objects that move from one Work of a placement to another: they are handed over, with the garbage collector at work.

use super::world::*;
use apiserver::{Action, ApiError, Matcher, Verb};
use member_agent::args::Settings;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}]}}}})
}

/// What moves in these tests.
fn moving() -> Vec<Value> {
    vec![config_map("x", "1"), service(), deployment()]
}

fn paths() -> [String; 4] {
    [
        format!("{CONFIG_MAPS}/x"),
        format!("{SERVICES}/web"),
        format!("{DEPLOYMENTS}/web"),
        format!("{PODS}/web"),
    ]
}

/// The UIDs of what moves, and of a Pod that would go with its Deployment.
async fn uids(world: &World) -> BTreeMap<String, String> {
    let mut uids = BTreeMap::new();
    for path in paths() {
        let object = get(&world.member, &path).await.unwrap_or_default();
        let uid = object["metadata"]["uid"].as_str().unwrap_or("gone");
        let going = if object["metadata"]["deletionTimestamp"].is_null() {
            ""
        } else {
            ", going"
        };
        uids.insert(path, format!("{uid}{going}"));
    }
    uids
}

async fn owner(world: &World, path: &str) -> String {
    let object = get(&world.member, path).await.unwrap_or_default();
    let owners = object["metadata"]["ownerReferences"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let names: Vec<_> = owners
        .iter()
        .map(|owner| owner["name"].as_str().unwrap_or_default())
        .collect();
    names.join(" ")
}

async fn wait_for_owner(world: &World, name: &str) {
    for path in &paths()[..3] {
        eventually(&format!("{path} belongs to {name}"), || async {
            owner(world, path).await == name
        })
        .await;
    }
}

/// Waits until the Work is fine at its current generation.
async fn wait_for_fine(world: &World, name: &str) {
    world.wait_for(name, "Available", "True").await;
}

/// All of it in the first Work, with a Pod of the Deployment.
async fn placed() -> (World, BTreeMap<String, String>) {
    let world = World::start().await;
    let mut all = moving();
    all.push(config_map("stays", "1"));
    world.put_part("crp-work", (0, 1), &all).await;
    eventually("everything is placed", || async {
        let work = world.work("crp-work").await.unwrap_or_default();
        condition(&work["status"]["conditions"], "Applied").starts_with("True")
    })
    .await;
    let deployment = get(&world.member, &format!("{DEPLOYMENTS}/web")).await.unwrap();
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": deployment["metadata"]["uid"]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}]}});
    create(&world.member, PODS, &pod).await.unwrap();
    let uids = uids(&world).await;
    assert!(uids.values().all(|uid| uid.len() > 10), "{uids:?}");
    (world, uids)
}

#[tokio::test]
async fn an_object_moves_when_the_gaining_work_comes_first() {
    let (world, before) = placed().await;
    world.put_part("crp-0", (1, 2), &moving()).await;
    world.put_part("crp-work", (1, 2), &[config_map("stays", "1")]).await;
    wait_for_owner(&world, "crp-0").await;
    world.wait_for_applied("crp-work", 1).await;
    world.wait_for_applied("crp-0", 3).await;
    assert_eq!(uids(&world).await, before);
}

#[tokio::test]
async fn an_object_moves_when_the_losing_work_comes_first() {
    let (world, before) = placed().await;
    world.put_part("crp-work", (1, 2), &[config_map("stays", "2")]).await;
    world.wait_for_config("stays", Some("2")).await;
    always(
        "nothing goes while a Work is to come",
        Duration::from_millis(500),
        || async { uids(&world).await == before },
    )
    .await;
    world.put_part("crp-0", (1, 2), &moving()).await;
    wait_for_owner(&world, "crp-0").await;
    world.wait_for_applied("crp-work", 1).await;
    assert_eq!(uids(&world).await, before);
    // What nobody lists any more goes.
    world.put_part("crp-work", (2, 2), &[config_map("stays", "2")]).await;
    world.put_part("crp-0", (2, 2), &moving()[1..]).await;
    world.wait_for_config("x", None).await;
}

#[tokio::test]
async fn two_works_swap_objects() {
    let (world, before) = placed().await;
    world.put_part("crp-0", (1, 2), &[config_map("y", "1")]).await;
    let mut all = moving();
    all.push(config_map("stays", "1"));
    world.put_part("crp-work", (1, 2), &all).await;
    wait_for_fine(&world, "crp-0").await;
    let y = format!("{CONFIG_MAPS}/y");
    let uid = |object: Value| object["metadata"]["uid"].clone();
    let y_before = uid(get(&world.member, &y).await.unwrap());
    world
        .put_part("crp-work", (2, 2), &[config_map("y", "1"), config_map("stays", "1")])
        .await;
    world.put_part("crp-0", (2, 2), &moving()).await;
    wait_for_owner(&world, "crp-0").await;
    eventually("y belongs to the first", || async {
        owner(&world, &y).await == "crp-work"
    })
    .await;
    wait_for_fine(&world, "crp-work").await;
    assert_eq!(uids(&world).await, before);
    assert_eq!(uid(get(&world.member, &y).await.unwrap()), y_before);
}

#[tokio::test]
async fn a_work_that_is_deleted_leaves_its_objects_to_the_others() {
    let (world, before) = placed().await;
    world.put_part("crp-0", (1, 1), &moving()).await;
    world.delete_work("crp-work").await;
    wait_for_owner(&world, "crp-0").await;
    eventually("the first Work is gone", || async {
        world.work("crp-work").await.is_none()
    })
    .await;
    assert_eq!(world.config("stays").await, None, "nobody lists it");
    assert_eq!(uids(&world).await, before);
    // Also when it goes before the other one lists them.
    world.put_part("crp-1", (1, 2), &[config_map("z", "1")]).await;
    wait_for_fine(&world, "crp-1").await;
    world.put_part("crp-1", (2, 3), &[config_map("z", "2")]).await;
    world.delete_work("crp-0").await;
    always(
        "nothing goes while a Work is to come",
        Duration::from_millis(500),
        || async { uids(&world).await == before },
    )
    .await;
    let mut all = moving();
    all.push(config_map("z", "2"));
    world.put_part("crp-1", (3, 1), &all).await;
    wait_for_owner(&world, "crp-1").await;
    eventually("the second Work is gone", || async {
        world.work("crp-0").await.is_none()
    })
    .await;
    assert_eq!(uids(&world).await, before);
}

#[tokio::test]
async fn an_object_moves_across_a_crash() {
    let (mut world, before) = placed().await;
    world.put_part("crp-work", (1, 2), &[config_map("stays", "2")]).await;
    wait_for_fine(&world, "crp-work").await;
    world.crash_agent().await;
    world.start_agent();
    world.put_part("crp-0", (1, 2), &moving()).await;
    wait_for_owner(&world, "crp-0").await;
    world.crash_agent().await;
    world.start_agent();
    world.wait_for_applied("crp-work", 1).await;
    world.wait_for_applied("crp-0", 3).await;
    assert_eq!(uids(&world).await, before);
    let held = world.applied_work("crp-work").await.unwrap()["metadata"]["annotations"].to_string();
    assert!(!held.contains("Deployment"), "it is no longer on record: {held}");
}

#[tokio::test]
async fn a_work_of_another_placement_takes_nothing() {
    let (world, before) = placed().await;
    world
        .create_work(
            "other",
            spec(&[config_map("x", "theirs")], json!({"allowCoOwnership": true})),
        )
        .await;
    world.wait_for_manifest("other", 0, "FailedToTakeOver").await;
    world.put_part("crp-work", (1, 1), &moving()).await;
    world.wait_for_config("stays", None).await;
    assert_eq!(owner(&world, &format!("{CONFIG_MAPS}/x")).await, "crp-work");
    assert_eq!(uids(&world).await, before);
}

#[tokio::test]
async fn a_deletion_that_waits_for_another_work_names_it_and_what_it_is_to_take() {
    let (world, before) = placed().await;
    world.put_part("crp-0", (1, 1), &moving()).await;
    let writes = Matcher::resource("configmaps")
        .name("x")
        .verbs(&[Verb::Update, Verb::Patch]);
    let refused = Action::Error(ApiError::internal("broken"));
    let fault = world.member.faults().add(writes, refused);
    world.delete_work("crp-work").await;
    let work = world.wait_for("crp-work", "Applied", "False DeletionBlocked").await;
    let message = work["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("other Works of the placement: ConfigMap default/x by crp-0. The"),
        "{message}"
    );
    world.member.faults().remove(fault);
    eventually("the first Work is gone", || async {
        world.work("crp-work").await.is_none()
    })
    .await;
    assert_eq!(uids(&world).await, before);
}

#[tokio::test]
async fn a_deletion_that_has_waited_too_long_for_another_work_leaves_it_the_objects() {
    let (mut world, before) = placed().await;
    world.stop_agent().await;
    world.put_part("crp-0", (1, 1), &moving()).await;
    world.delete_work("crp-work").await;
    // The other Work gets nowhere: its status cannot be written, so that nothing is announced and taken.
    let reports = Matcher::resource("works")
        .name("crp-0")
        .subresource("status")
        .verbs(&[Verb::Patch]);
    let fault = world
        .hub
        .faults()
        .add(reports, Action::Error(ApiError::internal("broken")));
    world.start_agent_with(Settings {
        deletion_wait: Duration::ZERO,
        ..Settings::default()
    });
    eventually("the first Work is gone", || async {
        world.work("crp-work").await.is_none()
    })
    .await;
    assert_eq!(uids(&world).await, before);
    world.hub.faults().remove(fault);
    wait_for_owner(&world, "crp-0").await;
    assert_eq!(uids(&world).await, before);
}
