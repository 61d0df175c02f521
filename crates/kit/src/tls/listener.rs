//! Accepts connections and carries their handshakes out side by side.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::config::Source;
use super::connection::{Connection, Usage};
use super::{Options, Unusable};
use crate::clock::until;

/// Wait after the system gave no connection, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Refused connections are logged once in this time; all of them are counted.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// The connections whose handshakes are done, as a stream. Dropping it stops listening.
pub struct Listener {
    address: SocketAddr,
    connections: mpsc::Receiver<Connection>,
}

impl Listener {
    /// Listens on an address. The files are read once now, so that a mistake shows at the start.
    ///
    /// # Errors
    /// When a file or the address cannot be used. Nothing is left behind then.
    pub async fn bind(address: SocketAddr, options: Options) -> Result<Self, Unusable> {
        let source = Source::new(&options);
        source.read().await?;
        let unusable = |cause| Unusable::Address {
            purpose: options.purpose,
            address,
            cause,
        };
        let socket = TcpListener::bind(address).await.map_err(unusable)?;
        let address = socket.local_addr().map_err(unusable)?;
        // Each sent connection holds one of as many slots, so there is always room.
        let slots = options.limits.connections.max(1);
        let (sender, connections) = mpsc::channel(slots);
        let shared = Arc::new(Shared {
            source,
            turns: Semaphore::new(options.limits.handshakes.max(1)),
            waiting: AtomicUsize::new(0),
            more_waiting: Notify::new(),
            slots: Arc::new(Semaphore::new(slots)),
            sender,
            logged: Mutex::default(),
            options,
        });
        tokio::spawn(accept(socket, shared));
        Ok(Self { address, connections })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Stream for Listener {
    type Item = Connection;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Connection>> {
        self.connections.poll_recv(cx)
    }
}

struct Shared {
    source: Source,
    /// Turns to carry out a handshake, taken in order.
    turns: Semaphore,
    /// Peers that wait for a turn, and signals that one more does.
    waiting: AtomicUsize,
    more_waiting: Notify,
    slots: Arc<Semaphore>,
    sender: mpsc::Sender<Connection>,
    /// When a refusal was logged last, and how many were not logged since.
    logged: Mutex<(Option<Instant>, u64)>,
    options: Options,
}

/// A peer whose handshake is not done.
struct Pending {
    since: Instant,
    /// It has sent nothing yet.
    silent: Arc<AtomicBool>,
    task: AbortHandle,
}

/// Accepts until the listener is dropped or accepting is over. Handshakes in progress end with it.
async fn accept(socket: TcpListener, shared: Arc<Shared>) {
    let limits = shared.options.limits;
    let mut handshakes = JoinSet::new();
    let mut oldest_first: VecDeque<Pending> = VecDeque::new();
    loop {
        oldest_first.retain(|pending| !pending.task.is_finished());
        let full = oldest_first.len() >= limits.pending.max(1);
        let is_silent = |pending: &Pending| pending.silent.load(Ordering::Relaxed);
        let silent = oldest_first.iter().position(is_silent).filter(|_| full);
        let silent_too_long = silent.map(|at| oldest_first[at].since + limits.slow);
        tokio::select! {
            () = shared.options.accept.cancelled() => return,
            () = shared.sender.closed() => return,
            Some(_) = handshakes.join_next() => {}
            () = until(silent_too_long) => {
                if let Some(pending) = silent.and_then(|at| oldest_first.remove(at)) {
                    pending.task.abort();
                    shared.refuse("replaced", None, "it sent nothing and others waited");
                }
            }
            accepted = socket.accept(), if !full => match accepted {
                Ok((socket, peer)) => {
                    let silent = Arc::new(AtomicBool::new(true));
                    let pending = Arc::clone(&shared).admit(socket, peer, Arc::clone(&silent));
                    oldest_first.push_back(Pending {
                        since: Instant::now(),
                        silent,
                        task: handshakes.spawn(pending),
                    });
                }
                Err(error) => {
                    shared.refuse("accept", None, &error.to_string());
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

impl Shared {
    /// Waits for a peer to begin its handshake and for a turn, carries the handshake out, and hands the connection over.
    async fn admit(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, silent: Arc<AtomicBool>) {
        let limits = self.options.limits;
        // Readiness alone may be reported without data.
        match tokio::time::timeout(limits.handshake, socket.peek(&mut [0])).await {
            Ok(Ok(_)) => silent.store(false, Ordering::Relaxed),
            Ok(Err(cause)) => return self.refuse("handshake", Some(peer), &cause.to_string()),
            Err(_) => return self.refuse("timeout", Some(peer), "it sent nothing"),
        }
        let Some(turn) = self.turn().await else { return };
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(limits.handshake, self.shake(socket)) => shaken,
            () = self.others_wait() => {
                return self.refuse("replaced", Some(peer), "its handshake was slow and others waited");
            }
        };
        drop(turn);
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => return self.refuse("handshake", Some(peer), &cause),
            Err(_) => return self.refuse("timeout", Some(peer), "its handshake took too long"),
        };
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return self.refuse("full", Some(peer), "too many connections are open");
        };
        let connection = Connection {
            stream,
            peer,
            usage: Usage::default(),
            unused: Some(Box::pin(tokio::time::sleep(limits.unused))),
            closed: Box::pin(self.options.close.clone().cancelled_owned()),
            _slot: slot,
        };
        // It fails only when nobody serves any more.
        let _ = self.sender.try_send(connection);
    }

    /// A turn to carry out a handshake.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Some(turn);
        }
        let _waits = Waits::new(&self.waiting);
        self.more_waiting.notify_waiters();
        // The semaphore is never closed.
        self.turns.acquire().await.ok()
    }

    /// Waits until a handshake counts as slow and others wait for its turn.
    async fn others_wait(&self) {
        tokio::time::sleep(self.options.limits.slow).await;
        let more = self.more_waiting.notified();
        if self.waiting.load(Ordering::Relaxed) == 0 {
            more.await;
        }
    }

    async fn shake(&self, socket: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        // Messages are small and each is waited for.
        socket.set_nodelay(true).map_err(|err| err.to_string())?;
        let config = self.source.read().await.map_err(|err| err.to_string())?;
        let accepted = TlsAcceptor::from(config).accept(socket).await;
        accepted.map_err(|err| err.to_string())
    }

    fn refuse(&self, reason: &str, peer: Option<SocketAddr>, cause: &str) {
        self.options.refused.with_label_values(&[reason]).inc();
        let mut logged = self.logged.lock();
        let (last, unlogged) = &mut *logged;
        if last.is_some_and(|last| last.elapsed() < LOG_PAUSE) {
            *unlogged += 1;
            return;
        }
        let purpose = self.options.purpose;
        tracing::warn!(
            reason,
            ?peer,
            cause,
            unlogged,
            "A connection for {purpose} was refused."
        );
        (*last, *unlogged) = (Some(Instant::now()), 0);
    }
}

/// Counts one that waits until it is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
