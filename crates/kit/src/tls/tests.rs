use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::StreamExt;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// How long anything may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(20);
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(600);

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder with `tls.crt` and `tls.key` of a fresh self-signed certificate.
fn folder() -> Folder {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    crate::install_crypto();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("fairway-tls-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    certificate(&path);
    Folder(path)
}

fn certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
}

fn options(folder: &Folder) -> Options {
    Options {
        purpose: "a test",
        files: Files {
            cert: folder.0.join("tls.crt"),
            key: folder.0.join("tls.key"),
            client_ca: None,
        },
        protocols: &["h2"],
        limits: Limits {
            handshake: NEVER,
            unused: NEVER,
            ..Limits::default()
        },
        refused: refusals("refused", "help").unwrap(),
        accept: CancellationToken::new(),
        close: CancellationToken::new(),
    }
}

async fn listen(options: &Options) -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap(), options.clone())
        .await
        .unwrap()
}

/// Connects with the authority that is in the folder now.
async fn connect(folder: &Folder, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(folder.0.join("tls.crt")).unwrap())
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

async fn next(listener: &mut Listener) -> Connection {
    let next = tokio::time::timeout(WITHIN, listener.next()).await;
    next.expect("a connection is let in").unwrap()
}

/// Waits until the other side has closed.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(WITHIN, stream.read_to_end(&mut rest)).await;
    let _ = read.expect("the other side closes");
}

fn refused(options: &Options, reason: &str) -> u64 {
    options.refused.with_label_values(&[reason]).get()
}

#[tokio::test]
async fn silent_peers_make_room_for_those_who_finish_their_handshake() {
    let folder = folder();
    let mut options = options(&folder);
    options.limits.pending = 2;
    options.limits.slow = Duration::from_millis(50);
    let mut listener = listen(&options).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(listener.address()).await.unwrap());
    }
    let client = connect(&folder, listener.address()).await.unwrap();
    let connection = next(&mut listener).await;
    assert_eq!(connection.info().peer, client.get_ref().0.local_addr().unwrap());
    assert!(refused(&options, "replaced") >= 3, "nothing but that made room");
    closed(&mut silent[0]).await;
}

#[tokio::test]
async fn a_slow_handshake_makes_room_for_those_who_wait_and_for_nobody_else() {
    let folder = folder();
    let mut options = options(&folder);
    options.limits.handshakes = 1;
    options.limits.slow = Duration::from_millis(50);
    let mut listener = listen(&options).await;
    let mut slow = begun(listener.address()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(refused(&options, "replaced"), 0, "nobody waits");
    let _client = connect(&folder, listener.address()).await.unwrap();
    next(&mut listener).await;
    closed(&mut slow).await;
    assert_eq!(refused(&options, "replaced"), 1);
}

#[tokio::test]
async fn a_handshake_that_is_not_begun_or_not_ended_in_time_is_given_up() {
    let folder = folder();
    let mut options = options(&folder);
    options.limits.handshake = Duration::from_millis(50);
    let listener = listen(&options).await;
    closed(&mut TcpStream::connect(listener.address()).await.unwrap()).await;
    closed(&mut begun(listener.address()).await).await;
    assert_eq!(refused(&options, "timeout"), 2);
}

/// A peer that begins a handshake and then says nothing more.
async fn begun(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // The head of a record that never comes.
    socket.write_all(&[22, 3, 1, 1, 0]).await.unwrap();
    socket
}

#[tokio::test]
async fn connections_are_bounded_after_the_handshake_and_count_until_they_are_dropped() {
    let folder = folder();
    let mut options = options(&folder);
    options.limits.connections = 1;
    let mut listener = listen(&options).await;
    let address = listener.address();
    // Who has not finished a handshake does not count.
    let _silent = TcpStream::connect(address).await.unwrap();
    let _first = connect(&folder, address).await.unwrap();
    let connection = next(&mut listener).await;
    let mut second = connect(&folder, address).await.unwrap();
    closed(&mut second).await;
    assert_eq!(refused(&options, "full"), 1);
    drop(connection);
    let _third = connect(&folder, address).await.unwrap();
    next(&mut listener).await;
}

#[tokio::test]
async fn a_connection_that_is_never_used_is_closed() {
    let folder = folder();
    let mut options = options(&folder);
    options.limits.unused = Duration::from_millis(100);
    let mut listener = listen(&options).await;
    let _idle = connect(&folder, listener.address()).await.unwrap();
    let mut unused = next(&mut listener).await;
    let read = tokio::time::timeout(WITHIN, unused.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);

    let mut client = connect(&folder, listener.address()).await.unwrap();
    let mut used = next(&mut listener).await;
    used.info().usage.mark();
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.write_all(b"x").await.unwrap();
    let read = tokio::time::timeout(WITHIN, used.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap(), 1);
}

#[tokio::test]
async fn nothing_is_left_of_a_listener_that_ends_or_does_not_start() {
    let folder = folder();
    let options = options(&folder);
    let mut listener = listen(&options).await;
    let address = listener.address();
    let taken = Listener::bind(address, options.clone()).await.err().unwrap();
    assert!(matches!(taken, Unusable::Address { .. }), "{taken}");
    assert!(taken.to_string().contains("a test"), "{taken}");

    let mut client = connect(&folder, address).await.unwrap();
    let mut connection = next(&mut listener).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    drop(listener);
    closed(&mut silent).await;
    let free = async {
        while Listener::bind(address, options.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, free)
        .await
        .expect("the address is free again");
    options.close.cancel();
    let read = tokio::time::timeout(WITHIN, connection.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    drop(connection);
    closed(&mut client).await;

    let missing = Files {
        cert: folder.0.join("absent"),
        ..options.files.clone()
    };
    let options = Options {
        files: missing,
        ..options
    };
    let missing = Listener::bind(address, options).await.err().unwrap();
    assert!(missing.to_string().contains("absent"), "{missing}");
}

#[tokio::test]
async fn rotated_certificates_are_used_at_once() {
    let folder = folder();
    let mut listener = listen(&options(&folder)).await;
    for _ in 0..2 {
        let _client = connect(&folder, listener.address()).await.unwrap();
        next(&mut listener).await;
        certificate(&folder.0);
    }
}
