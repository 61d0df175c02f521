//! Who is let in, and which of two sessions of a member counts.

use control_plane::pki::Authority;
use fairway_core::link::{Change, NackCode};
use fairway_core::services::{ExportReport, ServicePort};
use hub_agent::link::Membership;
use member_agent::link::{Identity, Stage};
use tokio_util::sync::CancellationToken;
use wire::member::{Bye, ByeReason, hub_message};

use crate::raw::{Answer, Raw, key, report};
use crate::world::{FINE, Member, TIME_LIMIT, World, equal, eventually};

fn refused(answer: Answer) -> (ByeReason, u64) {
    match answer {
        Answer::Bye(bye) => {
            assert!(bye.message.ends_with('.'), "a full sentence: {}", bye.message);
            (bye.reason(), bye.retry_after_ms)
        }
        other => panic!("no goodbye but {other:?}"),
    }
}

/// Waits until the hub ends a stream, with the message that says why.
pub async fn goodbye(member: &mut Raw) -> Bye {
    loop {
        match member.receive().await.expect("a goodbye before the end") {
            hub_message::Body::Bye(bye) => {
                assert!(bye.message.ends_with('.'), "a full sentence: {}", bye.message);
                return bye;
            }
            hub_message::Body::Verdict(_) | hub_message::Body::Ack(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_speak_for_a_cluster_is_refused_and_writes_nothing() {
    let mut world = World::new().await;
    world.start();
    world.join("m1").await;
    world.join("m2").await;
    let token = world.token("m1").await;
    // Well-formed, with another signature.
    let (claims, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{claims}.{}", signature.chars().rev().collect::<String>());
    assert_ne!(token, forged);
    for shown in [None, Some("no-token".to_owned()), Some(forged), Some(String::new())] {
        let mut caller = world.caller("m1", shown.clone()).await;
        let answer = caller.greet().await;
        let Answer::Status(status) = answer else {
            panic!("{shown:?}: {answer:?}")
        };
        assert_eq!(status.code(), tonic::Code::Unauthenticated, "{shown:?}: {status}");
    }
    for (cluster, reason, retry) in [("m2", ByeReason::Forbidden, 0), ("m3", ByeReason::NotAMember, 30_000)] {
        let mut caller = world.caller(cluster, Some(token.clone())).await;
        assert_eq!(refused(caller.greet().await), (reason, retry), "{cluster}");
    }
    for cluster in ["", "Not A Name", "m1/../m2"] {
        let mut caller = world.caller(cluster, Some(token.clone())).await;
        assert_eq!(refused(caller.greet().await).0, ByeReason::Protocol, "{cluster:?}");
    }
    // Its rights are there, its MemberCluster is not.
    world.memberships.lock().remove("m1");
    let mut caller = world.caller("m1", Some(token.clone())).await;
    assert_eq!(refused(caller.greet().await), (ByeReason::NotAMember, 30_000));
    assert_eq!(world.writes(), 0);

    // The same caller is let in as soon as it is a member; one that leaves can only withdraw.
    world.memberships.lock().insert("m1".to_owned(), Membership::Member);
    caller.open().await;
    caller.report("app", "a", 80);
    caller.settle().await;
    world.memberships.lock().insert("m1".to_owned(), Membership::Leaving);
    caller.report("app", "b", 80);
    caller.settle().await;
    let names = || async { world.records("m1").await.into_keys().collect::<Vec<_>>() };
    assert_eq!(names().await, ["app/a"], "the report of b is refused");
    caller.withdraw("app", "a");
    caller.settle().await;
    assert!(names().await.is_empty());
    assert!(world.records("m2").await.is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_stream_speaks_and_an_outdated_agent_is_refused() {
    let mut world = World::new().await;
    world.start();
    let mut first = world.raw("m1").await;
    first.report("app", "a", 80);
    first.settle().await;
    let again = async |instance: &str, epoch: u64| {
        let mut member = world.caller("m1", first_token(&world).await).await;
        member.hello.instance = instance.to_owned();
        member.hello.epoch = epoch;
        member
    };
    let mut second = again("second", 2).await;
    second.open().await;
    assert_eq!(goodbye(&mut first).await.reason(), ByeReason::Superseded);
    assert!(first.receive().await.is_none(), "the stream ends with that");

    // The agent before comes back, knowing only its own epoch; so does one of an epoch between.
    first.cut();
    assert_eq!(refused(first.greet().await).0, ByeReason::Superseded);
    let mut between = again("between", 1).await;
    assert_eq!(refused(between.greet().await).0, ByeReason::Superseded);

    second.report("app", "b", 80);
    second.settle().await;
    let are = async |expected: &[&str]| {
        eventually("the records are those of the newest agent", || async {
            let names: Vec<String> = world.records("m1").await.into_keys().collect();
            equal(names, expected.iter().map(ToString::to_string).collect())
        })
        .await;
    };
    are(&["app/b"]).await;

    // At the same epoch the newer connection wins.
    let mut third = again("third", 2).await;
    third.open().await;
    assert_eq!(goodbye(&mut second).await.reason(), ByeReason::Superseded);
    third.report("app", "c", 80);
    third.settle().await;
    are(&["app/c"]).await;
    world.stop().await;
}

async fn first_token(world: &World) -> Option<String> {
    Some(world.token("m1").await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_rules_is_refused_with_the_name_of_its_field() {
    let mut world = World::new().await;
    world.start();
    let mut member = world.raw("m1").await;
    let with = |change: fn(&mut ExportReport)| {
        let mut report = report("a", 80);
        change(&mut report);
        report
    };
    let cases = [
        ("key.namespace", key("../m2", "a"), report("a", 80)),
        ("key.name", key("app", "A"), report("a", 80)),
        (
            "service.uid",
            key("app", "a"),
            with(|report| report.service.uid.clear()),
        ),
        ("ports ", key("app", "a"), with(|report| report.ports.clear())),
        (
            "ports ",
            key("app", "a"),
            with(|report| report.ports = vec![report.ports[0].clone(); 101]),
        ),
        ("ports[0].port", key("app", "a"), report("a", 0)),
        (
            "ports[0].protocol",
            key("app", "a"),
            with(|report| report.ports[0].protocol = "IP".to_owned()),
        ),
        ("weight", key("app", "a"), with(|report| report.weight = Some(1001))),
        ("weight", key("app", "a"), with(|report| report.weight = Some(0))),
    ];
    for (seq, (field, key, report)) in (1..).zip(cases) {
        let (code, text) = member.refusal(seq, key, Change::Set(report)).await;
        assert_eq!(code, NackCode::InvalidArgument, "{field}: {text}");
        assert!(text.contains(field), "{field}: {text}");
    }
    assert_eq!(world.writes(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_gets_in_with_its_next_token_and_withdraws_everything_when_it_leaves() {
    let mut world = World::new().await;
    world.start();
    let mut member = world.member("m1").await;
    let token = std::fs::read(&member.token_file).unwrap();
    std::fs::write(&member.token_file, "outdated").unwrap();
    for name in ["a", "b", "c", "d"] {
        member.exported_service(name, 80).await;
    }
    member.start();
    eventually("the outdated token is refused", || async {
        let metrics = member.metrics.as_ref().unwrap();
        equal(
            metrics.reconnects.with_label_values(&["unauthenticated"]).get() >= 1,
            true,
        )
    })
    .await;
    assert!(!member.connected());
    assert_eq!(world.writes(), 0);
    std::fs::write(&member.token_file, token).unwrap();
    world.converged(&member).await;
    for name in ["a", "b", "c", "d"] {
        member.shows(name, FINE).await;
    }
    member.departure.set(Stage::Leaving);
    assert_eq!(member.departure.withdrawn(TIME_LIMIT).await, Ok(()));
    assert!(world.records("m1").await.is_empty(), "everything is withdrawn");
    for name in ["a", "b", "c", "d"] {
        assert!(
            member.get_export(name).await.is_none(),
            "exports go with the membership"
        );
    }
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_is_too_large_is_refused_by_name_and_the_session_goes_on() {
    let mut world = World::new().await;
    world.config.max_message = 4096;
    world.start();
    let mut member = world.raw("m1").await;
    let mut large = report("a", 80);
    large.ports = (1..=100)
        .map(|number| ServicePort {
            name: format!("{number:063}"),
            ..large.ports[0].clone()
        })
        .collect();
    let (code, text) = member.refusal(1, key("app", "a"), Change::Set(large)).await;
    assert_eq!(code, NackCode::TooLarge);
    assert!(text.contains("4096"), "{text}");
    member
        .send_change(2, key("app", "b"), Change::Set(report("b", 80)))
        .await;
    eventually("the next report is recorded", || async {
        let names: Vec<String> = world.records("m1").await.into_keys().collect();
        equal(names, vec!["app/b".to_owned()])
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_does_not_lead_says_so() {
    let mut world = World::new().await;
    world.join("m1").await;
    let stop = CancellationToken::new();
    let standby = tokio::spawn(world.stand_by(stop.clone()));
    let mut caller = world.caller("m1", Some(world.token("m1").await)).await;
    assert_eq!(refused(caller.greet().await), (ByeReason::NotLeader, 1000));
    // A member finds the leader by itself.
    let mut member = world.member("m2").await;
    member.exported_service("a", 80).await;
    member.start();
    eventually("the member is answered", || async {
        let metrics = member.metrics.as_ref().unwrap();
        equal(metrics.reconnects.with_label_values(&["not_leader"]).get() >= 1, true)
    })
    .await;
    stop.cancel();
    standby.await.unwrap().unwrap();
    world.start();
    member.shows("a", FINE).await;
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_names_a_member_as_a_token_does() {
    let mut world = World::new().await;
    let authority = Authority::new("members").unwrap();
    let ca = world.folder.join("members.crt");
    std::fs::write(&ca, authority.cert_pem()).unwrap();
    world.config.client_ca_file = Some(ca);
    world.start();
    world.join("m1").await;
    world.join("m2").await;
    world.bind_user("m1", "member-1").await;
    let folder = world.folder.clone();
    let identity = |authority: &Authority, user: &str| {
        let pair = authority.client(user, &["members"]).unwrap();
        let [cert, key] = ["crt", "key"].map(|end| folder.join(format!("{user}.{end}")));
        std::fs::write(&cert, pair.cert_pem).unwrap();
        std::fs::write(&key, pair.key_pem).unwrap();
        Identity::Certificate { cert, key }
    };
    let mut member = Member::new("m1", &world.folder, world.port, "").await;
    member.config.identity = identity(&authority, "member-1");
    member.exported_service("a", 80).await;
    member.start();
    member.shows("a", FINE).await;
    // It reports for its own cluster only.
    let mut other = Member::new("m2", &world.folder, world.port, "").await;
    other.config.identity = member.config.identity.clone();
    // And only certificates of that authority count.
    let mut forged = Member::new("m1", &world.folder, world.port, "").await;
    forged.config.identity = identity(&Authority::new("members").unwrap(), "member-1 ");
    other.start();
    forged.start();
    let ends = |member: &Member, reason: &str| {
        let metrics = member.metrics.as_ref().unwrap();
        metrics.reconnects.with_label_values(&[reason]).get()
    };
    eventually("the others are refused", || async {
        let failed = ends(&forged, "connect") + ends(&forged, "refused");
        equal((ends(&other, "forbidden") > 0, failed > 0), (true, true))
    })
    .await;
    assert!(member.connected() && !other.connected() && !forged.connected());
    for mut one in [member, other, forged] {
        one.stop().await;
    }
    world.stop().await;
}
