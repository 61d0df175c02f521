//! Finds the three programs of a real control plane, and gets them when they are not there.
//!
//! The order: the folder named by `KUBEBUILDER_ASSETS`, our cache folder, the official releases, a build with the
//! machine's `go` from the module in `gomod/`. Only finished, verified programs are put into the cache folder.

mod build;
mod download;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::files;
use crate::progress::{Progress, SharedProgress};

/// The release of kube-apiserver and kube-controller-manager; `gomod/go.mod` pins the same.
pub const KUBERNETES_VERSION: &str = "1.34.4";
/// The release of etcd; `gomod/go.mod` pins the same.
pub const ETCD_VERSION: &str = "3.6.4";

const SUBJECT: &str = "binaries";

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub api_server: PathBuf,
    /// kube-controller-manager.
    pub controller_manager: PathBuf,
}

/// One of the three programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tool {
    Etcd,
    ApiServer,
    ControllerManager,
}

impl Tool {
    const ALL: [Self; 3] = [Self::Etcd, Self::ApiServer, Self::ControllerManager];

    fn file_name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Etcd => ETCD_VERSION,
            Self::ApiServer | Self::ControllerManager => KUBERNETES_VERSION,
        }
    }
}

/// Finds or gets the programs. The first time on a machine without network to the releases this takes minutes.
pub async fn find(progress: SharedProgress) -> Result<Binaries> {
    tokio::task::spawn_blocking(move || find_blocking(progress.as_ref()))
        .await
        .context("the search ended early")?
}

fn find_blocking(progress: &dyn Progress) -> Result<Binaries> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let cache = cache_folder()?;
    let mut found = Found::default();
    if let Some(assets) = &assets {
        found.look_in(assets);
    }
    found.look_in(&cache);
    if !found.missing().is_empty() {
        get_missing(&mut found, &cache, progress)?;
    }
    found.complete()
}

