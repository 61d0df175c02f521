//! Wires the agent together and runs it (hub-behaviour 11.4).

use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use fairway_core::members;
use kit::Resource;
use kit::admin;
use kit::client::{ClientError, Options, Source};
use kit::clock::Clock;
use kit::controller::{Controller, Environment, Indexes, Runner};
use kit::events;
use kit::lease::{self, Elector};
use kit::metrics::Metrics;
use kit::shutdown::{Tasks, VitalTaskEnded};
use kit::writer::Writer;
use kube::Client;
use prometheus::IntCounterVec;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::args::Config;
use crate::controllers::deferred::DeferredWrites;
use crate::controllers::member::MemberController;
use crate::controllers::overrides::OverrideController;
use crate::controllers::placement::PlacementController;
use crate::link::{self, Members, Membership};
use crate::metrics::{HubMetrics, controllers};
use crate::queues::Queues;
use crate::required::{self, Missing};
use crate::resources::Resources;
use crate::services::Services;
use crate::store::Store;
use crate::traffic::{Traffic, TrafficMetrics, Trouble};

/// Kinds whose objects users write, with the component that reports what is wrong with them.
const OWNED_BY_USERS: [(Resource, &str); 5] = [
    (kinds::CLUSTER_RESOURCE_PLACEMENT, "placement-controller"),
    (kinds::RESOURCE_PLACEMENT, "placement-controller"),
    (kinds::CLUSTER_RESOURCE_OVERRIDE, "override-controller"),
    (kinds::RESOURCE_OVERRIDE, "override-controller"),
    (kinds::MEMBER_CLUSTER, "member-cluster-controller"),
];
/// Time for one write.
const WRITE_DEADLINE: Duration = Duration::from_secs(15);
/// Time for running work to finish when the agent ends.
const GRACE: Duration = Duration::from_secs(20);
/// Time for the last answers to members before this replica leads.
const STANDBY_GRACE: Duration = Duration::from_secs(1);
/// How long work waits at the start for kinds that cannot be listed; placements that need them wait longer.
const RESOURCES_TIMEOUT: Duration = Duration::from_secs(20);

/// The agent's ways to the world outside: two clients with separate rate limits, and a clock.
#[derive(Clone)]
pub struct Clients {
    /// For everything but the lease.
    pub general: Client,
    /// For the lease.
    pub election: Client,
    /// Counts requests; shown with the metrics.
    pub counter: Option<IntCounterVec>,
    /// The clock.
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
    /// Builds the clients that the command line selects.
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

