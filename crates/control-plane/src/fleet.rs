//! Several control planes at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures::future::{join_all, select_all, try_join_all};

use crate::binaries;
use crate::files::RunFolder;
use crate::kubeconfig;
use crate::plane::{ControlPlane, Kind, Options};

/// Control planes by name.
#[derive(Debug)]
pub struct Fleet {
    planes: BTreeMap<String, ControlPlane>,
    names: Vec<String>,
    kubeconfig_path: PathBuf,
    folder: RunFolder,
}

impl Fleet {
    /// Starts the named control planes side by side; if one fails, all end. The run folder of the options gets a
    /// sub-folder for each.
    pub async fn start(kind: Kind, names: &[&str], options: Options) -> Result<Self> {
        verify(names)?;
        let folder = RunFolder::create(options.run_folder.as_deref())?;
        let for_one = |(number, name): (u8, &&str)| options_of_one(&options, number, folder.path().join(name));
        let numbered = (0..).zip(names);
        let binaries = match kind {
            Kind::Real => Some(binaries::find(options.progress.clone()).await?),
            Kind::Embedded => None,
        };
        let binaries = binaries.as_ref();
        let starts = numbered.map(|one| ControlPlane::start_with(binaries, one.1, for_one(one)));
        let started = try_join_all(starts).await?;
        let kubeconfig_path = folder.path().join("kubeconfig");
        let merged = kubeconfig::merge(started.iter().map(|plane| plane.kubeconfig().clone()));
        kubeconfig::write(&merged, &kubeconfig_path)?;
        let planes = started
            .into_iter()
            .map(|plane| (plane.name().to_owned(), plane))
            .collect();
        Ok(Self {
            planes,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            kubeconfig_path,
            folder,
        })
    }

    /// One control plane.
    pub fn get(&self, name: &str) -> Result<&ControlPlane> {
        self.planes
            .get(name)
            .with_context(|| format!("there is no control plane {name}"))
    }

    /// One control plane, to change it.
    pub fn get_mut(&mut self, name: &str) -> Result<&mut ControlPlane> {
        self.planes
            .get_mut(name)
            .with_context(|| format!("there is no control plane {name}"))
    }

    /// The names in the order of the start.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A kubeconfig with a context per cluster.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig_path
    }

    /// Where the fleet keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `export` lines for a shell.
    pub fn export_lines(&self) -> Vec<String> {
        let paths = self
            .planes
            .iter()
            .map(|(name, plane)| (name.clone(), plane.kubeconfig_path().to_owned()))
            .collect();
        kubeconfig::export_lines(&self.kubeconfig_path, &paths)
    }

    /// Resolves when one control plane breaks, with the error that says why.
    pub async fn broken(&mut self) -> anyhow::Error {
        let planes = self.planes.values_mut().map(|plane| Box::pin(plane.broken()));
        select_all(planes).await.0
    }

    /// Ends all control planes and waits until nothing of them runs any more.
    pub async fn stop(self) {
        join_all(self.planes.into_values().map(ControlPlane::stop)).await;
    }
}

/// The options of one cluster: a folder and a load balancer network of its own.
fn options_of_one(options: &Options, number: u8, folder: PathBuf) -> Options {
    let mut options = Options {
        run_folder: Some(folder),
        ..options.clone()
    };
    if let Some(workloads) = &mut options.workloads {
        let [_, _, last] = &mut workloads.load_balancer_network;
        *last = last.wrapping_sub(number);
    }
    options
}

fn verify(names: &[&str]) -> Result<()> {
    if names.is_empty() {
        bail!("a fleet needs at least one cluster");
    }
    for (position, name) in names.iter().enumerate() {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
            bail!("{name:?} is no cluster name: lower-case letters, digits and '-' only");
        }
        if names.iter().take(position).any(|earlier| earlier == name) {
            bail!("the cluster {name} is named twice");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_fit_folders_and_contexts() {
        assert!(verify(&["hub", "member-1"]).is_ok());
        for wrong in [&[][..], &[""], &["Hub"], &["a/b"], &["-x"], &["hub", "hub"]] {
            assert!(verify(wrong).is_err(), "{wrong:?}");
        }
    }
}
