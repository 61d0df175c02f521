//! `serve`: the background process that owns a fleet's control planes.

use std::sync::Arc;

use anyhow::{Context, Result};
use control_plane::daemon::{Cluster, State};
use control_plane::progress::Lines;
use control_plane::{Fleet, Options};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::RunArgs;
use super::up::FleetArgs;

/// The background process of `up`.
#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    which: RunArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

impl Serve {
    /// Returns after SIGTERM or SIGINT, or when a control plane breaks.
    pub async fn run(self) -> Result<()> {
        // A session of its own: neither Ctrl-C nor a closed terminal reaches it.
        nix::unistd::setsid().context("no session of its own")?;
        let run = self.which.run();
        let _lock = run.lock()?;
        let mut stop = StopSignals::new()?;
        let nodes = self.fleet.nodes;
        let workloads = workloads::Options {
            nodes,
            ..workloads::Options::default()
        };
        let options = Options {
            workloads: (nodes > 0).then_some(workloads),
            run_folder: Some(run.folder().to_owned()),
            crds: self.fleet.crds,
            progress: Arc::new(Lines::new()),
            ..Options::default()
        };
        let names: Vec<&str> = self.fleet.clusters.iter().map(String::as_str).collect();
        let mut fleet = tokio::select! {
            fleet = Fleet::start(self.fleet.kind, &names, options) => fleet?,
            () = stop.received() => return Ok(()),
        };
        run.write_state(&state(&fleet, self.fleet.kind.to_string())?)?;
        let broken = tokio::select! {
            error = fleet.broken() => Err(error),
            () = stop.received() => Ok(()),
        };
        fleet.stop().await;
        broken
    }
}

fn state(fleet: &Fleet, kind: String) -> Result<State> {
    let cluster = |name: &String| {
        let plane = fleet.get(name)?;
        let (url, kubeconfig) = (plane.url().to_owned(), plane.kubeconfig_path().to_owned());
        Ok(Cluster {
            name: name.clone(),
            url,
            kubeconfig,
        })
    };
    Ok(State {
        kind,
        clusters: fleet.names().iter().map(cluster).collect::<Result<_>>()?,
        kubeconfig: fleet.kubeconfig_path().to_owned(),
        export_lines: fleet.export_lines(),
    })
}

struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
