//! gRPC over the connections of a [`kit::tls::Listener`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt as _;
use kit::tls::{self, Connection, Info};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use wire::member::member_hub_server::{MemberHub, MemberHubServer};

use super::config::Config;
use super::metrics::Metrics;

/// A ping is sent on a connection after this much silence.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// And given up when none comes within this time.
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);
/// Streams of one connection: a member has one, and another while it takes over from itself.
const STREAMS: u32 = 4;
/// Time beyond what sessions are given to end, after which connections are closed.
const LINGER: Duration = Duration::from_secs(1);

/// Listens for members.
pub(super) struct Listener {
    connections: tls::Listener,
    stop: CancellationToken,
    close: CancellationToken,
}

impl Listener {
    /// Listens where the configuration says; no connection is accepted any more once `stop` is cancelled.
    ///
    /// # Errors
    /// When the address or a file cannot be used; the text says what to do.
    pub(super) async fn bind(config: &Config, metrics: &Metrics, stop: &CancellationToken) -> Result<Self, String> {
        let close = CancellationToken::new();
        let options = tls::Options {
            purpose: "the members' sessions",
            files: config.files(),
            protocols: &["h2"],
            limits: config.limits,
            refused: metrics.refused_connections.clone(),
            accept: stop.clone(),
            close: close.clone(),
        };
        let connections = tls::Listener::bind(config.bind, options).await;
        Ok(Self {
            connections: connections.map_err(|err| err.to_string())?,
            stop: stop.clone(),
            close,
        })
    }

    /// Serves until the listener's token is cancelled. Streams that are open then may end by themselves within this
    /// time; connections that are still open a little later are closed.
    ///
    /// # Errors
    /// When connections cannot be served any more; the text says why, without a full stop.
    pub(super) async fn serve<S: MemberHub>(self, service: MemberHubServer<S>, grace: Duration) -> Result<(), String> {
        // Whatever ends this, no connection outlives it.
        let _close = self.close.clone().drop_guard();
        let served = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_WITHIN))
            .max_concurrent_streams(Some(STREAMS))
            .add_service(service)
            .serve_with_incoming_shutdown(
                self.connections
                    .map(|connection| Ok::<_, io::Error>(Incoming(connection))),
                self.stop.clone().cancelled_owned(),
            );
        let overdue = async {
            self.stop.cancelled().await;
            tokio::time::sleep(grace + LINGER).await;
        };
        tokio::select! {
            served = served => served.map_err(|err| kit::error::chain(&err)),
            () = overdue => Ok(()),
        }
    }
}

/// A connection as gRPC wants it.
struct Incoming(Connection);

impl Connected for Incoming {
    type ConnectInfo = Info;

    fn connect_info(&self) -> Info {
        self.0.info()
    }
}

impl AsyncRead for Incoming {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
