//! Whose object it is: takeover, strategies, reports without apply, abandoned objects.

use super::world::*;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn existing_objects_are_taken_or_left_as_the_strategy_says() {
    let world = World::start().await;
    for name in ["always", "never", "nodiff"] {
        create(&world.member, CONFIG_MAPS, &config_map(name, "theirs"))
            .await
            .unwrap();
    }
    let strategy = |word: &str| json!({"whenToTakeOver": word});
    world
        .create_work("always", spec(&[config_map("always", "ours")], strategy("Always")))
        .await;
    world
        .create_work("never", spec(&[config_map("never", "ours")], strategy("Never")))
        .await;
    world
        .create_work("nodiff", spec(&[config_map("nodiff", "ours")], strategy("IfNoDiff")))
        .await;
    world.wait_for_manifest("always", 0, "Applied").await;
    world.wait_for_manifest("never", 0, "NotTakenOver").await;
    let entry = world.wait_for_manifest("nodiff", 0, "FailedToTakeOver").await;
    assert_eq!(entry["diffDetails"]["observedDiffs"][0]["path"], "/data/k");
    assert_eq!(world.config("always").await.as_deref(), Some("ours"));
    assert_eq!(world.config("never").await.as_deref(), Some("theirs"));
    assert_eq!(world.config("nodiff").await.as_deref(), Some("theirs"));
    // Once there is no difference any more, it is ours.
    world.change_config("nodiff", json!({"data": {"k": "ours"}})).await;
    world.wait_for_manifest("nodiff", 0, "Applied").await;
}

#[tokio::test]
async fn two_works_do_not_share_an_object() {
    let world = World::start().await;
    world
        .create_work("first", spec(&[config_map("a", "first")], Value::Null))
        .await;
    world.wait_for("first", "Available", "True").await;
    world
        .create_work(
            "second",
            spec(&[config_map("a", "second")], json!({"allowCoOwnership": true})),
        )
        .await;
    world.wait_for_manifest("second", 0, "FailedToTakeOver").await;
    assert_eq!(world.config("a").await.as_deref(), Some("first"));
    // The first goes with its object; then it is the second's turn.
    world.delete_work("first").await;
    world.wait_for("second", "Available", "True").await;
    assert_eq!(world.config("a").await.as_deref(), Some("second"));
}

