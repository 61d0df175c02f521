//! A peer that does not answer any more is noticed, from either side, and costs nothing but the session.

use std::time::Duration;

use apiserver::{Action, Matcher, Verb};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use wire::member::{self as pb, hub_message, member_message};

use crate::world::{EXPORTS, FINE, World, equal, eventually, free_port};

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_gives_a_member_up_after_three_pings_without_an_answer() {
    let interval = Duration::from_millis(250);
    let mut world = World::new().await;
    world.config.ping_interval = interval;
    world.start();
    let mut raw = world.raw("m1").await;
    raw.report("app", "a", 80);
    raw.settle().await;
    let sessions = world.metrics.as_ref().unwrap().sessions.clone();
    // As long as it answers, silence otherwise is no reason to end anything.
    let answering = async { while raw.receive().await.is_some() {} };
    let lasts = tokio::time::timeout(interval * 8, answering).await;
    assert!(lasts.is_err() && sessions.get() == 1, "a member that answers stays");

    let begun = Instant::now();
    let stream = raw.stream.as_mut().unwrap();
    let mut pings = 0;
    while let Ok(Some(message)) = stream.inbound.message().await {
        match message.body {
            Some(hub_message::Body::Ping(_)) => pings += 1,
            Some(hub_message::Body::Verdict(_)) => {}
            other => panic!("unexpected: {other:?}"),
        }
        assert!(begun.elapsed() < interval * 4 + SLACK, "the hub goes on for ever");
    }
    let waited = begun.elapsed();
    assert_eq!(pings, 3, "ended after {waited:?}");
    assert!(waited > interval * 2 && waited < interval * 4 + SLACK, "{waited:?}");
    eventually("the session is gone", || async { equal(sessions.get(), 0) }).await;
    assert!(
        world.presence.silence("m1").is_some(),
        "it is silent from its last answer"
    );
    assert_eq!(world.records("m1").await.len(), 1, "silence withdraws nothing");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_connection_breaks_is_silent_and_one_that_says_goodbye_is_not() {
    let mut world = World::new().await;
    world.start();
    let sessions = world.metrics.as_ref().unwrap().sessions.clone();
    let gone = || async { equal(sessions.get(), 0) };

    let mut member = world.raw("m1").await;
    member.open().await;
    let bye = member_message::Body::Bye(pb::Bye::default());
    member.send(pb::MemberMessage { body: Some(bye) }).await;
    eventually("the session is gone", gone).await;
    assert_eq!(world.presence.silence("m1"), None);

    member.open().await;
    let cut = world.clock.now();
    member.cut();
    eventually("the session is gone", gone).await;
    let silent = world.presence.silence("m1").unwrap();
    assert!(silent.since >= cut, "it was there until then: {silent:?}");
    member.open().await;
    assert_eq!(world.presence.silence("m1"), None, "it is back");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_gives_a_silent_hub_up_and_connects_again() {
    let interval = Duration::from_millis(250);
    let world = World::new().await;
    let mut member = world.member("m1").await;
    let mut hub = world.stub();
    member.start();
    let mut session = hub.welcome(interval).await;
    // Pings alone keep a session open, whatever else is said.
    for nonce in 1..=8 {
        session.say(hub_message::Body::Ping(pb::Ping { nonce })).await;
        let answered = |body| matches!(body, member_message::Body::Pong(pong) if pong.nonce == nonce).then_some(());
        session.wait(answered).await;
        tokio::time::sleep(interval).await;
    }
    let silent = || {
        member
            .metrics
            .as_ref()
            .unwrap()
            .reconnects
            .with_label_values(&["silent"])
            .get()
    };
    assert_eq!((member.connected(), silent()), (true, 0));

    let begun = Instant::now();
    while let Ok(Some(_)) = session.inbound.message().await {}
    let waited = begun.elapsed();
    // The last ping was one interval ago; three are missed when the fourth is due.
    assert!(waited > interval * 2 && waited < interval * 4 + SLACK, "{waited:?}");
    drop(session);
    let again = hub.welcome(Duration::from_secs(10)).await;
    eventually("the member is back", || async { equal(member.connected(), true) }).await;
    assert_eq!(silent(), 1);
    drop(again);
    member.stop().await;
    hub.end().await;
}

/// Carries bytes between members and the hub, until it is frozen.
struct Network {
    port: u16,
    frozen: watch::Sender<bool>,
}

impl Network {
    async fn new(hub: u16) -> Self {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let frozen = watch::Sender::new(false);
        let state = frozen.subscribe();
        tokio::spawn(async move {
            while let Ok((member, _)) = listener.accept().await {
                let state = state.clone();
                tokio::spawn(async move {
                    let Ok(hub) = TcpStream::connect(("127.0.0.1", hub)).await else {
                        return;
                    };
                    let (from_member, to_member) = member.into_split();
                    let (from_hub, to_hub) = hub.into_split();
                    tokio::join!(
                        carry(from_member, to_hub, state.clone()),
                        carry(from_hub, to_member, state)
                    );
                });
            }
        });
        Self { port, frozen }
    }
}

async fn carry(
    from: tokio::net::tcp::OwnedReadHalf,
    to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if from.readable().await.is_err() || frozen.wait_for(|frozen| !*frozen).await.is_err() {
            return;
        }
        let read = match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            if to.writable().await.is_err() {
                return;
            }
            match to.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_is_noticed_on_both_sides_and_loses_nothing() {
    let mut world = World::new().await;
    world.config.ping_interval = Duration::from_millis(300);
    world.start();
    let network = Network::new(world.port).await;
    let mut member = world.member("m1").await;
    member.config.address = format!("https://127.0.0.1:{}", network.port);
    member.exported_service("a", 80).await;
    member.exported_service("b", 80).await;
    member.start();
    member.shows("a", FINE).await;
    member.shows("b", FINE).await;
    let records = world.identities("m1").await;

    network.frozen.send_replace(true);
    member.exported_service("c", 80).await;
    member.delete(&EXPORTS, "b").await;
    eventually("both sides have noticed", || async {
        let silent = member
            .metrics
            .as_ref()
            .unwrap()
            .reconnects
            .with_label_values(&["silent"])
            .get();
        equal((world.metrics.as_ref().unwrap().sessions.get(), silent), (0, 1))
    })
    .await;
    assert!(!member.connected());
    let oldest = || member.metrics.as_ref().unwrap().oldest.get();
    assert!(oldest() > 0, "it shows since when something waits for the hub");
    assert_eq!(world.identities("m1").await, records, "silence changes nothing");

    // What was on its way arrives after all, too late.
    network.frozen.send_replace(false);
    world.converged(&member).await;
    member.shows("c", FINE).await;
    member.shows("b", "gone").await;
    eventually("nothing waits for the hub", || async { equal(oldest(), 0) }).await;
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removals_of_a_full_sync_that_take_long_are_no_silence() {
    let interval = Duration::from_millis(300);
    let mut world = World::new().await;
    world.config.ping_interval = interval;
    world.start();
    let mut member = world.member("m1").await;
    member.exported_service("a", 80).await;
    member.exported_service("b", 80).await;
    member.start();
    member.shows("a", FINE).await;
    member.shows("b", FINE).await;
    member.stop().await;
    // The export goes without a trace while its agent is away.
    member
        .patch(&EXPORTS, "b", serde_json::json!({"metadata": {"finalizers": null}}))
        .await;
    member.delete(&EXPORTS, "b").await;
    let deletions = Matcher::resource("internalserviceexports").verbs(&[Verb::Delete]);
    // Longer than a member bears silence, and shorter than the hub agent waits for an answer.
    world.server.faults().add(deletions, Action::Delay(interval * 10));
    member.start();
    world.converged(&member).await;
    let reconnects = &member.metrics.as_ref().unwrap().reconnects;
    assert_eq!(reconnects.with_label_values(&["silent"]).get(), 0);
    assert!(member.connected());
    // What was not read meanwhile is taken up again.
    member.exported_service("c", 80).await;
    member.shows("c", FINE).await;
    world.stop().await;
    member.stop().await;
}
