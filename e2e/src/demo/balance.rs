//! The second half of the tutorial: the application behind one DNS name. Its requests are spread over both clusters, go
//! by other weights, leave a cluster whose servers die, and come back with them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::samples::Samples;
use super::split::{self, Split};
use super::traffic::{Traffic, Wanted, message, yaml};
use super::{NAMESPACE, Report};
use crate::client::{Client, Record, Steady};
use crate::plot::{self, Series};
use crate::world::World;

const PROFILE: &str = "nginx-profile";
const BACKEND: &str = "nginx-backend";
/// Weight of the tutorial's backend, which its clusters share.
const WEIGHT: i64 = 100;
/// Requests a second while a cluster fails.
const RATE: u32 = 100;
/// Requests in a row that show where traffic goes.
const SHOWN: usize = 100;
/// Of these, how many a cluster must answer that is back; its weight says 25.
const BACK: usize = 10;
/// Probes fail within seconds; a loaded machine may take longer.
const MOVED_WITHIN: Duration = Duration::from_secs(60);
/// Columns of the plot.
const COLUMNS: usize = 72;

/// What the second half found.
#[derive(Debug, Default, Serialize)]
pub struct Balance {
    /// `kubectl get tmp`.
    pub profiles: String,
    /// The backend with member-1 alone, with both, and with other weights.
    pub backends: Vec<Value>,
    /// Addresses and time to live of one look-up.
    pub lookup: String,
    /// Requests by cluster.
    pub splits: Vec<Split>,
    /// What happened while member-1 died and came back.
    pub failover: Failover,
}

/// The failure of a cluster as a client sees it.
#[derive(Debug, Default, Serialize)]
pub struct Failover {
    /// Requests that failed.
    pub failed: usize,
    /// From the end of the servers to the last request that failed, in seconds.
    pub last_failure: f64,
    /// From the end of the servers until the last hundred requests went to the other cluster, in seconds.
    pub moved: f64,
    /// All requests, with marks.
    #[serde(skip)]
    pub record: Record,
}

/// Applies profile and backend while the application runs on member-1 alone.
pub async fn expose(world: &World, samples: &Samples, report: &mut Report) -> Result<Client> {
    let traffic = Traffic::new(world, NAMESPACE);
    for file in ["nginx-profile.yaml", "nginx-backend.yaml"] {
        samples.apply(&world.hub_client(), file).await?;
    }
    let client = traffic.programmed(PROFILE, samples.port()).await?;
    let name = traffic.dns_name(PROFILE);
    if client.name() != name {
        let found = client.name();
        report
            .wrong
            .push(format!("the profile's name is {found}, the tutorial makes it {name}"));
    }
    let one = [("member-1", WEIGHT)];
    judged(&traffic, &one, report).await?;
    let only = [("member-1", 1.0)];
    measure(&client, "member-1 alone", &only, report).await;
    report.balance.profiles = traffic.profile_table().await?;
    Ok(client)
}

/// Shows the split over both clusters, other weights, and the failure of one.
pub async fn balance(world: &World, samples: &Samples, client: &Client, report: &mut Report) -> Result<()> {
    let traffic = Traffic::new(world, NAMESPACE);
    judged(&traffic, &[("member-1", WEIGHT / 2), ("member-2", WEIGHT / 2)], report).await?;
    report.balance.lookup = lookup(client).await?;
    let half = [("member-1", 0.5), ("member-2", 0.5)];
    measure(client, "both clusters", &half, report).await;

    samples
        .apply(&world.hub_client(), "ro-nginx-service-export.yaml")
        .await?;
    judged(&traffic, &[("member-1", 25), ("member-2", 75)], report).await?;
    let quarter = [("member-1", 0.25), ("member-2", 0.75)];
    measure(client, "weights 1 and 3", &quarter, report).await;

    samples.apply(&world.hub_client(), "nginx-profile-fast.yaml").await?;
    traffic.programmed(PROFILE, samples.port()).await?;
    let mut steady = Steady::start(client.clone(), RATE);
    let (died, moved) = die(world, &mut steady).await?;
    let only = [("member-1", 0.0), ("member-2", 1.0)];
    measure(client, "member-1's servers died", &only, report).await;
    come_back(world, &mut steady).await?;
    measure(client, "member-1's servers are back", &quarter, report).await;
    let record = steady.stop().await?;
    let failures = record.requests.iter().filter(|request| request.outcome.is_err());
    let ends: Vec<f64> = failures.map(|request| request.at + request.took - died).collect();
    report.balance.failover = Failover {
        failed: ends.len(),
        last_failure: ends.iter().copied().fold(0.0, f64::max),
        moved: moved - died,
        record,
    };
    Ok(())
}

/// Ends all servers of member-1 and waits until requests go to member-2 alone. Returns both moments.
async fn die(world: &World, steady: &mut Steady) -> Result<(f64, f64)> {
    steady.made_at_least(SHOWN, MOVED_WITHIN).await?;
    let died = steady.mark("member-1's servers die");
    set_ready(world, false).await?;
    until(steady, "no traffic moves away from member-1", |reached| {
        reached.iter().all(|cluster| *cluster == Some("member-2"))
    })
    .await?;
    Ok((died, steady.mark("all requests reach member-2")))
}

