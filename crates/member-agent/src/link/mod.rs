//! The member's session with the hub: reports which Services are exported and shows what the hub says of them
//! (networking sections 9 and 16).
//!
//! [`exports`] follows ServiceExports and Services and fills the outbox; [`connection`] keeps a stream to the hub and
//! empties it. They share nothing but the [`Shared`] state, so a broken stream never blocks a status and an unready
//! cache never opens a stream.

mod connection;
mod departure;
mod exports;
mod metrics;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::outbox::Outbox;
use fairway_core::link::{ExportKey, Verdict};
use jiff::Timestamp;
use kit::clock::Clock;
use kit::events::Recorder;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use connection::is_https;
pub use departure::{Departure, Stage};
pub use metrics::Metrics;

/// How the hub is reached and who we are.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the hub agent's sessions, `https://host:port`.
    pub address: String,
    /// Name that the hub's certificate must carry; the host of the address when absent.
    pub server_name: Option<String>,
    /// PEM file of the authority that the hub's certificate is checked against.
    pub ca_file: PathBuf,
    /// File with the bearer token of the member's identity on the hub, read for each connection.
    pub token_file: PathBuf,
    /// Name of the MemberCluster.
    pub cluster: String,
    /// Lease transitions of the agent's own lease; 0 without leader election.
    pub epoch: u64,
    /// First and longest wait before a reconnect; a random part of it is taken (networking 16.6).
    pub reconnect: [Duration; 2],
    /// Full syncs are spread over this time when the hub has a new leader (networking 16.5).
    pub spread: Duration,
}

impl Config {
    /// A member's sessions with the times of networking 16, without leader election.
    pub fn new(address: String, ca_file: PathBuf, token_file: PathBuf, cluster: String) -> Self {
        Self {
            address,
            server_name: None,
            ca_file,
            token_file,
            cluster,
            epoch: 0,
            reconnect: [Duration::from_millis(500), Duration::from_secs(30)],
            spread: Duration::from_secs(10),
        }
    }
}

/// What both halves share.
struct Shared {
    outbox: Mutex<Outbox>,
    /// Something is to be sent.
    wake: Notify,
    /// News of an export for its users.
    news: Mutex<BTreeMap<ExportKey, News>>,
    /// Verdicts that users see, by the number to acknowledge.
    shown: Mutex<BTreeMap<ExportKey, u64>>,
    /// Exports to look at again.
    revisit: Box<dyn Fn(ExportKey) + Send + Sync>,
    /// Since when each change waits for the hub.
    owed: Mutex<BTreeMap<ExportKey, Timestamp>>,
    metrics: Metrics,
}

impl Shared {
    /// The hub is owed a change of an export, which is to be sent.
    fn owe(&self, key: ExportKey, now: Timestamp) {
        let mut owed = self.owed.lock();
        owed.entry(key).or_insert(now);
        self.metrics.owed_since(owed.values().min());
        drop(owed);
        self.wake.notify_one();
    }

    /// The hub has answered: what is not open any more is no longer owed.
    fn answered(&self) {
        let outbox = self.outbox.lock();
        let open = outbox.open();
        let mut owed = self.owed.lock();
        owed.retain(|key, _| open.contains(key));
        self.metrics.owed_since(owed.values().min());
    }
}

/// What the hub said of an export, the newest only.
#[derive(Debug, Clone)]
enum News {
    /// A verdict.
    Verdict {
        /// Its number.
        seq: u64,
        /// What the hub judged.
        verdict: Verdict,
        /// The hub was told that users see it.
        told: bool,
    },
    /// The report was refused for good, with the reason as a full sentence.
    Refused(String),
}

/// Reports exports until `stop`. `departure` tells when the cluster leaves the fleet, which withdraws them all.
pub async fn run(
    config: Config,
    member: Client,
    departure: Arc<Departure>,
    recorder: Recorder,
    metrics: Metrics,
    clock: Clock,
    stop: CancellationToken,
) {
    let queue = exports::queue();
    let revisit = queue.clone();
    let shared = Arc::new(Shared {
        outbox: Mutex::new(Outbox::new()),
        wake: Notify::new(),
        news: Mutex::default(),
        shown: Mutex::default(),
        owed: Mutex::default(),
        revisit: Box::new(move |key| revisit.add(key)),
        metrics,
    });
    // A session starts with a full sync, which must not begin before every export has been looked at.
    let (ready, is_ready) = watch::channel(false);
    let exports = exports::Exports::new(
        Arc::clone(&shared),
        config.cluster.clone(),
        member.clone(),
        departure,
        recorder,
        clock,
    );
    let follow = exports.run(member, queue, ready, stop.clone());
    let talk = connection::run(config, shared, is_ready, stop);
    tokio::join!(follow, talk);
}
