//! An accepted connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// A connection whose handshake is done. It counts as open until it is dropped.
pub struct Connection {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) peer: SocketAddr,
    pub(super) usage: Usage,
    /// Ends a connection that nobody has marked as used.
    pub(super) unused: Option<Pin<Box<Sleep>>>,
    pub(super) closed: Pin<Box<WaitForCancellationFutureOwned>>,
    pub(super) _slot: OwnedSemaphorePermit,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Info {
    /// Its address.
    pub peer: SocketAddr,
    /// The certificate that it has shown, verified, with those that lead to its authority; empty when it showed none.
    pub certificates: Vec<CertificateDer<'static>>,
    /// To say that the connection is used.
    pub usage: Usage,
}

/// Says that a connection is used. Until then it is closed after a while.
#[derive(Debug, Clone, Default)]
pub struct Usage(Arc<AtomicBool>);

impl Usage {
    /// The connection is used, and may stay.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_marked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connection {
    /// Who is at the other end.
    pub fn info(&self) -> Info {
        let (_, session) = self.stream.get_ref();
        Info {
            peer: self.peer,
            certificates: session.peer_certificates().map(<[_]>::to_vec).unwrap_or_default(),
            usage: self.usage.clone(),
        }
    }

    /// An error once the connection has to end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Some(io::Error::new(io::ErrorKind::ConnectionAborted, "the server ends"));
        }
        if self.usage.is_marked() {
            self.unused = None;
        }
        let unused = self.unused.as_mut()?;
        let late = unused.as_mut().poll(cx).is_ready();
        late.then(|| io::Error::new(io::ErrorKind::TimedOut, "the connection is not used"))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(end) = self.poll_end(cx) {
            return Poll::Ready(Err(end));
        }
        Poll::Ready(ready!(Pin::new(&mut self.stream).poll_read(cx, buf)))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A peer that reads nothing must not hold up the end.
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
