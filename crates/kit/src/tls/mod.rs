//! TLS listeners: certificate files that may be rotated, client certificates where they are required, and bounds that
//! keep slow or idle peers from blocking others. It does not depend on the protocol on top.
//!
//! - A peer must begin its handshake within a deadline, and end it within another. A bounded number of handshakes is
//!   carried out at a time, in the order in which peers began them: when a fleet comes back at once, the first are soon
//!   done instead of all being late together. A handshake that takes longer than a working network needs makes room when
//!   others wait, and so does a peer that has sent nothing when too many have not: nobody blocks others.
//! - The number of connections is bounded after the handshake: peers that have not finished one do not count.
//! - A connection that its server never marks as used ([`Usage::mark`]) is closed after a while.
//!
//! Accepting ends with one token, and whatever is still open with another, or when the [`Listener`] is dropped: no task
//! and no socket stays behind.

mod config;
mod connection;
mod listener;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use prometheus::{IntCounterVec, Opts};
use tokio_util::sync::CancellationToken;

pub use connection::{Connection, Info, Usage};
pub use listener::Listener;

/// Files of a TLS server, in PEM. They are read for each connection, so rotated ones are used at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The serving certificate and what leads from it to its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authority of client certificates. With one, a peer may show a certificate, which must be one of its; without
    /// one, none is requested.
    pub client_ca: Option<PathBuf>,
}

/// What a listener lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time to begin a handshake, and time to carry it out.
    pub handshake: Duration,
    /// Peers whose handshake is not done, begun or not.
    pub pending: usize,
    /// Handshakes that are carried out at a time.
    pub handshakes: usize,
    /// Who is silent, or whose handshake has lasted, for so long makes room for others that wait. On a working network a
    /// handshake takes a few round trips.
    pub slow: Duration,
    /// Connections whose handshake is done.
    pub connections: usize,
    /// Time for a connection to be marked as used.
    pub unused: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            pending: 1024,
            handshakes: 32,
            slow: Duration::from_secs(2),
            connections: 4096,
            unused: Duration::from_secs(30),
        }
    }
}

/// How a listener serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is served, for messages, such as `the members' sessions`.
    pub purpose: &'static str,
    /// Its files.
    pub files: Files,
    /// Application protocols by preference, such as `h2`.
    pub protocols: &'static [&'static str],
    /// What is let in.
    pub limits: Limits,
    /// Counts connections that are refused, by reason ([`refusals`]).
    pub refused: IntCounterVec,
    /// No connection is accepted any more once this is cancelled.
    pub accept: CancellationToken,
    /// Every open connection is closed once this is cancelled.
    pub close: CancellationToken,
}

/// A counter of refused connections by reason: `handshake` (it failed), `timeout` (it took too long), `replaced` (it made
/// room for another one), `full` (too many connections are open), `accept` (the system gave none).
///
/// # Errors
/// When the name is not valid.
pub fn refusals(name: &str, help: &str) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), &["reason"])
}

/// Why nothing can be served. The texts are full sentences that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file is missing, cannot be read, or holds something else.
    #[error("The file {} for {purpose} cannot be used: {cause}. Give a PEM file.", path.display())]
    File {
        /// What is served.
        purpose: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The address cannot be listened on.
    #[error("The address {address} for {purpose} cannot be used: {cause}. Choose another one.")]
    Address {
        /// What is served.
        purpose: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
}

#[cfg(test)]
mod tests;
