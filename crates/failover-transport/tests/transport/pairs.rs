//! Members that know the callsign.

use std::time::Duration;

use failover::configuration::Version;
use failover::member::FleetId;
use failover::message::Body;
use failover_transport::certificates::Source;
use failover_transport::{DialFailure, Event, Limits, SendError, Transport};

use crate::fixture::{Member, derived_credentials, id, keys, other_keys, transport, until};

#[tokio::test]
async fn one_side_that_can_reach_the_other_is_enough() {
    let mut newyork = Member::listening("newyork").await;
    let mut sheffield = Member::new(&transport(), derived_credentials(keys(), "sheffield"));
    let fleet = FleetId::from("0b51a0f3-4a3e-4f52-9a54-3b9c8b5f2b10");
    let version = Version { term: 2, number: 9 };
    sheffield.endpoint.set_greeting(Some(fleet.clone()), version);
    sheffield.reach(&newyork);
    let connected = newyork
        .expect(|event| matches!(event, Event::Connected { .. }).then(|| event.clone()))
        .await;
    assert_eq!(
        connected,
        Event::Connected {
            member: id("sheffield"),
            fleet: Some(fleet),
            version,
            source: Source::Derived,
            expired: None
        }
    );
    sheffield.connected(&id("newyork")).await;
    sheffield.exchange(&mut newyork).await;
    newyork.exchange(&mut sheffield).await;
    assert_eq!(newyork.endpoint.connected(), [id("sheffield")]);
    let nobody = newyork.message(Body::GetState);
    assert_eq!(
        newyork.endpoint.send(&id("london"), &nobody),
        Err(SendError::NotConnected)
    );
    assert_eq!(
        sheffield.endpoint.send(&id("newyork"), &nobody),
        Err(SendError::OtherSender)
    );
}

#[tokio::test]
async fn members_that_dial_each_other_keep_one_connection() {
    let mut a = Member::listening("a").await;
    let mut b = Member::listening("b").await;
    a.reach(&b);
    b.reach(&a);
    a.connected(&id("b")).await;
    b.connected(&id("a")).await;
    for _ in 0..20 {
        a.exchange(&mut b).await;
        b.exchange(&mut a).await;
    }
}

#[tokio::test]
async fn a_member_that_starts_again_is_connected_again() {
    let mut a = Member::listening("a").await;
    let mut b = Member::listening("b").await;
    a.reach(&b);
    a.connected(&id("b")).await;
    let address = b.address();
    b.connected(&id("a")).await;
    b.listening = None;
    b.endpoint.close().await;
    a.disconnected(&id("b")).await;
    let mut b = Member::new(&transport(), derived_credentials(keys(), "b"));
    b.listen(address).await;
    a.connected(&id("b")).await;
    a.exchange(&mut b).await;
}

#[tokio::test]
async fn a_connection_that_is_old_is_replaced_without_a_gap() {
    let young = Transport::new(Limits {
        age: Duration::from_secs(1),
        ..Limits::default()
    });
    let mut a = Member::listening("a").await;
    let mut b = Member::new(&young, derived_credentials(keys(), "b"));
    b.reach(&a);
    for _ in 0..3 {
        a.connected(&id("b")).await;
        b.connected(&id("a")).await;
        a.exchange(&mut b).await;
        b.exchange(&mut a).await;
    }
    let mut disconnected = 0;
    a.expect(|event| {
        disconnected += usize::from(matches!(event, Event::Disconnected { .. }));
        matches!(event, Event::Connected { .. }).then_some(())
    })
    .await;
    assert_eq!(disconnected, 0);
}

/// A side that dials no more does not keep a connection for ever.
#[tokio::test]
async fn a_connection_that_nobody_replaces_ends() {
    let young = Transport::new(Limits {
        age: Duration::from_millis(500),
        ..Limits::default()
    });
    let mut a = Member::new(&young, derived_credentials(keys(), "a"));
    a.listen("127.0.0.1:0".parse().unwrap()).await;
    let mut b = Member::new(&transport(), derived_credentials(keys(), "b"));
    let to_a = b.message(Body::GetState);
    b.endpoint.send_to_address(&a.address().to_string(), &to_a).unwrap();
    a.receive(&to_a).await;
    a.disconnected(&id("b")).await;
    b.disconnected(&id("a")).await;
}

#[tokio::test]
async fn an_endpoint_that_is_dropped_ends_its_connections_and_is_no_longer_found() {
    let mut newyork = Member::listening("newyork").await;
    let mut sheffield = Member::new(&transport(), derived_credentials(keys(), "sheffield"));
    sheffield.reach(&newyork);
    sheffield.connected(&id("newyork")).await;
    newyork.connected(&id("sheffield")).await;
    let Member {
        endpoint, listening, ..
    } = newyork;
    drop(endpoint);
    sheffield.disconnected(&id("newyork")).await;
    let failure = sheffield
        .expect(|event| match event {
            Event::PeerFailed { failure, .. } => Some(failure.clone()),
            _ => None,
        })
        .await;
    assert_eq!(failure, DialFailure::CallsignMismatch, "the listener is still there");
    drop(listening);
}

#[tokio::test]
async fn a_connection_without_messages_for_three_renew_intervals_is_ended() {
    let mut a = Member::listening("a").await;
    let mut b = Member::new(&transport(), derived_credentials(keys(), "b"));
    let to_a = b.message(Body::GetState);
    b.endpoint.send_to_address(&a.address().to_string(), &to_a).unwrap();
    a.connected(&id("b")).await;
    a.exchange(&mut b).await;
    b.endpoint.set_renew_interval(Duration::from_millis(20));
    // The new limit holds from the next message on.
    let message = a.message(Body::GetState);
    a.endpoint.send(&id("b"), &message).unwrap();
    b.disconnected(&id("a")).await;
    a.disconnected(&id("b")).await;
}

