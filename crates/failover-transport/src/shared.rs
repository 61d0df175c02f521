//! What the tasks of one member share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use failover::configuration::Version;
use failover::member::{FleetId, MemberId};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::certificates::Credentials;
use crate::connection::{self, Bounds, Handle};
use crate::event::Event;
use crate::handshake::{Established, Local};
use crate::limits::Limits;
use crate::pairs::{Pairs, Superseded};

/// One member's connections, and what it says of itself.
#[derive(Debug)]
pub(crate) struct Shared {
    pub own: MemberId,
    pub limits: Limits,
    pub local: Mutex<Local>,
    pub idle: watch::Sender<Duration>,
    pub pairs: Mutex<Pairs<Handle>>,
    pub peers: Mutex<BTreeMap<MemberId, Peer>>,
    /// What waits for an answer from an address that is being dialled.
    pub seeds: Mutex<HashMap<String, Vec<Bytes>>>,
    pub events: mpsc::Sender<Event>,
    /// Peers, their addresses or connections to them have changed.
    pub changed: Notify,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    connections: AtomicU64,
}

/// A member to which a connection is kept.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub address: String,
    pub dialling: bool,
    /// Dialled without success so many times in a row.
    pub failures: u32,
    pub next: Instant,
}

impl Shared {
    pub fn new(credentials: Credentials, renew: Duration, limits: Limits, events: mpsc::Sender<Event>) -> Self {
        let own = credentials.member().clone();
        Self {
            pairs: Mutex::new(Pairs::new(own.clone())),
            own,
            limits,
            local: Mutex::new(Local {
                credentials: Arc::new(credentials),
                fleet: None,
                version: Version::default(),
            }),
            idle: watch::Sender::new(idle_limit(renew)),
            peers: Mutex::default(),
            seeds: Mutex::default(),
            events,
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            connections: AtomicU64::new(0),
        }
    }

    /// What this member says of itself in a handshake that begins now.
    pub fn local(&self) -> Local {
        self.local.lock().clone()
    }

    /// What it says from now on.
    pub fn greet_with(&self, fleet: Option<FleetId>, version: Version) {
        let mut local = self.local.lock();
        (local.fleet, local.version) = (fleet, version);
    }

    /// Delivers an event; waits while the member is busy, and gives up when it ends.
    pub async fn report(&self, event: Event) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            // Fails only when nobody receives any more.
            _ = self.events.send(event) => {}
        }
    }

    /// Takes a connection into use. None if there are too many members already, or this one is ending.
    pub async fn open(self: &Arc<Self>, established: Established, dialled: Option<String>) -> Option<Handle> {
        let (queue, frames) = mpsc::channel(self.limits.queue);
        let peer = established.peer.clone();
        let handle = Handle {
            queue,
            stop: self.stop.child_token(),
            retire: CancellationToken::new(),
            dialled,
            opened: Instant::now(),
            source: peer.source,
        };
        let id = self.connections.fetch_add(1, Ordering::Relaxed);
        let Superseded { retired, dropped } = self.pairs.lock().opened(&peer.member, id, handle.clone()).ok()?;
        retired.iter().for_each(|older| older.retire.cancel());
        dropped.iter().for_each(|older| older.stop.cancel());
        let connected = Event::Connected {
            member: peer.member.clone(),
            fleet: established.hello.fleet.clone(),
            version: established.hello.version,
            source: peer.source,
            expired: peer.expired,
        };
        let (shared, carried) = (self.clone(), handle.clone());
        self.tasks.spawn(async move {
            shared.report(connected).await;
            shared.supervise(established, frames, carried, id).await;
        });
        Some(handle)
    }

    /// Runs a connection and cleans up after it, even if its task panics.
    async fn supervise(
        self: Arc<Self>,
        established: Established,
        frames: mpsc::Receiver<Bytes>,
        handle: Handle,
        id: u64,
    ) {
        let member = established.peer.member.clone();
        let (shared, peer) = (self.clone(), member.clone());
        let task = tokio::spawn(async move {
            let bounds = Bounds {
                write: shared.limits.write,
                age: shared.limits.age,
                idle: shared.idle.subscribe(),
            };
            let receive = |message| {
                shared.pairs.lock().addressed(&peer, id);
                shared.report(Event::Received(Box::new(message)))
            };
            connection::run(established, frames, &handle, bounds, receive).await
        });
        let why = match task.await {
            Ok(ended) => ended.to_string(),
            Err(error) => format!("its task failed: {error}"),
        };
        tracing::debug!(own = %self.own, %member, "A connection to another member has ended: {why}.");
        let last = self.pairs.lock().closed(&member, id);
        if last {
            self.report(Event::Disconnected { member }).await;
        }
        self.changed.notify_one();
    }
}

/// Three renew intervals without a message are the end of a connection.
pub(crate) fn idle_limit(renew: Duration) -> Duration {
    renew * 3
}
