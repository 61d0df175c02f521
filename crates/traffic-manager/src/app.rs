//! Wires the traffic manager together and runs it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kit::admin;
use kit::clock::Clock;
use kit::metrics::Metrics;
use kit::shutdown::{Tasks, VitalTaskEnded};
use prometheus::IntGauge;
use tokio_util::sync::CancellationToken;

use crate::auth::{Authenticator, ClientsError, Key, KeyError};
use crate::decide::Settings;
use crate::dns_metrics::DnsCollector;
use crate::engine::{self, Handle, View};
use crate::http::{Arm, Interceptor, Listen, ServeError, Surface};
use crate::metrics::{AppMetrics, EndpointMetrics};
use crate::probe::{Limits, Prober};
use crate::recovery::Recovery;
use crate::state::State;
use crate::store::{Closed, Opened, Source, Store, StoreError, Writer};
use crate::throttle::Throttle;
use crate::transitions::Transition;
use crate::zone::{ZoneSettings, zone};

/// Time for running work to finish at the end.
const GRACE: Duration = Duration::from_secs(8);

/// Everything that the operator has settled.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the store.
    pub store: PathBuf,
    /// File of the clients.
    pub clients: PathBuf,
    /// File of the key that signs tokens; `None` means one in the store's directory.
    pub token_key: Option<PathBuf>,
    /// How long tokens last.
    pub token_lifetime: Duration,
    /// The ARM surface.
    pub arm: Listen,
    /// The server's own address as clients see it; `None` means the one that they ask.
    pub public_url: Option<String>,
    /// Azure's limits of requests are multiplied by this; 0 means none.
    pub throttle_factor: u32,
    /// The DNS server.
    pub dns: dns::Config,
    /// The zone.
    pub zone: ZoneSettings,
    /// Profiles of a subscription.
    pub max_profiles: usize,
    /// Public IP addresses in one page of a list.
    pub page: usize,
    /// Bounds of probes.
    pub probes: Limits,
    /// Whether a new store waits for a hub agent before names are answered, as one that was lost does.
    pub new_store_waits: bool,
    /// How long hub agents write nothing before what a lost store held counts as written again.
    pub recovery_pause: Duration,
    /// Address of the probes of this process.
    pub health_address: String,
    /// Address of its metrics.
    pub metrics_address: String,
}

