//! Puts the agent together: clients, leases, probes, and the tasks that it cannot live without.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::names::member_namespace;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fairway_core::heartbeat;
use http::Method;
use kit::client::{self, Identity, Options, Source};
use kit::clock::Clock;
use kit::lease::{self, Elector};
use kit::metrics::Metrics;
use kit::queue;
use kit::rest::Call;
use kit::shutdown::Tasks;
use kit::writer::Writer;
use kit::{admin, events};
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::args::{self, Config, Election, Settings};
use crate::link::{self, Cloud, Departure, Traffic, Way};
use crate::member::Member;
use crate::membership::{self, Address, Collector, HeartbeatReporter};
use crate::metrics::Counters;
use crate::watch::follow;
use crate::works::{self, Applier, WORKERS};

/// Clients of both clusters.
#[derive(Clone)]
pub struct Clients {
    /// Towards the hub.
    pub hub: Client,
    /// Towards the member.
    pub member: Client,
    /// How the member is reached, as reported to the hub.
    pub member_address: Address,
    /// The time of day.
    pub clock: Clock,
}

/// Leases on the member. The first is also taken by agents of older releases, so that two never run together.
const LEASES: [&str; 2] = [
    "136224848560.hub.fleet.azure.com",
    "136224848560.member.fleet.azure.com",
];

/// Time for one request.
const DEADLINE: Duration = Duration::from_secs(30);

/// Time that tasks get to finish when the agent ends.
const GRACE: Duration = Duration::from_secs(10);

/// Time for giving the leases back after that.
const RELEASE: Duration = Duration::from_secs(5);

/// How often it is checked whether the member serves AppliedWorks, whose definition may be installed together with the agent.
const CRD_RETRY: kit::backoff::Backoff = kit::backoff::Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// Runs the agent until `stop`: builds clients, serves probes and metrics, takes the leases, then works.
///
/// An unreachable or forbidding hub ends nothing: the agent joins by itself once it is let in.
///
/// # Errors
/// When it cannot start, or a vital part ends (a lost lease, for example): the reason, as a sentence part.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), String> {
    let Config {
        member_name,
        mut hub,
        settings,
    } = config;
    let identity = match &hub.source {
        Source::Explicit {
            identity: Identity::Certificate { cert, key },
            ..
        } => link::Identity::Certificate {
            cert: cert.clone(),
            key: key.clone(),
        },
        Source::Explicit {
            identity: Identity::TokenFile(path),
            ..
        } => link::Identity::TokenFile(path.clone()),
        _ => link::Identity::TokenFile(PathBuf::new()),
    };
    let text = |err: &dyn std::fmt::Display| err.to_string();
    let metrics = Metrics::new().map_err(|err| text(&err))?;
    let requests = client::request_counter().map_err(|err| text(&err))?;
    let requests = metrics.register(requests).map_err(|err| text(&err))?;
    let source = Source::infer(&settings.kubeconfig);
    let member_address = address(&source);
    let mut member = Options::new(source);
    member.rate = settings.member_rate;
    member.counter = Some(requests.clone());
    hub.counter = Some(requests);
    let clients = Clients {
        hub: client::build(hub).await.map_err(|err| text(&err))?,
        member: client::build(member).await.map_err(|err| text(&err))?,
        member_address,
        clock: Clock::System,
    };
    let cloud = Cloud::new(settings.cloud_config.clone());
    let exports = match &settings.exports {
        Some(_) => Some(link::Metrics::register(metrics.registry()).map_err(|err| text(&err))?),
        None => {
            if settings.networking {
                tracing::warn!(
                    "No exports are reported: set --hub-link-address and --hub-link-ca-file, or --export-report=objects, to report them."
                );
            }
            None
        }
    };
    let mut tasks = Tasks::new(stop.clone());
    // KubeFleet's probes answer as soon as the process lives, also while it waits to lead.
    for address in &settings.probe_addresses {
        let server = admin::probes_with(address, Arc::new(|| Ok(())), notes(&settings, exports.as_ref(), &cloud))
            .await
            .map_err(|err| text(&err))?;
        if let Some(server) = server {
            tasks.spawn("probes", server.run(stop.clone()));
        }
    }
    for address in &settings.metrics_addresses {
        let server = admin::metrics(address, metrics.clone())
            .await
            .map_err(|err| text(&err))?;
        if let Some(server) = server {
            tasks.spawn("metrics", server.run(stop.clone()));
        }
    }
    let Some(leading) = lead(&mut tasks, &clients.member, settings.election.as_ref()).await else {
        return tasks.join(RELEASE).await.map_err(|err| text(&err));
    };
    let link = exports.zip(settings.exports.as_ref()).map(|(metrics, exports)| {
        let way = match exports {
            args::Exports::Session(link) => {
                let (address, ca_file) = (link.address.clone(), link.ca_file.clone());
                Way::Session(link::Config {
                    server_name: link.server_name.clone(),
                    epoch: leading.epoch,
                    ..link::Config::new(address, ca_file, identity.clone(), member_name.clone())
                })
            }
            args::Exports::Objects => Way::Objects(link::Objects {
                hub: clients.hub.clone(),
                cluster: member_name.clone(),
                traffic_manager: settings.traffic_manager,
            }),
        };
        (way, metrics, traffic(&settings, &cloud))
    });
    work(&mut tasks, leading, &clients, &member_name, settings, &metrics, link).await?;
    tasks.join(GRACE + RELEASE).await.map_err(|err| text(&err))
}

