//! One control plane, whatever its kind.

mod backup;

pub use backup::Backup;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use apiserver::ApiServer;
use kube::Client;
use kube::config::Kubeconfig;
use tokio::time::Instant;
use workloads::Simulator;

use crate::binaries::{self, Binaries};
use crate::crds;
use crate::embedded::{EmbeddedHost, InProcess, OwnProcess};
use crate::files::RunFolder;
use crate::identity::{TOKEN_LIFETIME, TokenFile};
use crate::kubeconfig::{self, Credential};
use crate::pki::Authority;
use crate::progress::{SharedProgress, Silent, step};
use crate::real::Real;

/// The kind of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// etcd, kube-apiserver and kube-controller-manager as child processes.
    Real,
    /// Our API server in memory.
    Embedded,
}

/// How a control plane starts.
#[derive(Clone)]
pub struct Options {
    /// Where kubeconfig, certificates, data and logs go; kept afterwards. Without it a temporary folder is used and
    /// removed at the end.
    pub run_folder: Option<PathBuf>,
    /// Files or folders of CustomResourceDefinitions, installed before the controllers start.
    pub crds: Vec<PathBuf>,
    /// Whether controllers run: on the real kind the controller manager, on the embedded kind those of the simulated
    /// workloads.
    pub controllers: bool,
    /// Nodes, and workloads that report what a healthy cluster would; whether the controllers are simulated as well
    /// follows from the kind. Without it no Pod runs.
    pub workloads: Option<workloads::Options>,
    /// Where an embedded API server runs.
    pub embedded: EmbeddedHost,
    /// More flags for kube-apiserver; the embedded kind has none.
    pub api_server_flags: Vec<String>,
    /// Receives every step.
    pub progress: SharedProgress,
    /// For the whole start, the getting of binaries excepted.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            run_folder: None,
            crds: Vec::new(),
            controllers: true,
            workloads: None,
            embedded: EmbeddedHost::default(),
            api_server_flags: Vec::new(),
            progress: Arc::new(Silent),
            deadline: Duration::from_secs(180),
        }
    }
}

/// A running control plane. Dropping it ends it as well, without waiting; [`ControlPlane::stop`] waits.
pub struct ControlPlane {
    name: String,
    kind: Kind,
    authority: Authority,
    url: String,
    kubeconfig: Kubeconfig,
    kubeconfig_path: PathBuf,
    client: Client,
    simulator: Option<Simulator>,
    host: Host,
    /// Last, so that it is removed when nothing writes there any more.
    folder: RunFolder,
}

enum Host {
    Real(Box<Real>),
    InProcess(InProcess),
    OwnProcess(OwnProcess),
}

impl ControlPlane {
    /// Starts a control plane and waits until it is ready.
    pub async fn start(kind: Kind, name: &str, options: Options) -> Result<Self> {
        let binaries = match kind {
            Kind::Real => Some(binaries::find(options.progress.clone()).await?),
            Kind::Embedded => None,
        };
        Self::start_with(binaries.as_ref(), name, options).await
    }

    /// Starts a real control plane with programs that are already there, or without programs an embedded one.
    pub(crate) async fn start_with(binaries: Option<&Binaries>, name: &str, options: Options) -> Result<Self> {
        let begun = Self::begin(binaries, name, &options);
        begun
            .await
            .with_context(|| format!("the control plane {name} does not start"))
    }

    async fn begin(binaries: Option<&Binaries>, name: &str, options: &Options) -> Result<Self> {
        let deadline = Instant::now() + options.deadline;
        let progress = options.progress.as_ref();
        let folder = RunFolder::create(options.run_folder.as_deref())?;
        let authority = Authority::new(name)?;
        let mut host = Host::start(&authority, folder.path(), binaries, options).await?;
        let (kind, url) = (host.kind(), host.url());
        let admin = authority.client("fairway-admin", &["system:masters"])?;
        let kubeconfig = kubeconfig::build(name, &url, authority.cert_pem(), Credential::Certificate(&admin))?;
        let kubeconfig_path = folder.path().join("kubeconfig");
        kubeconfig::write(&kubeconfig, &kubeconfig_path)?;
        let client = match &host {
            Host::InProcess(embedded) => embedded.server().client(),
            Host::Real(_) | Host::OwnProcess(_) => kubeconfig::client(&kubeconfig_path).await?,
        };
        step(progress, name, "API server", host.wait_ready(&client, deadline)).await?;
        if !options.crds.is_empty() {
            step(
                progress,
                name,
                "CustomResourceDefinitions",
                crds::install(&client, &options.crds),
            )
            .await?;
        }
        if options.controllers && kind == Kind::Real {
            step(
                progress,
                name,
                "controller manager",
                host.start_controllers(&client, deadline),
            )
            .await?;
        }
        let simulator = simulate(name, options, &client, kind == Kind::Embedded && options.controllers).await?;
        let name = name.to_owned();
        Ok(Self {
            name,
            kind,
            authority,
            url,
            kubeconfig,
            kubeconfig_path,
            client,
            simulator,
            host,
            folder,
        })
    }

    /// The cluster's name, which is also the name of the kubeconfig's context.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind that it was started with.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where the API server listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate authority that signed the API server's certificate.
    pub fn ca_pem(&self) -> &str {
        self.authority.cert_pem()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.kubeconfig
    }

