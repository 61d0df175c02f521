//! The member's session with the hub: reports which Services are exported and shows what the hub says of them
//! (networking sections 9 and 16).
//!
//! [`exports`] follows ServiceExports and Services and fills the outbox; [`connection`] keeps a stream to the hub, over
//! which [`talk`] empties it. They share nothing but the [`Shared`] state, so a broken stream never blocks a status and
//! an unready cache never opens a stream. Where it is asked for, [`objects`] takes the place of both and writes the
//! InternalServiceExports itself.

mod connection;
mod departure;
mod exports;
mod metrics;
mod objects;
mod talk;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::outbox::Outbox;
use fairway_core::link::{ExportKey, NackCode, Verdict};
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

/// How exports reach the hub (networking 16.1).
#[derive(Clone)]
pub enum Way {
    /// Over a session with the hub agent, which writes the records.
    Session(Config),
    /// As objects that the agent writes itself.
    Objects(Objects),
}

impl From<Config> for Way {
    fn from(config: Config) -> Self {
        Self::Session(config)
    }
}

/// Where and how the agent writes its records itself.
#[derive(Clone)]
pub struct Objects {
    /// The hub, with the rights of the member.
    pub hub: Client,
    /// Name of the MemberCluster.
    pub cluster: String,
    /// Whether type, weight and public address are recorded.
    pub traffic_manager: bool,
}

/// How the member proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By the bearer token in this file, read for each connection.
    TokenFile(PathBuf),
    /// By a client certificate, PEM files read for each connection.
    Certificate {
        /// The certificate.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// How the hub is reached and who we are.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the hub agent's sessions, `https://host:port`.
    pub address: String,
    /// Name that the hub's certificate must carry; the host of the address when absent.
    pub server_name: Option<String>,
    /// PEM file of the authority that the hub's certificate is checked against.
    pub ca_file: PathBuf,
    /// The member's identity on the hub.
    pub identity: Identity,
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
    pub fn new(address: String, ca_file: PathBuf, identity: Identity, cluster: String) -> Self {
        Self {
            address,
            server_name: None,
            ca_file,
            identity,
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

    /// Shows a verdict. While the newest report of the export stands refused, the hub judges what it recorded before,
    /// and that must not hide the refusal.
    fn judged(&self, key: ExportKey, seq: u64, verdict: Verdict) {
        let stands_refused = matches!(self.news.lock().get(&key), Some(News::Refused(_)));
        if !stands_refused {
            let told = false;
            self.tell(key, News::Verdict { seq, verdict, told });
        }
    }

    /// Shows that a report was refused for good.
    fn refused(&self, key: ExportKey, code: NackCode, text: &str) {
        let code = code.as_str();
        self.metrics.refused.with_label_values(&[code]).inc();
        tracing::warn!(export = %key, code, message = text, "The hub refused an export.");
        self.tell(
            key,
            News::Refused(format!("The hub refused the export ({code}): {text}")),
        );
    }

    fn tell(&self, key: ExportKey, news: News) {
        self.news.lock().insert(key.clone(), news);
        (self.revisit)(key);
    }

    fn revisit_all(&self, keys: Vec<ExportKey>) {
        keys.into_iter().for_each(|key| (self.revisit)(key));
    }

    /// The hub answers anew, so an earlier refusal of the export does not stand any more.
    fn sent(&self, key: &ExportKey) {
        let mut news = self.news.lock();
        if matches!(news.get(key), Some(News::Refused(_))) {
            news.remove(key);
        }
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
    way: impl Into<Way>,
    member: Client,
    departure: Arc<Departure>,
    recorder: Recorder,
    metrics: Metrics,
    clock: Clock,
    stop: CancellationToken,
) {
    let way = way.into();
    let cluster = match &way {
        Way::Session(config) => config.cluster.clone(),
        Way::Objects(objects) => objects.cluster.clone(),
    };
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
    let exports = exports::Exports::new(Arc::clone(&shared), cluster, member.clone(), departure, recorder, clock);
    let follow = exports.run(member, queue, ready, stop.clone());
    let speak = async {
        match way {
            Way::Session(config) => connection::run(config, shared, is_ready, stop).await,
            Way::Objects(objects) => objects::run(objects, shared, is_ready, stop).await,
        }
    };
    tokio::join!(follow, speak);
}
