//! The member's session with the hub: reports which Services are exported and shows what the hub answers about them
//! (networking sections 9 and 16).
//!
//! [`exports`] follows ServiceExports and Services and fills the outbox; [`connection`] keeps a stream to the hub open,
//! over which a [`session`] empties it. They share nothing but the [`Shared`] state, so a broken stream never blocks a
//! status and an unready cache never opens a stream. What travels over a stream is up to its [`topics`]: each has a
//! [`channel`] of its own, in whichever direction its changes go. Where it is configured, [`objects`] replaces connection and
//! session and writes the InternalServiceExports itself.

mod channel;
mod config;
mod connection;
mod departure;
mod dial;
mod ended;
mod exports;
mod first_byte;
mod metrics;
mod objects;
mod retry;
mod session;
mod shared;
mod topic;
mod topics;
mod traffic;

use std::sync::Arc;

use kit::clock::Clock;
use kit::events::Recorder;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use config::{Config, Identity, Objects, Way};
pub use departure::{Departure, Stage};
pub(crate) use dial::is_https;
pub use metrics::Metrics;
use shared::Shared;
pub use topics::Topics;
pub use traffic::{Cloud, CloudConfigFile, Traffic};

/// What reporting needs of the agent, however it is done.
pub struct Parts {
    /// The member.
    pub member: Client,
    /// When the cluster leaves the fleet, which withdraws all exports.
    pub departure: Arc<Departure>,
    /// Takes events on ServiceExports.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Metrics,
    /// The time of day.
    pub clock: Clock,
    /// What is reported for traffic.
    pub traffic: Traffic,
}

/// Reports exports until `stop`.
pub async fn run(way: impl Into<Way>, parts: Parts, stop: CancellationToken) {
    let mut way = way.into();
    let cluster = match &mut way {
        Way::Session(config) => {
            config.traffic_manager = matches!(parts.traffic, Traffic::On(_));
            config.cluster.clone()
        }
        Way::Objects(objects) => objects.cluster.clone(),
    };
    let queue = exports::queue();
    let revisit = queue.clone();
    let shared = Arc::new(Shared::new(parts.metrics.clone(), move |key| revisit.add(key)));
    // A session starts with a full sync, which must not begin before every export has been looked at.
    let (ready, is_ready) = watch::channel(false);
    let exports = exports::Exports::new(Arc::clone(&shared), cluster, &parts);
    let follow = exports.run(parts, queue, ready, stop.clone());
    let report = async {
        match way {
            Way::Session(config) => {
                let dialer = dial::Dialer::new(&config);
                connection::run(config, dialer, shared, is_ready, stop).await;
            }
            Way::Objects(objects) => objects::run(objects, shared, is_ready, stop).await,
        }
    };
    tokio::join!(Box::pin(follow), Box::pin(report));
}
