//! The whole life of profiles and backends (networking 6 and 7).

use kit::ObjectKey;
use kit::events::EVENTS;
use serde_json::{Value, json};

use super::{BACKEND, NAMESPACE, PROFILE, Traffic, eventually, key, status_of};
use crate::world::MEMBER;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_with_two_backends_of_several_members_lives_from_beginning_to_end() {
    let mut traffic = Traffic::new(&["m1", "m2", "m3"]).await;
    let events = traffic.world.follow(EVENTS);

    // A backend that comes before its profile, and before the exports.
    traffic.backend("web", "shop", "web", 100).await;
    let missing = "TrafficManagerProfile \"shop\" is not found";
    traffic.until_backend("web", "False/Invalid", missing).await;
    assert!(traffic.all_held().is_empty());

    traffic.profile("shop").await;
    traffic.until_programmed("shop").await;
    let profile = traffic.profiles.get(&key("shop")).unwrap();
    assert_eq!(profile["status"]["dnsName"], "app-shop.trafficmanager.net");
    traffic
        .until_backend("web", "False/Invalid", "\"web\" is not found")
        .await;
    traffic.export("m1", "web", 1).await;
    traffic.export("m2", "web", 3).await;
    traffic.until_endpoints("web", &["m1 25", "m2 75"]).await;

    traffic.export("m3", "api", 1).await;
    traffic.backend("api", "shop", "api", 10).await;
    traffic.until_endpoints("api", &["m3 10"]).await;
    assert_eq!(traffic.all_held().len(), 1);
    assert_eq!(traffic.all_held()[0].endpoints.len(), 3);

    // Weights of a backend, and of an export, which are no business of the other backend.
    traffic.writes();
    let weight = json!({"spec": {"weight": 40}});
    traffic.world.patch(&BACKEND, &key("web"), weight).await;
    traffic.until_endpoints("web", &["m1 10", "m2 30"]).await;
    traffic.change_export("m2", "web", json!({"weight": 1})).await;
    traffic.until_endpoints("web", &["m1 20", "m2 20"]).await;
    let writes = traffic.writes();
    assert!(writes.iter().all(|write| write.starts_with("PUT web/")), "{writes:?}");

    // Exports come and go.
    traffic.export("m3", "web", 2).await;
    traffic.until_endpoints("web", &["m1 10", "m2 10", "m3 20"]).await;
    traffic.withdraw("m1", "web").await;
    traffic.until_endpoints("web", &["m2 14", "m3 27"]).await;
    traffic.change_export("m2", "web", json!({"weight": 0})).await;
    traffic.until_endpoints("web", &["m3 40"]).await;
    traffic.change_export("m2", "web", json!({"weight": 2})).await;
    traffic.until_endpoints("web", &["m2 20", "m3 20"]).await;

    // A member that leaves takes its exports along.
    traffic.world.delete(&MEMBER, &ObjectKey::cluster("m2")).await;
    traffic.until_endpoints("web", &["m3 40"]).await;

    // A profile that goes first leaves its backends behind.
    traffic.world.delete(&PROFILE, &key("shop")).await;
    traffic.profiles.until_all("gone", <[_]>::is_empty).await;
    assert!(traffic.all_held().is_empty());
    for backend in ["web", "api"] {
        traffic.until_backend(backend, "False/Invalid", missing).await;
        traffic.world.delete(&BACKEND, &key(backend)).await;
    }
    traffic.backends.until_all("gone", <[_]>::is_empty).await;

    let source = |event: &Value| {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let about = text("/involvedObject/name");
        let [reason, from] = [text("/reason"), text("/source/component")];
        (event["metadata"]["namespace"] == NAMESPACE).then(|| format!("{about} {reason} {from}"))
    };
    let expected = [
        "shop Programmed trafficmanagerprofile-controller",
        "web Accepted trafficmanagerbackend-controller",
        "api Accepted trafficmanagerbackend-controller",
        "shop Deleted trafficmanagerprofile-controller",
    ];
    events
        .until_all("recorded", |all| {
            let found: Vec<String> = all.iter().filter_map(|event| source(event)).collect();
            expected.iter().all(|wanted| found.iter().any(|one| one == wanted))
        })
        .await;
    traffic.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_the_old_version_are_worked_on() {
    let traffic = Traffic::new(&["m1"]).await;
    traffic.export("m1", "web", 1).await;
    let old = |kind: &'static str, plural: &'static str| {
        kit::Resource::namespaced("networking.fleet.azure.com", "v1alpha1", kind, plural)
    };
    // As in the tutorials: without a resource group.
    let profile = json!({"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"monitorConfig": {"port": 80}}});
    let profiles = old("TrafficManagerProfile", "trafficmanagerprofiles");
    traffic.world.create(&profiles, Some(NAMESPACE), &profile).await;
    let backend = json!({"metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"profile": {"name": "web"}, "backend": {"name": "web"}}});
    let backends = old("TrafficManagerBackend", "trafficmanagerbackends");
    traffic.world.create(&backends, Some(NAMESPACE), &backend).await;
    traffic.until_endpoints("web", &["m1 1"]).await;
    let profile = traffic.profiles.get(&key("web")).unwrap();
    assert_eq!(profile["spec"]["resourceGroup"], "fleet", "that of the cloud config");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_in_conflict_are_no_endpoints() {
    let traffic = Traffic::new(&["m1", "m2"]).await;
    traffic.export("m1", "web", 1).await;
    traffic.profile("web").await;
    traffic.backend("web", "web", "web", 100).await;
    traffic.until_endpoints("web", &["m1 100"]).await;
    traffic.export("m2", "web", 1).await;
    traffic.until_endpoints("web", &["m1 50", "m2 50"]).await;
    let others = json!({"ports": [{"port": 81, "protocol": "UDP"}]});
    traffic.change_export("m2", "web", others).await;
    traffic.until_endpoints("web", &["m1 100"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_profiles_with_one_domain_name_have_it_one_after_the_other() {
    let traffic = Traffic::new(&[]).await;
    traffic.world.namespace("app-web").await;
    let profile = |namespace: &str, name: &str| json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"resourceGroup": "rg"}});
    // Both would be app-web-x.
    let first = ObjectKey::namespaced("app", "web-x");
    let second = ObjectKey::namespaced("app-web", "x");
    traffic
        .world
        .create(&PROFILE, Some("app"), &profile("app", "web-x"))
        .await;
    traffic.until_programmed("web-x").await;
    traffic
        .world
        .create(&PROFILE, Some("app-web"), &profile("app-web", "x"))
        .await;
    let refused = |object: &Value| status_of(object, "Programmed") == "False/DNSNameNotAvailable";
    traffic.profiles.until(&second, "refused", refused).await;
    traffic.world.delete(&PROFILE, &first).await;
    let programmed = |object: &Value| status_of(object, "Programmed") == "True/Programmed";
    traffic.profiles.until(&second, "programmed", programmed).await;
    eventually("one profile is left", || traffic.all_held().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_feature_nothing_is_watched_and_nothing_called() {
    let mut traffic = Traffic::new(&["m1"]).await;
    traffic.world.stop().await;
    traffic.server.faults.take_seen();
    traffic.world.server.metrics().reset();
    traffic.start_with(&["--enable-traffic-manager-feature=false"]);
    traffic.profile("web").await;
    traffic.backend("web", "web", "web", 100).await;
    traffic.export("m1", "web", 1).await;
    // A member that has joined shows that the agent is at work.
    traffic.world.join(&["m2"]).await;
    let of_traffic = |labels: &apiserver::RequestLabels, agent: &str| {
        agent == "hub-agent" && labels.resource.starts_with("trafficmanager")
    };
    assert_eq!(traffic.world.server.metrics().total(of_traffic), 0);
    assert!(traffic.server.faults.take_seen().is_empty());
    let backend = traffic.backends.get(&key("web")).unwrap();
    assert!(backend.get("status").is_none());
}
