//! Connections: TLS, or plain HTTP on loopback where that is asked for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use kit::tls::{Files, Limits, Listener, Options, Unusable, Usage};
use prometheus::IntCounterVec;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Surface;

/// Time for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Requests of one connection at a time.
const STREAMS: u32 = 64;
/// Silence after which a connection is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Connections without TLS.
const PLAIN_CONNECTIONS: usize = 256;
/// Time for running requests when the server ends.
const GRACE: Duration = Duration::from_secs(5);

/// Where and how the surface listens.
#[derive(Debug, Clone)]
pub enum Listen {
    /// TLS with these files.
    Tls(SocketAddr, Files),
    /// Plain HTTP; on loopback alone.
    Plain(SocketAddr),
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The TLS listener.
    #[error(transparent)]
    Tls(#[from] Unusable),
    /// Plain HTTP would leave the machine.
    #[error("The address {0} is not on loopback, and plain HTTP is served there alone. Give a certificate.")]
    NotLoopback(SocketAddr),
    /// The address.
    #[error("The address {0} for the ARM surface cannot be used: {1}. Choose another one.")]
    Address(SocketAddr, std::io::Error),
}

/// The bound surface, which answers once [`Arm::run`] runs.
pub struct Arm {
    surface: Arc<Surface>,
    listener: Bound,
    address: SocketAddr,
    stop: CancellationToken,
    /// Ends connections that do not end by themselves.
    close: CancellationToken,
}

enum Bound {
    Tls(Listener),
    Plain(TcpListener),
}

impl Arm {
    /// Binds the surface.
    ///
    /// # Errors
    /// When the address or a file cannot be used.
    pub async fn bind(
        surface: Arc<Surface>,
        listen: &Listen,
        refused: IntCounterVec,
        stop: CancellationToken,
    ) -> Result<Self, ServeError> {
        let close = CancellationToken::new();
        let (listener, address) = match listen {
            Listen::Tls(address, files) => {
                let options = Options {
                    purpose: "the ARM surface",
                    files: files.clone(),
                    protocols: &["h2", "http/1.1"],
                    limits: Limits::default(),
                    refused,
                    accept: stop.clone(),
                    close: close.clone(),
                };
                let listener = Listener::bind(*address, options).await?;
                let address = listener.address();
                (Bound::Tls(listener), address)
            }
            Listen::Plain(address) if !address.ip().is_loopback() => return Err(ServeError::NotLoopback(*address)),
            Listen::Plain(address) => {
                let unusable = |err| ServeError::Address(*address, err);
                let listener = TcpListener::bind(address).await.map_err(unusable)?;
                let address = listener.local_addr().map_err(unusable)?;
                (Bound::Plain(listener), address)
            }
        };
        Ok(Self {
            surface,
            listener,
            address,
            stop,
            close,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the end; running requests get a moment then.
    ///
    /// # Errors
    /// When the listener ends by itself.
    pub async fn run(self) -> Result<(), String> {
        let mut connections = JoinSet::new();
        let served = match self.listener {
            Bound::Tls(listener) => {
                let serve =
                    |stream, usage| converse(Arc::clone(&self.surface), stream, "https", usage, self.stop.clone());
                tls(listener, &mut connections, serve).await
            }
            Bound::Plain(listener) => {
                let serve = |stream| {
                    converse(
                        Arc::clone(&self.surface),
                        stream,
                        "http",
                        Usage::default(),
                        self.stop.clone(),
                    )
                };
                plain(listener, &mut connections, serve, &self.stop).await;
                Ok(())
            }
        };
        let rest = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            self.close.cancel();
            connections.abort_all();
        }
        match served {
            Err(err) if !self.stop.is_cancelled() => Err(err),
            _ => Ok(()),
        }
    }
}

async fn tls<F>(
    mut listener: Listener,
    connections: &mut JoinSet<()>,
    serve: impl Fn(kit::tls::Connection, Usage) -> F,
) -> Result<(), String>
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        tokio::select! {
            connection = listener.next() => {
                let Some(connection) = connection else {
                    return Err("the listener has ended".to_owned());
                };
                let usage = connection.info().usage;
                connections.spawn(serve(connection, usage));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn plain<F>(
    listener: TcpListener,
    connections: &mut JoinSet<()>,
    serve: impl Fn(TcpStream) -> F,
    stop: &CancellationToken,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(PLAIN_CONNECTIONS));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            Ok(slot) = Arc::clone(&slots).acquire_owned() => {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        let served = serve(stream);
                        connections.spawn(async move {
                            served.await;
                            drop(slot);
                        });
                    }
                    // The system is short of something that others may give back.
                    Err(error) => {
                        tracing::warn!(%error, "A connection for the ARM surface was refused.");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
    }
}

/// Answers the requests of one connection.
async fn converse<S>(surface: Arc<Surface>, stream: S, scheme: &'static str, usage: Usage, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(KEEP_ALIVE);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (surface, usage) = (Arc::clone(&surface), usage.clone());
        async move {
            let response = surface.respond(request, scheme).await?;
            // Who is not known does not keep a connection.
            if response.status() != http::StatusCode::UNAUTHORIZED {
                usage.mark();
            }
            Ok::<_, super::surface::Broken>(response)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // How a connection ends is its client's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
