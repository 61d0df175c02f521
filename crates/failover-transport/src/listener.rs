//! Sockets that accept connections, one for each address, whichever members listen there.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::event::Event;
use crate::failure::{Rejection, Rejections};
use crate::handshake;
use crate::limits::{Closed, Gate, Limits};
use crate::registry::Registry;
use crate::shared::Shared;

/// Connections that the kernel keeps before they are accepted.
const BACKLOG: u32 = 1024;
/// Pauses after a failed accept: this long, doubled up to the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// No socket could be opened.
#[derive(Debug, thiserror::Error)]
#[error("The address {address} cannot be listened at ({error}); choose another spec.port or spec.address.")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub error: io::Error,
}

/// All listeners of a process.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub registry: Arc<Registry>,
    pub rejections: Arc<Rejections>,
    gate: Gate,
    limits: Limits,
    open: Mutex<HashMap<SocketAddr, Open>>,
}

#[derive(Clone, Debug)]
struct Open {
    stop: CancellationToken,
    tasks: TaskTracker,
    local: SocketAddr,
}

/// A member listens at an address while this is held.
#[derive(Debug)]
pub struct Listening {
    listeners: Arc<Listeners>,
    member: Arc<Shared>,
    bind: SocketAddr,
    local: SocketAddr,
}

impl Listening {
    /// The address, with the port that was chosen where none was named.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let open = self.listeners.open.lock();
        if self.listeners.registry.remove(self.bind, &self.member)
            && let Some(last) = open.get(&self.bind)
        {
            last.stop.cancel();
        }
    }
}

impl Listeners {
    pub fn new(limits: Limits) -> Self {
        Self {
            registry: Arc::default(),
            rejections: Arc::default(),
            gate: Gate::new(limits.clone()),
            limits,
            open: Mutex::default(),
        }
    }

    /// Lets a member listen at `bind`, beside others that do.
    pub async fn listen(self: &Arc<Self>, bind: SocketAddr, member: &Arc<Shared>) -> Result<Listening, ListenError> {
        loop {
            let closing = {
                let mut open = self.open.lock();
                match open.get(&bind) {
                    Some(known) if known.stop.is_cancelled() => known.tasks.clone(),
                    Some(known) => return Ok(self.add(bind, member, known.local)),
                    None => {
                        let opened = self.bind(bind).map_err(|error| ListenError { address: bind, error })?;
                        let local = opened.local;
                        // Port 0 is another port each time: each is known under its own.
                        let bind = if bind.port() == 0 { local } else { bind };
                        open.insert(bind, opened);
                        return Ok(self.add(bind, member, local));
                    }
                }
            };
            // The last member there has just gone: the socket is closed once its tasks have ended.
            closing.wait().await;
            let mut open = self.open.lock();
            if open
                .get(&bind)
                .is_some_and(|known| known.stop.is_cancelled() && known.tasks.is_empty())
            {
                open.remove(&bind);
            }
        }
    }

    fn add(self: &Arc<Self>, bind: SocketAddr, member: &Arc<Shared>, local: SocketAddr) -> Listening {
        self.registry.add(bind, member);
        Listening {
            listeners: self.clone(),
            member: member.clone(),
            bind,
            local,
        }
    }

    fn bind(self: &Arc<Self>, bind: SocketAddr) -> io::Result<Open> {
        let socket = match bind {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(bind)?;
        let listener = socket.listen(BACKLOG)?;
        let local = listener.local_addr()?;
        let opened = Open {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            local,
        };
        let known = if bind.port() == 0 { local } else { bind };
        opened.tasks.spawn(self.clone().serve(listener, known, opened.clone()));
        opened.tasks.close();
        Ok(opened)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, bind: SocketAddr, open: Open) {
        let [shortest, longest] = PAUSES;
        let mut pause = shortest;
        loop {
            let accepted = tokio::select! {
                () = open.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, source)) => {
                    pause = shortest;
                    let permit = match self.gate.permit(source.ip(), Instant::now()) {
                        Ok(permit) => permit,
                        Err(closed) => {
                            self.rejections.count(&match closed {
                                Closed::Rate => Rejection::RateLimited,
                                Closed::InProgress => Rejection::TooMany,
                            });
                            continue;
                        }
                    };
                    let (listeners, stop) = (self.clone(), open.stop.clone());
                    open.tasks.spawn(async move {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = listeners.greet(bind, tcp) => {}
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    // A connection that ended before it was accepted, or a lack of descriptors or memory.
                    tracing::warn!(%error, address = %bind, "Accepting a connection of another member failed; trying again.");
                    tokio::select! {
                        () = open.stop.cancelled() => return,
                        () = sleep(pause.mul_f64(rand::random_range(0.5..=1.0))) => {}
                    }
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    /// Finds out who has dialled and hands the connection to the member that is meant.
    async fn greet(&self, bind: SocketAddr, tcp: TcpStream) {
        let called = |name: &_| {
            let member = self.registry.called(bind, name)?;
            let local = member.local();
            Some((member, local))
        };
        let accepted = timeout(self.limits.handshake, handshake::accept(tcp, called)).await;
        let (member, rejection) = match accepted {
            Ok(Ok((member, established))) => match member.open(established, None).await {
                Some(_) => return,
                None => (Some(member), Rejection::TooMany),
            },
            Ok(Err((member, rejection))) => (member, rejection),
            Err(_) => (None, Rejection::TimedOut),
        };
        self.rejections.count(&rejection);
        tracing::debug!(address = %bind, "Somebody who dialled was turned away: {rejection}.");
        if let Some(member) = member {
            // A member that is busy has no need to know of each one.
            let _ = member.events.try_send(Event::Rejected(rejection));
        }
    }
}
