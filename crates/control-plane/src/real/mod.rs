//! A real control plane: etcd, kube-apiserver and kube-controller-manager as child processes.
//!
//! Every cluster has an etcd of its own. It costs 43 MB, and in return the stop or crash of one cluster touches no
//! other, and consistent lists of one API server never wait for another cluster's writes to reach its watch cache.

mod flags;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::runtime::wait::await_condition;
use tokio::time::{Instant, timeout};

use crate::binaries::Binaries;
use crate::files;
use crate::kubeconfig::{self, Credential};
use crate::pki::{Authority, PairFiles, token_signing_key};
use crate::ports;
use crate::process::Supervised;
use crate::readiness::poll_ready;

const TOKEN_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const SERVICE_RANGE: &str = "10.96.0.0/16";
/// Names and addresses under which the API server is reached; the last is the first of [`SERVICE_RANGE`].
const SERVING_NAMES: &[&str] = &[
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "127.0.0.1",
    "10.96.0.1",
];

/// The processes of one cluster.
#[derive(Debug)]
pub struct Real {
    layout: Layout,
    binaries: Binaries,
    extra: Vec<String>,
    manager: Option<Supervised>,
    servers: Servers,
}

/// The API server and its store.
#[derive(Debug)]
struct Servers {
    api_server: Supervised,
    etcd: Supervised,
}

/// Files and ports of one cluster.
#[derive(Debug)]
struct Layout {
    folder: PathBuf,
    ca: PathBuf,
    etcd_url: String,
    etcd_peer_port: u16,
    etcd_pair: PairFiles,
    api_port: u16,
    serving_pair: PairFiles,
    token_private_key: PathBuf,
    token_public_key: PathBuf,
    manager_kubeconfig: PathBuf,
}

impl Real {
    /// Starts etcd and the API server; neither is ready yet.
    pub fn start(authority: &Authority, folder: &Path, binaries: &Binaries, extra: &[String]) -> Result<Self> {
        let layout = Layout::write(folder, authority)?;
        let servers = Servers::start(&layout, binaries, extra)?;
        Ok(Self {
            layout,
            binaries: binaries.clone(),
            extra: extra.to_vec(),
            manager: None,
            servers,
        })
    }

    /// Stops all processes, hands the folder of etcd's data to `change`, and starts API server and etcd again; neither is
    /// ready yet.
    pub async fn restart_over_data(&mut self, change: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if let Some(manager) = self.manager.take() {
            manager.stop().await;
        }
        self.servers.stop().await;
        change(&self.layout.etcd_data())?;
        self.servers = Servers::start(&self.layout, &self.binaries, &self.extra)?;
        Ok(())
    }

    /// Where the API server listens.
    pub fn url(&self) -> String {
        self.layout.url()
    }

    /// Waits until the API server says that it is ready.
    pub async fn wait_ready(&mut self, client: &kube::Client, deadline: Instant) -> Result<()> {
        tokio::select! {
            status = self.servers.etcd.exited() => Err(self.servers.etcd.ended_early(status)),
            status = self.servers.api_server.exited() => Err(self.servers.api_server.ended_early(status)),
            last = poll_ready(client, deadline) => last.map_err(|answer| {
                anyhow::anyhow!("the API server is not ready in time: {answer}\n{}", self.servers.api_server.last_lines(15))
            }),
        }
    }

    /// Starts the controller manager, or starts it anew so that its garbage collector learns new kinds at once.
    pub async fn start_manager(&mut self, client: &kube::Client, deadline: Instant) -> Result<()> {
        if let Some(manager) = self.manager.take() {
            manager.stop().await;
        }
        let log = self.layout.folder.join("kube-controller-manager.log");
        let manager_flags = flags::controller_manager(&self.layout);
        let program = &self.binaries.controller_manager;
        let mut manager = Supervised::start("kube-controller-manager", program, &manager_flags, log)?;
        // Its first visible work: pods are admitted only when their service account is there.
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        let first_work = await_condition(accounts, "default", |found: Option<&ServiceAccount>| found.is_some());
        tokio::select! {
            status = manager.exited() => bail!(manager.ended_early(status)),
            waited = timeout(deadline.saturating_duration_since(Instant::now()), first_work) => {
                waited
                    .with_context(|| format!("the controller manager does nothing; {}", manager.last_lines(15)))?
                    .context("the service account cannot be watched")?;
            }
        }
        self.manager = Some(manager);
        Ok(())
    }

    /// Resolves when one of the processes ends, with the error that says why.
    pub async fn broken(&mut self) -> anyhow::Error {
        let manager = async {
            match &mut self.manager {
                Some(manager) => {
                    let status: ExitStatus = manager.exited().await;
                    manager.ended_early(status)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = self.servers.etcd.exited() => self.servers.etcd.ended_early(status),
            status = self.servers.api_server.exited() => self.servers.api_server.ended_early(status),
            error = manager => error,
        }
    }

    /// Ends the processes; the data is of no use afterwards, so nothing waits for anything.
    pub async fn stop(mut self) {
        let manager = async {
            if let Some(manager) = self.manager {
                manager.stop().await;
            }
        };
        tokio::join!(manager, self.servers.stop());
    }
}

impl Servers {
    fn start(layout: &Layout, binaries: &Binaries, extra: &[String]) -> Result<Self> {
        let log = |program: &str| layout.folder.join(format!("{program}.log"));
        let etcd = Supervised::start("etcd", &binaries.etcd, &flags::etcd(layout), log("etcd"))?;
        let api_flags = flags::api_server(layout, extra);
        let api_server = Supervised::start(
            "kube-apiserver",
            &binaries.api_server,
            &api_flags,
            log("kube-apiserver"),
        )?;
        Ok(Self { api_server, etcd })
    }

    async fn stop(&mut self) {
        tokio::join!(self.api_server.end(), self.etcd.end());
    }
}

impl Layout {
    /// Chooses ports and writes certificates, keys and the controller manager's kubeconfig.
    fn write(folder: &Path, authority: &Authority) -> Result<Self> {
        let pki = folder.join("pki");
        files::create_folder(&pki)?;
        let ca = pki.join("ca.crt");
        files::write(&ca, authority.cert_pem().as_bytes())?;
        let (private, public) = token_signing_key()?;
        let (token_private_key, token_public_key) = (pki.join("tokens.key"), pki.join("tokens.pub"));
        files::write_secret(&token_private_key, private.as_bytes())?;
        files::write(&token_public_key, public.as_bytes())?;
        let [etcd_port, etcd_peer_port, api_port] = ports::free()?;
        let layout = Self {
            folder: folder.to_owned(),
            ca,
            etcd_url: format!("https://127.0.0.1:{etcd_port}"),
            etcd_peer_port,
            etcd_pair: authority
                .server("etcd", &["127.0.0.1", "localhost"])?
                .write(&pki, "etcd")?,
            api_port,
            serving_pair: authority
                .server("kube-apiserver", SERVING_NAMES)?
                .write(&pki, "kube-apiserver")?,
            token_private_key,
            token_public_key,
            manager_kubeconfig: folder.join("kube-controller-manager.kubeconfig"),
        };
        let manager = authority.client("system:kube-controller-manager", &[])?;
        let credential = Credential::Certificate(&manager);
        let config = kubeconfig::build("manager", &layout.url(), authority.cert_pem(), credential)?;
        kubeconfig::write(&config, &layout.manager_kubeconfig)?;
        Ok(layout)
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    /// Where etcd keeps its data.
    fn etcd_data(&self) -> PathBuf {
        self.folder.join("etcd-data")
    }
}
