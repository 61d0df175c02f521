//! `binaries`: finds or gets the programs of the real kind, so that nothing later has to wait for them.

use std::sync::Arc;

use anyhow::Result;
use control_plane::progress::Lines;

/// Find or get etcd, kube-apiserver and kube-controller-manager.
#[derive(Debug, clap::Args)]
pub struct Binaries {}

impl Binaries {
    /// Prints where they are.
    pub async fn run(self) -> Result<()> {
        let found = control_plane::find_binaries(Arc::new(Lines::new())).await?;
        for program in [found.etcd, found.api_server, found.controller_manager] {
            println!("{}", program.display());
        }
        Ok(())
    }
}
