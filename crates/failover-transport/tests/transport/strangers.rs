//! Who does not know the callsign reaches nobody and disturbs nobody.

use std::net::SocketAddr;

use failover_transport::{Event, Rejection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{Hub, LIMIT, Member, id, until};
use crate::raw::{Client, closed};

async fn hub_member(name: &str, hub: &Hub) -> Member {
    let mut member = Member::new(&crate::fixture::transport(), hub.issue(name, 0).credentials(name, 0));
    member.listen("127.0.0.1:0".parse().unwrap()).await;
    member
}

#[tokio::test]
async fn a_client_without_a_certificate_is_turned_away() {
    let hub = Hub::new();
    let mut newyork = hub_member("newyork", &hub).await;
    let client = Client {
        certificate: None,
        ..Client::of(hub.issue("sheffield", 0))
    };
    let mut stream = client.connect(newyork.address()).await.unwrap();
    closed(&mut stream).await;
    assert!(matches!(newyork.rejected().await, Rejection::Handshake(_)));
    assert!(newyork.endpoint.connected().is_empty());
}

#[tokio::test]
async fn another_version_of_tls_and_another_application_protocol_are_turned_away() {
    let hub = Hub::new();
    let mut newyork = hub_member("newyork", &hub).await;
    let old = Client {
        versions: vec![&rustls::version::TLS12],
        ..Client::of(hub.issue("sheffield", 0))
    };
    let refused = old.connect(newyork.address()).await.unwrap_err().to_string();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    assert!(matches!(newyork.rejected().await, Rejection::Handshake(_)));
    for protocol in [None, Some(b"h2".as_slice())] {
        let other = Client {
            protocol,
            ..Client::of(hub.issue("sheffield", 0))
        };
        if let Ok(mut stream) = other.connect(newyork.address()).await {
            closed(&mut stream).await;
        }
        let rejection = newyork.rejected().await;
        assert!(
            matches!(rejection, Rejection::Handshake(_)),
            "{protocol:?}: {rejection}"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_turned_away() {
    let (hub, other) = (Hub::new(), Hub::new());
    let mut newyork = hub_member("newyork", &hub).await;
    let mut stream = Client::of(other.issue("sheffield", 0))
        .connect(newyork.address())
        .await
        .unwrap();
    closed(&mut stream).await;
    let rejection = newyork.rejected().await;
    assert!(matches!(rejection, Rejection::Certificate(_)), "{rejection}");
}

/// What a stranger sends; connections may be refused or reset at any point.
async fn garbage(address: SocketAddr, number: usize) {
    let Ok(mut tcp) = TcpStream::connect(address).await else {
        return;
    };
    let sent: &[u8] = match number % 4 {
        0 => b"GET / HTTP/1.1\r\n\r\n",
        1 => &[0; 600],
        // The beginning of a handshake, and no more.
        2 => &[22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3],
        _ => &[],
    };
    tcp.write_all(sent).await.ok();
    tcp.shutdown().await.ok();
    let mut answer = Vec::new();
    let ended = timeout(LIMIT, tcp.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "a connection of garbage is closed");
}

#[tokio::test]
async fn a_thousand_connections_of_garbage_do_not_disturb_a_pair() {
    let mut newyork = Member::listening("newyork").await;
    let mut sheffield = Member::listening("sheffield").await;
    sheffield.reach(&newyork);
    newyork.connected(&id("sheffield")).await;
    sheffield.connected(&id("newyork")).await;
    let address = newyork.address();
    let strangers: Vec<_> = (0..1000).map(|number| tokio::spawn(garbage(address, number))).collect();
    let mut rounds = 0;
    while rounds < 50 || !strangers.iter().all(tokio::task::JoinHandle::is_finished) {
        newyork.exchange(&mut sheffield).await;
        rounds += 1;
    }
    for stranger in strangers {
        stranger.await.unwrap();
    }
    until("all are counted", || {
        newyork
            .transport
            .rejections()
            .counts()
            .map(|(_, count)| count)
            .sum::<u64>()
            == 1000
    })
    .await;
    assert!(newyork.transport.rejections().get("rate_limited") > 0);
    assert_eq!(newyork.endpoint.connected(), [id("sheffield")]);
    newyork.exchange(&mut sheffield).await;
    let disturbed = newyork.unexpected(|event| !matches!(event, Event::Received(_)));
    assert_eq!(disturbed, None, "nobody named the callsign");
}
