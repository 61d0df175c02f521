//! Accepts TLS connections. Certificate and key are read for each connection: simple, and immune to how a Secret is
//! mounted.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Config;

/// Time for a handshake; who takes longer is not a member on a working network.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time: a thousand members that come back at once are let in one after the other.
const HANDSHAKES: usize = 32;
/// Wait after a connection could not be accepted, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that wait to be served.
const WAITING: usize = 64;

/// Connections whose handshake is done.
pub(super) type Incoming = ReceiverStream<std::io::Result<TlsStream<TcpStream>>>;

/// Listens until `stop`. The certificate is checked once now, so that a mistake shows at the start.
pub(super) async fn listen(config: &Config, stop: CancellationToken, tasks: &TaskTracker) -> Result<Incoming, String> {
    acceptor(config)?;
    let listener = TcpListener::bind(config.bind).await.map_err(|err| {
        format!(
            "The address {} for the members' sessions cannot be used: {err}. Choose another one.",
            config.bind
        )
    })?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tasks.spawn(accept(listener, config.clone(), sender, stop));
    Ok(ReceiverStream::new(receiver))
}

async fn accept(
    listener: TcpListener,
    config: Config,
    sender: mpsc::Sender<std::io::Result<TlsStream<TcpStream>>>,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    let handshakes = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "A connection for a session could not be accepted.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (sender, config) = (sender.clone(), config.clone());
        let stop = stop.clone();
        handshakes.spawn(async move {
            let shake = async {
                // Messages are small and each is waited for.
                socket.set_nodelay(true).map_err(|err| err.to_string())?;
                let acceptor = acceptor(&config)?;
                acceptor.accept(socket).await.map_err(|err| err.to_string())
            };
            let shake = tokio::time::timeout(HANDSHAKE, shake);
            let Some(shaken) = stop.run_until_cancelled(shake).await else {
                return;
            };
            match shaken {
                Ok(Ok(stream)) => {
                    // The server is gone only when the agent ends.
                    let _ = sender.send(Ok(stream)).await;
                }
                Ok(Err(cause)) => tracing::warn!(%peer, cause, "A connection for a session was refused."),
                Err(_) => {
                    tracing::warn!(%peer, "A connection for a session was given up: the handshake took too long.")
                }
            }
            drop(slot);
        });
    }
    handshakes.close();
    handshakes.wait().await;
}

fn acceptor(config: &Config) -> Result<TlsAcceptor, String> {
    let (cert, key) = (&config.cert_file, &config.key_file);
    let chain = certificates(cert)?;
    let key_der = PrivateKeyDer::from_pem_reader(open(key)?).map_err(|err| told(key, &err))?;
    let builder = ServerConfig::builder();
    let builder = match &config.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(file)? {
                roots.add(root).map_err(|err| told(file, &err))?;
            }
            // Who shows no certificate shows a token.
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated();
            builder.with_client_cert_verifier(verifier.build().map_err(|err| told(file, &err))?)
        }
    };
    let mut tls = builder
        .with_single_cert(chain, key_der)
        .map_err(|err| told(cert, &err))?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_reader_iter(open(file)?)
        .collect::<Result<_, _>>()
        .map_err(|err| told(file, &err))
}

fn open(path: &Path) -> Result<BufReader<File>, String> {
    File::open(path).map(BufReader::new).map_err(|err| told(path, &err))
}

fn told(path: &Path, cause: &dyn std::fmt::Display) -> String {
    format!(
        "The file {} for the members' sessions cannot be used: {cause}. Give a PEM file.",
        path.display()
    )
}
