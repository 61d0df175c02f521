//! From the death of an endpoint to the last DNS answer that names it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use control_plane::{Kind, loopback_network};
use nix::sys::signal::Signal;
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::percentile;
use crate::client::Client;
use crate::demo::traffic::Traffic;
use crate::manifests::apply;
use crate::table;
use crate::world::{Setup, World, member_cluster};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Failover {
    /// Kind of the control planes.
    pub kind: Kind,
    /// The ways to die, one after the other.
    pub deaths: Vec<Death>,
    /// Deaths of each way.
    pub kills: usize,
}

const NAMESPACE: &str = "failover";
const SERVICE: &str = "app";
const PROFILE: &str = "app";
/// Of the Services and the probes.
const PORT: u16 = 8080;
/// The member whose endpoint dies.
const VICTIM: &str = "member-1";
/// Time to live of the answers, in seconds: what a resolver keeps is added to what is measured.
const TTL: u32 = 1;
/// An endpoint that is not named for so long is out. Every other answer names it while it is in.
const QUIET: Duration = Duration::from_millis(1500);
/// Between two queries.
const QUERY_EVERY: Duration = Duration::from_millis(1);
/// How long a change may take on a loaded machine.
const WITHIN: Duration = Duration::from_secs(90);

/// How an endpoint dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Death {
    /// Its server refuses connections; only probes can notice.
    Server,
    /// No Pod behind the Service is ready, and the server still answers probes; only the member can notice.
    Readiness,
    /// The member's agent is stopped in the middle of whatever it does and keeps its connections open; only the end of its
    /// signs of life can notice.
    Member,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server dead, found by probes each second, 0 failures tolerated",
            Self::Readiness => "no ready Pod, found by the member agent",
            Self::Member => "member silent, found by the hub agent (pings each 500 ms)",
        })
    }
}

impl Death {
    /// Annotations of the profile: no way may be found by what another one is found by.
    fn annotations(self) -> Value {
        let fast = match self {
            Self::Server => "false",
            Self::Readiness | Self::Member => "true",
        };
        let interval = match self {
            Self::Server => "1",
            Self::Readiness | Self::Member => "30",
        };
        json!({
            "networking.fleet.azure.com/ttl-seconds": TTL.to_string(),
            "networking.fleet.azure.com/probe-interval-seconds": interval,
            "networking.fleet.azure.com/fast-degradation": fast,
        })
    }

    /// What probes get. As each way has its own, the hub agent says of it when the traffic manager has the profile with its
    /// annotations: they alone would not make another generation of it.
    fn path(self) -> &'static str {
        match self {
            Self::Server => "/server",
            Self::Readiness => "/readiness",
            Self::Member => "/member",
        }
    }

    /// The goal for 99 of 100 deaths, without the time to live.
    fn goal(self) -> &'static str {
        match self {
            Self::Server => "2.5 s",
            Self::Readiness => "1 s",
            Self::Member => "3 s",
        }
    }
}

