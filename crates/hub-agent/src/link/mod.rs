//! The members' sessions: one authenticated gRPC stream per member, on which it reports its service exports.
//!
//! A report is acknowledged only after its InternalServiceExport is written (networking 16.1). Sessions are served by the
//! leader; another replica tells members that it does not lead ([`stand_by`]), and they look for the one that does.

mod auth;
mod identity;
mod metrics;
mod records;
mod resolver;
mod server;
mod sessions;
mod standby;
mod stream;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::session::CONFIRM_AFTER;
use kit::clock::Clock;
use kit::writer::Writer;
use kube::Client;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use metrics::Metrics;
pub use standby::stand_by;

/// Time for one write on the hub; a report that waits longer is answered `UNAVAILABLE` (networking 16.6).
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

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
    /// Idle time after which the hub asks whether the member is still there.
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
    /// Whether reports of type, weight and public address are recorded.
    pub traffic_manager: bool,
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
            ping_interval: Duration::from_secs(10),
            window: 256,
            max_message: 1 << 20,
            confirm_after: CONFIRM_AFTER.unsigned_abs(),
            believed: Duration::from_secs(60),
            drain: Duration::from_millis(500),
            drain_each: Duration::from_millis(10),
            traffic_manager: true,
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

/// Tells of clusters whose rights may have changed.
pub type Rights = broadcast::Receiver<String>;

/// Serves sessions until `stop`.
///
/// # Errors
/// When the address cannot be listened on or the certificate files cannot be used; the text says what to do.
pub async fn run(
    config: Config,
    client: Client,
    (members, rights): (Members, Rights),
    metrics: Metrics,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), String> {
    // What belongs to this run ends with it, also when the listener fails.
    let stop = stop.child_token();
    let tasks = TaskTracker::new();
    let writer = Writer::new(client.clone(), WRITE_DEADLINE);
    let sessions = sessions::Sessions::new(metrics.clone());
    let (records, index) = records::Records::new(writer.clone(), config.traffic_manager);
    let resolver = resolver::Resolver::new(Arc::clone(&records), Arc::clone(&sessions), writer.clone(), clock);
    tasks.spawn(Arc::clone(&sessions).follow_rights(rights, stop.clone()));
    let incoming = tls::listen(&config, stop.clone(), &tasks).await?;
    let watch = Arc::clone(&index);
    let (watch_client, watch_stop) = (client.clone(), stop.clone());
    tasks.spawn(async move { watch.run(watch_client, watch_stop).await });
    let resolve_stop = stop.clone();
    tasks.spawn(resolver.run(Arc::clone(&index), resolve_stop));
    // A full sync is compared with the records, so no session may begin before they are known.
    stop.run_until_cancelled(index.synced()).await;
    let server = server::Server {
        auth: Arc::new(auth::Auth::new(client, config.believed)),
        members,
        sessions,
        records,
        metrics,
        clock,
        config: config.clone(),
        stop: stop.clone(),
        tasks: tasks.clone(),
    };
    tracing::info!(address = %config.bind, "Serving the members' sessions.");
    let served = server.serve(incoming).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    served
}
