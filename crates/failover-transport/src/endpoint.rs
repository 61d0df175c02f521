//! What a member sends with, and what it sets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use failover::configuration::Version;
use failover::member::{FleetId, MemberId};
use failover::message::Message;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::certificates::Credentials;
use crate::dialling;
use crate::event::Event;
use crate::failure::Rejections;
use crate::frame;
use crate::limits::Limits;
use crate::listener::{ListenError, Listeners, Listening};
use crate::shared::{Peer, Shared, idle_limit};
use crate::wire;

/// Addresses that are dialled at the same time without knowing who is there.
const MOST_SEEDS: usize = 32;
/// Messages that wait for the answer of one of them.
const MOST_WAITING: usize = 8;

/// The connections of all members of a process.
#[derive(Clone, Debug)]
pub struct Transport {
    listeners: Arc<Listeners>,
    limits: Limits,
}

/// The connections of one member. Everything that runs for it ends when this is dropped.
#[derive(Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    listeners: Arc<Listeners>,
}

/// Why a message was not sent. None of these is worth a repetition by itself: a later message says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no connection to the member.
    #[error("there is no connection to the member")]
    NotConnected,
    /// The other side takes nothing; the connection was ended.
    #[error("the other side takes nothing")]
    QueueFull,
    /// The message is longer than a frame may be.
    #[error("the message is too long")]
    TooLong,
    /// The message says that it comes from another member.
    #[error("the message names another sender")]
    OtherSender,
    /// Too much waits for answers from addresses.
    #[error("too much waits for the answer of an address")]
    Busy,
}

impl Transport {
    /// A transport without members.
    pub fn new(limits: Limits) -> Self {
        Self {
            listeners: Arc::new(Listeners::new(limits.clone())),
            limits,
        }
    }

    /// Adds a member, which then reaches others; to be reached itself it has to [listen](Endpoint::listen). Events must
    /// be received all the time: nothing is read from its connections otherwise. To be called within a tokio runtime.
    pub fn endpoint(&self, credentials: Credentials, renew: Duration) -> (Endpoint, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(self.limits.events);
        let shared = Arc::new(Shared::new(credentials, renew, self.limits.clone(), events));
        let supervised = shared.clone();
        shared.tasks.spawn(async move {
            while !supervised.stop.is_cancelled() {
                if let Err(error) = tokio::spawn(dialling::keep_connected(supervised.clone())).await {
                    tracing::error!(own = %supervised.own, %error, "The task that dials other members failed; starting it again.");
                }
            }
        });
        let endpoint = Endpoint {
            shared,
            listeners: self.listeners.clone(),
        };
        (endpoint, receiver)
    }

    /// How many handshakes were rejected at the listeners of this process.
    pub fn rejections(&self) -> &Rejections {
        &self.listeners.rejections
    }
}

impl Endpoint {
    /// Lets others reach this member at `bind` while what is returned is held. Members that listen at the same address
    /// share one socket. Connections outlive it.
    pub async fn listen(&self, bind: SocketAddr) -> Result<Listening, ListenError> {
        self.listeners.listen(bind, &self.shared).await
    }

    /// Sends a message on the connection to a member. Never waits.
    pub fn send(&self, to: &MemberId, message: &Message) -> Result<(), SendError> {
        let frame = self.frame(message)?;
        let handle = self.shared.pairs.lock().current(to).cloned();
        match handle.ok_or(SendError::NotConnected)?.send(frame) {
            true => Ok(()),
            false => Err(SendError::QueueFull),
        }
    }

