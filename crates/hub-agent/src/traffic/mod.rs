//! Public traffic: TrafficManagerProfiles and TrafficManagerBackends become profiles and endpoints of a traffic manager
//! (networking 6, 7 and 12). What is decided is in `fairway_core::traffic`; here are the watches, the calls and their
//! answers.
//!
//! It runs on the leader alone, because a profile has one writer. It waits for the kinds to be installed and for a cloud
//! config that can be used; everything else goes on without it.

mod background;
mod calls;
mod connect;
mod controller;
mod hints;
mod metrics;
mod observations;
mod store;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::resource::Resource;
use api::text::events::traffic as components;
use kit::backoff::Backoff;
use kit::controller::{Environment, Runner, Series, Triggers};
use kit::index::Index;
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::presence::Presence;
use crate::resources::crds::{self, Definition};
use crate::services::Services;
use crate::store::Store;
use calls::Calls;
use connect::Connected;
use controller::TrafficController;
use hints::Hints;
pub use metrics::TrafficMetrics;
use observations::Observations;
use store::TrafficStore;

/// Profiles that are planned at a time.
const WORKERS: usize = 4;

/// Waits before passes are repeated that failed.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(30));

/// Kinds without which no profile can be worked on.
const KINDS: [Resource; 3] = [
    kinds::TRAFFIC_MANAGER_PROFILE,
    kinds::TRAFFIC_MANAGER_BACKEND,
    kinds::INTERNAL_SERVICE_EXPORT,
];

/// What the readiness probe says of public traffic.
#[derive(Debug, Clone, Default)]
pub struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// What keeps profiles from being worked on, as a sentence.
    ///
    /// # Errors
    /// That sentence.
    pub fn check(&self) -> Result<(), String> {
        self.0.lock().clone().map_or(Ok(()), Err)
    }

    /// Says what is wrong, once in the log.
    fn set(&self, reason: String) {
        tracing::warn!("{reason} Everything else works; this is tried again.");
        *self.0.lock() = Some(reason);
    }

    fn clear(&self) {
        *self.0.lock() = None;
    }
}

/// Everything that public traffic needs.
pub struct Traffic {
    /// What it shares with other controllers.
    pub environment: Environment,
    /// The records of exports.
    pub services: Arc<Services>,
    /// The members.
    pub fleet: Arc<Store>,
    /// Members that begin to leave, or are gone.
    pub membership: broadcast::Receiver<String>,
    /// Which members are silent.
    pub presence: Arc<Presence>,
    /// How long a member without a session may be silent before it counts as lost.
    pub silence_limit: Duration,
    /// Path of the cloud config.
    pub cloud_config: PathBuf,
    /// Its series.
    pub metrics: TrafficMetrics,
    /// Counts passes, under the names of both controllers of fleet-networking.
    pub series: Vec<Series>,
    /// What the readiness probe shows.
    pub trouble: Trouble,
}

impl Traffic {
    /// Runs until `stop`; `definitions` are those of the hub.
    pub(crate) async fn run(self, definitions: Arc<Index<Definition>>, stop: CancellationToken) {
        let connected = async {
            self.installed(&definitions).await;
            let connected = connect::connect(&self.cloud_config, |error| {
                self.trouble.set(format!(
                    "TrafficManagerProfiles are not worked on, because the traffic manager of the cloud config {} cannot \
                     be used: {error} Mend it, or switch the feature off with --enable-traffic-manager-feature=false.",
                    self.cloud_config.display()
                ));
            });
            let connected = Box::pin(connected).await;
            self.trouble.clear();
            connected
        };
        if let Some(connected) = stop.run_until_cancelled(connected).await {
            Box::pin(self.work(connected, stop)).await;
        }
    }

    /// Waits until the kinds are there.
    async fn installed(&self, definitions: &Index<Definition>) {
        crds::until_served(definitions, &KINDS, |missing| {
            if missing.is_empty() {
                return self.trouble.clear();
            }
            let names: Vec<&str> = missing.iter().map(|kind| kind.kind.as_ref()).collect();
            self.trouble.set(format!(
                "TrafficManagerProfiles are not worked on, because these kinds of networking.fleet.azure.com are not \
                 installed on the hub: {}. Apply the files under deploy/crds.",
                names.join(", ")
            ));
        })
        .await;
    }

    async fn work(self, connected: Connected, stop: CancellationToken) {
        let Self {
            environment,
            services,
            fleet,
            membership,
            presence,
            silence_limit,
            metrics,
            series,
            ..
        } = self;
        let triggers = Triggers::new(BACKOFF);
        let store = TrafficStore::new(&triggers, &metrics);
        environment.indexes.add(Arc::clone(&store.profiles) as _);
        environment.indexes.add(Arc::clone(&store.backends) as _);
        services.observe(&store);
        let observations = Arc::<Observations>::default();
        let calls = Calls::new(
            connected.port,
            Arc::clone(&observations),
            triggers.clone(),
            metrics.clone(),
            environment.clock,
        );
        let hints = Hints::new(
            connected.hints,
            Arc::clone(&observations),
            triggers.clone(),
            metrics.clone(),
            environment.clock,
        );
        let silences = presence.changes();
        series.iter().for_each(|series| series.announce(WORKERS));
        let controller = TrafficController {
            store: Arc::clone(&store),
            observations,
            calls: Arc::clone(&calls),
            hints,
            presence,
            silence_limit,
            services: Arc::clone(&services),
            fleet,
            default_group: connected.resource_group,
            metrics,
            series,
        };
        let client = environment.writer.client().clone();
        let runner = Runner::new(controller, triggers.clone(), &environment);
        let work = async {
            triggers.queue().retry_after_outages_of(&client).await;
            // Without all records a service would seem not to be exported, and its endpoints would go.
            let known = async { tokio::join!(store.synced(), services.synced()) };
            if stop.run_until_cancelled(known).await.is_some() {
                tracing::info!("Working on TrafficManagerProfiles.");
                let sent = stop.run_until_cancelled(calls.send_in_turns());
                tokio::join!(runner.run(WORKERS, stop.clone()), sent);
                calls.finish().await;
            }
        };
        let recorder = &environment.recorder;
        let unreadable = async {
            tokio::join!(
                store
                    .profiles
                    .report_unreadable(recorder, components::PROFILE_CONTROLLER),
                store
                    .backends
                    .report_unreadable(recorder, components::BACKEND_CONTROLLER),
            )
        };
        tokio::join!(
            Box::pin(store.profiles.run(client.clone(), stop.clone())),
            Box::pin(store.backends.run(client.clone(), stop.clone())),
            follow_members(membership, &services, &store, &stop),
            follow_members(silences, &services, &store, &stop),
            async {
                let _ = stop.run_until_cancelled(unreadable).await;
            },
            Box::pin(work),
        );
    }
}

/// Looks at the profiles again whose exports are those of a member that begins to leave, or is silent.
async fn follow_members(
    mut members: broadcast::Receiver<String>,
    services: &Services,
    store: &TrafficStore,
    stop: &CancellationToken,
) {
    while let Some(changed) = stop.run_until_cancelled(members.recv()).await {
        match changed {
            Ok(cluster) => {
                for service in services.exports_of(&cluster) {
                    store.service_changed(&service);
                }
            }
            Err(RecvError::Lagged(_)) => store.all_changed(),
            Err(RecvError::Closed) => return,
        }
    }
}
