//! How sessions are served, and what they need to know of the fleet.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::inbox::CONFIRM_AFTER;
use kit::tls::{Files, Limits};
use tokio::sync::broadcast;

/// How sessions are served.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Serving certificate, PEM; read anew for each connection, so a rotated one is used at once.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Authority of the client certificates that name members, PEM; without one only tokens do.
    pub client_ca_file: Option<PathBuf>,
    /// Bounds of connections and handshakes.
    pub limits: Limits,
    /// Idle time after which the hub sends a ping.
    pub ping_interval: Duration,
    /// Reports that a member may have unacknowledged.
    pub window: u32,
    /// Largest message in bytes.
    pub max_message: u32,
    /// Least time between the two full syncs that the removal of most exports of a cluster needs.
    pub confirm_after: Duration,
    /// How long the API server's answers about a token and its rights are believed (networking 16.7).
    pub believed: Duration,
    /// Time that members get to settle what is under way and to leave when the hub agent ends; each open session adds
    /// [`Config::drain_each`], up to [`LONGEST_DRAIN`].
    pub drain: Duration,
    /// What each open session adds to [`Config::drain`], so that a large fleet does not come back all at once.
    pub drain_each: Duration,
}

/// No fleet gets longer to leave a hub agent that ends, which has some seconds more before it is killed.
pub const LONGEST_DRAIN: Duration = Duration::from_secs(10);

impl Config {
    /// Sessions at an address under a certificate, with the values of networking 16.4 for the rest.
    pub fn new(bind: SocketAddr, cert_file: PathBuf, key_file: PathBuf) -> Self {
        Self {
            bind,
            cert_file,
            key_file,
            client_ca_file: None,
            limits: Limits::default(),
            ping_interval: Duration::from_secs(10),
            window: 256,
            max_message: 1 << 20,
            confirm_after: CONFIRM_AFTER.unsigned_abs(),
            believed: Duration::from_secs(60),
            drain: Duration::from_millis(500),
            drain_each: Duration::from_millis(10),
        }
    }

    /// The files that make the connections' encryption.
    pub(super) fn files(&self) -> Files {
        Files {
            cert: self.cert_file.clone(),
            key: self.key_file.clone(),
            client_ca: self.client_ca_file.clone(),
        }
    }
}

/// What the fleet knows of a cluster that wants to open a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// There is no such MemberCluster.
    None,
    /// It is a member.
    Member,
    /// It is leaving: withdrawals only.
    Leaving,
}

/// Answers whether a cluster is a member.
pub type Members = Arc<dyn Fn(&str) -> Membership + Send + Sync>;

/// Names the clusters whose rights may have changed.
pub type Rights = broadcast::Receiver<String>;
