//! The real traffic manager as a child process, set up as a deployment would: TLS, clients with secrets, and the cloud
//! configs that make agents use it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use control_plane::{free_ports, pki};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::agents::{self, Agent};

/// The zone that it answers for.
pub const ZONE: &str = "tm.example.com";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "hub-agent";
const SECRET: &str = "a secret of this run alone";
const START_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at a process that starts; there is nothing to watch before.
const POLL: Duration = Duration::from_millis(50);

/// A running traffic manager.
#[derive(Debug)]
pub struct TrafficManager {
    agent: Agent,
    dns: SocketAddr,
    cloud_config: PathBuf,
}

impl TrafficManager {
    /// Starts it with a new store in `folder` and waits until it is ready.
    pub async fn start(folder: &Path) -> Result<Self> {
        let [arm] = free_ports()?;
        let dns = free_dns_address()?;
        let authority = pki::Authority::new("traffic-manager")?;
        let pair = authority.server("traffic-manager", &["127.0.0.1", "localhost"])?;
        let serving = pair.write(folder, "traffic-manager")?;
        let ca_file = write(folder, "traffic-manager-ca.crt", authority.cert_pem())?;
        let clients = json!({"clients": [{"tenant": TENANT, "clientId": CLIENT, "secret": SECRET}]});
        let clients = write(folder, "traffic-manager-clients.json", &clients.to_string())?;
        let args = [
            format!("--store={}", folder.join("traffic-manager").display()),
            format!("--clients-file={}", clients.display()),
            format!("--arm-bind-address=127.0.0.1:{arm}"),
            format!("--arm-cert-file={}", serving.cert.display()),
            format!("--arm-key-file={}", serving.key.display()),
            format!("--zone={ZONE}"),
            format!("--name-servers=ns1.{ZONE}={}", dns.ip()),
            format!("--dns-bind-addresses={dns}"),
        ];
        let cloud_config = json!({
            "resourceManagerEndpoint": format!("https://127.0.0.1:{arm}"),
            "resourceManagerCAFile": ca_file,
            "tenantId": TENANT,
            "subscriptionId": "00000000-0000-0000-0000-000000000001",
            "resourceGroup": "fleet",
            "location": "global",
            "aadClientId": CLIENT,
            "aadClientSecret": SECRET,
        });
        let cloud_config = write(folder, "cloud-config.json", &cloud_config.to_string())?;
        let mut this = Self {
            agent: agents::traffic_manager(&args, folder)?,
            dns,
            cloud_config,
        };
        this.wait_ready().await?;
        Ok(this)
    }

    /// The process.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Where its DNS server listens, over UDP and TCP.
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// The cloud config of a hub agent that uses it.
    pub fn cloud_config(&self) -> &Path {
        &self.cloud_config
    }

    /// Ends it.
    pub async fn stop(self) {
        self.agent.stop().await;
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        while !self.agent.is_ready().await {
            if !self.agent.runs() || Instant::now() >= deadline {
                bail!("the traffic manager does not start; {}", self.agent.last_lines(15));
            }
            sleep(POLL).await;
        }
        Ok(())
    }
}

/// A port of loopback that is free for UDP and for TCP.
fn free_dns_address() -> Result<SocketAddr> {
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        let [port] = free_ports()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port on loopback is free for UDP and TCP")
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}
