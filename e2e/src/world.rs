//! A whole fleet on this machine: a hub and members with their control planes, the simulated workloads, and the real
//! agents, each under the identity that a deployment gives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use control_plane::progress::{Lines, SharedProgress, step};
use control_plane::{ControlPlane, Kind, Options, RunFolder, TokenFile, free_ports, loopback_network, pki, workloads};
use futures::future::try_join_all;
use kube::Client;
use serde_json::{Value, json};

use crate::agents::{self, Agent, HubOptions, Link, MemberOptions};
use crate::manifests;
use crate::traffic_manager::TrafficManager;

/// Namespace of the agents on every cluster.
const SYSTEM: &str = "fleet-system";

/// How a fleet is brought up.
#[derive(Clone)]
pub struct Setup {
    /// Kind of every control plane.
    pub kind: Kind,
    /// Where everything is kept; removed at the end unless it is named.
    pub folder: Option<PathBuf>,
    /// Receives every step.
    pub progress: SharedProgress,
    /// Further flags of the hub agent.
    pub hub_flags: Vec<String>,
    /// Further flags of the member agents.
    pub member_flags: Vec<String>,
    /// Whether there is a traffic manager that the agents use, and HTTP servers at the members' load balancers.
    pub traffic: bool,
}

impl Setup {
    /// A fleet whose agents start as their deployments say, without a traffic manager, in a folder of its own, with a line
    /// for each step.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            folder: None,
            progress: Arc::new(Lines::new()),
            hub_flags: Vec::new(),
            member_flags: Vec::new(),
            traffic: false,
        }
    }
}

/// A running fleet. Dropping it ends everything.
pub struct World {
    setup: Setup,
    hub: ControlPlane,
    hub_options: HubOptions,
    hub_agent: Option<Agent>,
    traffic_manager: Option<TrafficManager>,
    members: BTreeMap<String, Member>,
    _hub_token: TokenFile,
    /// Certificates, kubeconfigs, data and logs of this fleet alone. Last, so that it is removed when nothing writes there
    /// any more.
    folder: RunFolder,
}

/// One member cluster.
pub struct Member {
    plane: ControlPlane,
    options: MemberOptions,
    agent: Option<Agent>,
    _tokens: [TokenFile; 2],
}

impl World {
    /// Starts the hub with its agent; members come with [`World::add_members`].
    pub async fn start(setup: Setup) -> Result<Self> {
        let folder = RunFolder::create(setup.folder.as_deref())?;
        let hub = ControlPlane::start(setup.kind, "hub", options(&setup, &folder, "hub", hub_crds()?)).await?;
        let progress = setup.progress.clone();
        step(
            progress.as_ref(),
            "hub",
            "agent's rights",
            apply_folder(&hub.client(), "hub-agent"),
        )
        .await?;
        let (kubeconfig, token) = hub.service_account_kubeconfig(SYSTEM, "hub-agent-sa").await?;
        let link = link(folder.path())?;
        let traffic_manager = match setup.traffic {
            true => {
                let start = TrafficManager::start(folder.path());
                Some(step(progress.as_ref(), "traffic manager", "start", start).await?)
            }
            false => None,
        };
        let hub_options = HubOptions {
            kubeconfig,
            folder: folder.path().to_owned(),
            link,
            extra: traffic_flags(traffic_manager.as_ref())
                .into_iter()
                .chain(setup.hub_flags.iter().cloned())
                .collect(),
        };
        let mut world = Self {
            setup,
            hub,
            hub_options,
            hub_agent: None,
            traffic_manager,
            members: BTreeMap::new(),
            _hub_token: token,
            folder,
        };
        world.start_hub_agent().await?;
        Ok(world)
    }

    /// Starts control planes and agents of further members side by side. They join once a MemberCluster exists.
    pub async fn add_members(&mut self, names: &[&str]) -> Result<()> {
        let this = &*self;
        let started = try_join_all(names.iter().map(|name| this.start_member(name))).await?;
        for member in started {
            self.members.insert(member.options.cluster.clone(), member);
        }
        Ok(())
    }

