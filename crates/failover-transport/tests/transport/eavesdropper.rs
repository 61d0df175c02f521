//! What somebody between two members sees.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{Member, derived_credentials, id, keys, transport};

async fn relay(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, seen: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        seen.lock().extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn neither_the_callsign_nor_a_member_is_seen_on_the_wire() {
    let mut newyork = Member::listening("newyork").await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, behind) = (proxy.local_addr().unwrap(), newyork.address());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    tokio::spawn(async move {
        let (near, _) = proxy.accept().await.unwrap();
        let far = TcpStream::connect(behind).await.unwrap();
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        tokio::join!(
            relay(near_read, far_write, record.clone()),
            relay(far_read, near_write, record)
        );
    });
    let mut sheffield = Member::new(&transport(), derived_credentials(keys(), "sheffield"));
    sheffield.endpoint.set_peers([(id("newyork"), address.to_string())]);
    newyork.connected(&id("sheffield")).await;
    sheffield.exchange_once_connected(&mut newyork).await;
    let seen = seen.lock();
    let contains = |text: &str| seen.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(contains(&keys().id().to_string()), "the server name is seen");
    for secret in ["federation", "newyork", "sheffield", id("newyork").cluster()] {
        assert!(!contains(secret), "{secret}");
    }
}
