//! A hub that ends sends its members a Drain, and they settle what is under way and come back, losing nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;
use wire::convert;
use wire::member::{self as pb, hub_message, member_message};

use crate::stub::{Session, Stub};
use crate::world::{FINE, Member, World, equal, eventually};

fn count(member: &Member, reason: &str) -> u64 {
    let metrics = member.metrics.as_ref().unwrap();
    metrics.reconnects.with_label_values(&[reason]).get()
}

/// What a member does on a stream until its goodbye, after which the hub closes it.
async fn until_goodbye(mut session: Session) -> Vec<String> {
    let mut reported = Vec::new();
    loop {
        let next = session.wait(Some).await;
        match next {
            member_message::Body::Export(report) => reported.push(report.key.unwrap().name),
            member_message::Body::Bye(_) => return reported,
            _ => {}
        }
    }
}

/// Reads until both exports of a member were reported.
async fn both_reported(session: &mut Session) {
    let mut missing = BTreeSet::from(["a", "b"]);
    while !missing.is_empty() {
        let name = session
            .wait(|body| match body {
                member_message::Body::Export(report) => Some(report.key.unwrap().name),
                _ => None,
            })
            .await;
        missing.remove(name.as_str());
    }
}

async fn ask_to_leave(hub: &Stub, session: &Session, within: Duration) {
    let deadline = hub.now() + SignedDuration::try_from(within).unwrap();
    session
        .say(hub_message::Body::Drain(pb::Drain {
            deadline: Some(convert::time_to_wire(deadline)),
            target: String::new(),
        }))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_asked_to_go_settles_first_and_sends_nothing_new() {
    let world = World::new().await;
    let mut member = world.member("m1").await;
    let mut hub = world.stub();
    member.exported_service("a", 80).await;
    member.start();
    let mut session = hub.welcome(Duration::from_secs(10)).await;
    let first = session.reported("a").await;
    let begun = Instant::now();
    ask_to_leave(&hub, &session, Duration::from_secs(20)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    member.exported_service("b", 80).await;
    // The first report is still to be answered, and is.
    let acknowledged = hub_message::Body::Ack(pb::Ack { seq: first.seq });
    let goodbye = tokio::spawn(async move {
        session.say(acknowledged).await;
        until_goodbye(session).await
    });
    assert_eq!(goodbye.await.unwrap(), Vec::<String>::new(), "nothing new is sent");
    assert!(begun.elapsed() < Duration::from_secs(20), "before the deadline");
    let mut again = hub.welcome(Duration::from_secs(10)).await;
    both_reported(&mut again).await;
    assert_eq!(count(&member, "drain"), 1);

    // Who never gets its answer goes at the deadline all the same, and says everything again.
    let begun = Instant::now();
    ask_to_leave(&hub, &again, Duration::from_secs(1)).await;
    until_goodbye(again).await;
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
    let mut last = hub.welcome(Duration::from_secs(10)).await;
    both_reported(&mut last).await;
    // Without times there is nothing to wait for.
    last.say(hub_message::Body::Drain(pb::Drain::default())).await;
    until_goodbye(last).await;
    let end = hub.welcome(Duration::from_secs(10)).await;
    drop(end);
    member.stop().await;
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_go_where_the_hub_sends_them() {
    let world = World::new().await;
    let mut elsewhere = World::new().await;
    // The replicas of one hub agent have one certificate.
    for file in ["tls.crt", "tls.key", "ca.crt"] {
        std::fs::copy(world.folder.join(file), elsewhere.folder.join(file)).unwrap();
    }
    elsewhere.join("m1").await;
    let token = elsewhere.token("m1").await;
    let mut member = world.member("m1").await;
    std::fs::write(&member.token_file, token).unwrap();
    elsewhere.start();
    let mut hub = world.stub();
    member.exported_service("a", 80).await;
    member.start();
    let session = hub.welcome(Duration::from_secs(10)).await;
    session
        .say(hub_message::Body::Drain(pb::Drain {
            deadline: None,
            target: format!("127.0.0.1:{}", elsewhere.port),
        }))
        .await;
    until_goodbye(session).await;
    member.shows("a", FINE).await;
    assert_eq!(elsewhere.records("m1").await.len(), 1);
    member.stop().await;
    hub.end().await;
    elsewhere.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_ends_in_the_middle_of_everything_loses_nothing() {
    const MEMBERS: usize = 3;
    const MANY: usize = 40;
    let mut world = World::new().await;
    world.config.drain = Duration::from_secs(4);
    world.start();
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let mut member = world.member(&format!("m{number}")).await;
        member.start();
        eventually("the session is open", || async { equal(member.connected(), true) }).await;
        members.push(member);
    }
    for number in 0..MANY {
        for member in &members {
            member.exported_service(&format!("s{number}"), 80).await;
        }
        if number == MANY / 2 {
            let begun = Instant::now();
            world.stop().await;
            println!("the hub ended within {:?}", begun.elapsed());
            for member in &members {
                eventually("the member went as it was asked to", || async {
                    equal((count(member, "drain"), count(member, "broken")), (1, 0))
                })
                .await;
            }
            world.start();
        }
    }
    for member in &members {
        world.converged(member).await;
        for number in [0, MANY / 2, MANY - 1] {
            member.shows(&format!("s{number}"), FINE).await;
        }
        eventually("nothing waits for the hub", || async {
            equal(member.metrics.as_ref().unwrap().oldest.get(), 0)
        })
        .await;
    }
    for mut member in members {
        member.stop().await;
    }
    world.stop().await;
}