    async fn start_member(&self, name: &str) -> Result<Member> {
        let progress = self.setup.progress.clone();
        let workloads = workloads::Options {
            load_balancer_network: loopback_network(),
            serve_as: self.setup.traffic.then(|| name.to_owned()),
            ..workloads::Options::default()
        };
        let options = Options {
            workloads: Some(workloads),
            ..options(&self.setup, &self.folder, name, member_crds())
        };
        let plane = ControlPlane::start(self.setup.kind, name, options).await?;
        step(
            progress.as_ref(),
            name,
            "agent's rights",
            apply_folder(&plane.client(), "member-agent"),
        )
        .await?;
        let identity = format!("fleet-member-agent-{name}");
        let hub_token = self.hub.token_file(SYSTEM, &identity).await?;
        let (kubeconfig, own_token) = plane.service_account_kubeconfig(SYSTEM, "member-agent-sa").await?;
        let options = MemberOptions {
            cluster: name.to_owned(),
            kubeconfig,
            hub_url: self.hub.url().to_owned(),
            hub_ca: write(self.folder.path(), "hub-ca.pem", self.hub.ca_pem())?,
            hub_token: hub_token.path().to_owned(),
            link: self.hub_options.link.clone(),
            folder: self.folder.path().to_owned(),
            extra: member_traffic_flags(self.setup.traffic)
                .chain(self.setup.member_flags.iter().cloned())
                .collect(),
        };
        let agent = agents::member(&options)?;
        Ok(Member {
            plane,
            options,
            agent: Some(agent),
            _tokens: [hub_token, own_token],
        })
    }

    /// The hub's control plane.
    pub fn hub(&self) -> &ControlPlane {
        &self.hub
    }

    /// The hub's control plane, to keep a backup of it and go back to it.
    pub fn hub_mut(&mut self) -> &mut ControlPlane {
        &mut self.hub
    }

    /// Adds flags with which the hub agent starts from now on; the last of equal names counts.
    pub fn add_hub_flags(&mut self, flags: &[&str]) {
        self.hub_options
            .extra
            .extend(flags.iter().map(|flag| (*flag).to_owned()));
    }

    /// An administrator's client of the hub.
    pub fn hub_client(&self) -> Client {
        self.hub.client()
    }

    /// An administrator's client of a member.
    pub fn member_client(&self, name: &str) -> Result<Client> {
        Ok(self.member(name)?.plane.client())
    }

    /// The control plane of a member.
    pub fn member_plane(&self, name: &str) -> Result<&ControlPlane> {
        Ok(&self.member(name)?.plane)
    }

    /// Where the hub agent serves sessions.
    pub fn link(&self) -> Link {
        self.hub_options.link.clone()
    }

    /// A token of the account that a member agent has on the hub, for a member that is not started here.
    pub async fn member_token(&self, name: &str) -> Result<TokenFile> {
        self.hub.token_file(SYSTEM, &format!("fleet-member-agent-{name}")).await
    }

    /// Names of the members that were started.
    pub fn member_names(&self) -> Vec<&str> {
        self.members.keys().map(String::as_str).collect()
    }

    /// Where logs and kubeconfigs are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The traffic manager.
    pub fn traffic_manager(&self) -> Result<&TrafficManager> {
        self.traffic_manager
            .as_ref()
            .context("the fleet was started without a traffic manager")
    }

    /// The running hub agent.
    pub fn hub_agent(&self) -> Result<&Agent> {
        self.hub_agent.as_ref().context("the hub agent does not run")
    }

    /// The running agent of a member.
    pub fn member_agent(&self, name: &str) -> Result<&Agent> {
        self.member(name)?
            .agent
            .as_ref()
            .with_context(|| format!("the agent of {name} does not run"))
    }

    /// Starts the hub agent, the first time or again.
    pub async fn start_hub_agent(&mut self) -> Result<()> {
        self.hub_agent = Some(agents::hub(&self.hub_options)?);
        Ok(())
    }

    /// Ends the hub agent as a crash would.
    pub async fn crash_hub_agent(&mut self) -> Result<()> {
        self.hub_agent
            .take()
            .context("the hub agent does not run")?
            .crash()
            .await
    }

    /// Starts the agent of a member again.
    pub fn start_member_agent(&mut self, name: &str) -> Result<()> {
        let member = self.member_mut(name)?;
        member.agent = Some(agents::member(&member.options)?);
        Ok(())
    }

