//! Leadership: nobody else leads while a pass still runs, and nothing runs without the lease.

use std::time::{Duration, Instant};

use apiserver::{Action, Matcher, Verb};
use kit::ObjectKey;
use kit::lease::LEASES;
use serde_json::{Value, json};

use crate::world::{AGENT_USER, World};

fn lease() -> ObjectKey {
    ObjectKey::namespaced("fleet-system", api::names::HUB_LEASE)
}

fn holder(lease: &Value) -> &str {
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default()
}

/// An agent that leads and is in the middle of a pass: the server takes its time to create a Work.
async fn in_the_middle_of_a_pass(takes: Duration) -> World {
    let mut world = World::new().await;
    world.start(&["--leader-elect", "--leader-retry-period=100ms"]);
    world.join(&["m1"]).await;
    world.application("app").await;
    let creations = Matcher::resource("works").user(AGENT_USER).verbs(&[Verb::Create]);
    let slow = world.server.faults().add(creations, Action::Delay(takes));
    world.place("crp", "app").await;
    while world.server.faults().hits(slow) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_is_given_back_after_the_last_pass() {
    let mut world = in_the_middle_of_a_pass(Duration::from_secs(2)).await;
    let leases = world.follow(LEASES);
    leases.until(&lease(), "held", |lease| !holder(lease).is_empty()).await;
    let has_created = |world: &World| world.writes().iter().any(|(what, _)| what.contains(" works "));
    assert!(!has_created(&world));
    world.ask_to_end();
    leases
        .until(&lease(), "given back", |lease| holder(lease).is_empty())
        .await;
    assert!(has_created(&world), "the pass had ended before");
    world.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_loses_the_lease_ends_at_once() {
    let mut world = in_the_middle_of_a_pass(Duration::from_secs(12)).await;
    let lost = Instant::now();
    let another = json!({"spec": {"holderIdentity": "another", "leaseDurationSeconds": 60}});
    world.patch(&LEASES, &lease(), another).await;
    let failure = world.ended().await.unwrap_err().to_string();
    assert!(failure.contains("it belongs to another process now"), "{failure}");
    assert!(lost.elapsed() < Duration::from_secs(6), "{:?}", lost.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_loses_the_lease_before_it_knows_everything_starts_nothing() {
    let mut world = World::new().await;
    let lists = Matcher::resource("works").user(AGENT_USER).verbs(&[Verb::List]);
    world.server.faults().add(lists, Action::Delay(Duration::from_secs(60)));
    let leases = world.follow(LEASES);
    world.start(&["--leader-elect", "--leader-retry-period=100ms"]);
    leases.until(&lease(), "held", |lease| !holder(lease).is_empty()).await;
    let lost = Instant::now();
    let another = json!({"spec": {"holderIdentity": "another", "leaseDurationSeconds": 60}});
    world.patch(&LEASES, &lease(), another).await;
    let failure = world.ended().await.unwrap_err().to_string();
    assert!(failure.contains("it belongs to another process now"), "{failure}");
    assert!(lost.elapsed() < Duration::from_secs(6), "{:?}", lost.elapsed());
}
