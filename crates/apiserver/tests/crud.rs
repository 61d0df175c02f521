//! Create, read, change, delete and watch through a real client, in process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers may fail loudly"
)]

use apiserver::{Action, ApiServer, Matcher, Verb};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy, WatchEvent,
    WatchParams,
};
use kube::core::Status;
use serde_json::{Value, json};
use std::time::Duration;

fn server() -> ApiServer {
    ApiServer::builder()
        .seed(1)
        .namespace_delay(Duration::ZERO)
        .build()
        .unwrap()
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn config(name: &str, data: Value) -> ConfigMap {
    object(json!({"metadata": {"name": name}, "data": data}))
}

#[track_caller]
fn status(error: kube::Error) -> Box<Status> {
    match error {
        kube::Error::Api(status) => status,
        other => panic!("not an answer of the server: {other}"),
    }
}

#[tokio::test]
async fn an_object_lives_through_its_verbs() {
    let api: Api<ConfigMap> = Api::namespaced(server().client(), "default");
    let made = api
        .create(&PostParams::default(), &config("a", json!({"k": "1"})))
        .await
        .unwrap();
    assert!(
        made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some() && made.metadata.generation.is_none()
    );
    assert_eq!(
        made.metadata.managed_fields.as_ref().unwrap()[0].manager.as_deref(),
        Some("fairway-in-process")
    );
    let again = status(
        api.create(&PostParams::default(), &config("a", json!({})))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (again.code, again.reason.as_str(), again.message.as_str()),
        (409, "AlreadyExists", "configmaps \"a\" already exists")
    );

    let mut next = made.clone();
    next.data = Some([("k".into(), "2".into())].into());
    let replaced = api.replace("a", &PostParams::default(), &next).await.unwrap();
    let stale = status(api.replace("a", &PostParams::default(), &next).await.unwrap_err());
    assert_eq!((stale.code, stale.reason.as_str()), (409, "Conflict"));
    assert!(
        stale
            .message
            .ends_with("please apply your changes to the latest version and try again"),
        "{}",
        stale.message
    );

    let same = api.replace("a", &PostParams::default(), &replaced).await.unwrap();
    assert_eq!(
        same.metadata.resource_version, replaced.metadata.resource_version,
        "a write that changes nothing is none"
    );

    let merge = Patch::Merge(json!({"data": {"k": null, "l": "3"}}));
    let patched = api.patch("a", &PatchParams::default(), &merge).await.unwrap();
    assert_eq!(patched.data.unwrap(), [("l".to_owned(), "3".to_owned())].into());
    let wrong = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some("x".into()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    assert_eq!(status(api.delete("a", &wrong).await.unwrap_err()).code, 409);
    let gone = api.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(gone.right().unwrap().details.unwrap().uid, made.metadata.uid.unwrap());
    let missing = status(api.get("a").await.unwrap_err());
    assert_eq!(
        (missing.code, missing.message.as_str()),
        (404, "configmaps \"a\" not found")
    );
}

#[tokio::test]
async fn generated_names_dry_runs_and_namespaces() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    let mut unnamed = config("", json!({}));
    unnamed.metadata = object(json!({"generateName": "x-"}));
    let made = api.create(&PostParams::default(), &unnamed).await.unwrap();
    assert_eq!(made.metadata.name.unwrap().len(), 7);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.create(&dry, &config("dry", json!({}))).await.unwrap();
    assert!(api.get_opt("dry").await.unwrap().is_none());

    let nowhere: Api<ConfigMap> = Api::namespaced(server.client(), "nowhere");
    let missing = status(
        nowhere
            .create(&PostParams::default(), &config("a", json!({})))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (missing.code, missing.message.as_str()),
        (404, "namespaces \"nowhere\" not found")
    );
    let bad = status(
        api.create(&PostParams::default(), &config("Bad_Name", json!({})))
            .await
            .unwrap_err(),
    );
    assert_eq!((bad.code, bad.reason.as_str()), (422, "Invalid"));
    assert!(
        bad.message.starts_with(
            "ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123"
        ),
        "{}",
        bad.message
    );
}

#[tokio::test]
async fn selectors_and_pages() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    for i in 0..5 {
        let mut map = config(&format!("c{i}"), json!({}));
        map.metadata.labels = Some([("parity".to_owned(), if i % 2 == 0 { "even" } else { "odd" }.to_owned())].into());
        api.create(&PostParams::default(), &map).await.unwrap();
    }
    let names = |list: &kube::api::ObjectList<ConfigMap>| {
        list.items
            .iter()
            .map(|c| c.metadata.name.clone().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(
            &api.list(&ListParams::default().labels("parity in (even)"))
                .await
                .unwrap()
        ),
        ["c0", "c2", "c4"]
    );
    assert_eq!(
        names(
            &api.list(&ListParams::default().fields("metadata.name=c3"))
                .await
                .unwrap()
        ),
        ["c3"]
    );
    let first = api
        .list(&ListParams::default().labels("parity").limit(2))
        .await
        .unwrap();
    assert_eq!(names(&first), ["c0", "c1"]);
    let token = first.metadata.continue_.clone().unwrap();
    // A page belongs to the state in which the list began.
    api.delete("c2", &DeleteParams::default()).await.unwrap();
    let second = api
        .list(&ListParams::default().labels("parity").limit(2).continue_token(&token))
        .await
        .unwrap();
    assert_eq!(names(&second), ["c2", "c3"]);
    assert_eq!(first.metadata.resource_version, second.metadata.resource_version);
    server.compact();
    let old = status(
        api.list(&ListParams::default().limit(2).continue_token(&token))
            .await
            .unwrap_err(),
    );
    assert_eq!((old.code, old.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn a_watch_resumes_and_expires() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    let start = api
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    api.create(&PostParams::default(), &config("a", json!({})))
        .await
        .unwrap();
    let labelled = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
    api.patch("a", &PatchParams::default(), &labelled).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let kinds = |events: Vec<WatchEvent<ConfigMap>>| {
        events
            .into_iter()
            .map(|e| match e {
                WatchEvent::Added(_) => "added",
                WatchEvent::Modified(_) => "modified",
                WatchEvent::Deleted(_) => "deleted",
                WatchEvent::Bookmark(_) => "bookmark",
                WatchEvent::Error(e) if e.code == 410 => "expired",
                WatchEvent::Error(_) => "error",
            })
            .collect::<Vec<_>>()
    };
    let all = api
        .watch(&WatchParams::default(), &start)
        .await
        .unwrap()
        .take(3)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(kinds(all), ["added", "modified", "deleted"]);
    let chosen = api
        .watch(&WatchParams::default().labels("x=y"), &start)
        .await
        .unwrap()
        .take(2)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(kinds(chosen), ["added", "deleted"]);
    let fresh = api
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .take(1)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(kinds(fresh), ["added"], "the standard ConfigMap of the namespace");
    server.compact();
    let expired = api
        .watch(&WatchParams::default(), &start)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(kinds(expired), ["expired"]);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_and_watches_end_by_the_clock() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    let params = WatchParams::default().timeout(150);
    let events: Vec<_> = api.watch(&params, "0").await.unwrap().try_collect().await.unwrap();
    let bookmarks = events.iter().filter(|e| matches!(e, WatchEvent::Bookmark(_))).count();
    assert_eq!((events.len(), bookmarks), (3, 2));
    let initial = api
        .watch(&WatchParams::default().initial_events(), "")
        .await
        .unwrap()
        .take(2)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    let WatchEvent::Bookmark(end) = &initial[1] else {
        panic!("{initial:?}")
    };
    assert_eq!(end.metadata.annotations["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn finalizers_and_owners_decide_what_goes_when() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    let mut held = config("held", json!({}));
    held.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    let owner = api.create(&PostParams::default(), &held).await.unwrap();
    let mut child = config("child", json!({}));
    child.metadata.owner_references = Some(vec![object(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "held", "uid": owner.metadata.uid.unwrap(), "blockOwnerDeletion": true}),
    )]);
    api.create(&PostParams::default(), &child).await.unwrap();

    let marked = api
        .delete("held", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(0));
    let refused = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}));
    assert_eq!(
        status(api.patch("held", &PatchParams::default(), &refused).await.unwrap_err()).code,
        422
    );
    assert!(api.get_opt("child").await.unwrap().is_some());
    api.patch(
        "held",
        &PatchParams::default(),
        &Patch::Merge(json!({"metadata": {"finalizers": null}})),
    )
    .await
    .unwrap();
    assert!(api.get_opt("held").await.unwrap().is_none());
    assert!(
        api.get_opt("child").await.unwrap().is_none(),
        "an owner takes its dependents along"
    );
}

