//! Sessions that the hub ends: tokens that expire, rights and memberships that are lost, rules that are broken.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kit::clock::Clock;
use serde_json::json;
use tokio::time::Instant;
use wire::member::{self as pb, ByeReason, hub_message};

use crate::listener::goodbye;
use crate::raw::{Answer, key, report};
use crate::world::{FINE, Member, PENDING, SERVICES, World, equal, eventually};

/// How long answers about tokens and rights are believed here.
const BELIEVED: Duration = Duration::from_millis(200);

fn ended(member: &Member, reason: &str) -> u64 {
    let metrics = member.metrics.as_ref().unwrap();
    metrics.reconnects.with_label_values(&[reason]).get()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_its_token_and_goes_on_with_the_next_one() {
    let mut world = World::new().await;
    let mut member = world.member("m1").await;
    let outdated = std::fs::read_to_string(&member.token_file).unwrap();
    let fresh = world.token_for("m1", 7200).await;
    // The first token is one of an hour, of which a few seconds are left.
    let left = Duration::from_secs(4);
    let time = Timestamp::now() + SignedDuration::from_secs(3600) - SignedDuration::try_from(left).unwrap();
    world.clock = Clock::paused_at(time);
    let begun = Instant::now();
    world.start();
    member.exported_service("a", 80).await;
    member.start();
    member.shows("a", FINE).await;
    std::fs::write(&member.token_file, fresh).unwrap();
    eventually("the session ends with its token", || async {
        equal(ended(&member, "unauthenticated") > 0, true)
    })
    .await;
    // A token counts in whole seconds.
    assert!(begun.elapsed() > left - Duration::from_secs(2), "not before");
    member.exported_service("b", 80).await;
    member.shows("b", FINE).await;
    world.converged(&member).await;
    assert!(member.connected());
    // Whoever comes with the outdated one is refused.
    let mut late = world.caller("m1", Some(outdated)).await;
    late.hello.instance = "late".to_owned();
    let answer = late.greet().await;
    assert!(
        matches!(&answer, Answer::Status(status) if status.code() == tonic::Code::Unauthenticated),
        "{answer:?}"
    );
    assert!(member.connected(), "the outdated one replaces nobody");
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_rights_reports_nothing_until_it_has_them_again() {
    let mut world = World::new().await;
    world.config.believed = BELIEVED;
    world.start();
    let mut member = world.member("m1").await;
    member.exported_service("a", 80).await;
    member.start();
    member.shows("a", FINE).await;
    let before = world.records("m1").await;
    world.unbind("m1").await;
    tokio::time::sleep(BELIEVED * 2).await;
    member.exported_service("b", 80).await;
    eventually("the session ends for want of rights", || async {
        equal(ended(&member, "forbidden") >= 2, true)
    })
    .await;
    assert_eq!(
        world.records("m1").await,
        before,
        "nothing is written and nothing withdrawn"
    );
    assert!(!member.connected());
    member.shows("b", PENDING).await;
    world.bind("m1").await;
    world.converged(&member).await;
    member.shows("b", FINE).await;
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_reports_nothing_is_asked_about_when_its_rights_may_have_changed() {
    let mut world = World::new().await;
    world.config.believed = BELIEVED;
    world.start();
    let mut one = world.raw("m1").await;
    one.report("app", "a", 80);
    one.settle().await;
    let mut other = world.raw("m2").await;
    other.settle().await;
    // For as long as nothing is lost, asking about it ends nothing.
    world.rights.send("m1".to_owned()).unwrap();
    let lasting = async { while let Some(hub_message::Body::Verdict(_)) = one.receive().await {} };
    assert!(tokio::time::timeout(BELIEVED * 5, lasting).await.is_err());
    // A session at rest is asked about only then: a fleet at rest makes no requests.
    let reviews = world.reviews().await;
    let lasting = async { while let Some(hub_message::Body::Verdict(_)) = other.receive().await {} };
    assert!(tokio::time::timeout(BELIEVED * 5, lasting).await.is_err());
    assert_eq!(world.reviews().await, reviews);
    world.delete_account("m1").await;
    world.unbind("m2").await;
    for cluster in ["m1", "m2"] {
        world.rights.send(cluster.to_owned()).unwrap();
    }
    assert_eq!(goodbye(&mut one).await.reason(), ByeReason::Unauthenticated);
    assert_eq!(goodbye(&mut other).await.reason(), ByeReason::Forbidden);
    let names: Vec<String> = world.records("m1").await.into_keys().collect();
    assert_eq!(names, ["app/a"], "nothing is withdrawn");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_no_member_any_more_is_told_so() {
    let mut world = World::new().await;
    world.config.ping_interval = Duration::from_millis(200);
    world.start();
    let mut raw = world.raw("m1").await;
    raw.settle().await;
    world.memberships.lock().remove("m1");
    let bye = goodbye(&mut raw).await;
    assert_eq!((bye.reason(), bye.retry_after_ms), (ByeReason::NotAMember, 30_000));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_the_numbers_ends_the_session_and_the_next_one_begins_anew() {
    let mut world = World::new().await;
    world.start();
    let mut raw = world.raw("m1").await;
    raw.report("app", "a", 80);
    raw.settle().await;
    // The first had number 1.
    let change = fairway_core::link::Change::Set(report("b", 80));
    raw.send_change(3, key("app", "b"), change).await;
    assert_eq!(goodbye(&mut raw).await.reason(), ByeReason::Protocol);
    raw.cut();
    assert_eq!(raw.open().await.resume(), pb::ResumeMode::FullSync);
    raw.settle().await;
    let names: Vec<String> = world.records("m1").await.into_keys().collect();
    assert_eq!(names, ["app/a"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_on_what_was_recorded_before_does_not_hide_a_refusal() {
    let world = World::new().await;
    let mut member = world.member("m1").await;
    let mut hub = world.stub();
    member.exported_service("a", 80).await;
    member.start();
    let mut session = hub.welcome(Duration::from_secs(10)).await;
    let first = session.reported("a").await;
    session.accept(1, &first).await;
    member.shows("a", FINE).await;
    let ports = |port: u16| json!({"spec": {"ports": [{"name": "web", "port": port, "targetPort": 8080}]}});
    member.patch(&SERVICES, "a", ports(81)).await;
    let second = session.reported("a").await;
    session
        .say(hub_message::Body::Nack(pb::Nack {
            seq: second.seq,
            key: second.key.clone(),
            code: pb::NackCode::InvalidArgument.into(),
            message: "The field ports is not to the test's liking.".to_owned(),
            retry_after_ms: 0,
        }))
        .await;
    member.shows("a", PENDING).await;
    // Another member's change makes the hub judge again what it has.
    session.accept(2, &second).await;
    member.exported_service("b", 80).await;
    let other = session.reported("b").await;
    session.accept(3, &other).await;
    member.shows("b", FINE).await;
    assert_eq!(member.conditions("a").await, PENDING);
    let export = member.get_export("a").await.unwrap();
    let conditions = export["status"]["conditions"].as_array().unwrap();
    let text = conditions.iter().find(|one| one["type"] == "Conflict").unwrap()["message"].clone();
    assert!(text.as_str().unwrap().contains("not to the test's liking"), "{text}");
    let refused = member
        .metrics
        .as_ref()
        .unwrap()
        .refused
        .with_label_values(&["INVALID_ARGUMENT"])
        .get();
    assert_eq!(refused, 1);

    // Once the input changes, verdicts count again.
    member.patch(&SERVICES, "a", ports(82)).await;
    let third = session.reported("a").await;
    session.accept(4, &third).await;
    member.shows("a", FINE).await;
    drop(session);
    member.stop().await;
    hub.end().await;
}