/// Runs the agent on ready clients until `stop`, without probes, and with a session when `link` says how; for tests and
/// tools.
///
/// # Errors
/// As [`run`].
pub async fn run_with(
    clients: Clients,
    member_name: &str,
    settings: Settings,
    link: Option<(Way, link::Metrics)>,
    stop: CancellationToken,
) -> Result<(), String> {
    let metrics = Metrics::new().map_err(|err| err.to_string())?;
    let mut tasks = Tasks::new(stop);
    let Some(leading) = lead(&mut tasks, &clients.member, settings.election.as_ref()).await else {
        return tasks.join(RELEASE).await.map_err(|err| err.to_string());
    };
    let traffic = traffic(&settings, &Cloud::new(settings.cloud_config.clone()));
    let link = link.map(|(way, metrics)| (way, metrics, traffic));
    work(&mut tasks, leading, &clients, member_name, settings, &metrics, link).await?;
    tasks.join(GRACE + RELEASE).await.map_err(|err| err.to_string())
}

/// What is reported of exports for traffic.
fn traffic(settings: &Settings, cloud: &Arc<Cloud>) -> Traffic {
    match settings.traffic_manager {
        true => Traffic::On(Arc::clone(cloud)),
        false => Traffic::Off,
    }
}

/// How exports are reported, what is counted of it, and what is reported for traffic.
type Link = (Way, link::Metrics, Traffic);

/// The right to work.
struct Leading {
    /// Grows with every new holder of the leases.
    epoch: u64,
    /// Gives the leases back.
    at_rest: CancellationToken,
}

/// Waits to hold the leases, if there is to be an election. `None` when asked to end, or when a task ended, first.
async fn lead(tasks: &mut Tasks, member: &Client, election: Option<&Election>) -> Option<Leading> {
    let mut leading = Leading {
        epoch: 0,
        at_rest: CancellationToken::new(),
    };
    let Some(election) = election else { return Some(leading) };
    for name in LEASES {
        let mut elector = elector(member, election, name);
        let stop = tasks.stop().clone();
        // An earlier lease is kept meanwhile; when it is lost this one is of no use.
        if tasks.prepare(elector.acquire(&stop)).await != Some(true) {
            leading.at_rest.cancel();
            return None;
        }
        leading.epoch = elector.transitions();
        tasks.spawn_lease(name, elector.keep(leading.at_rest.clone()));
    }
    Some(leading)
}

