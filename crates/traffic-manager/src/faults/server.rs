//! A traffic manager in the process of a test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use dns::{Name, NameServer, NetworkTable};
use kit::tls::Files;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{AUDIENCE, Faults, ISSUER, Issuer, SUBJECT};
use crate::app::{App, Config};
use crate::engine::Handle;
use crate::http::Listen;
use crate::probe::Limits;
use crate::zone::ZoneSettings;

/// Tenant of the clients of [`Server`].
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
/// A client that may do everything.
pub const CLIENT: &str = "hub-agent";
/// Its secret.
pub const SECRET: &str = "secret-of-the-hub-agent";
/// A client that may read, and only in the resource group `readable`.
pub const READER: &str = "reader";
/// Its secret.
pub const READER_SECRET: &str = "secret-of-the-reader";

/// A client that may do everything and shows assertions of [`Server::issuer`] instead of a secret.
pub const WORKLOAD: &str = "workload";

/// How a [`Server`] differs from the usual one.
#[derive(Debug, Clone)]
pub struct Options {
    /// The zone.
    pub origin: String,
    /// Azure's limits of requests are multiplied by this; 0 means none.
    pub throttle_factor: u32,
    /// How long tokens last.
    pub token_lifetime: Duration,
    /// Public IP addresses in one page of a list.
    pub page: usize,
    /// TLS; plain HTTP without.
    pub tls: Option<Files>,
    /// How long nothing is written before a lost store counts as written again.
    pub recovery_pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origin: "trafficmanager.net".to_owned(),
            throttle_factor: 0,
            token_lifetime: Duration::from_secs(3600),
            page: 100,
            tls: None,
            recovery_pause: Duration::from_secs(30),
        }
    }
}

/// A running traffic manager on loopback. Dropping it ends it.
pub struct Server {
    /// Address of the ARM surface, without a slash at the end.
    pub url: String,
    /// Where the ARM surface listens.
    pub arm: SocketAddr,
    /// Where the DNS server listens.
    pub dns: SocketAddr,
    /// What befalls requests.
    pub faults: Faults,
    /// The engine, to look at the state.
    pub engine: Handle,
    /// Whose assertions stand for [`WORKLOAD`].
    pub issuer: Issuer,
    stop: Option<DropGuard>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts one whose store is in a directory.
    ///
    /// # Errors
    /// When it cannot start.
    pub async fn start(directory: &Path, options: Options) -> Result<Self, String> {
        std::fs::create_dir_all(directory).map_err(|err| err.to_string())?;
        let issuer = Issuer::new()?;
        let clients = write_clients(directory, &issuer).map_err(|err| err.to_string())?;
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let config = config(directory, clients, options)?;
        let faults = Faults::default();
        let stop = CancellationToken::new();
        let app = App::start(config, Some(Arc::new(faults.clone())), stop.clone()).await;
        let app = app.map_err(|err| err.to_string())?;
        let arm = app.arm_address();
        let dns = app.dns_addresses().first().copied().ok_or("there is no DNS address")?;
        let engine = app.engine();
        let task = tokio::spawn(async move {
            if let Err(error) = app.run().await {
                tracing::error!(%error, "The traffic manager of a test has ended.");
            }
        });
        Ok(Self {
            url: format!("{scheme}://{arm}"),
            arm,
            dns,
            faults,
            engine,
            issuer,
            stop: Some(stop.drop_guard()),
            task,
        })
    }

    /// Ends it and waits until it is gone.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        // A panic of the task has been reported where it happened.
        let _ended = (&mut self.task).await;
    }
}

fn write_clients(directory: &Path, issuer: &Issuer) -> std::io::Result<PathBuf> {
    let keys = directory.join("issuer-keys.json");
    std::fs::write(&keys, issuer.keys().to_string())?;
    let path = directory.join("clients.json");
    let clients = json!({"clients": [
        {"tenant": TENANT, "clientId": CLIENT, "secret": SECRET},
        {"clientId": READER, "secret": READER_SECRET, "readOnly": true,
            "scopes": ["/subscriptions/sub/resourceGroups/readable"]},
        {"tenant": TENANT, "clientId": WORKLOAD, "federated":
            {"issuer": ISSUER, "subject": SUBJECT, "audience": AUDIENCE, "keysFile": keys}},
    ]});
    std::fs::write(&path, clients.to_string())?;
    Ok(path)
}

fn config(directory: &Path, clients: PathBuf, options: Options) -> Result<Config, String> {
    let name = |text: &str| {
        let mut name = Name::from_str(text).map_err(|err| err.to_string())?;
        name.set_fqdn(true);
        Ok::<_, String>(name)
    };
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let origin = name(&options.origin)?;
    let ns = name(&format!("ns1.{}", options.origin))?;
    Ok(Config {
        store: directory.join("store"),
        clients,
        token_key: None,
        token_lifetime: options.token_lifetime,
        arm: match options.tls {
            Some(files) => Listen::Tls(loopback, files),
            None => Listen::Plain(loopback),
        },
        public_url: None,
        throttle_factor: options.throttle_factor,
        dns: dns::Config {
            listen: vec![loopback],
            ..dns::Config::default()
        },
        zone: ZoneSettings {
            mailbox: name(&format!("hostmaster.{}", options.origin))?,
            name_servers: vec![NameServer {
                name: ns,
                addresses: vec![Ipv4Addr::LOCALHOST.into()],
            }],
            origin,
            own_ttl: 3600,
            negative_ttl: 10,
            networks: Arc::new(NetworkTable::default()),
        },
        max_profiles: 200,
        page: options.page,
        probes: Limits {
            spread: Duration::ZERO,
            ..Limits::default()
        },
        new_store_waits: false,
        recovery_pause: options.recovery_pause,
        health_address: String::new(),
        metrics_address: String::new(),
    })
}
