//! Wires the agent together and runs it (hub-behaviour 11.4).

use std::sync::Arc;
use std::time::Duration;

use fairway_core::members;
use kit::backoff::Backoff;
use kit::client::{Bucket, ClientError, Options, Source};
use kit::clock::Clock;
use kit::events::{self, Recorder};
use kit::lease::{self, Elector};
use kit::metrics::Metrics;
use kit::shutdown::{Tasks, VitalTaskEnded};
use kit::writer::Writer;
use kit::{admin, queue};
use kube::Client;
use prometheus::IntCounterVec;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::args::Config;
use crate::controllers::crowd::Crowd;
use crate::controllers::member::MemberController;
use crate::controllers::overrides::OverrideController;
use crate::controllers::placement::PlacementController;
use crate::controllers::standing::StandingWarnings;
use crate::execute::Executor;
use crate::link::{self, Members, Membership};
use crate::metrics::{HubMetrics, controllers};
use crate::required::{self, Missing};
use crate::resources::Resources;
use crate::services::Services;
use crate::store::Store;
use crate::wake::Wake;

/// Time for one write.
const WRITE_DEADLINE: Duration = Duration::from_secs(15);
/// Time for running work to finish when the agent ends.
const GRACE: Duration = Duration::from_secs(20);
/// Waits before the members' sessions are tried again when they cannot be served.
const LINK_RETRY: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
/// Time for the last answers to members before this replica leads.
const STANDBY_GRACE: Duration = Duration::from_secs(1);
/// How long work waits at the start for kinds that cannot be listed; placements that need them wait longer.
const RESOURCES_PATIENCE: Duration = Duration::from_secs(20);

/// The agent's ways to the world outside: two clients with separate rate limits, and a clock.
#[derive(Clone)]
pub struct Clients {
    /// For everything but the lease.
    pub general: Client,
    /// For the lease.
    pub election: Client,
    /// Counts requests; shown with the metrics.
    pub counter: Option<IntCounterVec>,
    /// Tells the time.
    pub clock: Clock,
}

