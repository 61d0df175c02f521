//! The real traffic manager with a zone of profiles of every kind.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::networking::synthetic_address::{self, Ingress, SyntheticAddress};
use azure::{Azure, CloudConfig, Environment, Options, Profile, ProfileRef, TrafficManager};
use control_plane::free_ports;
use control_plane::process::Supervised;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The zone.
pub const ZONE: &str = "tm.example.com";
/// Name servers with long names, so that the set of them does not fit into a datagram.
pub const NAME_SERVERS: usize = 24;
/// Time for what has to happen.
pub const WITHIN: Duration = Duration::from_secs(60);

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "hub-agent";
const SECRET: &str = "secret-of-the-hub-agent";

/// A running traffic manager.
pub struct Manager {
    /// Port of the DNS server.
    pub dns: u16,
    /// The client that writes its profiles.
    pub arm: Arc<dyn TrafficManager>,
    metrics: u16,
    process: Supervised,
    folder: Folder,
}

/// An endpoint of a profile.
pub struct Endpoint<'a> {
    /// An address or a domain name.
    pub target: &'a str,
    pub weight: u32,
    /// A region, for the routing `Performance`.
    pub location: Option<&'a str>,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The name of a name server.
pub fn name_server(number: usize) -> String {
    format!("ns{number:02}-{}.{ZONE}", "x".repeat(46))
}

/// The full name of a profile.
pub fn full(relative: &str) -> String {
    format!("{relative}.{ZONE}.")
}

/// An endpoint with one weight and no location.
pub fn to(target: &str) -> Endpoint<'_> {
    Endpoint {
        target,
        weight: 1,
        location: None,
    }
}

impl Manager {
    /// Starts one with an empty zone. `name` keeps the folders of tests apart.
    pub async fn start(name: &str) -> Self {
        kit::install_crypto();
        let folder = std::env::temp_dir().join(format!("fairway-resolvers-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let folder = Folder(folder);
        let path = |name: &str| folder.0.join(name);
        let clients = json!({"clients": [{"tenant": TENANT, "clientId": CLIENT, "secret": SECRET}]});
        std::fs::write(path("clients.json"), clients.to_string()).unwrap();
        let networks = json!([
            {"network": "10.1.0.0/16", "locations": ["westeurope"]},
            {"network": "0.0.0.0/0", "locations": ["eastus"]},
        ]);
        std::fs::write(path("networks.json"), networks.to_string()).unwrap();
        let ([arm, metrics], dns) = (free_ports().unwrap(), free_dns_port());
        let servers: Vec<String> = (0..NAME_SERVERS)
            .map(|number| format!("{}=127.0.0.1", name_server(number)))
            .collect();
        let arguments = [
            format!("--store={}", path("store").display()),
            format!("--clients-file={}", path("clients.json").display()),
            format!("--network-table-file={}", path("networks.json").display()),
            format!("--arm-bind-address=127.0.0.1:{arm}"),
            "--arm-plain-http".to_owned(),
            format!("--dns-bind-addresses=127.0.0.1:{dns}"),
            format!("--zone={ZONE}"),
            format!("--name-servers={}", servers.join(",")),
            "--negative-ttl=1".to_owned(),
            format!("--metrics-bind-address=127.0.0.1:{metrics}"),
            "--health-probe-bind-address=0".to_owned(),
        ];
        let program = e2e::agents::binary("traffic-manager").unwrap();
        let mut process = Supervised::start("traffic-manager", &program, &arguments, path("log")).unwrap();
        let config = json!({
            "resourceManagerEndpoint": format!("http://127.0.0.1:{arm}"), "tenantId": TENANT, "subscriptionId": "sub",
            "resourceGroup": "rg", "location": "global", "aadClientId": CLIENT, "aadClientSecret": SECRET,
        });
        let config = CloudConfig::parse(&config.to_string(), &Environment::default()).unwrap();
        let connected = async {
            loop {
                if let Ok(azure) = Azure::connect(&config, &Options::new("e2e")).await {
                    return azure;
                }
                // It does not listen yet.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let azure = tokio::select! {
            azure = tokio::time::timeout(WITHIN, connected) => azure.expect("the traffic manager does not answer"),
            status = process.exited() => panic!("{}", process.ended_early(status)),
        };
        Self {
            dns,
            arm: azure.traffic_manager(),
            metrics,
            process,
            folder,
        }
    }

    /// A folder for files of the test.
    pub fn folder(&self) -> &PathBuf {
        &self.folder.0
    }

    /// Writes a profile whose endpoints are answered without probes. It replaces the one of the same name.
    pub async fn put(&self, relative: &str, routing: &str, ttl: u32, endpoints: &[Endpoint<'_>]) {
        let endpoints: Vec<Value> = endpoints.iter().enumerate().map(endpoint).collect();
        let body = json!({
            "location": "global",
            "properties": {
                "profileStatus": "Enabled", "trafficRoutingMethod": routing,
                "dnsConfig": {"relativeName": relative, "ttl": ttl},
                "monitorConfig": {"protocol": "TCP", "port": 443},
                "endpoints": endpoints,
            }
        });
        let body: Map<String, Value> = serde_json::from_value(body).unwrap();
        let stored = self
            .arm
            .put_profile(&profile(relative), &Profile::from(body))
            .await
            .unwrap();
        assert_eq!(stored.fqdn(), Some(format!("{relative}.{ZONE}").as_str()));
    }

    /// Queries that the DNS server has answered so far.
    pub async fn queries(&self) -> u64 {
        let read = async {
            let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.metrics))
                .await
                .unwrap();
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        let text = tokio::time::timeout(WITHIN, read).await.unwrap();
        assert!(text.contains("# HELP fairway_traffic_manager_"), "{text}");
        let counters = text
            .lines()
            .filter(|line| line.starts_with("fairway_traffic_manager_dns_queries_total{"));
        counters
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Ends it.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}

/// The profile of that name.
pub fn profile(name: &str) -> ProfileRef {
    ProfileRef {
        resource_group: "rg".into(),
        name: name.into(),
    }
}

fn endpoint((index, endpoint): (usize, &Endpoint<'_>)) -> Value {
    let ingress = match endpoint.target.parse() {
        Ok(ip) => Ingress::Ip(ip),
        Err(_) => Ingress::host(endpoint.target).unwrap(),
    };
    let id = synthetic_address::format(&SyntheticAddress {
        cluster: format!("member-{index}"),
        ingress,
    });
    let mut body = json!({
        "name": format!("backend#service#member-{index}"),
        "type": "Microsoft.Network/trafficManagerProfiles/AzureEndpoints",
        "properties": {"targetResourceId": id, "endpointStatus": "Enabled", "weight": endpoint.weight,
            "alwaysServe": "Enabled"},
    });
    if let Some(location) = endpoint.location {
        body["properties"]["endpointLocation"] = json!(location);
    }
    body
}

/// A port that is free for UDP and TCP.
pub fn free_dns_port() -> u16 {
    let free = std::iter::repeat_with(|| free_ports::<1>().unwrap()[0]).take(100);
    free.into_iter()
        .find(|port| UdpSocket::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
