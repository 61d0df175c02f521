//! One control plane, whatever its kind.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Client;
use kube::config::Kubeconfig;
use tokio::time::Instant;
use workloads::Simulator;

use crate::binaries::{self, Binaries};
use crate::crds;
use crate::files::RunFolder;
use crate::identity::{TOKEN_LIFETIME, TokenFile};
use crate::kubeconfig::{self, Credential};
use crate::progress::{SharedProgress, Silent, step};
use crate::real::{self, Real};

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
    /// Whether controllers run: on the real kind the controller manager.
    pub controllers: bool,
    /// Nodes, and workloads that report what a healthy cluster would; whether the controllers are simulated as well
    /// follows from the kind. Without it no Pod runs.
    pub workloads: Option<workloads::Options>,
    /// More flags for kube-apiserver; the embedded kind has none.
    pub api_server_flags: Vec<String>,
    /// Is told about every step.
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
    url: String,
    ca_pem: String,
    kubeconfig: Kubeconfig,
    kubeconfig_path: PathBuf,
    client: Client,
    simulator: Option<Simulator>,
    host: Host,
    /// Last, so that it goes when nobody writes there any more.
    folder: RunFolder,
}

enum Host {
    Real(Box<Real>),
}

impl ControlPlane {
    /// Starts a control plane and waits until it is ready.
    pub async fn start(kind: Kind, name: &str, options: Options) -> Result<Self> {
        match kind {
            Kind::Real => {
                let binaries = binaries::find(options.progress.clone()).await?;
                Self::start_real(name, options, &binaries).await
            }
            Kind::Embedded => bail!("the embedded API server is not part of this build"),
        }
    }

    /// Starts a real control plane with programs that are already there.
    pub(crate) async fn start_real(name: &str, options: Options, binaries: &Binaries) -> Result<Self> {
        let begun = Self::begin_real(name, &options, binaries);
        begun
            .await
            .with_context(|| format!("the control plane {name} does not start"))
    }

    async fn begin_real(name: &str, options: &Options, binaries: &Binaries) -> Result<Self> {
        let deadline = Instant::now() + options.deadline;
        let progress = options.progress.as_ref();
        let folder = RunFolder::create(options.run_folder.as_deref())?;
        let mut real = Real::start(name, folder.path(), binaries, &options.api_server_flags)?;
        let admin = real.user_certificate("fairway-admin", &["system:masters"])?;
        let (url, ca_pem) = (real.url(), real.ca_pem().to_owned());
        let kubeconfig = kubeconfig::build(name, &url, &ca_pem, Credential::Certificate(&admin))?;
        let kubeconfig_path = folder.path().join("kubeconfig");
        kubeconfig::write(&kubeconfig, &kubeconfig_path)?;
        let client = kubeconfig::client(&kubeconfig_path).await?;
        step(
            progress,
            name,
            "etcd and API server",
            real.wait_ready(&client, deadline),
        )
        .await?;
        if !options.crds.is_empty() {
            step(
                progress,
                name,
                "CustomResourceDefinitions",
                crds::install(&client, &options.crds),
            )
            .await?;
        }
        if options.controllers {
            step(
                progress,
                name,
                "controller manager",
                real.start_manager(&client, deadline),
            )
            .await?;
        }
        let simulator = simulate(name, options, &client, false).await?;
        Ok(Self {
            name: name.to_owned(),
            kind: Kind::Real,
            url,
            ca_pem,
            kubeconfig,
            kubeconfig_path,
            client,
            simulator,
            host: Host::Real(Box::new(real)),
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
        &self.ca_pem
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

    /// Installs CustomResourceDefinitions and makes the controllers know them at once; returns their names.
    pub async fn install_crds(&mut self, paths: &[PathBuf]) -> Result<Vec<String>> {
        let names = crds::install(&self.client, paths).await?;
        self.restart_controllers().await?;
        Ok(names)
    }

    /// Starts the controllers anew. On the real kind the garbage collector otherwise takes up to 30 s to learn kinds
    /// that were installed after its start.
    pub async fn restart_controllers(&mut self) -> Result<()> {
        let deadline = Instant::now() + Options::default().deadline;
        match &mut self.host {
            Host::Real(real) => real.start_manager(&self.client, deadline).await,
        }
    }

    /// A kubeconfig with a client certificate for any user of at most two groups; the file lies in [`Self::folder`].
    pub async fn user_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let config = match &self.host {
            Host::Real(real) => {
                let pair = real.user_certificate(user, groups)?;
                kubeconfig::build(&self.name, &self.url, &self.ca_pem, Credential::Certificate(&pair))?
            }
        };
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
        let config = kubeconfig::build(&self.name, &self.url, &self.ca_pem, credential)?;
        let path = self.folder().join(format!("account-{namespace}-{account}.kubeconfig"));
        kubeconfig::write(&config, &path)?;
        Ok((path, token))
    }

    /// Makes a simulated node ready or not ready.
    pub async fn set_node_ready(&self, node: &str, ready: bool) -> Result<()> {
        let simulator = self.simulator.as_ref().context("no workloads are simulated here")?;
        simulator.set_node_ready(node, ready).await
    }

    /// Resolves when the control plane breaks, with the error that tells why.
    pub async fn broken(&mut self) -> anyhow::Error {
        match &mut self.host {
            Host::Real(real) => real
                .broken()
                .await
                .context(format!("the control plane {} broke", self.name)),
        }
    }

    /// Ends the control plane and waits until nothing of it runs any more.
    pub async fn stop(self) {
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
        match self.host {
            Host::Real(real) => real.stop().await,
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

/// Asks an API server once whether it is ready; the error is its answer.
pub async fn ready(client: &Client) -> Result<(), String> {
    real::ready(client).await
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