/// Why the agent ends.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something it needs is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// An address cannot be used.
    #[error(transparent)]
    Bind(#[from] admin::BindError),
    /// The metrics cannot be set up.
    #[error("The metrics cannot be set up: {0}.")]
    Metrics(#[from] prometheus::Error),
    /// A part that it cannot live without ended.
    #[error(transparent)]
    Vital(#[from] VitalTaskEnded),
}

impl Clients {
    /// Builds the clients that the command line asks for.
    ///
    /// # Errors
    /// When a kubeconfig or certificate cannot be used.
    pub async fn build(config: &Config) -> Result<Self, ClientError> {
        let counter = kit::client::request_counter().ok();
        let mut general = Options::new(Source::infer(&config.hub.kubeconfig));
        general.rate = config.hub.rate;
        general.user_agent = concat!("hub-agent/", env!("CARGO_PKG_VERSION")).to_owned();
        general.counter = counter.clone();
        let election = Options {
            rate: config.election.rate,
            ..general.clone()
        };
        Ok(Self {
            general: kit::client::build(general).await?,
            election: kit::client::build(election).await?,
            counter,
            clock: Clock::System,
        })
    }

    /// One client for both purposes, as tests in process use it.
    pub fn shared(client: Client) -> Self {
        Self {
            general: client.clone(),
            election: client,
            counter: None,
            clock: Clock::System,
        }
    }
}

/// Runs the agent until `stop`.
///
/// # Errors
/// When it cannot start, loses its lease, or a vital part ends.
pub async fn run(config: Config, clients: Clients, stop: CancellationToken) -> Result<(), Failure> {
    let registry = Metrics::new()?;
    if let Some(counter) = &clients.counter {
        registry.register(counter.clone())?;
    }
    let metrics = Arc::new(HubMetrics::new(&registry)?);
    let sessions = link::Metrics::register(registry.registry())?;
    let agent = Agent::new(config, &clients, metrics, sessions);
    let mut tasks = Tasks::new(stop.clone());
    agent.serve(registry, &mut tasks).await?;
    agent.watch(&mut tasks);
    let start = async {
        required::wait(agent.config.features, agent.resources.definitions()).await?;
        agent.watch_fleet(&mut tasks);
        Ok::<_, Missing>(agent.lead(&mut tasks).await)
    };
    let leading = match stop.run_until_cancelled(start).await {
        Some(Ok(Some(leading))) => leading,
        Some(Ok(None)) | None => return Ok(tasks.join(GRACE).await?),
        Some(Err(missing)) => {
            stop.cancel();
            tasks.join(GRACE).await?;
            return Err(missing.into());
        }
    };
    agent.work(&mut tasks, &leading).await;
    tasks.spawn_endless("leading", async move {
        stop.cancelled().await;
        drop(leading);
    });
    Ok(tasks.join(GRACE).await?)
}

/// The right to write, held by everything that does. The lease is given back once nobody holds it any more, so that no
/// other replica works while one of our passes still runs.
type Leading = Arc<DropGuard>;

/// The parts of the agent.
struct Agent {
    config: Config,
    clients: Clients,
    clock: Clock,
    wake: Arc<Wake>,
    store: Arc<Store>,
    resources: Arc<Resources>,
    metrics: Arc<HubMetrics>,
    sessions: link::Metrics,
    writer: Writer,
}

impl Agent {
    fn new(config: Config, clients: &Clients, metrics: Arc<HubMetrics>, sessions: link::Metrics) -> Self {
        let clock = clients.clock;
        let wake = Arc::new(Wake::new(config.queues.backoff).counted_by(Arc::clone(&metrics)));
        let store = Arc::new(Store::new(&wake, config.features.resource_placement, clock));
        let resources = Arc::new(Resources::new(
            config.selection.apis.clone(),
            config.selection.namespaces.clone(),
            Arc::clone(&store.interner),
            Arc::clone(&store.interest),
            Arc::clone(&wake),
        ));
        let writer = Writer::new(clients.general.clone(), WRITE_DEADLINE);
        Self {
            config,
            clients: clients.clone(),
            clock,
            wake,
            store,
            resources,
            metrics,
            sessions,
            writer,
        }
    }

    /// Probes and metrics.
    async fn serve(&self, registry: Metrics, tasks: &mut Tasks) -> Result<(), Failure> {
        let (resources, indexes) = (Arc::clone(&self.resources), self.store.indexes());
        let ready = Arc::new(move || {
            resources.ready()?;
            indexes.values().find_map(|index| index.trouble()).map_or(Ok(()), Err)
        });
        let process = &self.config.process;
        if let Some(probes) = admin::probes(&process.probes, ready).await? {
            tasks.spawn("probes", probes.run(tasks.stop().clone()));
        }
        if let Some(metrics) = admin::metrics(&process.metrics, registry).await? {
            tasks.spawn("metrics", metrics.run(tasks.stop().clone()));
        }
        Ok(())
    }

    /// Watches of selectable resources; every replica keeps them.
    fn watch(&self, tasks: &mut Tasks) {
        let resources = Arc::clone(&self.resources);
        tasks.spawn_endless(
            "resource watches",
            resources.run(self.clients.general.clone(), tasks.stop().clone()),
        );
    }

    /// Watches of the fleet's own objects, once their kinds are there.
    fn watch_fleet(&self, tasks: &mut Tasks) {
        for index in self.store.indexes().into_values() {
            tasks.spawn_endless(
                "fleet watch",
                index.run(self.clients.general.clone(), tasks.stop().clone()),
            );
        }
    }

    /// Waits to be the leader. `None` when asked to end first.
    async fn lead(&self, tasks: &mut Tasks) -> Option<Leading> {
        let election = &self.config.election;
        let at_rest = CancellationToken::new();
        let leading = Arc::new(at_rest.clone().drop_guard());
        if !election.enabled {
            return Some(leading);
        }
        let options = lease::Options {
            namespace: election.namespace.clone(),
            name: api::names::HUB_LEASE.to_owned(),
            identity: lease::Options::identity(),
            lease_duration: election.lease_duration,
            renew_deadline: election.renew_deadline,
            retry_period: election.retry_period,
        };
        let mut elector = Elector::new(self.clients.election.clone(), options, self.clock);
        let (waiting, standby) = self.stand_by(tasks.stop());
        let leads = elector.acquire(tasks.stop()).await;
        // Its address is about to be used by the sessions themselves.
        waiting.cancel();
        let _ = tokio::time::timeout(STANDBY_GRACE, standby).await;
        if !leads {
            return None;
        }
        tasks.spawn_lease("leader lease", elector.keep(at_rest));
        Some(leading)
    }

    /// Tells members that this replica does not lead, until the token is cancelled.
    fn stand_by(&self, stop: &CancellationToken) -> (CancellationToken, JoinHandle<()>) {
        let (waiting, config) = (stop.child_token(), self.config.link.clone());
        let (metrics, until) = (self.sessions.clone(), waiting.clone());
        let standby = tokio::spawn(async move {
            if let Some(config) = config
                && let Err(reason) = link::stand_by(config, metrics, until).await
            {
                tracing::info!("{reason}");
            }
        });
        (waiting, standby)
    }

    /// Starts the controllers, once everything they read is there.
    async fn work(&self, tasks: &mut Tasks, leading: &Leading) {
        let stop = tasks.stop().clone();
        if stop.run_until_cancelled(self.synced()).await.is_none() {
            return;
        }
        let hub = &self.clients.general;
        self.wake.placements.retry_after_outages_of(hub).await;
        self.wake.members.retry_after_outages_of(hub).await;
        self.wake.overrides.retry_after_outages_of(hub).await;
        let (recorder, events) = events::channel(self.writer.clone(), self.clock);
        tasks.spawn_endless("events", events.run(stop));
        let on = self.config.controllers;
        if on.members {
            self.work_on_members(tasks, recorder.clone(), leading);
        }
        if on.overrides {
            self.work_on_overrides(tasks, recorder.clone(), leading);
        }
        if on.any_stage() {
            self.work_on_placements(tasks, recorder, leading);
        }
        let services = self.work_on_services(tasks, leading);
        self.serve_members(tasks, services, leading);
        tracing::info!("Working.");
    }

    /// Waits until the indexes are complete.
    async fn synced(&self) {
        let indexes = self.store.indexes();
        for index in indexes.values() {
            index.wait_synced().await;
        }
        if tokio::time::timeout(RESOURCES_PATIENCE, self.resources.wait_ready())
            .await
            .is_err()
        {
            let reason = self.resources.ready().err().unwrap_or_default();
            tracing::warn!(reason, "Some kinds are not known yet; placements that need them wait.");
        }
    }

    fn executor(&self) -> Executor {
        Executor::new(self.writer.clone(), Arc::clone(&self.store), Arc::clone(&self.wake))
    }

    fn repetitions(&self) -> Bucket {
        Bucket::new(self.config.queues.repetitions)
    }

    fn work_on_members(&self, tasks: &mut Tasks, recorder: Recorder, leading: &Leading) {
        let rules = self.config.members;
        let controller = Arc::new(MemberController {
            store: Arc::clone(&self.store),
            executor: self.executor().managed_by(api::text::managers::MEMBER_CLUSTER),
            wake: Arc::clone(&self.wake),
            settings: members::Settings {
                expected_agents: members::expected_agents(rules.networking),
                force_delete_wait: rules.force_delete_wait,
            },
            recorder,
            metrics: Arc::clone(&self.metrics),
            clock: self.clock,
            repetitions: self.repetitions(),
            warnings: StandingWarnings::default(),
        });
        let workers = self.config.queues.member_workers();
        self.metrics.announce(controllers::MEMBER, workers);
        let (wake, stop, leading) = (Arc::clone(&self.wake), tasks.stop().clone(), Arc::clone(leading));
        tasks.spawn_endless("member controller", async move {
            let handle = |name| {
                let controller = Arc::clone(&controller);
                async move { controller.reconcile(name).await }
            };
            queue::work(&wake.members, workers, &stop, handle).await;
            drop(leading);
        });
    }

    /// Judges exported services, with or without sessions: agents may write their records themselves.
    fn work_on_services(&self, tasks: &mut Tasks, leading: &Leading) -> Arc<Services> {
        let services = Services::new(self.clients.general.clone(), self.config.traffic_manager, self.clock);
        let (running, resources) = (Arc::clone(&services), Arc::clone(&self.resources));
        let (stop, leading) = (tasks.stop().clone(), Arc::clone(leading));
        tasks.spawn_endless("service controller", async move {
            running.run_once_installed(resources.definitions(), stop).await;
            drop(leading);
        });
        services
    }

    /// Serves the members' sessions, on the leader only. A certificate that is missing must not take the rest down.
    fn serve_members(&self, tasks: &mut Tasks, services: Arc<Services>, leading: &Leading) {
        let Some(config) = self.config.link.clone() else { return };
        let store = Arc::clone(&self.store);
        let members: Members = Arc::new(move |name| match store.member(name) {
            None => Membership::None,
            Some(member) if member.meta.is_deleting() => Membership::Leaving,
            Some(_) => Membership::Member,
        });
        let (client, metrics, clock) = (self.clients.general.clone(), self.sessions.clone(), self.clock);
        let (wake, stop, leading) = (Arc::clone(&self.wake), tasks.stop().clone(), Arc::clone(leading));
        tasks.spawn_endless("members' sessions", async move {
            let mut failures = 0;
            while !stop.is_cancelled() {
                let (members, metrics) = (Arc::clone(&members), metrics.clone());
                let known = (members, wake.rights.subscribe());
                let (client, services) = (client.clone(), Arc::clone(&services));
                let served = link::run(config.clone(), client, services, known, metrics, clock, stop.clone()).await;
                if let Err(reason) = served {
                    failures += 1;
                    tracing::warn!(failures, "{reason} Until then no member can report exports.");
                }
                stop.run_until_cancelled(tokio::time::sleep(LINK_RETRY.delay(failures)))
                    .await;
            }
            drop(leading);
        });
    }

    fn work_on_overrides(&self, tasks: &mut Tasks, recorder: Recorder, leading: &Leading) {
        for name in [controllers::CLUSTER_OVERRIDE, controllers::OVERRIDE] {
            self.metrics.announce(name, 1);
        }
        let controller = Arc::new(OverrideController {
            store: Arc::clone(&self.store),
            executor: self.executor().managed_by(api::text::managers::OVERRIDE),
            wake: Arc::clone(&self.wake),
            metrics: Arc::clone(&self.metrics),
            repetitions: self.repetitions(),
            recorder,
            resources: Arc::clone(&self.resources),
            warnings: StandingWarnings::default(),
        });
        let (wake, stop, leading) = (Arc::clone(&self.wake), tasks.stop().clone(), Arc::clone(leading));
        tasks.spawn_endless("override controller", async move {
            let handle = |key| {
                let controller = Arc::clone(&controller);
                async move { controller.reconcile(key).await }
            };
            queue::work(&wake.overrides, 1, &stop, handle).await;
            drop(leading);
        });
    }

    /// Shows the controllers whose work passes over placements and the watches around them do.
    fn announce_placements(&self, workers: usize) {
        let namespaced = self.config.features.resource_placement;
        let mut all = controllers::of_scope(false, self.config.planner.stages);
        if namespaced {
            all.extend(controllers::of_scope(true, self.config.planner.stages));
        }
        all.iter().for_each(|name| self.metrics.announce(name, workers));
        self.metrics
            .announce(controllers::RESOURCE_CHANGE, self.config.queues.resource_changes);
        controllers::all_watchers(namespaced)
            .iter()
            .for_each(|name| self.metrics.announce(name, 1));
    }

    fn work_on_placements(&self, tasks: &mut Tasks, recorder: Recorder, leading: &Leading) {
        let queues = self.config.queues;
        let workers = queues.placement_workers();
        self.announce_placements(workers);
        let controller = Arc::new(PlacementController {
            store: Arc::clone(&self.store),
            resources: Arc::clone(&self.resources),
            executor: self.executor().with_resources(Arc::clone(&self.resources)),
            wake: Arc::clone(&self.wake),
            settings: self.config.planner.clone(),
            longest_wait: queues.backoff.max,
            recorder,
            metrics: Arc::clone(&self.metrics),
            clock: self.clock,
            repetitions: self.repetitions(),
            memory: parking_lot::Mutex::default(),
            crowd: Crowd::default(),
        });
        let (store, wake, stop) = (Arc::clone(&self.store), Arc::clone(&self.wake), tasks.stop().clone());
        tasks.spawn_endless("unreadable bindings", async move {
            stop.run_until_cancelled(store.follow_unreadable_bindings(&wake)).await;
        });
        let (wake, stop, leading) = (Arc::clone(&self.wake), tasks.stop().clone(), Arc::clone(leading));
        tasks.spawn_endless("placement controller", async move {
            let handle = |key| {
                let controller = Arc::clone(&controller);
                async move { controller.reconcile(key).await }
            };
            queue::work(&wake.placements, workers, &stop, handle).await;
            drop(leading);
        });
    }
}