/// Starts everything that works for the fleet. The leases are given back once none of it runs any more, so that no other
/// replica works while one of our passes still does.
async fn work(
    tasks: &mut Tasks,
    leading: Leading,
    clients: &Clients,
    member_name: &str,
    settings: Settings,
    metrics: &Metrics,
    link: Option<Link>,
) -> Result<(), String> {
    if tasks.prepare(wait_for_applied_works(&clients.member)).await.is_none() {
        leading.at_rest.cancel();
        return Ok(());
    }
    let mut working = Tasks::new(tasks.stop().child_token());
    spawn(&mut working, clients, member_name, settings, metrics, link)?;
    tasks.spawn("work", async move {
        let ended = working.join(GRACE).await;
        leading.at_rest.cancel();
        ended.map_err(|err| err.to_string())
    });
    Ok(())
}

/// Starts everything that works for the fleet.
fn spawn(
    tasks: &mut Tasks,
    clients: &Clients,
    member_name: &str,
    settings: Settings,
    metrics: &Metrics,
    link: Option<Link>,
) -> Result<(), String> {
    let stop = tasks.stop().clone();
    // Where exports are reported this agent takes the place of the networking agents, and where the networking features
    // are switched off it still reports in their place.
    let others: &[_] = match link.is_some() || !settings.networking {
        true => &heartbeat::NETWORKING_AGENTS,
        false => &[],
    };
    let counters = Counters::new(metrics).map_err(|err| err.to_string())?;
    let link_counters = counters.clone();
    let namespace = member_namespace(member_name);
    let hub = Writer::new(clients.hub.clone(), DEADLINE);
    let clock = clients.clock;
    let collector = Collector::new(clients.member.clone(), clients.member_address.clone(), &settings, clock);
    let applier = Applier::new(works::Parts {
        namespace: namespace.clone(),
        hub: hub.clone(),
        member: Member::new(clients.member.clone(), Writer::new(clients.member.clone(), DEADLINE)),
        clock,
        settings,
        counters: counters.clone(),
    });
    let (recorder, event_writer) = events::channel(hub.clone(), clock);
    collector.follow(tasks);
    let departure = link.is_some().then(Departure::new);
    let reporter = HeartbeatReporter::new(membership::Parts {
        namespace,
        name: member_name.to_owned(),
        hub,
        collector,
        applier: Arc::clone(&applier),
        events: recorder,
        counters,
        clock,
        departure: departure.clone(),
        others,
    });
    let (hub, member) = (&clients.hub, &clients.member);
    if let Some(((way, mut link_metrics, traffic), departure)) = link.zip(departure) {
        link_metrics.looks = Some(link_counters);
        let (recorder, event_writer) = events::channel(Writer::new(member.clone(), DEADLINE), clock);
        let parts = link::Parts {
            member: member.clone(),
            departure,
            recorder,
            metrics: link_metrics,
            clock,
            traffic,
        };
        let session = Box::pin(link::run(way, parts, stop.clone()));
        // The hub gives the rights for both at once: before memberships can be read, a session would only be refused.
        let (membership, until) = (Arc::clone(reporter.index()), stop.clone());
        tasks.spawn_endless("exports", async move {
            if until.run_until_cancelled(membership.synced()).await.is_some() {
                session.await;
            }
        });
        tasks.spawn_endless("events on the member", event_writer.run(stop.clone()));
    }
    tasks.spawn_endless("watch of InternalMemberClusters", follow(reporter.index(), hub, &stop));
    tasks.spawn_endless("watch of Works", follow(applier.works(), hub, &stop));
    tasks.spawn_endless("watch of AppliedWorks", follow(applier.applied_works(), member, &stop));
    tasks.spawn_endless(
        "watches of placed objects",
        Arc::clone(applier.placed()).run(stop.clone()),
    );
    tasks.spawn_endless("events", event_writer.run(stop.clone()));
    {
        let (applier, stop) = (Arc::clone(&applier), stop.clone());
        tasks.spawn_endless(
            "statuses of AppliedWorks",
            async move { applier.run_applied(stop).await },
        );
    }
    tasks.spawn_endless("membership", reporter.run(stop.clone()));
    let clients = [hub.clone(), member.clone()];
    tasks.spawn_endless("works", async move {
        for client in &clients {
            applier.queue().retry_after_outages_of(client).await;
        }
        let handle = |name| Arc::clone(&applier).turn(name);
        queue::work(applier.queue(), WORKERS, &stop, handle).await;
    });
    Ok(())
}