/// Kills the endpoint of one of two clusters again and again, in each way, and prints how long answers named it.
pub async fn failover(plan: Failover) -> Result<()> {
    let setup = Setup {
        hub_flags: vec!["--member-link-ping-interval=500ms".to_owned()],
        traffic: true,
        ..Setup::new(plan.kind)
    };
    let mut world = World::start(setup).await?;
    world.add_members(&[VICTIM, "member-2"]).await?;
    let [a, b, c] = loopback_network();
    let mut servers = Vec::new();
    for (number, name) in [VICTIM, "member-2"].iter().enumerate() {
        apply(&world.hub_client(), &member_cluster(name, json!({}))).await?;
        crate::demo::joined(&world, name).await?;
        let address = Ipv4Addr::new(a, b, c, 201 + u8::try_from(number)?);
        export(&world, name, address).await?;
        servers.push(Server::start(address).await?);
    }
    let hub = world.hub_client();
    apply(
        &hub,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
    )
    .await?;
    let [victim, other]: [Server; 2] = servers.try_into().ok().context("there are two members")?;
    let mut bench = Bench { world, victim, other };
    let mut lines = vec![
        ["death", "deaths", "p50", "p99", "most", "goal (p99)"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for death in plan.deaths {
        let client = bench.configure(death).await?;
        let mut waits = Vec::new();
        for number in 1..=plan.kills {
            waits.push(
                bench
                    .kill(&client, death)
                    .await
                    .with_context(|| format!("death {number}: {death}"))?,
            );
            eprint!("\r{death}: {number} of {}", plan.kills);
        }
        eprintln!();
        waits.sort_by(f64::total_cmp);
        let seconds = |percent| format!("{:.2} s", percentile(&waits, percent));
        lines.push(vec![
            death.to_string(),
            waits.len().to_string(),
            seconds(50),
            seconds(99),
            seconds(100),
            death.goal().to_owned(),
        ]);
    }
    println!("\nFrom the death of an endpoint to the last answer of the authoritative server that names it.");
    println!("A resolver may keep that answer for {TTL} s more (time to live of the profile).\n");
    print!("{}", table::align(&lines));
    bench.world.stop().await;
    Ok(())
}

struct Bench {
    world: World,
    victim: Server,
    other: Server,
}

impl Bench {
    /// Applies the profile for a way to die, and its backend, and waits until both endpoints are in the answers.
    async fn configure(&self, death: Death) -> Result<Client> {
        let hub = self.world.hub_client();
        let group = "networking.fleet.azure.com/v1beta1";
        apply(
            &hub,
            &json!({
                "apiVersion": group, "kind": "TrafficManagerProfile",
                "metadata": {"name": PROFILE, "namespace": NAMESPACE, "annotations": death.annotations()},
                "spec": {"resourceGroup": "fleet", "monitorConfig": {
                    "protocol": "HTTP", "port": PORT, "path": death.path(), "toleratedNumberOfFailures": 0,
                    "intervalInSeconds": 30,
                }},
            }),
        )
        .await?;
        apply(
            &hub,
            &json!({
                "apiVersion": group, "kind": "TrafficManagerBackend",
                "metadata": {"name": SERVICE, "namespace": NAMESPACE},
                "spec": {"profile": {"name": PROFILE}, "backend": {"name": SERVICE}, "weight": 100},
            }),
        )
        .await?;
        let client = Traffic::new(&self.world, NAMESPACE).programmed(PROFILE, PORT).await?;
        for address in [self.victim.address, self.other.address] {
            until_named(&client, address).await?;
        }
        Ok(client)
    }

    /// Kills the endpoint, waits until no answer names it, and brings it back. Returns the seconds to the last answer.
    async fn kill(&mut self, client: &Client, death: Death) -> Result<f64> {
        // Deaths fall on every moment between two probes or pings.
        let moment = rand::rng().random_range(0..1000);
        sleep(Duration::from_millis(moment)).await;
        let died = Instant::now();
        match death {
            Death::Server => self.victim.stop(),
            Death::Readiness => slice(&self.world, VICTIM, self.victim.address, false).await?,
            Death::Member => self.world.member_agent(VICTIM)?.signal(Signal::SIGSTOP)?,
        }
        let last = last_named(client, self.victim.address).await?;
        match death {
            Death::Server => self.victim.listen().await?,
            Death::Readiness => slice(&self.world, VICTIM, self.victim.address, true).await?,
            Death::Member => self.world.member_agent(VICTIM)?.signal(Signal::SIGCONT)?,
        }
        until_named(client, self.victim.address).await?;
        Ok(last.saturating_duration_since(died).as_secs_f64())
    }
}

/// When the last answer came that names an address.
async fn last_named(client: &Client, address: Ipv4Addr) -> Result<Instant> {
    let began = Instant::now();
    let mut last = began;
    while last.elapsed() < QUIET {
        if client.resolve().await?.addresses.contains(&address) {
            last = Instant::now();
        }
        ensure!(began.elapsed() < WITHIN, "{address} is still named after {WITHIN:?}");
        sleep(QUERY_EVERY).await;
    }
    Ok(last)
}

/// Waits until answers name an address.
async fn until_named(client: &Client, address: Ipv4Addr) -> Result<()> {
    let began = Instant::now();
    loop {
        let found = client.resolve().await;
        if found.as_ref().is_ok_and(|answer| answer.addresses.contains(&address)) {
            return Ok(());
        }
        ensure!(
            began.elapsed() < WITHIN,
            "{address} is not named within {WITHIN:?}; the last answer: {found:?}"
        );
        sleep(QUERY_EVERY).await;
    }
}

/// An exported Service whose load balancer and endpoints belong to this benchmark.
async fn export(world: &World, member: &str, address: Ipv4Addr) -> Result<()> {
    let client = world.member_client(member)?;
    let metadata = json!({"name": SERVICE, "namespace": NAMESPACE});
    apply(
        &client,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
    )
    .await?;
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        // Of a class that the simulated cloud of the members does not serve, and without Pods.
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "fairway.dev/benchmark",
            "ports": [{"port": PORT, "protocol": "TCP"}]},
    });
    service["metadata"]["annotations"] =
        json!({"service.beta.kubernetes.io/azure-dns-label-name": format!("{NAMESPACE}-{member}")});
    apply(&client, &service).await?;
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address.to_string(), "ipMode": "VIP"}]}}});
    let path = format!("/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}/status");
    let request = http::Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(serde_json::to_vec(&status)?)?;
    client
        .request::<Value>(request)
        .await
        .context("the Service gets no address")?;
    slice(world, member, address, true).await?;
    let export = json!({
        "apiVersion": "networking.fleet.azure.com/v1beta1", "kind": "ServiceExport", "metadata": metadata,
    });
    apply(&client, &export).await?;
    Ok(())
}

/// The only endpoint of a member's Service.
async fn slice(world: &World, member: &str, address: Ipv4Addr, is_ready: bool) -> Result<()> {
    let object = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("{SERVICE}-1"), "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": SERVICE}},
        "endpoints": [{"addresses": [endpoint_address(address).to_string()],
            "conditions": {"ready": is_ready, "serving": is_ready}}],
        "ports": [{"port": PORT, "protocol": "TCP"}],
    });
    apply(&world.member_client(member)?, &object).await?;
    Ok(())
}

/// API servers refuse loopback addresses in slices; this one is of a range for documentation.
fn endpoint_address(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, address.octets()[3])
}

/// A server that answers every request with 200.
struct Server {
    address: Ipv4Addr,
    task: Option<JoinHandle<()>>,
}

impl Server {
    async fn start(address: Ipv4Addr) -> Result<Self> {
        let mut server = Self { address, task: None };
        server.listen().await?;
        Ok(server)
    }

    async fn listen(&mut self) -> Result<()> {
        let at = SocketAddr::from((self.address, PORT));
        let listener = TcpListener::bind(at)
            .await
            .with_context(|| format!("nothing can listen at {at}"))?;
        self.task = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        }));
        Ok(())
    }

    /// Connections are refused as soon as the task has let the listener go.
    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn answer(mut stream: TcpStream) {
    let mut request = [0; 4096];
    // A probe's request is one packet, and what it asks for does not matter.
    if stream.read(&mut request).await.is_ok() {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
    }
}