/// Gets what is missing; of several processes one works and the others wait for it.
fn get_missing(found: &mut Found, cache: &Path, progress: &dyn Progress) -> Result<()> {
    files::create_folder(cache)?;
    let lock = File::create(cache.join("lock")).context("the lock of the cache folder cannot be created")?;
    if lock.try_lock().is_err() {
        progress.note(
            SUBJECT,
            "another process is getting the control plane's binaries; waiting for it",
        );
        lock.lock().context("the lock of the cache folder cannot be taken")?;
        found.look_in(cache);
    }
    let scratch = Scratch::create(cache)?;
    for source in [Source::Download, Source::Build] {
        let missing = found.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let step = source.step(&missing);
        progress.begin(SUBJECT, &step);
        let begun = Instant::now();
        // One after the other, so that the next start continues an interrupted build.
        let result = missing.iter().try_for_each(|tool| {
            source.get(*tool, &scratch.0, progress)?;
            settle(*tool, &scratch.0, cache)
        });
        match (result, source) {
            (Ok(()), _) => progress.end(SUBJECT, &step, begun.elapsed()),
            (Err(error), Source::Download) => progress.note(SUBJECT, &format!("not downloaded: {error:#}")),
            (Err(error), Source::Build) => return Err(error.context("the binaries can be had in no way")),
        }
        found.look_in(cache);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Download,
    Build,
}

impl Source {
    fn step(self, missing: &[Tool]) -> String {
        let names: Vec<&str> = missing.iter().map(|tool| tool.file_name()).collect();
        let names = names.join(", ");
        match self {
            Self::Download => format!("download the official releases of {names}"),
            Self::Build => format!("build {names} with go (4 to 5 minutes on two cores, once)"),
        }
    }

    fn get(self, tool: Tool, scratch: &Path, progress: &dyn Progress) -> Result<()> {
        match self {
            Self::Download => download::get(tool, scratch, &download::Sites::official(), progress),
            Self::Build => build::get(tool, scratch, progress),
        }
    }
}

/// Moves a program into the cache after it has printed the right version.
fn settle(tool: Tool, scratch: &Path, cache: &Path) -> Result<()> {
    let fresh = scratch.join(tool.file_name());
    let output = Command::new(&fresh).arg("--version").output();
    let output = output.with_context(|| format!("{} does not run", tool.file_name()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.contains(tool.version()) {
        bail!(
            "{} says that it is {:?}, not {}",
            tool.file_name(),
            text.trim(),
            tool.version()
        );
    }
    fs::rename(&fresh, cache.join(tool.file_name())).context("a binary cannot be put into the cache folder")
}

#[derive(Debug, Default)]
struct Found(BTreeMap<Tool, PathBuf>);

impl Found {
    /// Takes what is not known yet from a folder.
    fn look_in(&mut self, folder: &Path) {
        for tool in self.missing() {
            let path = folder.join(tool.file_name());
            if path.is_file() {
                self.0.insert(tool, path);
            }
        }
    }

    fn missing(&self) -> Vec<Tool> {
        Tool::ALL
            .into_iter()
            .filter(|tool| !self.0.contains_key(tool))
            .collect()
    }

    fn complete(self) -> Result<Binaries> {
        let path = |tool: Tool| {
            self.0
                .get(&tool)
                .cloned()
                .with_context(|| format!("{} was not found anywhere", tool.file_name()))
        };
        Ok(Binaries {
            etcd: path(Tool::Etcd)?,
            api_server: path(Tool::ApiServer)?,
            controller_manager: path(Tool::ControllerManager)?,
        })
    }
}

/// `$XDG_CACHE_HOME/fairway` or `~/.cache/fairway`, with a sub-folder per version and platform.
fn cache_folder() -> Result<PathBuf> {
    let given = std::env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from);
    let base = match given.filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None => std::env::home_dir()
            .context("neither XDG_CACHE_HOME nor a home folder is known")?
            .join(".cache"),
    };
    let versions = format!("v{KUBERNETES_VERSION}-etcd-v{ETCD_VERSION}-{}-{}", go_os(), go_arch());
    Ok(base.join("fairway/control-plane").join(versions))
}

/// The platform's name in releases.
fn go_os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// The processor's name in releases.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A folder beside the finished programs, on the same file system, removed with this value. Only who holds the lock
/// may create it.
struct Scratch(PathBuf);

impl Scratch {
    fn create(cache: &Path) -> Result<Self> {
        let path = cache.join("work");
        // A process that was killed leaves gigabytes behind.
        if path.exists() {
            fs::remove_dir_all(&path).context("the work folder of an earlier try cannot be removed")?;
        }
        files::create_folder(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the work folder stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(folder: &Path, name: &str, says: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("becomes executable");
    }

    #[test]
    fn folders_are_searched_in_order_and_only_the_right_version_settles() {
        let run = files::RunFolder::create(None).expect("a folder");
        let (assets, cache) = (run.path().join("assets"), run.path().join("cache"));
        fs::create_dir(&assets).expect("a folder");
        fs::create_dir(&cache).expect("a folder");
        script(&assets, "etcd", "from the assets");
        script(&cache, "etcd", "from the cache");
        script(&assets, "fresh", "");
        let mut found = Found::default();
        found.look_in(&assets);
        found.look_in(&cache);
        assert_eq!(found.0.get(&Tool::Etcd), Some(&assets.join("etcd")));
        assert_eq!(found.missing(), [Tool::ApiServer, Tool::ControllerManager]);

        script(run.path(), "kube-apiserver", "Kubernetes v0.0.0");
        let refused = settle(Tool::ApiServer, run.path(), &cache).expect_err("the wrong version");
        assert!(refused.to_string().contains("not 1.34.4"), "{refused}");
        script(run.path(), "kube-apiserver", "Kubernetes v1.34.4");
        settle(Tool::ApiServer, run.path(), &cache).expect("the right version");
        found.look_in(&cache);
        assert_eq!(found.missing(), [Tool::ControllerManager]);
    }

    #[test]
    fn the_module_pins_the_versions_that_we_name() {
        assert!(build::GO_MOD.contains(&format!("k8s.io/kubernetes v{KUBERNETES_VERSION} ")));
        assert!(build::GO_MOD.contains(&format!("go.etcd.io/etcd/server/v3 v{ETCD_VERSION} ")));
    }
}