    /// The file with the administrator's kubeconfig.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig_path
    }

    /// Where this control plane keeps its files; callers may put theirs beside them.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The embedded server in this process, for its fault injection and its counts of requests.
    pub fn embedded(&self) -> Option<&ApiServer> {
        match &self.host {
            Host::InProcess(embedded) => Some(embedded.server()),
            Host::Real(_) | Host::OwnProcess(_) => None,
        }
    }

    /// Installs CustomResourceDefinitions and makes the controllers know them at once; returns their names.
    pub async fn install_crds(&mut self, paths: &[PathBuf]) -> Result<Vec<String>> {
        let names = crds::install(&self.client, paths).await?;
        self.restart_controllers().await?;
        Ok(names)
    }

    /// Starts the controllers of the real kind anew. Its garbage collector otherwise takes up to 30 s to learn kinds
    /// that were installed after its start; the embedded kind knows them at once.
    pub async fn restart_controllers(&mut self) -> Result<()> {
        self.host
            .start_controllers(&self.client, Instant::now() + Options::default().deadline)
            .await
    }

    /// A kubeconfig with a client certificate for any user of at most two groups; the file lies in [`Self::folder`].
    pub async fn user_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let pair = self.authority.client(user, groups)?;
        let config = kubeconfig::build(&self.name, &self.url, self.ca_pem(), Credential::Certificate(&pair))?;
        let path = self
            .folder()
            .join(format!("user-{}.kubeconfig", user.replace([':', '/'], "_")));
        kubeconfig::write(&config, &path)?;
        Ok(path)
    }

    /// A fresh token of a service account in a file that stays fresh; creates namespace and account where missing.
    /// The file lies in [`Self::folder`].
    pub async fn token_file(&self, namespace: &str, account: &str) -> Result<TokenFile> {
        let path = self.folder().join(format!("token-{namespace}-{account}"));
        TokenFile::create(self.client(), namespace, account, &path, TOKEN_LIFETIME).await
    }

    /// A kubeconfig for a service account, with its token in a file. The token is fresh as long as the returned
    /// [`TokenFile`] lives.
    pub async fn service_account_kubeconfig(&self, namespace: &str, account: &str) -> Result<(PathBuf, TokenFile)> {
        let token = self.token_file(namespace, account).await?;
        let credential = Credential::TokenFile(token.path());
        let config = kubeconfig::build(&self.name, &self.url, self.ca_pem(), credential)?;
        let path = self.folder().join(format!("account-{namespace}-{account}.kubeconfig"));
        kubeconfig::write(&config, &path)?;
        Ok((path, token))
    }

    /// Makes a simulated node ready or not ready.
    pub async fn set_node_ready(&self, node: &str, ready: bool) -> Result<()> {
        let simulator = self.simulator.as_ref().context("no workloads are simulated here")?;
        simulator.set_node_ready(node, ready).await
    }

    /// Resolves when the control plane breaks, with the error that says why.
    pub async fn broken(&mut self) -> anyhow::Error {
        self.host
            .broken()
            .await
            .context(format!("the control plane {} broke", self.name))
    }

    /// Ends the control plane and waits until nothing of it runs any more.
    pub async fn stop(self) {
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
        match self.host {
            Host::Real(real) => real.stop().await,
            Host::InProcess(embedded) => embedded.stop().await,
            Host::OwnProcess(embedded) => embedded.stop().await,
        }
    }
}

impl Host {
    async fn start(a: &Authority, folder: &Path, binaries: Option<&Binaries>, options: &Options) -> Result<Self> {
        Ok(match (binaries, &options.embedded) {
            (Some(binaries), _) => Self::Real(Box::new(Real::start(a, folder, binaries, &options.api_server_flags)?)),
            (None, EmbeddedHost::InProcess) => Self::InProcess(InProcess::start(a).await?),
            (None, EmbeddedHost::Process(program)) => Self::OwnProcess(OwnProcess::start(program, folder, a)?),
        })
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Real(_) => Kind::Real,
            Self::InProcess(_) | Self::OwnProcess(_) => Kind::Embedded,
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Real(real) => real.url(),
            Self::InProcess(embedded) => embedded.url(),
            Self::OwnProcess(embedded) => embedded.url(),
        }
    }

    async fn wait_ready(&mut self, client: &Client, deadline: Instant) -> Result<()> {
        match self {
            Self::Real(real) => real.wait_ready(client, deadline).await,
            // It is ready as soon as it is built.
            Self::InProcess(_) => Ok(()),
            Self::OwnProcess(embedded) => embedded.wait_ready(client, deadline).await,
        }
    }

    async fn start_controllers(&mut self, client: &Client, deadline: Instant) -> Result<()> {
        match self {
            Self::Real(real) => real.start_manager(client, deadline).await,
            Self::InProcess(_) | Self::OwnProcess(_) => Ok(()),
        }
    }

    async fn broken(&mut self) -> anyhow::Error {
        match self {
            Self::Real(real) => real.broken().await,
            // It cannot end before this process does.
            Self::InProcess(_) => std::future::pending().await,
            Self::OwnProcess(embedded) => embedded.broken().await,
        }
    }
}

/// Starts the workload simulator where the options want it.
async fn simulate(name: &str, options: &Options, client: &Client, controllers: bool) -> Result<Option<Simulator>> {
    let Some(wanted) = &options.workloads else {
        return Ok(None);
    };
    let wanted = workloads::Options {
        controllers,
        ..wanted.clone()
    };
    let start = Simulator::start(client.clone(), wanted);
    step(options.progress.as_ref(), name, "nodes and workloads", start)
        .await
        .map(Some)
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Embedded => "embedded",
        })
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "real" => Ok(Self::Real),
            "embedded" => Ok(Self::Embedded),
            other => bail!("{other:?} is no kind of control plane; the kinds are embedded and real"),
        }
    }
}
