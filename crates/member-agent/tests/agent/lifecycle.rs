//! Works from their first apply to their end.

use super::world::*;
use apiserver::{Action, ApiError, Matcher, Verb};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_first_placement_takes_few_requests_and_then_all_is_quiet() {
    let world = World::start().await;
    world
        .create_work("warm", spec(&[config_map("warm", "1")], Value::Null))
        .await;
    world.wait_for("warm", "Available", "True").await;
    world.wait_for_applied("warm", 1).await;
    world.hub.metrics().reset();
    world.member.metrics().reset();

    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    let inside = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"k": "1"}});
    world.create_work("w", spec(&[inside, namespace], Value::Null)).await;
    let work = world.wait_for("w", "Available", "True AllManifestsAvailable").await;
    world.wait_for_applied("w", 2).await;
    assert_eq!(writes(&world.hub), ["PATCH works", "PATCH works/status"]);
    assert_eq!(
        writes(&world.member),
        [
            "PATCH appliedworks/status",
            "POST appliedworks",
            "POST configmaps",
            "POST namespaces"
        ]
    );
    assert_eq!(reads_of_config_maps(&world), 0, "what was never seen is not read");
    assert_eq!(
        work["metadata"]["finalizers"],
        json!(["kubernetes-fleet.io/work-cleanup"])
    );
    assert_eq!(
        condition(&work["status"]["conditions"], "Applied"),
        "True AllManifestsApplied"
    );
    let entry = &work["status"]["manifestConditions"][0];
    assert_eq!(
        (&entry["identifier"]["resource"], &entry["identifier"]["namespace"]),
        (&json!("configmaps"), &json!("shop"))
    );

    let placed = get(&world.member, "/api/v1/namespaces/shop/configmaps/c")
        .await
        .unwrap();
    let owner = get(&world.member, &format!("{APPLIED_WORKS}/w")).await.unwrap();
    assert_eq!(
        placed["metadata"]["ownerReferences"],
        json!([{"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "AppliedWork", "name": "w",
            "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true}])
    );
    assert_eq!(placed["metadata"]["managedFields"][0]["manager"], "work-api-agent");
    assert_eq!(owner["spec"], json!({"workName": "w", "workNamespace": NAMESPACE}));

    // Several periodic passes would be due.
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.hub.metrics().reset();
    world.member.metrics().reset();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(
        reads_of_config_maps(&world),
        0,
        "the watch shows that it has not changed"
    );
    assert_eq!((writes(&world.hub), writes(&world.member)), (vec![], vec![]));
}

fn reads_of_config_maps(world: &World) -> u64 {
    world
        .member
        .metrics()
        .total(|labels, agent| agent == AGENT && labels.verb == "GET" && labels.resource == "configmaps")
}

#[tokio::test]
async fn periodic_passes_look_after_what_cannot_be_watched() {
    let world = World::start().await;
    world.member.faults().add(
        Matcher::resource("configmaps").verbs(&[Verb::List, Verb::Watch]),
        Action::Error(ApiError::forbidden("", "configmaps", "", "not yours")),
    );
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    delete(&world.member, &format!("{CONFIG_MAPS}/a")).await.unwrap();
    world.wait_for_config("a", Some("1")).await;
    assert!(reads_of_config_maps(&world) > 0);
}

#[tokio::test]
async fn changes_are_applied_and_dropped_manifests_removed() {
    let world = World::start().await;
    world
        .create_work("w", spec(&[config_map("a", "1"), config_map("b", "1")], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    // Somebody else's key stays, ours changes.
    world.change_config("a", json!({"data": {"foreign": "x"}})).await;
    world.change_work("w", spec(&[config_map("a", "2")], Value::Null)).await;
    world.wait_for_config("a", Some("2")).await;
    world.wait_for_config("b", None).await;
    let work = world.wait_for("w", "Available", "True").await;
    assert_eq!(work["status"]["manifestConditions"].as_array().unwrap().len(), 1);
    let a = get(&world.member, &format!("{CONFIG_MAPS}/a")).await.unwrap();
    assert_eq!(a["data"], json!({"k": "2", "foreign": "x"}));
}

#[tokio::test]
async fn drift_is_repaired_at_once() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    delete(&world.member, &format!("{CONFIG_MAPS}/a")).await.unwrap();
    world.wait_for_config("a", Some("1")).await;
    world.change_config("a", json!({"data": {"k": "drift"}})).await;
    world.wait_for_config("a", Some("1")).await;
}

#[tokio::test]
async fn drift_that_no_comparison_shows_is_repaired_too() {
    let world = World::start().await;
    let mut manifest = config_map("a", "1");
    manifest["metadata"]["labels"] = json!({"app.kubernetes.io/name": "a"});
    manifest["metadata"]["annotations"] = json!({"service.beta.kubernetes.io/x": "1"});
    world.create_work("w", spec(&[manifest], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    // By now the periodic passes are put off.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let path = format!("{CONFIG_MAPS}/a");
    for (pointer, change) in [
        (
            "/metadata/labels/app.kubernetes.io~1name",
            json!({"labels": {"app.kubernetes.io/name": null}}),
        ),
        (
            "/metadata/annotations/service.beta.kubernetes.io~1x",
            json!({"annotations": {"service.beta.kubernetes.io/x": null}}),
        ),
        (
            "/metadata/annotations/kubernetes-fleet.io~1spec-hash",
            json!({"annotations": {"kubernetes-fleet.io/spec-hash": null}}),
        ),
    ] {
        let before = get(&world.member, &path).await.unwrap().pointer(pointer).cloned();
        assert!(before.is_some(), "{pointer}");
        patch(&world.member, &path, &json!({"metadata": change})).await.unwrap();
        eventually(&format!("{pointer} is back"), || async {
            get(&world.member, &path).await.unwrap().pointer(pointer).cloned() == before
        })
        .await;
    }
}

#[tokio::test]
async fn careful_works_report_drift_and_leave_it() {
    let world = World::start().await;
    let careful = json!({"whenToApply": "IfNotDrifted"});
    world
        .create_work("w", spec(&[config_map("a", "1")], careful.clone()))
        .await;
    world.wait_for("w", "Available", "True").await;
    world.change_config("a", json!({"data": {"k": "drift"}})).await;
    let entry = world.wait_for_manifest("w", 0, "FoundDrifts").await;
    assert_eq!(
        entry["driftDetails"]["observedDrifts"],
        json!([{"path": "/data/k", "valueInHub": "1", "valueInMember": "drift"}])
    );
    assert_eq!(world.config("a").await.as_deref(), Some("drift"));
    world.change_work("w", spec(&[config_map("a", "2")], careful)).await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(world.config("a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn availability_is_reported_as_soon_as_the_object_says_so() {
    let world = World::start().await;
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    world.create_work("w", spec(&[deployment], Value::Null)).await;
    let work = world
        .wait_for("w", "Available", "False SomeManifestsAreNotAvailable")
        .await;
    assert_eq!(
        condition(&work["status"]["manifestConditions"][0]["conditions"], "Available"),
        "False ManifestNotAvailableYet"
    );
    world.member.metrics().reset();
    let status = json!({"status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}});
    patch(
        &world.member,
        "/apis/apps/v1/namespaces/default/deployments/d/status",
        &status,
    )
    .await
    .unwrap();
    let start = tokio::time::Instant::now();
    world.wait_for("w", "Available", "True AllManifestsAvailable").await;
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_definition_and_its_resource_come_in_one_work() {
    let world = World::start().await;
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "odds.x.io"},
        "spec": {"group": "x.io", "scope": "Namespaced", "names": {"plural": "odds", "singular": "odd", "kind": "Odd", "listKind": "OddList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
    let odd = json!({"apiVersion": "x.io/v1", "kind": "Odd", "metadata": {"name": "o", "namespace": "default"}, "spec": {"n": 1}});
    world.create_work("w", spec(&[odd, crd], Value::Null)).await;
    world.wait_for("w", "Available", "True WorkNotTrackable").await;
    let path = "/apis/x.io/v1/namespaces/default/odds/o";
    assert_eq!(get(&world.member, path).await.unwrap()["spec"]["n"], 1);
    let odd = json!({"apiVersion": "x.io/v1", "kind": "Odd", "metadata": {"name": "o", "namespace": "default"}, "spec": {"n": 2}});
    let crd = world.work("w").await.unwrap()["spec"]["workload"]["manifests"][1].clone();
    world.change_work("w", spec(&[odd, crd], Value::Null)).await;
    eventually("the custom resource follows", || async {
        get(&world.member, path).await.is_ok_and(|o| o["spec"]["n"] == 2)
    })
    .await;
}

#[tokio::test]
async fn bad_manifests_do_not_keep_the_others_from_being_applied() {
    let world = World::start().await;
    let unknown = json!({"apiVersion": "dummy/v10", "kind": "Fake", "metadata": {"name": "f", "namespace": "default"}});
    let generated =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-", "namespace": "default"}});
    let lost = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "l", "namespace": "nowhere"}});
    let nameless = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "default"}});
    let manifests = [
        unknown,
        generated,
        config_map("a", "1"),
        config_map("a", "2"),
        lost,
        nameless,
    ];
    world.create_work("w", spec(&manifests, Value::Null)).await;
    let work = world.wait_for("w", "Applied", "False SomeManifestsAreNotApplied").await;
    let reasons: Vec<_> = work["status"]["manifestConditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| condition(&entry["conditions"], "Applied"))
        .collect();
    assert_eq!(
        reasons,
        [
            "False DecodingErred",
            "False FoundGenerateName",
            "True Applied",
            "False Duplicated",
            "False ManifestApplyFailed",
            "False FailedToFindObjInMemberCluster"
        ]
    );
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    let requests = world
        .member
        .metrics()
        .total(|labels, agent| agent == AGENT && labels.resource == "secrets");
    assert_eq!(requests, 0, "without a name the request would mean all Secrets");
}

#[tokio::test]
async fn deletion_takes_everything_along() {
    let world = World::start().await;
    world
        .create_work("w", spec(&[config_map("a", "1"), config_map("b", "1")], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    world.delete_work("w").await;
    eventually("the Work is gone", || async { world.work("w").await.is_none() }).await;
    assert_eq!((world.config("a").await, world.config("b").await), (None, None));
    assert!(get(&world.member, &format!("{APPLIED_WORKS}/w")).await.is_err());
    world.create_work("w", spec(&[config_map("a", "2")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(
        world.config("a").await.as_deref(),
        Some("2"),
        "a new Work of the name starts afresh"
    );
}

#[tokio::test]
async fn after_a_restart_the_watches_vouch_for_every_work() {
    let mut world = World::start().await;
    let names: Vec<_> = (0..12).map(|n| format!("w{n}")).collect();
    for name in &names {
        world
            .create_work(name, spec(&[config_map(name, "1")], Value::Null))
            .await;
    }
    for name in &names {
        world.wait_for(name, "Available", "True").await;
        world.wait_for_applied(name, 1).await;
    }
    world.stop_agent().await;
    world.member.metrics().reset();
    // The last passes begin long after the watch has listed the objects.
    let slow = Matcher::resource("configmaps").verbs(&[Verb::Get]);
    let fault = world
        .member
        .faults()
        .add(slow, Action::Delay(Duration::from_millis(200)));
    world.start_agent();
    eventually("every object was looked at", || async {
        reads_of_config_maps(&world) >= 12
    })
    .await;
    world.member.faults().remove(fault);
    tokio::time::sleep(Duration::from_millis(700)).await;
    world.member.metrics().reset();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(reads_of_config_maps(&world), 0, "no periodic pass is needed");
    delete(&world.member, &format!("{CONFIG_MAPS}/w11")).await.unwrap();
    world.wait_for_config("w11", Some("1")).await;
}

#[tokio::test]
async fn a_kind_that_is_not_served_is_asked_for_once_a_pass() {
    let world = World::start().await;
    let odd = |n: i32| json!({"apiVersion": "x.io/v1", "kind": "Odd", "metadata": {"name": format!("o{n}"), "namespace": "default"}});
    let manifests: Vec<_> = (0..50).map(odd).collect();
    world.create_work("w", spec(&manifests, Value::Null)).await;
    let work = world.wait_for("w", "Applied", "False SomeManifestsAreNotApplied").await;
    let entries = work["status"]["manifestConditions"].as_array().unwrap();
    assert!(
        entries
            .iter()
            .all(|entry| condition(&entry["conditions"], "Applied") == "False DecodingErred")
    );
    let requests = world
        .member
        .metrics()
        .total(|labels, agent| agent == AGENT && labels.verb == "GET" && labels.resource.is_empty());
    assert!(requests < 20, "{requests} requests that name no resource");
}

#[tokio::test]
async fn a_deletion_that_waits_names_the_object_and_its_finalizer() {
    let world = World::start().await;
    world
        .create_work("w", spec(&[config_map("a", "1"), config_map("b", "1")], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    let hold = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    world
        .change_config("a", hold(json!(["example.com/hold", "example.com/other"])))
        .await;
    world.delete_work("w").await;
    let work = world.wait_for("w", "Applied", "False DeletionBlocked").await;
    let message = work["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("held: ConfigMap default/a by the finalizers example.com/hold, example.com/other. They"),
        "{message}"
    );
    assert_eq!(condition(&work["status"]["conditions"], "Available"), "");
    world.hub.metrics().reset();
    world.change_config("a", hold(json!(["example.com/other"]))).await;
    eventually("the finalizer that remains is named", || async {
        let work = world.work("w").await.unwrap_or_default();
        let message = work["status"]["conditions"][0]["message"].to_string();
        message.contains("by the finalizer example.com/other. They")
    })
    .await;
    assert_eq!(writes(&world.hub), ["PATCH works/status"], "once for each change");
    world.change_config("a", hold(Value::Null)).await;
    eventually("the Work is gone", || async { world.work("w").await.is_none() }).await;
}

#[tokio::test]
async fn a_deletion_that_waits_is_followed_after_a_restart() {
    let mut world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    let hold = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    world.change_config("a", hold(json!(["example.com/hold"]))).await;
    world.delete_work("w").await;
    world.wait_for("w", "Applied", "False DeletionBlocked").await;
    world.crash_agent().await;
    world.member.metrics().reset();
    world.start_agent();
    eventually("the kind of what is to go is watched", || async {
        let watches = world
            .member
            .metrics()
            .total(|labels, agent| agent == AGENT && labels.verb == "WATCH" && labels.resource == "configmaps");
        watches > 0
    })
    .await;
    world.change_config("a", hold(Value::Null)).await;
    eventually("the Work is gone", || async { world.work("w").await.is_none() }).await;
}
