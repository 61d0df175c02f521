//! The embedded kind: our API server in memory, in this process or in one of its own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use apiserver::{ApiServer, Serving};
use tokio::time::Instant;

use crate::pki::Authority;
use crate::ports;
use crate::process::Supervised;
use crate::readiness::poll_ready;

/// The tool of this crate, which also hosts an embedded API server as a process of its own.
const PROGRAM: &str = "fairway-control-plane";

/// Where an embedded API server runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EmbeddedHost {
    /// In this process; clients reach it without a network, so tests can pause the clock.
    #[default]
    InProcess,
    /// In a process of its own, as a real one does; the program is [`PROGRAM`] or behaves like it.
    Process(PathBuf),
}

impl EmbeddedHost {
    /// A process of the tool that lies beside the current program, or beside the folder of test programs.
    pub fn process() -> Result<Self> {
        let here = std::env::current_exe().context("this program cannot find itself")?;
        let places = here.ancestors().skip(1).take(2).map(|folder| folder.join(PROGRAM));
        let mut found = places.filter(|program| program.is_file());
        let program = found
            .next()
            .with_context(|| format!("{PROGRAM} is not beside {}", here.display()))?;
        Ok(Self::Process(program))
    }
}

/// A server in this process.
pub struct InProcess {
    server: ApiServer,
    serving: Serving,
}

impl InProcess {
    /// Starts the server on a free port of loopback.
    pub async fn start(authority: &Authority) -> Result<Self> {
        let (server, serving) = serve(authority, 0).await?;
        Ok(Self { server, serving })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.serving.url.clone()
    }

    /// The server, for its switchboard of faults and its counts.
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// Ends the server.
    pub async fn stop(self) {
        self.serving.shutdown().await;
    }
}

/// A server in a process of its own.
#[derive(Debug)]
pub struct OwnProcess {
    process: Supervised,
    port: u16,
}

impl OwnProcess {
    /// Starts the process; it is not ready yet.
    pub fn start(program: &Path, folder: &Path, authority: &Authority) -> Result<Self> {
        authority.write(folder)?;
        let [port] = ports::free()?;
        let args = [
            "embedded",
            "--folder",
            &folder.display().to_string(),
            "--port",
            &port.to_string(),
        ];
        let log = folder.join("embedded.log");
        let process = Supervised::start("embedded API server", program, &args.map(str::to_owned), log)?;
        Ok(Self { process, port })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Waits until the server says that it is ready.
    pub async fn wait_ready(&mut self, client: &kube::Client, deadline: Instant) -> Result<()> {
        tokio::select! {
            status = self.process.exited() => Err(self.process.ended_early(status)),
            last = poll_ready(client, deadline) => last.map_err(|answer| {
                anyhow::anyhow!("the API server is not ready in time: {answer}\n{}", self.process.last_lines(15))
            }),
        }
    }

    /// Resolves when the process ends, with the error that says why.
    pub async fn broken(&mut self) -> anyhow::Error {
        let status = self.process.exited().await;
        self.process.ended_early(status)
    }

    /// Ends the process.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}

/// What the program of [`EmbeddedHost::Process`] does with `embedded --folder FOLDER --port PORT`: serves until it is
/// ended, with the authority that lies in the folder.
pub async fn serve_until_ended(folder: &Path, port: u16) -> Result<()> {
    let (_server, _serving) = serve(&Authority::read(folder)?, port).await?;
    let terminate = tokio::signal::unix::SignalKind::terminate();
    let mut terminate = tokio::signal::unix::signal(terminate).context("signals cannot be received")?;
    match terminate.recv().await {
        Some(()) => Ok(()),
        None => bail!("signals cannot be received"),
    }
}

async fn serve(authority: &Authority, port: u16) -> Result<(ApiServer, Serving)> {
    kit::install_crypto();
    let shared = apiserver::Authority::from_pem(authority.cert_pem(), &authority.key_pem())?;
    let server = ApiServer::builder()
        .authority(shared)
        .build()
        .context("the embedded API server cannot be built")?;
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let serving = server
        .serve(address)
        .await
        .context("the embedded API server cannot listen")?;
    Ok((server, serving))
}