#[tokio::test]
async fn propagation_is_obeyed() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    for (policy, child_stays) in [
        (PropagationPolicy::Orphan, true),
        (PropagationPolicy::Foreground, false),
    ] {
        let owner = api
            .create(&PostParams::default(), &config("owner", json!({})))
            .await
            .unwrap();
        let mut child = config("child", json!({}));
        child.metadata.finalizers = Some(vec!["example.com/hold".into()]);
        child.metadata.owner_references = Some(vec![object(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid.unwrap(), "blockOwnerDeletion": true}),
        )]);
        api.create(&PostParams::default(), &child).await.unwrap();
        let params = DeleteParams {
            propagation_policy: Some(policy),
            ..DeleteParams::default()
        };
        api.delete("owner", &params).await.unwrap();
        let found = api.get("child").await.unwrap();
        assert_eq!(found.metadata.deletion_timestamp.is_none(), child_stays);
        assert_eq!(found.metadata.owner_references.is_none(), child_stays);
        assert_eq!(
            api.get_opt("owner").await.unwrap().is_none(),
            child_stays,
            "in the foreground the owner waits"
        );
        api.patch(
            "child",
            &PatchParams::default(),
            &Patch::Merge(json!({"metadata": {"finalizers": null}})),
        )
        .await
        .unwrap();
        assert!(api.get_opt("owner").await.unwrap().is_none());
        if child_stays {
            api.delete("child", &DeleteParams::default()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_namespace_is_furnished_and_emptied() {
    let server = server();
    let namespaces: Api<Namespace> = Api::all(server.client());
    let made = namespaces
        .create(&PostParams::default(), &object(json!({"metadata": {"name": "work"}})))
        .await
        .unwrap();
    assert_eq!(made.status.unwrap().phase.as_deref(), Some("Active"));
    let maps: Api<ConfigMap> = Api::namespaced(server.client(), "work");
    assert!(maps.get_opt("kube-root-ca.crt").await.unwrap().is_some());
    let mut held = config("held", json!({}));
    held.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    maps.create(&PostParams::default(), &held).await.unwrap();
    namespaces.delete("work", &DeleteParams::default()).await.unwrap();
    let going = namespaces.get("work").await.unwrap();
    assert_eq!(going.status.as_ref().unwrap().phase.as_deref(), Some("Terminating"));
    let remaining = going
        .status
        .unwrap()
        .conditions
        .unwrap()
        .into_iter()
        .find(|c| c.type_ == "NamespaceContentRemaining")
        .unwrap();
    assert_eq!(
        remaining.message.as_deref(),
        Some("Some resources are remaining: configmaps. has 1 resource instances")
    );
    let refused = status(
        maps.create(&PostParams::default(), &config("late", json!({})))
            .await
            .unwrap_err(),
    );
    assert_eq!(refused.code, 403);
    assert!(
        refused.message.contains("because it is being terminated"),
        "{}",
        refused.message
    );
    maps.patch(
        "held",
        &PatchParams::default(),
        &Patch::Merge(json!({"metadata": {"finalizers": null}})),
    )
    .await
    .unwrap();
    assert!(namespaces.get_opt("work").await.unwrap().is_none());
    assert_eq!(
        status(
            namespaces
                .delete("default", &DeleteParams::default())
                .await
                .unwrap_err()
        )
        .code,
        403
    );
}

#[tokio::test]
async fn built_in_kinds_are_completed_and_checked() {
    let server = server();
    let services: Api<Service> = Api::namespaced(server.client(), "default");
    let made = services.create(&PostParams::default(), &object(json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]}}))).await.unwrap();
    let spec = made.spec.unwrap();
    let port = &spec.ports.unwrap()[0];
    assert!(spec.cluster_ip.unwrap().starts_with("10.0."));
    assert_eq!(
        (port.protocol.as_deref(), port.node_port.is_some()),
        (Some("TCP"), true)
    );

    let deployments: Api<Deployment> = Api::namespaced(server.client(), "default");
    let pod = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}});
    let body: Deployment =
        object(json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pod}}));
    let made = deployments.create(&PostParams::default(), &body).await.unwrap();
    assert_eq!(
        (made.metadata.generation, made.spec.unwrap().replicas),
        (Some(1), Some(1))
    );
    let strategic =
        Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "k"}]}}}}));
    let patched = deployments
        .patch("d", &PatchParams::default(), &strategic)
        .await
        .unwrap();
    let images: Vec<_> = patched
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
        .containers
        .into_iter()
        .map(|c| c.image.unwrap())
        .collect();
    assert_eq!(
        (patched.metadata.generation, images),
        (Some(2), vec!["i".to_owned(), "k".to_owned()])
    );
    let reported = deployments
        .patch_status(
            "d",
            &PatchParams::default(),
            &Patch::Merge(json!({"status": {"readyReplicas": 1}, "spec": {"replicas": 9}})),
        )
        .await
        .unwrap();
    assert_eq!(
        (reported.metadata.generation, reported.spec.unwrap().replicas),
        (Some(2), Some(1))
    );
    let scaled = deployments
        .patch_scale(
            "d",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"replicas": 3}})),
        )
        .await
        .unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(3));
    assert_eq!(scaled.status.unwrap().selector.as_deref(), Some("a=b"));

    let bad: Deployment =
        object(json!({"metadata": {"name": "e"}, "spec": {"selector": {"matchLabels": {"a": "x"}}, "template": pod}}));
    let error = status(deployments.create(&PostParams::default(), &bad).await.unwrap_err());
    assert_eq!(
        error.message,
        "Deployment.apps \"e\" is invalid: spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`"
    );

    let secrets: Api<Secret> = Api::namespaced(server.client(), "default");
    let secret = secrets
        .create(
            &PostParams::default(),
            &object(json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}})),
        )
        .await
        .unwrap();
    assert_eq!(secret.data.unwrap()["k"].0, b"v");
    let pods: Api<Pod> = Api::namespaced(server.client(), "default");
    let pod = pods
        .create(
            &PostParams::default(),
            &object(json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})),
        )
        .await
        .unwrap();
    assert_eq!(pod.spec.unwrap().service_account_name.as_deref(), Some("default"));
    assert_eq!(pod.status.unwrap().qos_class.as_deref(), Some("BestEffort"));
}