#[tokio::test]
async fn whoever_is_at_an_address_gets_what_was_sent_to_it() {
    let mut newyork = Member::listening("newyork").await;
    let mut sheffield = Member::new(&transport(), derived_credentials(keys(), "sheffield"));
    let seed = format!("localhost:{}", newyork.address().port());
    let messages = [
        sheffield.message(Body::GetState),
        sheffield.message(Body::Handover { term: 1 }),
    ];
    for message in &messages {
        sheffield.endpoint.send_to_address(&seed, message).unwrap();
    }
    for message in messages {
        assert_eq!(newyork.received().await, message);
    }
    let answered = sheffield
        .expect(|event| match event {
            Event::SeedAnswered { address, member } => Some((address.clone(), member.clone())),
            _ => None,
        })
        .await;
    assert_eq!(answered, (seed.clone(), id("newyork")));
    // The same connection from now on.
    let message = sheffield.message(Body::GetState);
    sheffield.endpoint.send_to_address(&seed, &message).unwrap();
    assert_eq!(newyork.received().await, message);
    newyork.exchange(&mut sheffield).await;
    newyork.connected(&id("sheffield")).await;
}

async fn seed_failure(member: &mut Member, address: &str) -> DialFailure {
    let message = member.message(Body::GetState);
    member.endpoint.send_to_address(address, &message).unwrap();
    member
        .expect(|event| match event {
            Event::SeedFailed { address: of, failure } if of == address => Some(failure.clone()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_seed_that_does_not_answer_as_a_member_is_told_apart() {
    let newyork = Member::listening("newyork").await;
    let mut stranger = Member::new(&transport(), derived_credentials(other_keys(), "sheffield"));
    let failure = seed_failure(&mut stranger, &newyork.address().to_string()).await;
    assert_eq!(failure, DialFailure::CallsignMismatch);
    until("the rejection is counted", || {
        newyork.transport.rejections().get("unknown_callsign") == 1
    })
    .await;
    // Nobody listens; somebody accepts and closes; somebody speaks another protocol.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let failure = seed_failure(&mut stranger, &closed.to_string()).await;
    assert!(matches!(failure, DialFailure::Unreachable(_)), "{failure}");
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();
    let http = tokio::spawn(async move {
        let (mut tcp, _) = other.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let mut all = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut all).await.ok();
    });
    let failure = seed_failure(&mut stranger, &address.to_string()).await;
    assert!(matches!(failure, DialFailure::OtherProtocol(_)), "{failure}");
    assert_eq!(failure.reason(), "NoSeedReachable");
    http.await.unwrap();
}

#[tokio::test]
async fn members_of_several_callsigns_share_one_port() {
    let shared = transport();
    let mut a = Member::new(&shared, derived_credentials(keys(), "a"));
    a.listen("127.0.0.1:0".parse().unwrap()).await;
    let address = a.address();
    let mut b = Member::new(&shared, derived_credentials(keys(), "b"));
    b.listen(address).await;
    let mut other = Member::new(&shared, derived_credentials(other_keys(), "other"));
    other.listen(address).await;
    let mut dials = Member::new(&transport(), derived_credentials(keys(), "c"));
    dials.reach(&b);
    dials.connected(&id("b")).await;
    dials.exchange(&mut b).await;
    let mut dials = Member::new(&transport(), derived_credentials(other_keys(), "d"));
    dials.reach(&other);
    dials.exchange_once_connected(&mut other).await;
    // The port stays open for those who are left, and is free again after the last one.
    drop(a);
    let mut dials = Member::new(&transport(), derived_credentials(keys(), "e"));
    dials.reach(&b);
    dials.exchange_once_connected(&mut b).await;
    drop((b, other));
    until("the port is free", || std::net::TcpListener::bind(address).is_ok()).await;
}

#[tokio::test]
async fn two_members_of_one_callsign_in_one_process_find_each_other_by_their_own_address() {
    let shared = transport();
    let mut a = Member::new(&shared, derived_credentials(keys(), "a"));
    a.listen("127.0.0.1:0".parse().unwrap()).await;
    let address = a.address();
    // Alone it finds itself.
    let failure = seed_failure(&mut a, &address.to_string()).await;
    assert_eq!(failure, DialFailure::Own);
    let mut b = Member::new(&shared, derived_credentials(keys(), "b"));
    b.listen(address).await;
    for (from, to) in [(&mut a, "b"), (&mut b, "a")] {
        let message = from.message(Body::GetState);
        from.endpoint.send_to_address(&address.to_string(), &message).unwrap();
        let answered = from
            .expect(|event| match event {
                Event::SeedAnswered { member, .. } => Some(member.clone()),
                _ => None,
            })
            .await;
        assert_eq!(answered, id(to));
    }
    a.exchange(&mut b).await;
}

#[tokio::test]
async fn a_member_at_another_ones_address_is_not_taken_for_it() {
    let newyork = Member::listening("newyork").await;
    let mut sheffield = Member::new(&transport(), derived_credentials(keys(), "sheffield"));
    let wrong = (id("london"), newyork.address().to_string());
    sheffield.endpoint.set_peers([wrong]);
    let failure = sheffield
        .expect(|event| match event {
            Event::PeerFailed { member, failure } => Some((member.clone(), failure.clone())),
            _ => None,
        })
        .await;
    assert_eq!(failure, (id("london"), DialFailure::OtherMember(id("newyork"))));
}