#[tokio::test]
async fn server_side_apply_respects_other_managers_unless_forced() {
    let world = World::start().await;
    create(&world.member, CONFIG_MAPS, &config_map("a", "theirs"))
        .await
        .unwrap();
    let strategy = |force: bool| json!({"type": "ServerSideApply", "serverSideApplyConfig": {"force": force}});
    world
        .create_work("w", spec(&[config_map("a", "ours")], strategy(false)))
        .await;
    let entry = world.wait_for_manifest("w", 0, "ManifestApplyFailed").await;
    let message = entry["conditions"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("fairway-in-process") && message.contains(".data.k"),
        "{message}"
    );
    world
        .change_work("w", spec(&[config_map("a", "ours")], strategy(true)))
        .await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(world.config("a").await.as_deref(), Some("ours"));
    world
        .change_work("w", spec(&[config_map("a", "newer")], strategy(false)))
        .await;
    world.wait_for_config("a", Some("newer")).await;
    let work = world.wait_for("w", "Available", "True").await;
    assert_eq!(
        condition(&work["status"]["conditions"], "Applied"),
        "True AllManifestsApplied"
    );
    world.wait_for_applied("w", 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.member.metrics().reset();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(
        writes(&world.member),
        Vec::<String>::new(),
        "what is applied already is not applied again"
    );
}

#[tokio::test]
async fn large_objects_are_applied_on_the_server_and_come_back() {
    let world = World::start().await;
    let annotation = "/metadata/annotations/kubernetes-fleet.io~1last-applied-configuration";
    let remembered = || async {
        let object = get(&world.member, &format!("{CONFIG_MAPS}/a")).await.unwrap();
        object
            .pointer(annotation)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .len()
    };
    world
        .create_work("w", spec(&[config_map("a", &"x".repeat(800_000))], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(remembered().await, 0);
    world
        .change_work("w", spec(&[config_map("a", "small")], Value::Null))
        .await;
    world.wait_for_config("a", Some("small")).await;
    assert!(remembered().await > 100);
}

#[tokio::test]
async fn reports_touch_nothing_and_what_was_owned_is_cleaned_up_later() {
    let world = World::start().await;
    world
        .create_work("w", spec(&[config_map("a", "1"), config_map("b", "1")], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    let report = json!({"type": "ReportDiff"});
    world
        .change_work("w", spec(&[config_map("b", "2"), config_map("c", "1")], report))
        .await;
    let work = world
        .wait_for("w", "DiffReported", "True AllManifestsDiffReported")
        .await;
    assert_eq!(condition(&work["status"]["conditions"], "Applied"), "");
    let entries = &work["status"]["manifestConditions"];
    assert_eq!(
        entries[0]["diffDetails"]["observedDiffs"],
        json!([{"path": "/data/k", "valueInHub": "2", "valueInMember": "1"}])
    );
    assert_eq!(
        entries[1]["diffDetails"]["observedDiffs"],
        json!([{"path": "/", "valueInHub": "(the whole object)"}])
    );
    assert_eq!(
        (world.config("a").await.as_deref(), world.config("c").await),
        (Some("1"), None)
    );
    // Back to applying: the manifest that was dropped meanwhile is not forgotten.
    world
        .change_work("w", spec(&[config_map("b", "2")], json!({"type": "ClientSideApply"})))
        .await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(
        (world.config("a").await, world.config("b").await.as_deref()),
        (None, Some("2"))
    );
    let owner = world.applied_work("w").await.unwrap();
    let held = owner["metadata"]["annotations"]["kubernetes-fleet.io/held-resources"]
        .as_str()
        .unwrap();
    assert!(
        held.contains(r#""name":"b""#) && !held.contains(r#""name":"a""#),
        "{held}"
    );
}

#[tokio::test]
async fn abandoned_objects_stay_without_a_trace_of_us() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    let path = format!("/apis/placement.kubernetes-fleet.io/v1beta1/namespaces/{NAMESPACE}/works/w");
    let mark = json!({"metadata": {"annotations": {"kubernetes-fleet.io/abandon-on-delete": "true"}}});
    patch(&world.hub, &path, &mark).await.unwrap();
    world.delete_work("w").await;
    eventually("the Work is gone", || async { world.work("w").await.is_none() }).await;
    let object = get(&world.member, &format!("{CONFIG_MAPS}/a")).await.unwrap();
    assert_eq!(object["metadata"].get("ownerReferences"), None);
    assert!(
        object["metadata"]
            .get("annotations")
            .and_then(Value::as_object)
            .is_none_or(serde_json::Map::is_empty)
    );
    assert!(get(&world.member, &format!("{APPLIED_WORKS}/w")).await.is_err());
}

#[tokio::test]
async fn nothing_is_applied_under_an_owner_that_is_going() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    let owner = format!("{APPLIED_WORKS}/w");
    let hold = |all: Value| json!({"metadata": {"finalizers": all}});
    patch(&world.member, &owner, &hold(json!(["example.com/hold"])))
        .await
        .unwrap();
    let former = world.applied_work("w").await.unwrap()["metadata"]["uid"].clone();
    delete(&world.member, &owner).await.unwrap();
    eventually("the owner is going", || async {
        world.applied_work("w").await.unwrap()["metadata"]
            .get("deletionTimestamp")
            .is_some()
    })
    .await;
    world.change_work("w", spec(&[config_map("a", "2")], Value::Null)).await;
    always("nothing is applied", Duration::from_millis(500), || async {
        world.config("a").await.as_deref() == Some("1")
    })
    .await;
    patch(&world.member, &owner, &hold(json!([]))).await.unwrap();
    world.wait_for_config("a", Some("2")).await;
    world.wait_for("w", "Available", "True").await;
    assert_ne!(world.applied_work("w").await.unwrap()["metadata"]["uid"], former);
}

#[tokio::test]
async fn a_map_that_is_one_value_is_applied_again_when_somebody_adds_to_it() {
    let world = World::start().await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
        "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}});
    let strategy = json!({"type": "ServerSideApply", "serverSideApplyConfig": {"force": true}});
    world.create_work("w", spec(&[service], strategy)).await;
    world.wait_for("w", "Available", "True").await;
    let path = "/api/v1/namespaces/default/services/s";
    patch(&world.member, path, &json!({"spec": {"selector": {"more": "b"}}}))
        .await
        .unwrap();
    eventually("the selector is as it was", || async {
        get(&world.member, path).await.unwrap()["spec"]["selector"] == json!({"app": "a"})
    })
    .await;
}

#[tokio::test]
async fn what_a_dropped_job_owns_goes_with_it() {
    let world = World::start().await;
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "default"},
        "spec": {"template": template}});
    world
        .create_work("w", spec(&[job, config_map("a", "1")], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    let job = get(&world.member, "/apis/batch/v1/namespaces/default/jobs/j")
        .await
        .unwrap();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default",
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": job["metadata"]["uid"]}]},
        "spec": template["spec"]});
    create(&world.member, "/api/v1/namespaces/default/pods", &pod)
        .await
        .unwrap();
    world.change_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    for path in [
        "/apis/batch/v1/namespaces/default/jobs/j",
        "/api/v1/namespaces/default/pods/p",
    ] {
        eventually(&format!("{path} is gone"), || async {
            get(&world.member, path).await.is_err_and(|err| err.is_not_found())
        })
        .await;
    }
}

#[tokio::test]
async fn an_owner_that_joins_later_is_noticed() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    let path = format!("{CONFIG_MAPS}/a");
    let boss = create(&world.member, CONFIG_MAPS, &config_map("boss", "1"))
        .await
        .unwrap();
    let mut owners = get(&world.member, &path).await.unwrap()["metadata"]["ownerReferences"].clone();
    owners
        .as_array_mut()
        .unwrap()
        .push(json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "boss", "uid": boss["metadata"]["uid"]}));
    patch(&world.member, &path, &json!({"metadata": {"ownerReferences": owners}}))
        .await
        .unwrap();
    let entry = world.wait_for_manifest("w", 0, "ManifestApplyFailed").await;
    let message = entry["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("co-owned by multiple objects"), "{message}");
}
