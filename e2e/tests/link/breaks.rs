//! Restarts of either half, and streams that break off anywhere, against the real hub half.

use std::collections::BTreeSet;

use serde_json::json;

use crate::raw::{Raw, key};
use crate::world::{EXPORTS, FINE, Member, SERVICES, World, equal, eventually};

async fn fine(member: &Member, names: &[&str]) {
    for name in names {
        member.shows(name, FINE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_that_starts_anew_learns_everything_and_writes_only_what_changed() {
    let mut world = World::new().await;
    world.start();
    let mut member = world.member("m1").await;
    member.start();
    for name in ["a", "b", "c", "d"] {
        member.exported_service(name, 80).await;
    }
    world.converged(&member).await;
    fine(&member, &["a", "b", "c", "d"]).await;
    let (records, written) = (world.identities("m1").await, world.writes());

    // A new leader term: a full sync, and no write.
    world.stop().await;
    world.start();
    eventually("the new hub half has synced", || async { equal(world.syncs(), 1) }).await;
    assert_eq!(world.writes(), written);
    // A new process of the member: the same.
    member.stop().await;
    member.start();
    eventually("the new member half has synced", || async { equal(world.syncs(), 2) }).await;
    assert_eq!(world.writes(), written);
    assert_eq!(world.identities("m1").await, records);

    // What changes while one of them is away is made up for.
    let ports = |port: u16| json!({"spec": {"ports": [{"name": "web", "port": port, "targetPort": 8080}]}});
    world.stop().await;
    member.delete(&EXPORTS, "a").await;
    member.patch(&SERVICES, "b", ports(81)).await;
    member.exported_service("e", 80).await;
    world.start();
    world.converged(&member).await;
    fine(&member, &["b", "c", "d", "e"]).await;
    member.stop().await;
    member.delete(&EXPORTS, "b").await;
    member.delete(&SERVICES, "c").await;
    member.patch(&SERVICES, "d", ports(82)).await;
    member.exported_service("f", 80).await;
    member.start();
    world.converged(&member).await;
    fine(&member, &["d", "e", "f"]).await;
    for name in ["a", "b"] {
        member.shows(name, "gone").await;
    }
    let now = world.identities("m1").await;
    assert_eq!(now["app/d"], records["app/d"], "a change keeps the record");
    member.stop().await;
    world.stop().await;
}

/// What a stream has sent when it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Sent {
    Hello,
    SyncBegin,
    Export,
    SyncEnd,
    Withdraw,
}

/// Reports for the member until just after a message; what the member really exports is kept, not mentioned.
async fn report_until(raw: &mut Raw, until: Sent) {
    for name in ["a", "b"] {
        raw.outbox.keep(key("app", name));
    }
    raw.report("app", "other", 80);
    raw.open().await;
    // SyncBegin, Export, SyncEnd: one message each.
    let messages = match until {
        Sent::Hello => 0,
        Sent::SyncBegin => 1,
        Sent::Export => 2,
        Sent::SyncEnd | Sent::Withdraw => 3,
    };
    for _ in 0..messages {
        assert!(raw.send_next().await);
    }
    if until == Sent::Withdraw {
        raw.withdraw("app", "other");
        assert!(raw.send_next().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_anywhere_loses_nothing_and_removes_nothing() {
    let mut world = World::new().await;
    world.start();
    let mut member = world.member("m1").await;
    member.start();
    for name in ["a", "b"] {
        member.exported_service(name, 80).await;
    }
    world.converged(&member).await;
    fine(&member, &["a", "b"]).await;
    let records = world.identities("m1").await;
    for (number, until) in [
        Sent::Hello,
        Sent::SyncBegin,
        Sent::Export,
        Sent::SyncEnd,
        Sent::Withdraw,
    ]
    .into_iter()
    .enumerate()
    {
        member.stop().await;
        let mut raw = world.caller("m1", Some(world.token("m1").await)).await;
        report_until(&mut raw, until).await;
        raw.cut();
        let now = world.identities("m1").await;
        for name in ["app/a", "app/b"] {
            assert_eq!(now.get(name), records.get(name), "{until:?}: {name}");
        }
        let ports = json!({"spec": {"ports": [{"name": "web", "port": 90 + number, "targetPort": 8080}]}});
        member.patch(&SERVICES, "b", ports).await;
        member.start();
        world.converged(&member).await;
        assert_eq!(world.identities("m1").await, records, "{until:?}: every record stayed");
        fine(&member, &["a", "b"]).await;
    }
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_comes_back_after_each_message_is_recorded_in_full() {
    let mut world = World::new().await;
    world.start();
    let mut raw = world.raw("m1").await;
    for cut in 0..8_usize {
        for number in 0..3 {
            raw.report("app", &format!("e{cut}-{number}"), 80);
        }
        if cut > 0 {
            raw.withdraw("app", &format!("e{}-0", cut - 1));
        }
        for _ in 0..cut {
            raw.send_next().await;
        }
        raw.cut();
        raw.open().await;
    }
    raw.settle().await;
    eventually("the records are what the member exports", || async {
        let names: BTreeSet<String> = world.records("m1").await.into_keys().collect();
        equal(names, raw.names())
    })
    .await;
    world.stop().await;
}
