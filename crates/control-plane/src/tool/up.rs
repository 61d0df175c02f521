//! `up`: starts the background process and shows its progress until the fleet is ready.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use control_plane::Kind;
use control_plane::daemon::{Run, State};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::RunArgs;

/// Between two reads of the background process's log.
const LOOK: Duration = Duration::from_millis(100);

/// Start control planes and leave them running in the background.
#[derive(Debug, clap::Args)]
pub struct Up {
    #[command(flatten)]
    which: RunArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// What to start.
#[derive(Debug, clap::Args)]
pub struct FleetArgs {
    /// The clusters' names.
    #[arg(long, value_delimiter = ',', default_value = "hub,member-1,member-2")]
    pub clusters: Vec<String>,
    /// `real` (etcd, kube-apiserver, kube-controller-manager) or `embedded` (in memory).
    #[arg(long, default_value_t = Kind::Real)]
    pub kind: Kind,
    /// Files or folders of CustomResourceDefinitions to install everywhere.
    #[arg(long)]
    pub crds: Vec<PathBuf>,
    /// Simulated nodes of each cluster; with 0 no workload runs.
    #[arg(long, default_value_t = 2)]
    pub nodes: usize,
}

impl Up {
    /// Returns when the fleet is ready.
    pub async fn run(self) -> Result<()> {
        let run = self.which.run();
        if run.runs()? {
            bail!(
                "the fleet {} is already running: stop it with `down`, or give another --name",
                run.name()
            );
        }
        run.remove()?;
        // The folder and the log must be there before the background process opens them.
        drop(run.lock()?);
        let child = self.spawn(&run)?;
        let state = follow(&run, child).await?;
        println!(
            "\nThe fleet {} is ready; its files are in {}.\n",
            run.name(),
            run.folder().display()
        );
        for line in &state.export_lines {
            println!("{line}");
        }
        println!(
            "\nTry: kubectl --context {} get namespaces",
            self.fleet.clusters.first().map_or("hub", |name| name)
        );
        println!(
            "Stop it with: cargo xtask control-plane down{}",
            name_option(&self.which.name)
        );
        Ok(())
    }

    fn spawn(&self, run: &Run) -> Result<Child> {
        let log = File::create(run.log()).context("the log cannot be created")?;
        let errors = log.try_clone().context("the log cannot be shared")?;
        let mut command = Command::new(std::env::current_exe().context("this program cannot find itself")?);
        command
            .args(["serve", "--name", &self.which.name, "--folder"])
            .arg(&self.which.folder);
        command.args([
            "--clusters",
            &self.fleet.clusters.join(","),
            "--kind",
            &self.fleet.kind.to_string(),
        ]);
        command.args(["--nodes", &self.fleet.nodes.to_string()]);
        for path in &self.fleet.crds {
            // The background process keeps the working folder, but its messages shall name the whole path.
            command
                .arg("--crds")
                .arg(path.canonicalize().with_context(|| format!("{}", path.display()))?);
        }
        command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .context("the background process cannot start")
    }
}

/// Shows the log until the fleet is ready.
async fn follow(run: &Run, mut child: Child) -> Result<State> {
    let mut log = File::open(run.log()).context("the log cannot be read")?;
    let mut position = 0;
    loop {
        let ended = child.try_wait().context("the background process cannot be looked at")?;
        let state = run.state()?;
        let mut text = String::new();
        log.seek(SeekFrom::Start(position)).context("the log cannot be read")?;
        position += log.read_to_string(&mut text).context("the log cannot be read")? as u64;
        eprint!("{text}");
        match (ended, state) {
            (Some(status), _) => bail!("the background process ended with {status}"),
            (None, Some(state)) => return Ok(state),
            (None, None) => sleep(LOOK).await,
        }
    }
}

fn name_option(name: &str) -> String {
    if name == "default" {
        String::new()
    } else {
        format!(" --name {name}")
    }
}