#[tokio::test]
async fn server_side_apply_tracks_owners() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    let body = |data: Value| {
        Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}))
    };
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    let made = api.patch("a", &one, &body(json!({"x": "1", "y": "1"}))).await.unwrap();
    let same = api.patch("a", &one, &body(json!({"x": "1", "y": "1"}))).await.unwrap();
    assert_eq!(made.metadata.resource_version, same.metadata.resource_version);
    let conflict = status(api.patch("a", &two, &body(json!({"x": "2"}))).await.unwrap_err());
    assert_eq!((conflict.code, conflict.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"one\": .data.x"
    );
    assert_eq!(conflict.details.unwrap().causes[0].field, ".data.x");
    api.patch("a", &two.clone().force(), &body(json!({"x": "2"})))
        .await
        .unwrap();
    let dropped = api.patch("a", &one, &body(json!({}))).await.unwrap();
    assert_eq!(dropped.data.unwrap(), [("x".to_owned(), "2".to_owned())].into());
}

#[tokio::test]
async fn faults_hit_what_they_are_aimed_at() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    let faults = server.faults();
    faults.add(
        Matcher::resource("configmaps").verbs(&[Verb::Get, Verb::List]),
        Action::StaleRead,
    );
    api.create(&PostParams::default(), &config("a", json!({})))
        .await
        .unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none(), "reads show the past");
    faults.clear();
    assert!(api.get_opt("a").await.unwrap().is_some());

    let lost = faults.add_times(
        Matcher::resource("configmaps").verbs(&[Verb::Patch]),
        Action::LoseAnswer,
        1,
    );
    let patch = Patch::Merge(json!({"data": {"k": "v"}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap_err();
    assert_eq!(faults.hits(lost), 1);
    assert_eq!(
        api.get("a").await.unwrap().data.unwrap()["k"],
        "v",
        "it happened all the same"
    );

    let mut watch = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    assert!(watch.try_next().await.unwrap().is_some());
    faults.drop_watches(Matcher::resource("secrets"));
    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(watch.try_next().await.unwrap().is_some(), "not this one");
    faults.drop_watches(Matcher::resource("configmaps"));
    while let Ok(Some(_)) = watch.try_next().await {}
    let deletes = server
        .metrics()
        .total(|l, agent| l.verb == "DELETE" && agent == "fairway-in-process");
    assert_eq!(deletes, 1);
}
