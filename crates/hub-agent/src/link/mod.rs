//! The members' sessions: one authenticated gRPC stream per member, on which topics travel; a member reports its service
//! exports over the first of them.
//!
//! [`server`] lets a member in or refuses it, [`sessions`] knows which stream is the session of which cluster, and [`session`]
//! runs an open stream. What travels is up to the topics ([`topics`]): each has a channel of its own on the stream, and a
//! handler that carries out its changes. A change is acknowledged only after it is recorded (networking 16.1). Sessions
//! are served by the leader; another replica answers that it does not lead ([`stand_by`]), and they look for the
//! one that does.

mod answers;
mod auth;
mod config;
mod exports;
mod identity;
mod listener;
mod messages;
mod metrics;
mod retry;
mod server;
mod session;
mod sessions;
mod standby;
mod states;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use kit::clock::Clock;
use kube::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Config, LONGEST_DRAIN, Members, Membership, Rights};
pub use metrics::Metrics;
pub use retry::serve_again;
pub use standby::stand_by;
pub use topics::Topics;

pub use crate::presence::Presence;

use crate::services::Services;

/// What sessions are about.
pub struct Parts {
    /// Records what members export.
    pub services: Arc<Services>,
    /// Which clusters are members.
    pub members: Members,
    /// Whose rights may have changed.
    pub rights: Rights,
    /// Topics beside exports.
    pub topics: Topics,
    /// Takes in which members are silent.
    pub presence: Arc<Presence>,
}

/// How long the records of exports may take to be known before the log says why sessions wait.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// Serves sessions until `stop`. While the records of exports are not known it waits, and says so once.
///
/// # Errors
/// When the address cannot be listened on or the certificate files cannot be used; the text says what to do. Nothing is
/// left behind then.
pub async fn run(
    config: Config,
    client: Client,
    parts: Parts,
    metrics: Metrics,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), String> {
    let Parts {
        services,
        members,
        rights,
        topics,
        presence,
    } = parts;
    // A full sync is compared with the records, so no session may begin before they are known.
    let known = until_known(services.synced(), |waited| {
        let reason = services.trouble().unwrap_or_default();
        tracing::warn!("The members' sessions have waited {waited:?} for the records of exports: {reason}");
    });
    if stop.run_until_cancelled(known).await.is_none() {
        return Ok(());
    }
    let listener = listener::Listener::bind(&config, &metrics, &stop).await?;
    // What belongs to this run ends with it, also when serving fails.
    let ending = stop.child_token();
    let _ends = ending.clone().drop_guard();
    let tasks = TaskTracker::new();
    let others = topics.clone();
    let departed = Box::new(move |cluster: &str| others.forget(cluster));
    let sessions = sessions::Sessions::new(Arc::clone(&members), departed, presence, metrics.clone());
    services.observe(&sessions);
    tasks.spawn(Arc::clone(&sessions).follow_rights(rights, ending.clone()));
    let server = server::Server {
        auth: Arc::new(auth::Auth::new(client, config.believed)),
        members,
        sessions,
        services,
        topics,
        metrics,
        clock,
        config: config.clone(),
        stop: ending.clone(),
        tasks: tasks.clone(),
    };
    tracing::info!(address = %config.bind, "Serving the members' sessions.");
    let limit = usize::try_from(config.max_message).unwrap_or(usize::MAX);
    let served = listener.serve(server.service(limit), LONGEST_DRAIN).await;
    ending.cancel();
    tasks.close();
    tasks.wait().await;
    served.map_err(|cause| format!("The members' sessions are no longer served: {cause}."))
}

/// Waits for `known`, and calls `warn` once if that takes long.
async fn until_known(known: impl Future<Output = ()>, warn: impl FnOnce(Duration)) {
    let mut known = std::pin::pin!(known);
    if tokio::time::timeout(KNOWN_WITHIN, &mut known).await.is_err() {
        warn(KNOWN_WITHIN);
        known.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_for_the_records_is_reported_once() {
        for (takes, reports) in [(1, 0), (29, 0), (31, 1), (3600, 1)] {
            let reported = Cell::new(0);
            let known = tokio::time::sleep(Duration::from_secs(takes));
            until_known(known, |_| reported.set(reported.get() + 1)).await;
            assert_eq!(reported.get(), reports, "after {takes} s");
        }
    }
}
