//! Backups of what a control plane stores, and going back to them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use apiserver::{Action, Matcher};
use tokio::time::Instant;

use super::{ControlPlane, Host, Options};
use crate::files::{RunFolder, copy_folder};

/// How long an embedded API server answers nobody while it goes back, as a real one that is started again.
const AWAY: Duration = Duration::from_secs(2);

/// What a control plane stored at some time.
pub struct Backup(Stored);

enum Stored {
    /// The folder of etcd's data.
    Folder(RunFolder),
    /// The tables of an embedded API server.
    Memory(apiserver::Backup),
}

impl ControlPlane {
    /// Keeps a copy of everything that is stored. The real kind is stopped for that and started again.
    ///
    /// # Errors
    /// When the data cannot be copied, the control plane is not ready again in time, or its embedded API server runs in
    /// another process.
    pub async fn backup(&mut self) -> Result<Backup> {
        if let Some(server) = self.embedded() {
            return Ok(Backup(Stored::Memory(server.backup())));
        }
        let copy = RunFolder::create(None)?;
        self.restart_over_data(|data| copy_folder(data, copy.path())).await?;
        Ok(Backup(Stored::Folder(copy)))
    }

    /// Goes back to a backup of this control plane, as an administrator does who restores etcd: nothing is answered
    /// meanwhile, and whatever happened since is lost.
    ///
    /// # Errors
    /// As [`Self::backup`].
    pub async fn restore(&mut self, backup: &Backup) -> Result<()> {
        match &backup.0 {
            Stored::Folder(copy) => {
                let replace = |data: &Path| {
                    std::fs::remove_dir_all(data).context("the newer data cannot be removed")?;
                    copy_folder(copy.path(), data)
                };
                self.restart_over_data(replace).await
            }
            Stored::Memory(tables) => {
                let server = self.embedded().context("this backup is of another kind")?;
                let away = server.faults().add(Matcher::any(), Action::HangUp);
                server.faults().drop_watches(Matcher::any());
                tokio::time::sleep(AWAY).await;
                server.restore(tables);
                server.faults().remove(away);
                Ok(())
            }
        }
    }

    /// Stops API server, controllers and etcd, hands the folder of etcd's data to `change`, and starts all of them again at
    /// the same address.
    async fn restart_over_data(&mut self, change: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let Host::Real(real) = &mut self.host else {
            bail!("the embedded API server keeps its data in the memory of another process");
        };
        real.restart_over_data(change).await?;
        let deadline = Instant::now() + Options::default().deadline;
        real.wait_ready(&self.client, deadline).await?;
        real.start_manager(&self.client, deadline).await
    }
}
