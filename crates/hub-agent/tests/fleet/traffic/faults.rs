//! What may go wrong between the hub agent and the traffic manager: statuses say so, and recovery needs no hand.

use apiserver::{Action, Matcher, Verb};
use http::Method;
use kit::ObjectKey;
use kit::lease::LEASES;
use serde_json::json;
use std::time::Duration;
use traffic_manager::decide::Operation;
use traffic_manager::faults::{Fault, Rule, SECRET};

use super::{BACKEND, PROFILE, Traffic, eventually, key};
use crate::world::{AGENT_USER, DEFINITION};

const ENDPOINTS: &str = "/azureEndpoints/";

/// Changes the weight of the backend `web` of a settled fleet and thereby both its endpoints: m1 gets `weight / 4`.
async fn weigh(traffic: &Traffic, weight: i64) -> [String; 2] {
    let body = json!({"spec": {"weight": weight}});
    traffic.world.patch(&BACKEND, &key("web"), body).await;
    [format!("m1 {}", weight / 4), format!("m2 {}", weight / 4 * 3)]
}

async fn until(traffic: &Traffic, endpoints: &[String; 2]) {
    let endpoints = endpoints.each_ref().map(String::as_str);
    traffic.until_endpoints("web", &endpoints).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_writes_are_in_the_status_and_repeated_until_they_succeed() {
    let traffic = Traffic::settled().await;
    let faults = &traffic.server.faults;
    let table: [(Fault, &str, &str); 6] = [
        (
            Fault::Refuse(429, "TooManyRequests", Some(1)),
            "Unknown/Pending",
            "429 TooManyRequests",
        ),
        (
            Fault::Refuse(500, "InternalServerError", None),
            "Unknown/Pending",
            "500 InternalServerError",
        ),
        (Fault::Garbage, "Unknown/Pending", "did not answer"),
        (Fault::DropBefore, "Unknown/Pending", "did not answer"),
        (
            Fault::Refuse(400, "BadRequest", None),
            "False/Invalid",
            "400 BadRequest",
        ),
        (
            Fault::Refuse(403, "AuthorizationFailed", None),
            "False/Invalid",
            "403 AuthorizationFailed",
        ),
    ];
    for (weight, (fault, status, message)) in (1..).map(|n| n * 100 + 4).zip(table) {
        faults.add(Rule::new(fault).method(Method::PUT).path(ENDPOINTS));
        let wanted = weigh(&traffic, weight / 4 * 4).await;
        traffic.until_backend("web", status, message).await;
        faults.clear();
        until(&traffic, &wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_answers_are_waited_for_and_nothing_is_written_twice() {
    let traffic = Traffic::settled().await;
    traffic.writes();
    let slow = Fault::Delay(Duration::from_secs(2));
    traffic.server.faults.add(Rule::new(slow).method(Method::PUT));
    let wanted = weigh(&traffic, 40).await;
    until(&traffic, &wanted).await;
    let mut writes = traffic.writes();
    writes.sort();
    assert_eq!(writes, ["PUT web/m1", "PUT web/m2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_is_lost_is_not_repeated() {
    let traffic = Traffic::settled().await;
    traffic.writes();
    let lost = Rule::new(Fault::DropAfter).method(Method::PUT).path(ENDPOINTS).times(2);
    traffic.server.faults.add(lost);
    let wanted = weigh(&traffic, 40).await;
    until(&traffic, &wanted).await;
    let mut writes = traffic.writes();
    writes.sort();
    assert_eq!(writes, ["PUT web/m1", "PUT web/m2"], "a read has shown their effect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traffic_manager_that_is_away_is_named_and_found_again() {
    let traffic = Traffic::settled().await;
    let faults = &traffic.server.faults;
    faults.add(Rule::new(Fault::DropBefore).path("/subscriptions/"));
    let monitor = json!({"spec": {"monitorConfig": {"port": 10}}});
    traffic.world.patch(&PROFILE, &key("web"), monitor).await;
    traffic
        .until_profile("web", "Unknown/Pending", "the traffic manager did not answer")
        .await;
    let wanted = weigh(&traffic, 40).await;
    faults.clear();
    traffic.until_programmed("web").await;
    until(&traffic, &wanted).await;
    assert_eq!(traffic.all_held()[0].monitor.port, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_is_replaced() {
    let traffic = Traffic::settled().await;
    traffic.server.faults.take_seen();
    let expired = Rule::new(Fault::Refuse(401, "ExpiredAuthenticationToken", None));
    traffic
        .server
        .faults
        .add(expired.path(ENDPOINTS).method(Method::PUT).times(2));
    let wanted = weigh(&traffic, 40).await;
    until(&traffic, &wanted).await;
    let seen = traffic.server.faults.take_seen();
    let tokens = seen.iter().filter(|request| request.path.contains("/oauth2/"));
    assert!(tokens.count() >= 1, "a new token was asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_change_in_the_traffic_manager_is_repaired() {
    let traffic = Traffic::settled().await;
    let profile = traffic.all_held().remove(0);
    let by_hand = Operation::DeleteProfile(profile.id.clone());
    traffic.server.engine.write(by_hand).await.unwrap();
    assert!(traffic.all_held().is_empty());
    // Within a minute, on a machine with nothing else to do.
    eventually("the profile is there again with its endpoints", || {
        let all = traffic.all_held();
        all.len() == 1 && all[0].endpoints.len() == 2
    })
    .await;
    traffic.until_programmed("web").await;
    traffic.until_endpoints("web", &["m1 25", "m2 75"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_killed_between_endpoint_and_status_leaves_nothing_to_be_written_twice() {
    let mut traffic = Traffic::settled().await;
    traffic.writes();
    let statuses = Matcher::resource("trafficmanagerbackends")
        .subresource("status")
        .user(AGENT_USER)
        .verbs(&[Verb::Patch]);
    let faults = traffic.world.server.faults();
    let hung = faults.add(statuses, Action::HangUp);
    let wanted = weigh(&traffic, 40).await;
    eventually("a status is about to be written", || faults.hits(hung) > 0).await;
    traffic.world.kill().await;
    assert_eq!(traffic.writes().len(), 2, "both endpoints were written");
    faults.remove(hung);
    traffic.start();
    until(&traffic, &wanted).await;
    assert_eq!(traffic.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_killed_at_any_call_leaves_nothing_wrong() {
    let mut traffic = Traffic::settled().await;
    // The answer to the nth call after the change is held back, and the agent is killed meanwhile.
    for (call, weight) in (0..4).zip([40, 80, 120, 160]) {
        traffic.writes();
        let held_back = Rule::new(Fault::Delay(Duration::from_secs(60)))
            .path("/subscriptions/")
            .after(call);
        traffic.server.faults.add(held_back);
        let wanted = weigh(&traffic, weight).await;
        let calls = std::cell::Cell::new(0);
        let known = std::cell::RefCell::new(Vec::new());
        eventually("the call is made, or everything is done", || {
            let seen = traffic.server.faults.take_seen();
            let of_profile = seen
                .into_iter()
                .filter(|request| request.path.starts_with("/subscriptions/"));
            known.borrow_mut().extend(of_profile);
            calls.set(known.borrow().len());
            calls.get() > call || (call >= 2 && calls.get() == 2)
        })
        .await;
        traffic.world.kill().await;
        traffic.server.faults.clear();
        let uid = traffic.backends.get(&key("web")).unwrap()["metadata"]["uid"].clone();
        let before = traffic.held(uid.as_str().unwrap());
        traffic.writes();
        traffic.start();
        until(&traffic, &wanted).await;
        let right = before.iter().filter(|endpoint| wanted.contains(endpoint)).count();
        assert!(traffic.writes().len() <= 2 - right, "after {call} calls");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_goes_on_where_the_one_before_was_killed() {
    let mut traffic = Traffic::settled().await;
    traffic.world.stop().await;
    let election = [
        "--leader-elect",
        "--leader-retry-period=100ms",
        "--leader-renew-deadline=2s",
        "--leader-lease-duration=3s",
    ];
    traffic.start_with(&election);
    let leases = traffic.world.follow(LEASES);
    let lease = ObjectKey::namespaced("fleet-system", api::names::HUB_LEASE);
    let is_held = |lease: &serde_json::Value| !lease["spec"]["holderIdentity"].as_str().unwrap_or_default().is_empty();
    let held = leases.until(&lease, "held", is_held).await;
    let first = traffic.world.detach();
    traffic.start_with(&election);
    let wanted = weigh(&traffic, 40).await;
    until(&traffic, &wanted).await;
    // It dies in the middle of the next change.
    traffic.writes();
    let slow = Rule::new(Fault::Delay(Duration::from_secs(60))).method(Method::PUT);
    traffic.server.faults.add(slow.path("%23m1"));
    let wanted = weigh(&traffic, 80).await;
    let uid = traffic.backends.get(&key("web")).unwrap()["metadata"]["uid"].clone();
    let uid = uid.as_str().unwrap();
    eventually("one endpoint is written", || traffic.held(uid).contains(&wanted[1])).await;
    first.kill().await;
    traffic.server.faults.clear();
    let before = traffic.held(uid);
    traffic.writes();
    let other =
        |lease: &serde_json::Value| is_held(lease) && lease["spec"]["holderIdentity"] != held["spec"]["holderIdentity"];
    leases.until(&lease, "held by the other one", other).await;
    until(&traffic, &wanted).await;
    let right = before.iter().filter(|endpoint| wanted.contains(endpoint)).count();
    assert!(right >= 1 && traffic.writes().len() <= 2 - right);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_forbidden_says_what_right_is_missing_and_goes_on_with_it() {
    let traffic = Traffic::settled().await;
    let forbidden = Fault::Refuse(403, "AuthorizationFailed", None);
    traffic.server.faults.add(Rule::new(forbidden).method(Method::DELETE));
    traffic.world.delete(&BACKEND, &key("web")).await;
    traffic
        .until_backend(
            "web",
            "Unknown/Pending",
            "Microsoft.Network/trafficManagerProfiles/azureEndpoints/delete",
        )
        .await;
    traffic.world.delete(&PROFILE, &key("web")).await;
    traffic
        .until_profile(
            "web",
            "Unknown/Pending",
            "Microsoft.Network/trafficManagerProfiles/delete on the resource group \"rg\"",
        )
        .await;
    traffic.server.faults.clear();
    traffic.profiles.until_all("gone", <[_]>::is_empty).await;
    traffic.backends.until_all("gone", <[_]>::is_empty).await;
    assert!(traffic.all_held().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cloud_config_everything_else_works_and_profiles_wait_for_it() {
    let mut traffic = Traffic::new(&["m1"]).await;
    traffic.world.stop().await;
    std::fs::write(traffic.config(), "{\"aadClientSecret\": ").unwrap();
    traffic.start();
    traffic.world.join(&["m2"]).await;
    traffic.profile("web").await;
    traffic.write_config("this is a wrong secret");
    traffic.until_profile("web", "Unknown/Pending", "").await;
    traffic.world.stop().await;
    traffic.write_config(SECRET);
    traffic.start();
    traffic.until_programmed("web").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_that_are_not_installed_are_waited_for() {
    let mut traffic = Traffic::new(&["m1"]).await;
    traffic.world.stop().await;
    let name = ObjectKey::cluster("trafficmanagerprofiles.networking.fleet.azure.com");
    let definitions = traffic.world.follow(DEFINITION);
    let known = definitions.until(&name, "there", |_| true).await;
    traffic.world.delete(&DEFINITION, &name).await;
    definitions
        .until_all("without the kind", |all| {
            all.iter().all(|one| one["metadata"]["name"] != name.name)
        })
        .await;
    traffic.start();
    traffic.world.join(&["m2"]).await;
    let again = json!({"metadata": {"name": name.name}, "spec": known["spec"]});
    traffic.world.create(&DEFINITION, None, &again).await;
    let established = |definition: &serde_json::Value| {
        let all = definition
            .pointer("/status/conditions")
            .and_then(serde_json::Value::as_array);
        all.is_some_and(|all| {
            all.iter()
                .any(|one| one["type"] == "Established" && one["status"] == "True")
        })
    };
    definitions.until(&name, "established", established).await;
    traffic.profile("web").await;
    traffic.until_programmed("web").await;
}
