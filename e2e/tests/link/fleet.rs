//! What several members, or two states of one, make of each other.

use serde_json::json;
use wire::member::hub_message;

use crate::raw::Raw;
use crate::world::{CONFLICT, EXPORTS, FINE, SERVICES, World, equal, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_members_in_conflict_the_first_wins_until_it_gives_way() {
    let mut world = World::new().await;
    world.start();
    let mut first = world.member("m1").await;
    let mut second = world.member("m2").await;
    first.start();
    second.start();
    first.exported_service("web", 80).await;
    first.shows("web", FINE).await;
    second.exported_service("web", 81).await;
    second.shows("web", CONFLICT).await;
    first.shows("web", FINE).await;
    // The loser agrees, and then not any more.
    let ports = |port: u16| json!({"spec": {"ports": [{"name": "web", "port": port, "targetPort": 8080}]}});
    second.patch(&SERVICES, "web", ports(80)).await;
    second.shows("web", FINE).await;
    second.patch(&SERVICES, "web", ports(82)).await;
    second.shows("web", CONFLICT).await;
    // What is judged while the loser is away reaches it when it comes back.
    second.stop().await;
    first.delete(&EXPORTS, "web").await;
    first.shows("web", "gone").await;
    second.start();
    second.shows("web", FINE).await;
    for member in [&first, &second] {
        world.converged(member).await;
    }
    first.stop().await;
    second.stop().await;
    world.stop().await;
}

/// Waits until the hub asks for everything again.
async fn asked(member: &mut Raw) {
    loop {
        match member.receive().await.expect("the session lasts") {
            hub_message::Body::Resync(_) => return,
            hub_message::Body::Verdict(_) | hub_message::Body::Ack(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_removal_waits_for_a_second_sync_that_says_the_same() {
    const MANY: usize = 6;
    let mut world = World::new().await;
    world.start();
    let mut before = world.raw("m1").await;
    for number in 0..MANY {
        before.report("app", &format!("e{number}"), 80);
    }
    before.settle().await;
    before.cut();
    // An agent with an empty cache.
    let mut after = world.caller("m1", before.token.clone()).await;
    after.hello.instance = "after".to_owned();
    after.open().await;
    after.settle().await;
    asked(&mut after).await;
    assert_eq!(world.records("m1").await.len(), MANY, "one sync removes nothing");
    // Its cache was only late.
    for number in 0..MANY {
        after.report("app", &format!("e{number}"), 80);
    }
    after.sync_anew();
    after.settle().await;
    assert_eq!(world.records("m1").await.len(), MANY);
    after.cut();

    // An agent that means it.
    let mut last = world.caller("m1", before.token.clone()).await;
    last.hello.instance = "last".to_owned();
    last.open().await;
    last.settle().await;
    asked(&mut last).await;
    assert_eq!(world.records("m1").await.len(), MANY);
    last.sync_anew();
    last.settle().await;
    eventually("the confirmed removal is carried out", || async {
        equal(world.records("m1").await.len(), 0)
    })
    .await;
    world.stop().await;
}
