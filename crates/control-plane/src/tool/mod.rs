//! The commands of the tool, one file each.

mod binaries;
mod down;
mod embedded;
mod serve;
mod status;
mod up;

use std::path::{Path, PathBuf};

use anyhow::Result;
use control_plane::daemon::Run;

/// What the tool can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Start control planes and leave them running in the background.
    Up(up::Up),
    /// Stop them.
    Down(down::Down),
    /// Print which run and whether they are ready.
    Status(status::Status),
    /// Find or get the programs of the real kind.
    Binaries(binaries::Binaries),
    /// The background process of `up`.
    #[command(hide = true)]
    Serve(serve::Serve),
    /// An embedded API server as a process of its own.
    #[command(hide = true)]
    Embedded(embedded::Embedded),
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<()> {
        match self {
            Self::Up(command) => command.run().await,
            Self::Down(command) => command.run().await,
            Self::Status(command) => command.run().await,
            Self::Binaries(command) => command.run().await,
            Self::Serve(command) => command.run().await,
            Self::Embedded(command) => command.run().await,
        }
    }
}

/// Names the background fleet that a command works on.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The fleet's name, for more than one beside each other.
    #[arg(long, default_value = "default")]
    name: String,
    /// The folder of run folders.
    #[arg(long, default_value_os_t = base())]
    folder: PathBuf,
}

impl RunArgs {
    fn run(&self) -> Run {
        Run::new(&self.folder, &self.name)
    }
}

/// `.fairway/run` in the workspace.
fn base() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).join(".fairway/run")
}