/// What the readiness probe says beside whether the agent is ready. Exports that cannot be reported must not take the
/// agent out of service: it still applies Works and sends heartbeats. Nor must addresses that cannot be looked up.
fn notes(settings: &Settings, exports: Option<&link::Metrics>, cloud: &Arc<Cloud>) -> Vec<admin::Note> {
    let note = |metrics: &link::Metrics| {
        let metrics = metrics.clone();
        let open: admin::Check = Arc::new(move || match metrics.connected.get() {
            1 => Ok(()),
            _ => Err(
                "The session with the hub is not open, so exports are not reported now; the flag \
                 --export-report=objects reports them without one."
                    .to_owned(),
            ),
        });
        ("exports", open)
    };
    let has_session = matches!(settings.exports, Some(args::Exports::Session(_)));
    let cloud = Arc::clone(cloud);
    let found: admin::Check = Arc::new(move || match cloud.trouble() {
        None => Ok(()),
        Some(reason) => Err(format!(
            "Public addresses of exported Services cannot be looked up: {reason} The flag --cloud-config names the file."
        )),
    });
    let addresses = exports
        .filter(|_| settings.traffic_manager)
        .map(|_| ("public addresses", found));
    exports
        .filter(|_| has_session)
        .map(note)
        .into_iter()
        .chain(addresses)
        .collect()
}

fn elector(client: &Client, election: &Election, name: &str) -> Elector {
    let options = lease::Options {
        namespace: election.namespace.clone(),
        name: name.to_owned(),
        identity: lease::Options::identity(),
        lease_duration: election.lease_duration,
        renew_deadline: election.renew_deadline,
        retry_period: election.retry_period,
    };
    Elector::new(client.clone(), options, Clock::System)
}

/// Waits until the member serves AppliedWorks: a fresh installation creates the definition beside the agent.
async fn wait_for_applied_works(member: &Client) {
    let mut failures = 0;
    loop {
        let path = format!("{}?limit=1", kinds::APPLIED_WORK.collection(None));
        match Call::new(Method::GET, path, "list AppliedWorks").send(member).await {
            Ok(_) => return,
            Err(err) => {
                failures += 1;
                tracing::warn!(error = %err, failures, "The member does not serve AppliedWorks yet.");
                tokio::time::sleep(CRD_RETRY.delay(failures)).await;
            }
        }
    }
}

/// What a source says about how the member is reached. The address that a pod knows is good inside the cluster only.
fn address(source: &Source) -> Address {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|err| {
            let reason = format!("the authority {} cannot be read: {err}", path.display());
            tracing::warn!(reason, "The member's authority is not reported.");
            reason
        })
    };
    let in_kubeconfig = |path: &Path| {
        let file = kube::config::Kubeconfig::read_from(path).ok()?;
        let context = file
            .contexts
            .iter()
            .find(|c| Some(&c.name) == file.current_context.as_ref())?;
        let wanted = &context.context.as_ref()?.cluster;
        let cluster = file.clusters.iter().find(|c| c.name == *wanted)?.cluster.as_ref()?;
        let authority = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
            (Some(data), _) => {
                let bytes = STANDARD.decode(data).ok();
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                Some(text.ok_or_else(|| "the authority in the kubeconfig is not base64 of PEM text".to_owned()))
            }
            (None, Some(file)) => Some(read(Path::new(file))),
            (None, None) => None,
        };
        Some(Address {
            authority,
            entry_point: cluster.server.clone(),
        })
    };
    match source {
        Source::InCluster => Address {
            authority: Some(read(Path::new("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"))),
            entry_point: None,
        },
        Source::Kubeconfig(path) => in_kubeconfig(path).unwrap_or_default(),
        Source::Explicit { .. } => Address::default(),
    }
}
