//! Members that write their records themselves, alone and next to members with sessions.

use std::time::Duration;

use kit::ObjectKey;
use kit::writer::{Deletion, Patch};
use member_agent::link::{Objects, Stage, Way};
use serde_json::{Value, json};

use crate::world::{CONFLICT, EXPORTS, FINE, Member, RECORDS, SERVICES, TIME_LIMIT, World, equal, eventually, list};

/// A joined member that writes its records itself.
async fn writing(world: &World, name: &str) -> Member {
    let mut member = world.member(name).await;
    member.way = Some(Way::Objects(Objects {
        hub: world.client_of(name),
        cluster: name.to_owned(),
        traffic_manager: true,
    }));
    member
}

fn ports(port: u16) -> Value {
    json!({"spec": {"ports": [{"name": "web", "port": port, "targetPort": 8080}]}})
}

fn record(world: &World, member: &str, name: &str) -> (ObjectKey, kit::writer::Writer) {
    let key = ObjectKey::namespaced(&format!("fleet-member-{member}"), name);
    (key, world.user.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_write_their_records_are_judged_by_a_hub_that_serves_no_sessions() {
    let mut world = World::new().await;
    let (mut one, mut other) = (writing(&world, "m1").await, writing(&world, "m2").await);
    world.start_without_sessions();
    one.exported_service("a", 80).await;
    one.start();
    one.shows("a", FINE).await;
    other.exported_service("a", 81).await;
    other.start();
    other.shows("a", CONFLICT).await;
    for mut member in [one, other] {
        member.stop().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_both_kinds_get_the_same_verdicts() {
    let mut world = World::new().await;
    world.start();
    // Whichever kind comes first wins, whichever kind the other is.
    for (first, second) in [("s1", "o1"), ("o2", "s2")] {
        let mut members = Vec::new();
        for name in [first, second] {
            let mut member = match name.starts_with('o') {
                true => writing(&world, name).await,
                false => world.member(name).await,
            };
            member.start();
            members.push(member);
        }
        let service = format!("web-{first}");
        members[0].exported_service(&service, 80).await;
        members[0].shows(&service, FINE).await;
        members[1].exported_service(&service, 81).await;
        members[1].shows(&service, CONFLICT).await;
        members[1].patch(&SERVICES, &service, ports(80)).await;
        members[1].shows(&service, FINE).await;
        members[1].patch(&SERVICES, &service, ports(82)).await;
        members[1].shows(&service, CONFLICT).await;
        members[0].delete(&EXPORTS, &service).await;
        members[0].shows(&service, "gone").await;
        members[1].shows(&service, FINE).await;
        for mut member in members {
            world.converged(&member).await;
            member.stop().await;
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_writes_its_records_keeps_them_as_they_should_be() {
    let mut world = World::new().await;
    world.start();
    let mut member = writing(&world, "m1").await;
    for name in ["a", "b", "c"] {
        member.exported_service(name, 80).await;
    }
    member.start();
    world.converged(&member).await;
    for name in ["a", "b", "c"] {
        member.shows(name, FINE).await;
    }
    let before = world.identities("m1").await;

    // Somebody edits one record, deletes another and adds a third.
    let (key, user) = record(&world, "m1", "app-a");
    let edit = json!({"spec": {"weight": 77, "publicIPResourceID": "/stale"}});
    user.patch(&RECORDS, &key, None, Patch::Merge, &edit).await.unwrap();
    let (key, _) = record(&world, "m1", "app-b");
    user.delete(&RECORDS, &key, Deletion::default()).await.unwrap();
    let mut stray = list(&world.user, &RECORDS, "fleet-member-m1").await[0].clone();
    stray["metadata"] = json!({"name": "app-stray", "namespace": "fleet-member-m1"});
    for (field, text) in [("name", "stray"), ("namespacedName", "app/stray")] {
        stray["spec"]["serviceReference"][field] = text.into();
    }
    user.create(&RECORDS, Some("fleet-member-m1"), &stray).await.unwrap();
    eventually("the records are as before", || async {
        let now = world.identities("m1").await;
        let all = list(&world.user, &RECORDS, "fleet-member-m1").await;
        let stale = all
            .iter()
            .any(|record| record["spec"].get("publicIPResourceID").is_some());
        equal(
            (now.keys().collect::<Vec<_>>(), stale),
            (before.keys().collect(), false),
        )
    })
    .await;
    world.converged(&member).await;
    let after = world.identities("m1").await;
    assert_eq!((&after["app/a"], &after["app/c"]), (&before["app/a"], &before["app/c"]));
    assert_ne!(after["app/b"], before["app/b"]);

    // What changes while the agent is away is made up for, and nothing else is written.
    member.stop().await;
    member.delete(&EXPORTS, "a").await;
    member.delete(&SERVICES, "b").await;
    member.service("b", 82).await;
    let version = |all: &[Value]| {
        let of = |record: &&Value| record["spec"]["serviceReference"]["name"] == "c";
        all.iter().find(of).unwrap()["metadata"]["resourceVersion"].clone()
    };
    let untouched = version(&list(&world.user, &RECORDS, "fleet-member-m1").await);
    member.start();
    world.converged(&member).await;
    member.shows("a", "gone").await;
    member.shows("b", FINE).await;
    assert_eq!(
        version(&list(&world.user, &RECORDS, "fleet-member-m1").await),
        untouched
    );

    // Moving to a session takes the records over as they are.
    member.stop().await;
    let identities = world.identities("m1").await;
    member.way = None;
    member.start();
    eventually("the session has synced", || async { equal(world.syncs(), 1) }).await;
    assert_eq!(world.identities("m1").await, identities);
    member.delete(&EXPORTS, "b").await;
    member.shows("b", "gone").await;
    world.converged(&member).await;

    member.departure.set(Stage::Leaving);
    assert_eq!(member.departure.withdrawn(TIME_LIMIT).await, Ok(()));
    assert!(world.records("m1").await.is_empty());
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_does_not_answer_costs_a_writing_member_nothing_but_time() {
    let world = World::new().await;
    let mut member = writing(&world, "m1").await;
    world.unbind("m1").await;
    member.exported_service("a", 80).await;
    member.start();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.records("m1").await.is_empty());
    world.bind("m1").await;
    world.converged(&member).await;
    world.unbind("m1").await;
    member.patch(&SERVICES, "a", ports(81)).await;
    member.exported_service("b", 80).await;
    member.delete(&EXPORTS, "a").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let held = member.get_export("a").await.expect("the finalizer holds the export");
    assert!(held["metadata"].get("deletionTimestamp").is_some());
    world.bind("m1").await;
    world.converged(&member).await;
    member.shows("a", "gone").await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_takes_over_what_another_agent_wrote_and_leaves_nothing_of_it() {
    let mut world = World::new().await;
    world.join("m1").await;
    // As an agent that writes its records itself leaves it, for an address that may be somebody else's by now.
    let theirs = json!({
        "apiVersion": "networking.fleet.azure.com/v1alpha1", "kind": "InternalServiceExport",
        "metadata": {"name": "app-a", "namespace": "fleet-member-m1"},
        "spec": {
            "ports": [{"protocol": "TCP", "port": 79}],
            "serviceReference": {
                "clusterId": "m1", "apiVersion": "v1", "kind": "Service", "namespace": "app", "name": "a",
                "resourceVersion": "1", "generation": 0, "uid": "uid-a", "namespacedName": "app/a",
            },
            "type": "LoadBalancer", "isInternalLoadBalancer": false, "isDNSLabelConfigured": true,
            "publicIPResourceID": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/p",
        },
    });
    world
        .user
        .create(&RECORDS, Some("fleet-member-m1"), &theirs)
        .await
        .unwrap();
    world.start();
    let token = world.token("m1").await;
    let mut raw = world.caller("m1", Some(token)).await;
    raw.open().await;
    raw.report("app", "a", 80);
    raw.settle().await;
    let fields = || async {
        let all = list(&world.user, &RECORDS, "fleet-member-m1").await;
        assert_eq!(all.len(), 1);
        let spec = all[0]["spec"].as_object().unwrap().clone();
        assert_eq!(spec["ports"][0]["port"], 80);
        spec.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(fields().await, ["ports", "serviceReference", "type", "weight"]);
    eventually("the record is judged", || async {
        let all = list(&world.user, &RECORDS, "fleet-member-m1").await;
        let judged = &all[0]["status"]["conditions"][0];
        // The removal of what the other agent left is a change of its own, which is judged as well.
        let generation = &all[0]["metadata"]["generation"];
        equal(
            (judged["reason"].clone(), judged["observedGeneration"].clone()),
            (json!("NoConflictFound"), generation.clone()),
        )
    })
    .await;
    let written = world.writes();
    raw.sync_anew();
    raw.settle().await;
    assert_eq!(world.writes(), written, "a steady state writes nothing");
    world.stop().await;
}
