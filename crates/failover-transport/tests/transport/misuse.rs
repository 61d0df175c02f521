//! Members that know the callsign and do not keep to the protocol.

use std::time::Duration;

use failover::message::Body;
use failover_transport::{Limits, Rejection, SendError, Transport, wire};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::fixture::{Hub, LIMIT, Member, id, message, transport};
use crate::raw::{Client, closed, hello, send};

async fn listening(hub: &Hub, transport: &Transport) -> Member {
    let mut member = Member::new(transport, hub.issue("newyork", 0).credentials("newyork", 0));
    member.listen("127.0.0.1:0".parse().unwrap()).await;
    member
}

#[tokio::test]
async fn a_greeting_has_to_name_the_member_of_the_certificate() {
    let hub = Hub::new();
    let mut newyork = listening(&hub, &transport()).await;
    let client = Client::of(hub.issue("sheffield", 0));
    let mut stream = client.greet(newyork.address(), "london").await;
    closed(&mut stream).await;
    let rejection = newyork.rejected().await;
    assert!(matches!(rejection, Rejection::Greeting(_)), "{rejection}");
    for wrong in [b"GET / HTTP/1.1".to_vec(), vec![0; 5000], Vec::new()] {
        let mut stream = client.connect(newyork.address()).await.unwrap();
        send(&mut stream, &wrong).await;
        closed(&mut stream).await;
        let rejection = newyork.rejected().await;
        assert!(matches!(rejection, Rejection::Greeting(_)), "{rejection}");
    }
    assert!(newyork.endpoint.connected().is_empty());
}

#[tokio::test]
async fn a_message_in_another_members_name_ends_the_connection() {
    let hub = Hub::new();
    let mut newyork = listening(&hub, &transport()).await;
    let own = message(&id("sheffield"), 1, Body::GetState);
    let forged = message(&id("london"), 2, Body::Release(Box::new(release())));
    let mut stream = Client::of(hub.issue("sheffield", 0))
        .greet(newyork.address(), "sheffield")
        .await;
    for message in [&own, &forged] {
        send(&mut stream, &wire::encode(message)).await;
    }
    newyork.receive(&own).await;
    closed(&mut stream).await;
    newyork.disconnected(&id("sheffield")).await;
    assert_eq!(
        newyork.unexpected(|event| matches!(event, failover_transport::Event::Received(_))),
        None
    );
}

fn release() -> failover::message::Release {
    failover::message::Release {
        term: 3,
        successor: None,
        next: None,
    }
}

#[tokio::test]
async fn frames_that_are_too_long_or_no_messages_end_the_connection() {
    let hub = Hub::new();
    let mut newyork = listening(&hub, &transport()).await;
    let client = Client::of(hub.issue("sheffield", 0));
    let own = wire::encode(&message(&id("sheffield"), 1, Body::GetState));
    // A message of a newer version: field 99 as its body.
    let mut unknown = own.clone();
    unknown.truncate(own.len() - 2);
    unknown.extend([0x9A, 0x06, 0x00]);
    for frame in [
        (1u32 << 20 | 1).to_be_bytes().to_vec(),
        vec![0, 0, 0, 3, 0xFF, 0xFF, 0xFF],
        vec![0, 0, 0, 0],
        [u32::try_from(unknown.len()).unwrap().to_be_bytes().as_slice(), &unknown].concat(),
    ] {
        let mut stream = client.greet(newyork.address(), "sheffield").await;
        newyork.connected(&id("sheffield")).await;
        stream.write_all(&frame).await.unwrap();
        stream.flush().await.unwrap();
        closed(&mut stream).await;
        newyork.disconnected(&id("sheffield")).await;
    }
}

#[tokio::test]
async fn a_message_that_arrives_in_pieces_arrives() {
    let hub = Hub::new();
    let mut newyork = listening(&hub, &transport()).await;
    let own = message(&id("sheffield"), 1, Body::GetState);
    let mut stream = Client::of(hub.issue("sheffield", 0))
        .connect(newyork.address())
        .await
        .unwrap();
    for payload in [hello("sheffield"), wire::encode(&own)] {
        for byte in failover_transport::frame::encode(&payload).unwrap() {
            stream.write_all(&[byte]).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
    newyork.receive(&own).await;
}

/// A sender never waits: a member that takes nothing loses its connection instead.
#[tokio::test]
async fn a_member_that_takes_nothing_is_disconnected_and_holds_up_nobody() {
    let hub = Hub::new();
    let limits = Limits {
        write: Duration::from_millis(500),
        ..Limits::default()
    };
    let mut newyork = listening(&hub, &Transport::new(limits)).await;
    let mut london = Member::new(&transport(), hub.issue("london", 0).credentials("london", 0));
    london.reach(&newyork);
    london.connected(&id("newyork")).await;
    newyork.connected(&id("london")).await;
    let stuck = Client::of(hub.issue("sheffield", 0))
        .greet(newyork.address(), "sheffield")
        .await;
    newyork.connected(&id("sheffield")).await;
    // Messages of some hundred kilobytes fill the socket's buffers.
    let state = failover::message::RenewReply {
        accepted: true,
        fence: Duration::ZERO,
        about: failover::message::About::default(),
        promote: Some("x".repeat(500_000)),
    };
    let large = newyork.message(Body::RenewReply(Box::new(state)));
    let filled = timeout(LIMIT, async {
        while newyork.endpoint.send(&id("sheffield"), &large) == Ok(()) {
            newyork.exchange(&mut london).await;
        }
    });
    filled.await.unwrap();
    newyork.disconnected(&id("sheffield")).await;
    assert_eq!(
        newyork.endpoint.send(&id("sheffield"), &large),
        Err(SendError::NotConnected)
    );
    newyork.exchange(&mut london).await;
    drop(stuck);
}