/// Why the traffic manager does not run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The clients.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The key of tokens.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The ARM surface.
    #[error(transparent)]
    Arm(#[from] ServeError),
    /// The DNS server.
    #[error("The DNS server cannot listen: {0}. Choose other addresses, or give the right to bind their ports.")]
    Dns(std::io::Error),
    /// A thread.
    #[error("The thread of the store cannot be started: {0}.")]
    Thread(std::io::Error),
    /// An address of the probes or metrics.
    #[error(transparent)]
    Bind(#[from] admin::BindError),
    /// The metrics.
    #[error("The metrics cannot be set up: {0}.")]
    Metrics(#[from] prometheus::Error),
    /// The zone.
    #[error(transparent)]
    Zone(#[from] dns::CatalogError),
    /// A part that it cannot live without ended.
    #[error(transparent)]
    Vital(#[from] VitalTaskEnded),
}

/// A traffic manager whose sockets are open.
pub struct App {
    arm: Arm,
    dns: dns::Server,
    engine: engine::Engine,
    handle: Handle,
    prober: Prober,
    servers: Vec<(&'static str, admin::Server)>,
    closed: Closed,
    stop: CancellationToken,
}

impl App {
    /// Opens the store and all sockets. The interceptor is for tests of clients.
    ///
    /// # Errors
    /// When something that it needs cannot be had.
    pub async fn start(
        config: Config,
        interceptor: Option<Arc<dyn Interceptor>>,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        let metrics = Metrics::new()?;
        let own = AppMetrics::register(&metrics)?;
        let unserved = metrics.register(IntGauge::new(
            "fairway_traffic_manager_unserved_names",
            "Entries of the zone that cannot be answered.",
        )?)?;
        let opened = Store::open(&config.store, config.new_store_waits)?;
        log_opened(&opened);
        let recovering = opened.recovering;
        let key = match &config.token_key {
            Some(path) => Key::read(path)?,
            None => Key::read_or_make(&config.store.join("token-key"))?,
        };
        let auth = Authenticator::new(config.clients.clone(), key, config.token_lifetime)?;
        let zones = Arc::new(dns::Zones::default());
        let (writer, closed) = Writer::start(opened.store).map_err(Failure::Thread)?;
        let published = Arc::new(Published {
            zones: Arc::clone(&zones),
            zone: config.zone.clone(),
            endpoints: own.endpoints,
            unserved,
        });
        // A zone that cannot be served at all shows at the start.
        dns::Catalog::new(&[zone(&State::default(), &config.zone).0])?;
        published.show(&opened.state, recovering);
        let (engine, handle) = engine::new(
            settings(&config),
            Clock::System,
            opened.state,
            Recovery::settling_after(recovering, config.recovery_pause),
            writer,
            published,
        );
        let surface = Surface::new(
            handle.clone(),
            auth,
            Throttle::new(config.throttle_factor),
            own.requests,
            config.public_url.clone(),
            interceptor,
        );
        let arm = Arm::bind(Arc::new(surface), &config.arm, own.refused, stop.clone()).await?;
        let dns_metrics = Arc::new(dns::Metrics::default());
        metrics.register(DnsCollector::new(Arc::clone(&dns_metrics))?)?;
        let dns = dns::Server::bind(&config.dns, zones, dns_metrics).map_err(Failure::Dns)?;
        let prober = Prober::new(handle.clone(), config.probes, own.probes);
        let mut app = Self {
            arm,
            dns,
            engine,
            handle,
            prober,
            servers: Vec::new(),
            closed,
            stop,
        };
        app.serve_admin(&config, metrics).await?;
        Ok(app)
    }

    async fn serve_admin(&mut self, config: &Config, metrics: Metrics) -> Result<(), Failure> {
        let engine = self.handle.clone();
        let probes = admin::probes(&config.health_address, Arc::new(move || engine.ready())).await?;
        let metrics = admin::metrics(&config.metrics_address, metrics).await?;
        self.servers.extend(probes.map(|server| ("probes", server)));
        self.servers.extend(metrics.map(|server| ("metrics", server)));
        Ok(())
    }

    /// Where the ARM surface listens.
    pub fn arm_address(&self) -> SocketAddr {
        self.arm.address()
    }

    /// Where the DNS server listens.
    pub fn dns_addresses(&self) -> &[SocketAddr] {
        self.dns.addresses()
    }

    /// The way to the engine.
    pub fn engine(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until the token that it was started with is cancelled.
    ///
    /// # Errors
    /// When a part that it cannot live without ends.
    pub async fn run(self) -> Result<(), Failure> {
        tracing::info!(
            arm = %self.arm.address(),
            dns = ?self.dns.addresses(),
            zone = self.handle.settings().origin,
            "The traffic manager runs."
        );
        let stop = self.stop.clone();
        let mut tasks = Tasks::new(stop.clone());
        let until_stop = |stop: CancellationToken, task: futures::future::BoxFuture<'static, Result<(), String>>| async move {
            stop.run_until_cancelled(task).await.unwrap_or(Ok(()))
        };
        tasks.spawn("engine", until_stop(stop.clone(), Box::pin(self.engine.run())));
        let prober = self.prober;
        tasks.spawn(
            "prober",
            until_stop(
                stop.clone(),
                Box::pin(async move {
                    prober.run().await;
                    Ok(())
                }),
            ),
        );
        tasks.spawn("arm", self.arm.run());
        let dns = self.dns;
        let dns_stop = stop.clone();
        tasks.spawn(
            "dns",
            async move { dns.run(dns_stop).await.map_err(|err| err.to_string()) },
        );
        for (name, server) in self.servers {
            tasks.spawn(name, server.run(stop.clone()));
        }
        let ended = tasks.join(GRACE).await;
        // Whoever starts another one with the same store may do so when this returns.
        if tokio::time::timeout(GRACE, self.closed.wait()).await.is_err() {
            tracing::warn!("The store was not closed in time.");
        }
        Ok(ended?)
    }
}

/// The zone and the metrics that follow the state.
struct Published {
    zones: Arc<dns::Zones>,
    zone: ZoneSettings,
    endpoints: EndpointMetrics,
    /// Entries of the zone that cannot be served.
    unserved: IntGauge,
}

impl View for Arc<Published> {
    fn changed(&self, transition: &Transition) {
        self.endpoints.changed(transition);
        log(transition);
    }

    /// Publishes the zone; none while what a lost store held is missing.
    fn show(&self, state: &State, recovering: bool) {
        self.endpoints.show(state);
        if recovering {
            return self.zones.publish(dns::Catalog::default());
        }
        let (zone, problems) = zone(state, &self.zone);
        for problem in &problems {
            tracing::warn!(problem, "An entry of the zone was left out.");
        }
        self.unserved.set(i64::try_from(problems.len()).unwrap_or(i64::MAX));
        match dns::Catalog::new(&[zone]) {
            Ok(catalog) => self.zones.publish(catalog),
            Err(error) => tracing::error!(%error, "The zone stays as it was."),
        }
    }
}

fn settings(config: &Config) -> Settings {
    let origin = config.zone.origin.to_ascii();
    Settings {
        origin: origin.strip_suffix('.').unwrap_or(&origin).to_owned(),
        reserved: config.zone.reserved().collect(),
        max_profiles: config.max_profiles,
        max_endpoints: 200,
        page: config.page,
    }
}

fn log_opened(opened: &Opened) {
    match &opened.source {
        Source::File => {}
        Source::New => tracing::info!("A new store was made."),
        Source::Damaged { set_aside, cause } => tracing::error!(
            set_aside = %set_aside.display(),
            cause,
            "The store was damaged and has been set aside. It starts empty; names are answered again once a hub agent has \
             written its profiles."
        ),
    }
}

fn log(transition: &Transition) {
    let from = transition.from.map_or("nothing", |from| from.text());
    tracing::info!(
        profile = %transition.profile,
        endpoint = transition.endpoint,
        kind = transition.kind.segment(),
        from,
        to = transition.to.text(),
        reason = transition.reason,
        "The status of an endpoint has changed."
    );
}