/// Starts the servers of member-1 again and waits until they answer requests.
async fn come_back(world: &World, steady: &mut Steady) -> Result<()> {
    steady.mark("member-1's servers are back");
    set_ready(world, true).await?;
    let answered = |reached: &[Option<&str>]| {
        reached.iter().filter(|cluster| **cluster == Some("member-1")).count() >= BACK
            && reached.iter().all(Option::is_some)
    };
    until(steady, "no traffic comes back to member-1", answered).await?;
    steady.mark("requests reach both again");
    let count = steady.made() + SHOWN;
    steady.made_at_least(count, MOVED_WITHIN).await
}

/// The servers of member-1 are ready while its nodes are.
async fn set_ready(world: &World, ready: bool) -> Result<()> {
    for node in ["node-1", "node-2"] {
        world.member_plane("member-1")?.set_node_ready(node, ready).await?;
    }
    Ok(())
}

/// Looks at the last requests as they come, until they are as wanted. Each is the cluster that answered, if one did.
async fn until(steady: &mut Steady, never: &str, wanted: impl Fn(&[Option<&str>]) -> bool) -> Result<()> {
    let deadline = steady.now() + MOVED_WITHIN.as_secs_f64();
    // Only requests that come from now on count.
    let mut next = steady.made() + SHOWN;
    loop {
        steady.made_at_least(next, MOVED_WITHIN).await?;
        let last = steady.last(SHOWN);
        let reached: Vec<Option<&str>> = last.iter().map(|request| request.outcome.as_deref().ok()).collect();
        if wanted(&reached) {
            return Ok(());
        }
        if steady.now() > deadline {
            let why = last.iter().find_map(|request| request.outcome.as_ref().err());
            bail!("{never} within {MOVED_WITHIN:?}; failures: {why:?}");
        }
        next = steady.made() + SHOWN / 10;
    }
}

/// Waits for the backend's endpoints and notes what differs from the tutorial.
async fn judged(traffic: &Traffic<'_>, endpoints: &[(&str, i64)], report: &mut Report) -> Result<()> {
    let accepted = true;
    let backend = traffic.judged(BACKEND, Wanted { accepted, endpoints }).await?;
    let text = format!(
        "{} service(s) exported from clusters have been accepted as Traffic Manager endpoints",
        endpoints.len()
    );
    let found = message(&backend, "Accepted");
    if found != text {
        report.wrong.push(format!(
            "the backend's message is {found:?}, the tutorial shows {text:?}"
        ));
    }
    let uid = backend["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    for endpoint in backend["status"]["endpoints"].as_array().into_iter().flatten() {
        let cluster = endpoint["from"]["cluster"].as_str().unwrap_or_default();
        let name = json!(format!("fleet-{uid}#nginx-service#{cluster}"));
        if endpoint["name"] != name {
            let found = &endpoint["name"];
            report
                .wrong
                .push(format!("an endpoint is called {found}, the tutorial shows {name}"));
        }
    }
    report.balance.backends.push(backend);
    Ok(())
}

async fn measure(client: &Client, phase: &str, expected: &[(&str, f64)], report: &mut Report) {
    let split = Split::measure(client, phase, expected).await;
    report.wrong.extend(split.wrong());
    report.balance.splits.push(split);
}

/// One look-up over UDP and one over TCP: both have to give addresses of the same name.
async fn lookup(client: &Client) -> Result<String> {
    let udp = client.resolve().await?;
    let tcp = client.resolve_over_tcp().await.context("over TCP")?;
    ensure!(
        udp.ttl == tcp.ttl,
        "over UDP the time to live is {}, over TCP {}",
        udp.ttl,
        tcp.ttl
    );
    let address = udp.addresses.first().context("the name has no address")?;
    Ok(format!("{}.   {}   IN   A   {address}", client.name(), udp.ttl))
}

/// The plot of the failure.
pub fn text(balance: &Balance) -> String {
    let record = &balance.failover.record;
    plot::text(&Series::of(&record.requests, COLUMNS), &record.marks)
}

/// The plot of the failure as SVG.
pub fn svg(balance: &Balance) -> String {
    let record = &balance.failover.record;
    let series = Series::of(&record.requests, COLUMNS);
    plot::svg(
        "Requests while member-1's servers die and come back",
        &series,
        &record.marks,
    )
}

/// Prints it all to standard output, as the tutorial does.
pub fn show(balance: &Balance) {
    println!("\n== hub: kubectl get tmp -n {NAMESPACE}");
    print!("{}", balance.profiles);
    println!("\n== hub: kubectl get tmb {BACKEND} -n {NAMESPACE} -o yaml");
    if let Some(backend) = balance.backends.get(1) {
        print!("{}", yaml(backend));
    }
    println!("\n== a DNS look-up of the profile's name\n{}", balance.lookup);
    println!(
        "\n== {} look-ups, each followed by a request to the address",
        split::LOOKUPS
    );
    print!("{}", split::table(&balance.splits));
    println!("\n== requests while member-1's servers die, {RATE} a second");
    print!("{}", text(balance));
    let failover = &balance.failover;
    println!(
        "{} requests failed, the last one {:.2} s after the servers died; {:.2} s after it {SHOWN} requests in a row had reached \
         member-2.",
        failover.failed, failover.last_failure, failover.moved
    );
}
