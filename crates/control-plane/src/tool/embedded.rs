//! `embedded`: hosts one embedded API server as a process of its own.

use std::path::PathBuf;

use anyhow::Result;
use control_plane::serve_until_ended;

/// An embedded API server as a process of its own.
#[derive(Debug, clap::Args)]
pub struct Embedded {
    /// The folder with the certificate authority.
    #[arg(long)]
    folder: PathBuf,
    /// The port on loopback.
    #[arg(long)]
    port: u16,
}

impl Embedded {
    /// Returns after SIGTERM or SIGINT.
    pub async fn run(self) -> Result<()> {
        serve_until_ended(&self.folder, self.port).await
    }
}