    /// Ends the agent of a member as a crash would.
    pub async fn crash_member_agent(&mut self, name: &str) -> Result<()> {
        let member = self.member_mut(name)?;
        member
            .agent
            .take()
            .context("the member agent does not run")?
            .crash()
            .await
    }

    /// Ends everything in order: agents first, so that their logs do not end in errors.
    pub async fn stop(self) {
        if let Some(agent) = self.hub_agent {
            agent.stop().await;
        }
        for (_, member) in self.members {
            if let Some(agent) = member.agent {
                agent.stop().await;
            }
            member.plane.stop().await;
        }
        self.hub.stop().await;
        if let Some(traffic_manager) = self.traffic_manager {
            traffic_manager.stop().await;
        }
    }

    fn member(&self, name: &str) -> Result<&Member> {
        self.members
            .get(name)
            .with_context(|| format!("there is no member {name}"))
    }

    fn member_mut(&mut self, name: &str) -> Result<&mut Member> {
        self.members
            .get_mut(name)
            .with_context(|| format!("there is no member {name}"))
    }
}

/// The MemberCluster that lets a member of a [`World`] join.
pub fn member_cluster(name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "cluster.kubernetes-fleet.io/v1",
        "kind": "MemberCluster",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "identity": {"kind": "ServiceAccount", "name": format!("fleet-member-agent-{name}"), "namespace": SYSTEM, "apiGroup": ""},
            "heartbeatPeriodSeconds": 15,
        },
    })
}

/// The hub agent's flags for traffic; without a traffic manager it starts as its deployment says.
fn traffic_flags(traffic_manager: Option<&TrafficManager>) -> Vec<String> {
    let Some(manager) = traffic_manager else {
        return Vec::new();
    };
    vec![
        "--enable-traffic-manager-feature=true".to_owned(),
        format!("--cloud-config={}", manager.cloud_config().display()),
    ]
}

/// The same for a member agent, whose load balancers belong to no cloud.
fn member_traffic_flags(traffic: bool) -> impl Iterator<Item = String> {
    traffic
        .then(|| "--enable-traffic-manager-feature=true".to_owned())
        .into_iter()
}

fn options(setup: &Setup, folder: &RunFolder, name: &str, crds: Vec<PathBuf>) -> Options {
    Options {
        run_folder: Some(folder.path().join(name)),
        crds,
        progress: setup.progress.clone(),
        ..Options::default()
    }
}

/// The source tree, where `deploy` and its samples are.
pub fn source_tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The hub's definitions: all but AppliedWork and MultiCluster, which exist on members, and the group that has no controllers.
fn hub_crds() -> Result<Vec<PathBuf>> {
    let folder = source_tree().join("deploy/crds");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".yaml")
            && !name.ends_with("_appliedworks.yaml")
            && !name.starts_with("placement.kubefleet.dev_")
            && !name.starts_with("kube-vip.io_")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn member_crds() -> Vec<PathBuf> {
    let folder = source_tree().join("deploy/crds");
    [
        "placement.kubernetes-fleet.io_appliedworks.yaml",
        "networking.fleet.azure.com_serviceexports.yaml",
    ]
    .map(|file| folder.join(file))
    .to_vec()
}

/// Applies what `deploy/<folder>` holds, but for the Deployment: the agent runs as a process here.
async fn apply_folder(client: &Client, folder: &str) -> Result<()> {
    let folder = source_tree().join("deploy").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    for file in files {
        for document in manifests::read(&file)? {
            let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
            if !matches!(kind, "Deployment" | "CustomResourceDefinition") {
                manifests::apply(client, &document).await?;
            }
        }
    }
    Ok(())
}

/// Address and certificates of the members' sessions.
fn link(folder: &Path) -> Result<Link> {
    let [port] = free_ports()?;
    let address = format!("127.0.0.1:{port}");
    let authority = pki::Authority::new("member-link")?;
    let pair = authority.server("hub-agent", &["127.0.0.1", "localhost"])?;
    Ok(Link {
        address,
        certificate: write(folder, "link.crt", &pair.cert_pem)?,
        key: write(folder, "link.key", &pair.key_pem)?,
        authority: write(folder, "link-ca.crt", authority.cert_pem())?,
    })
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

/// How long a first start may take on a small machine.
pub const JOIN_WITHIN: Duration = Duration::from_secs(60);