    /// Sends a message to whoever of the callsign is at an address (`host:port`), dialling it unless there is a
    /// connection. [`Event::SeedAnswered`] or [`Event::SeedFailed`] follows in the latter case. Never waits.
    pub fn send_to_address(&self, address: &str, message: &Message) -> Result<(), SendError> {
        let frame = self.frame(message)?;
        if let Some(handle) = self.at(address) {
            return match handle.send(frame) {
                true => Ok(()),
                false => Err(SendError::QueueFull),
            };
        }
        let mut seeds = self.shared.seeds.lock();
        if let Some(waiting) = seeds.get_mut(address) {
            if waiting.len() >= MOST_WAITING {
                return Err(SendError::Busy);
            }
            waiting.push(frame);
            return Ok(());
        }
        if seeds.len() >= MOST_SEEDS {
            return Err(SendError::Busy);
        }
        seeds.insert(address.to_owned(), vec![frame]);
        drop(seeds);
        let registry = self.listeners.registry.clone();
        let dialling = dialling::ask(self.shared.clone(), registry, address.to_owned());
        self.shared.tasks.spawn(dialling);
        Ok(())
    }

    /// The connection that leads to an address: one that was dialled there, or one to the peer that has it.
    fn at(&self, address: &str) -> Option<crate::connection::Handle> {
        let pairs = self.shared.pairs.lock();
        let dialled = pairs
            .in_use()
            .find(|(_, handle)| handle.dialled.as_deref() == Some(address));
        if let Some((_, handle)) = dialled {
            return Some(handle.clone());
        }
        let peers = self.shared.peers.lock();
        let mut of_peers = peers.iter().filter(|(_, peer)| peer.address == address);
        of_peers.find_map(|(member, _)| pairs.current(member)).cloned()
    }

    fn frame(&self, message: &Message) -> Result<bytes::Bytes, SendError> {
        if message.header.sender != self.shared.own {
            return Err(SendError::OtherSender);
        }
        frame::encode(&wire::encode(message)).map_err(|_| SendError::TooLong)
    }

    /// Sets the members to which a connection is kept, with the addresses at which they are dialled. Connections to
    /// others end when nothing is sent on them.
    pub fn set_peers(&self, peers: impl IntoIterator<Item = (MemberId, String)>) {
        let mut known = self.shared.peers.lock();
        let new = peers.into_iter().filter(|(member, _)| *member != self.shared.own);
        *known = new
            .map(|(member, address)| {
                let peer = match known.get(&member) {
                    Some(peer) if peer.address == address => peer.clone(),
                    old => Peer {
                        address,
                        dialling: old.is_some_and(|old| old.dialling),
                        failures: 0,
                        next: Instant::now(),
                    },
                };
                (member, peer)
            })
            .collect();
        drop(known);
        self.shared.changed.notify_one();
    }

    /// Sets what this member says of itself in greetings from now on.
    pub fn set_greeting(&self, fleet: Option<FleetId>, version: Version) {
        self.shared.greet_with(fleet, version);
    }

    /// Sets the renew interval: a connection on which nothing arrives for three of them is ended.
    pub fn set_renew_interval(&self, renew: Duration) {
        self.shared.idle.send_replace(idle_limit(renew));
    }

    /// Replaces the credentials for handshakes from now on. Connections to members whose certificates come from a source
    /// that is no longer accepted are ended. Fails when the credentials are for another callsign or member, for which
    /// another endpoint is needed; they are returned.
    pub fn set_credentials(&self, credentials: Credentials) -> Result<(), Box<Credentials>> {
        {
            let mut local = self.shared.local.lock();
            let same = local.credentials.callsign() == credentials.callsign();
            if !same || *credentials.member() != self.shared.own {
                return Err(Box::new(credentials));
            }
            local.credentials = Arc::new(credentials);
        }
        let accepted = self.shared.local();
        let accepts = |source| {
            let authorities = accepted.credentials.authorities();
            authorities.iter().any(|authority| authority.source() == source)
        };
        let pairs = self.shared.pairs.lock();
        for refused in pairs.all().filter(|handle| !accepts(handle.source)) {
            refused.stop.cancel();
        }
        Ok(())
    }

    /// The members to which there is a connection.
    pub fn connected(&self) -> Vec<MemberId> {
        let pairs = self.shared.pairs.lock();
        pairs.in_use().map(|(member, _)| member.clone()).collect()
    }

    /// Ends everything that runs for this member and waits until it has ended.
    pub async fn close(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let tasks = self.shared.tasks.clone();
        drop(self);
        tasks.wait().await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