    /// One client of a server in this process for both purposes, for tests.
    pub fn shared(client: Client) -> Self {
        let client = kit::client::in_process(client);
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
    let traffic = TrafficMetrics::register(&registry)?;
    let agent = Agent::new(config, &clients, metrics, sessions, traffic);
    let mut tasks = Tasks::new(stop.clone());
    agent.serve(registry, &mut tasks).await?;
    agent.watch(&mut tasks);
    let installed = required::wait(agent.config.features, agent.resources.definitions());
    match tasks.prepare(installed).await {
        Some(Ok(())) => {}
        None => return Ok(tasks.join(GRACE).await?),
        Some(Err(missing)) => {
            stop.cancel();
            tasks.join(GRACE).await?;
            return Err(missing.into());
        }
    }
    agent.watch_fleet(&mut tasks);
    let Some(leading) = agent.lead(&mut tasks).await else {
        return Ok(tasks.join(GRACE).await?);
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
    queues: Arc<Queues>,
    indexes: Arc<Indexes>,
    store: Arc<Store>,
    resources: Arc<Resources>,
    metrics: Arc<HubMetrics>,
    sessions: link::Metrics,
    traffic: TrafficMetrics,
    /// What keeps public traffic from being worked on.
    traffic_trouble: Trouble,
    writer: Writer,
}

/// How long a member without a session may be silent before it counts as lost: four signs of life.
fn silence_limit(link: Option<&link::Config>) -> Duration {
    link.map_or(Duration::MAX, |link| link.ping_interval.saturating_mul(4))
}

impl Agent {
    fn new(
        config: Config,
        clients: &Clients,
        metrics: Arc<HubMetrics>,
        sessions: link::Metrics,
        traffic: TrafficMetrics,
    ) -> Self {
        let clock = clients.clock;
        let queues = Arc::new(Queues::new(config.queues.backoff).counted_by(Arc::clone(&metrics)));
        let store = Arc::new(Store::new(&queues, config.features.resource_placement, clock));
        let indexes = Arc::new(Indexes::default());
        store.fold_into(&indexes);
        let resources = Arc::new(Resources::new(
            config.selection.apis.clone(),
            config.selection.namespaces.clone(),
            Arc::clone(&store.interner),
            Arc::clone(&store.interest),
            Arc::clone(&queues),
            Arc::clone(&indexes),
        ));
        let writer = Writer::new(clients.general.clone(), WRITE_DEADLINE);
        Self {
            config,
            clients: clients.clone(),
            clock,
            queues,
            indexes,
            store,
            resources,
            metrics,
            sessions,
            traffic,
            traffic_trouble: Trouble::default(),
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
        let traffic = self.traffic_trouble.clone();
        let notes: Vec<admin::Note> = vec![("traffic manager", Arc::new(move || traffic.check()))];
        if let Some(probes) = admin::probes_with(&process.probes, ready, notes).await? {
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

    /// Waits to be the leader. `None` when asked to end, or when a task ended, first.
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
        let stop = tasks.stop().clone();
        let leads = tasks.prepare(elector.acquire(&stop)).await;
        // Its address is about to be used by the sessions themselves.
        waiting.cancel();
        let _ = tokio::time::timeout(STANDBY_GRACE, standby).await;
        if leads != Some(true) {
            return None;
        }
        tasks.spawn_lease("leader lease", elector.keep(at_rest));
        Some(leading)
    }

    /// Answers members that this replica does not lead, until the token is cancelled.
    fn stand_by(&self, stop: &CancellationToken) -> (CancellationToken, JoinHandle<()>) {
        let (waiting, config) = (stop.child_token(), self.config.link.clone());
        let (metrics, until) = (self.sessions.clone(), waiting.clone());
        let standby = tokio::spawn(async move {
            let Some(config) = config else { return };
            let consequence = "Members that connect to this replica get no answer that sends them to the leader.";
            let serve = || link::stand_by(config.clone(), metrics.clone(), until.clone());
            link::serve_again(consequence, &until, serve).await;
        });
        (waiting, standby)
    }

    /// Starts the controllers, once everything they read is there.
    async fn work(&self, tasks: &mut Tasks, leading: &Leading) {
        // The lease is kept meanwhile; when it is lost nothing starts.
        if tasks.prepare(self.ready_to_work()).await.is_none() {
            return;
        }
        let stop = tasks.stop().clone();
        let (recorder, events) = events::channel(self.writer.clone(), self.clock);
        for (kind, index) in self.store.indexes() {
            if let Some((_, component)) = OWNED_BY_USERS.iter().find(|(owned, _)| *owned == kind) {
                let reporting = index.report_unreadable(recorder.clone(), component, stop.clone());
                tasks.spawn_endless("events on unreadable objects", reporting);
            }
        }
        tasks.spawn_endless("events", events.run(stop));
        let shared = Environment {
            writer: self.writer.clone(),
            indexes: Arc::clone(&self.indexes),
            recorder,
            clock: self.clock,
            longest_wait: self.config.queues.backoff.max,
            repetitions: self.config.queues.repetitions,
        };
        let on = self.config.controllers;
        if on.members {
            self.work_on_members(tasks, &shared, leading);
        }
        if on.overrides {
            self.work_on_overrides(tasks, &shared, leading);
        }
        let services = self.work_on_services(tasks, &shared, leading);
        if self.config.traffic_manager {
            self.work_on_traffic(tasks, &shared, &services, leading);
        }
        self.serve_members(tasks, services, leading);
        // Placements alone read what users may select; nobody else waits for it.
        if on.any_stage() && tasks.prepare(self.resources_known()).await.is_some() {
            self.work_on_placements(tasks, &shared, leading);
        }
        tracing::info!("Working.");
    }

    /// Runs a controller, as the leader.
    fn run_controller<C: Controller>(
        tasks: &mut Tasks,
        name: &'static str,
        runner: Arc<Runner<C>>,
        workers: usize,
        leading: &Leading,
    ) {
        let (stop, leading) = (tasks.stop().clone(), Arc::clone(leading));
        tasks.spawn_endless(name, async move {
            runner.run(workers, stop).await;
            drop(leading);
        });
    }

    /// Waits until the indexes are complete and the queues are notified of outages.
    async fn ready_to_work(&self) {
        self.synced().await;
        let hub = &self.clients.general;
        self.queues.placements.queue().retry_after_outages_of(hub).await;
        self.queues.members.queue().retry_after_outages_of(hub).await;
        self.queues.overrides.queue().retry_after_outages_of(hub).await;
    }

    /// Waits until the indexes of the fleet's own kinds are complete.
    async fn synced(&self) {
        for index in self.store.indexes().values() {
            index.wait_synced().await;
        }
    }

    /// Waits until the kinds that users may select are completely known, or long enough.
    async fn resources_known(&self) {
        if tokio::time::timeout(RESOURCES_TIMEOUT, self.resources.wait_ready())
            .await
            .is_err()
        {
            let reason = self.resources.ready().err().unwrap_or_default();
            tracing::warn!(reason, "Some kinds are not known yet; placements that need them wait.");
        }
    }

    fn work_on_members(&self, tasks: &mut Tasks, shared: &Environment, leading: &Leading) {
        let rules = self.config.members;
        let controller = MemberController {
            store: Arc::clone(&self.store),
            settings: members::Settings {
                expected_agents: members::expected_agents(rules.networking),
                force_delete_wait: rules.force_delete_wait,
            },
            metrics: Arc::clone(&self.metrics),
        };
        let workers = self.config.queues.member_workers();
        self.metrics.series(controllers::MEMBER).announce(workers);
        let shared = shared.managed_by(api::text::managers::MEMBER_CLUSTER);
        let runner = Runner::new(controller, self.queues.members.clone(), &shared);
        Self::run_controller(tasks, "member controller", runner, workers, leading);
    }

    /// Judges exported services, with or without sessions: agents may write their records themselves.
    fn work_on_services(&self, tasks: &mut Tasks, shared: &Environment, leading: &Leading) -> Arc<Services> {
        let series = self.metrics.series(controllers::EXPORT);
        let services = Services::new(shared, series, self.config.traffic_manager);
        let (running, resources) = (Arc::clone(&services), Arc::clone(&self.resources));
        let (stop, leading) = (tasks.stop().clone(), Arc::clone(leading));
        tasks.spawn_endless("service controller", async move {
            running.run_once_installed(resources.definitions(), stop).await;
            drop(leading);
        });
        services
    }

    /// Works on TrafficManagerProfiles and their backends, once a traffic manager can be used.
    fn work_on_traffic(&self, tasks: &mut Tasks, shared: &Environment, services: &Arc<Services>, leading: &Leading) {
        let traffic = Traffic {
            environment: shared.clone(),
            services: Arc::clone(services),
            fleet: Arc::clone(&self.store),
            membership: self.queues.membership.subscribe(),
            presence: Arc::clone(&self.queues.presence),
            silence_limit: silence_limit(self.config.link.as_ref()),
            cloud_config: self.config.cloud_config.clone(),
            metrics: self.traffic.clone(),
            series: [controllers::TRAFFIC_PROFILE, controllers::TRAFFIC_BACKEND]
                .map(|name| self.metrics.series(name))
                .into(),
            trouble: self.traffic_trouble.clone(),
        };
        let (definitions, stop) = (Arc::clone(self.resources.definitions()), tasks.stop().clone());
        let leading = Arc::clone(leading);
        tasks.spawn_endless("traffic controller", async move {
            traffic.run(definitions, stop).await;
            drop(leading);
        });
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
        let (queues, stop, leading) = (Arc::clone(&self.queues), tasks.stop().clone(), Arc::clone(leading));
        tasks.spawn_endless("members' sessions", async move {
            let serve = || {
                let parts = link::Parts {
                    services: Arc::clone(&services),
                    members: Arc::clone(&members),
                    rights: queues.rights.subscribe(),
                    topics: link::Topics::default(),
                    presence: Arc::clone(&queues.presence),
                };
                let (client, metrics) = (client.clone(), metrics.clone());
                link::run(config.clone(), client, parts, metrics, clock, stop.clone())
            };
            link::serve_again("Until then no member can report exports.", &stop, serve).await;
            drop(leading);
        });
    }

    fn work_on_overrides(&self, tasks: &mut Tasks, shared: &Environment, leading: &Leading) {
        for name in [controllers::CLUSTER_OVERRIDE, controllers::OVERRIDE] {
            self.metrics.series(name).announce(1);
        }
        let controller = OverrideController {
            store: Arc::clone(&self.store),
            resources: Arc::clone(&self.resources),
            metrics: Arc::clone(&self.metrics),
        };
        let shared = shared.managed_by(api::text::managers::OVERRIDE);
        let runner = Runner::new(controller, self.queues.overrides.clone(), &shared);
        Self::run_controller(tasks, "override controller", runner, 1, leading);
    }

    /// Shows the controllers whose work passes over placements and the watches around them do.
    fn announce_placements(&self, workers: usize) {
        let namespaced = self.config.features.resource_placement;
        let mut all = controllers::of_scope(false, self.config.planner.stages);
        if namespaced {
            all.extend(controllers::of_scope(true, self.config.planner.stages));
        }
        let announce = |name, workers| self.metrics.series(name).announce(workers);
        all.into_iter().for_each(|name| announce(name, workers));
        announce(controllers::RESOURCE_CHANGE, self.config.queues.resource_changes);
        controllers::all_watchers(namespaced)
            .into_iter()
            .for_each(|name| announce(name, 1));
    }

    fn work_on_placements(&self, tasks: &mut Tasks, shared: &Environment, leading: &Leading) {
        let workers = self.config.queues.placement_workers();
        self.announce_placements(workers);
        let controller = PlacementController {
            store: Arc::clone(&self.store),
            resources: Arc::clone(&self.resources),
            triggers: self.queues.placements.clone(),
            settings: self.config.planner.clone(),
            metrics: Arc::clone(&self.metrics),
            states: parking_lot::Mutex::default(),
            deferred: DeferredWrites::default(),
        };
        let (store, queues, stop) = (Arc::clone(&self.store), Arc::clone(&self.queues), tasks.stop().clone());
        tasks.spawn_endless("unreadable bindings", async move {
            stop.run_until_cancelled(store.follow_unreadable_bindings(&queues))
                .await;
        });
        let runner = Runner::new(controller, self.queues.placements.clone(), shared);
        Self::run_controller(tasks, "placement controller", runner, workers, leading);
    }
}
