//! `down`: stops a background fleet and removes its run folder.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use control_plane::daemon::Run;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::RunArgs;

/// For the fleet to end by itself; killed after that, and its children go with it.
const GRACE: Duration = Duration::from_secs(20);
/// Between two checks of the lock.
const LOOK: Duration = Duration::from_millis(50);

/// Stop them.
#[derive(Debug, clap::Args)]
pub struct Down {
    #[command(flatten)]
    which: RunArgs,
    /// Every fleet of the folder.
    #[arg(long)]
    all: bool,
}

impl Down {
    /// Returns when nothing runs any more.
    pub async fn run(self) -> Result<()> {
        let runs = if self.all {
            Run::all(&self.which.folder)?
        } else {
            vec![self.which.run()]
        };
        for run in runs {
            if run.runs()? {
                stop(&run).await?;
                println!("The fleet {} is stopped.", run.name());
            } else {
                println!("The fleet {} is not running.", run.name());
            }
            run.remove()?;
        }
        Ok(())
    }
}

async fn stop(run: &Run) -> Result<()> {
    let process = Pid::from_raw(run.pid()?);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        // While the lock is held the process lives, so the id is still its own.
        kill(process, signal).context("the background process cannot be signalled")?;
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !run.runs()? {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }
    bail!("the background process {process} does not end")
}
