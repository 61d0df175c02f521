//! Leaving the fleet: every withdrawal reaches the hub before the member says that it has left.

use std::time::Duration;

use kit::ObjectKey;
use member_agent::link::{self as member_link, Stage};
use member_agent::{Clients, args, run_with};
use prometheus::Registry;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::world::{FINALIZER, FINE, SERVICES, TIME_LIMIT, World, equal, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_held_for_a_hub_that_the_member_has_left() {
    let mut world = World::new().await;
    world.start();
    let mut member = world.member("m1").await;
    for name in ["a", "b"] {
        member.exported_service(name, 80).await;
    }
    member.start();
    for name in ["a", "b"] {
        member.shows(name, FINE).await;
    }
    let held = || async {
        let mut held = 0;
        for name in ["a", "b"] {
            let export = member.get_export(name).await;
            held += usize::from(export.is_some_and(|export| export["metadata"]["finalizers"] == json!([FINALIZER])));
        }
        held
    };
    // It does not reach the hub, so nothing may be let go.
    world.stop().await;
    member.departure.set(Stage::Leaving);
    let left = member.departure.withdrawn(Duration::from_millis(500)).await;
    assert!(matches!(left, Err(Some(open)) if open > 0), "{left:?}");
    assert_eq!(held().await, 2);
    // What is left goes with the member's namespace on the hub.
    member.departure.set(Stage::Left);
    eventually("nothing is held any more", || async { equal(held().await, 0) }).await;
    for name in ["a", "b"] {
        member.shows(name, "gone").await;
    }

    // Coming back exports what is placed again, and leaving in order waits for the hub.
    member.departure.set(Stage::Member);
    for name in ["a", "b"] {
        member.export(name).await;
    }
    world.start();
    world.converged(&member).await;
    for name in ["a", "b"] {
        member.shows(name, FINE).await;
    }
    member.departure.set(Stage::Leaving);
    assert_eq!(member.departure.withdrawn(TIME_LIMIT).await, Ok(()));
    assert_eq!((world.records("m1").await.len(), held().await), (0, 0));
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_says_that_it_has_left_only_after_the_hub_acknowledged() {
    let mut world = World::new().await;
    world.define("cluster.kubernetes-fleet.io_internalmemberclusters").await;
    world.define("placement.kubernetes-fleet.io_works").await;
    world.start();
    let member = world.member("m1").await;
    member.define("placement.kubernetes-fleet.io_appliedworks").await;
    world.want("m1", "Join").await;
    let metrics = member_link::Metrics::register(&Registry::new()).unwrap();
    let clients = Clients {
        hub: world.client_of("m1"),
        member: member.client(),
        member_address: member_agent::Address::default(),
        clock: kit::clock::Clock::System,
    };
    let (link, stop) = (Some((member.config.clone().into(), metrics)), CancellationToken::new());
    let ended = stop.clone();
    let agent = tokio::spawn(async move { run_with(clients, "m1", args::Settings::default(), link, ended).await });
    member.exported_service("web", 80).await;
    member.shows("web", FINE).await;
    eventually("the member has joined", || async {
        equal(world.joined("m1").await.as_str(), "True")
    })
    .await;

    world.stop().await;
    world.want("m1", "Leave").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(
        world.joined("m1").await,
        "True",
        "the withdrawal has not reached the hub"
    );
    world.start();
    eventually("the member has left", || async {
        equal(world.joined("m1").await.as_str(), "False")
    })
    .await;
    assert!(world.records("m1").await.is_empty());
    assert!(
        member.get_export("web").await.is_none(),
        "exports go with the membership"
    );
    assert!(
        member
            .user
            .get(&SERVICES, &ObjectKey::namespaced("app", "web"))
            .await
            .is_ok()
    );
    let agents = world.membership("m1").await["status"]["agentStatus"].clone();
    let agents = agents.as_array().unwrap();
    let said: Vec<String> = agents.iter().map(joined_reason).collect();
    assert_eq!(
        said,
        [
            "MemberAgent InternalMemberClusterLeft",
            "MultiClusterServiceAgent AgentLeft",
            "ServiceExportImportAgent AgentLeft",
        ]
    );
    stop.cancel();
    agent.await.unwrap().unwrap();
    world.stop().await;
}

/// Type and reason of the condition Joined of an agent.
fn joined_reason(agent: &serde_json::Value) -> String {
    let mut all = agent["conditions"].as_array().unwrap().iter();
    let joined = all.find(|condition| condition["type"] == "Joined").unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    format!("{} {}", text(&agent["type"]), text(&joined["reason"]))
}

#[tokio::test]
async fn a_departure_without_exports_is_over_at_once() {
    let world = World::new().await;
    let mut member = world.member("m1").await;
    member.start();
    member.departure.set(Stage::Leaving);
    assert_eq!(member.departure.withdrawn(TIME_LIMIT).await, Ok(()));
    member.stop().await;
}
