//! Fleets that stay in the background: the state that `up`, `down` and `status` share.
//!
//! A background process owns the control planes and holds a lock in its run folder as long as it lives. The lock, not
//! a process id, shows whether a fleet runs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::files;

/// The state that a background fleet reports.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// `real` or `embedded`.
    pub kind: String,
    /// The clusters in the order of the start.
    pub clusters: Vec<Cluster>,
    /// A kubeconfig with a context per cluster.
    pub kubeconfig: PathBuf,
    /// Lines for a shell.
    pub export_lines: Vec<String>,
}

/// One cluster of a background fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Where its API server listens.
    pub url: String,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
}

/// The run folder of one background fleet.
#[derive(Debug, Clone)]
pub struct Run {
    folder: PathBuf,
}

impl Run {
    /// The run called `name` below a base folder; nothing is created.
    pub fn new(base: &Path, name: &str) -> Self {
        Self {
            folder: base.join(name),
        }
    }

    /// Every run below a base folder, by name.
    pub fn all(base: &Path) -> Result<Vec<Self>> {
        if !base.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(base).with_context(|| format!("{} cannot be read", base.display()))?;
        let mut folders = Vec::new();
        for entry in entries {
            folders.push(
                entry
                    .with_context(|| format!("{} cannot be read", base.display()))?
                    .path(),
            );
        }
        folders.sort();
        Ok(folders
            .into_iter()
            .filter(|folder| folder.is_dir())
            .map(|folder| Self { folder })
            .collect())
    }

    /// The run's name.
    pub fn name(&self) -> String {
        self.folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log of the background process.
    pub fn log(&self) -> PathBuf {
        self.folder.join("fleet.log")
    }

    /// Takes the lock, which says "a fleet runs here" until the returned file is dropped or the process ends.
    pub fn lock(&self) -> Result<File> {
        files::create_folder(&self.folder)?;
        let open = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.lock_path());
        let mut lock = open.context("the run's lock cannot be created")?;
        match lock.try_lock() {
            Ok(()) => {
                lock.set_len(0).context("the run's lock cannot be written")?;
                write!(lock, "{}", std::process::id()).context("the run's lock cannot be written")?;
                Ok(lock)
            }
            Err(TryLockError::WouldBlock) => bail!("the fleet {} is already running", self.name()),
            Err(TryLockError::Error(error)) => Err(error).context("the run's lock cannot be taken"),
        }
    }

    /// Whether a background process holds the lock.
    pub fn runs(&self) -> Result<bool> {
        if !self.lock_path().exists() {
            return Ok(false);
        }
        let lock = File::open(self.lock_path()).context("the run's lock cannot be opened")?;
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error).context("the run's lock cannot be looked at"),
        }
    }

    /// The process that took the lock last; it lives as long as [`Self::runs`] is true.
    pub fn pid(&self) -> Result<i32> {
        let text = fs::read_to_string(self.lock_path()).context("the run's lock cannot be read")?;
        text.parse().context("the run's lock does not name a process")
    }

    /// Says that the fleet is ready.
    pub fn write_state(&self, state: &State) -> Result<()> {
        let text = serde_json::to_vec_pretty(state).context("the run's state cannot be written")?;
        files::write(&self.state_path(), &text)
    }

    /// What the fleet reported, if it is ready.
    pub fn state(&self) -> Result<Option<State>> {
        match fs::read(self.state_path()) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .context("the run's state cannot be read"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("the run's state cannot be read"),
        }
    }

    /// Removes everything that a run left behind.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be removed", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    fn lock_path(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn state_path(&self) -> PathBuf {
        self.folder.join("state.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_shows_whether_a_fleet_runs() {
        let base = files::RunFolder::create(None).expect("a folder");
        let run = Run::new(base.path(), "default");
        assert!(!run.runs().expect("looks"));
        let lock = run.lock().expect("locks");
        assert!(run.runs().expect("looks"));
        assert!(run.lock().is_err());
        assert_eq!(
            run.pid().expect("reads"),
            i32::try_from(std::process::id()).expect("fits")
        );
        drop(lock);
        assert!(!run.runs().expect("looks"));
        assert_eq!(Run::all(base.path()).expect("lists").len(), 1);
        run.remove().expect("removes");
        run.remove().expect("removes twice");
    }
}
