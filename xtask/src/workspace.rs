//! The workspace as cargo sees it, and the way to run cargo.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Runs cargo in the workspace's root with the terminal's output; fails when cargo fails.
pub fn cargo<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Result<()> {
    cargo_with(args, &[])
}

/// Runs cargo as [`cargo`] does, with additions to the environment.
pub fn cargo_with<S: AsRef<str>>(args: impl IntoIterator<Item = S>, env: &[(&str, &Path)]) -> Result<()> {
    let args: Vec<String> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    let status = command(&args)
        .envs(env.iter().copied())
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", args.join(" "));
    }
    Ok(())
}

/// Where release binaries are.
pub fn release_folder() -> Result<PathBuf> {
    let text = cargo_output(&["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Target = serde_json::from_str(&text).context("cargo metadata cannot be read")?;
    Ok(metadata.target_directory.join("release"))
}

/// Runs a program with the terminal's input and output; fails when it fails.
pub fn run(program: &Path, args: &[String]) -> Result<()> {
    let name = program.display();
    let status = Command::new(program)
        .args(args)
        .status()
        .with_context(|| format!("{name} cannot be started"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Runs cargo and returns what it printed.
pub fn cargo_output(args: &[&str]) -> Result<String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let output = command(&args)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("cargo {} ended with {}", args.join(" "), output.status);
    }
    String::from_utf8(output.stdout).context("cargo printed something that is not text")
}

fn command(args: &[String]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// One package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// Packages of this workspace that it needs outside of tests.
    pub ours: BTreeSet<String>,
    /// Its binaries, each with the features that it requires.
    pub binaries: BTreeMap<String, Vec<String>>,
}

/// Every package of the workspace by name.
pub fn packages() -> Result<BTreeMap<String, Package>> {
    let text = cargo_output(&["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata cannot be read")?;
    let names: BTreeSet<String> = metadata.packages.iter().map(|package| package.name.clone()).collect();
    Ok(metadata
        .packages
        .into_iter()
        .map(|package| (package.name.clone(), package.into_package(&names)))
        .collect())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct Target {
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    dependencies: Vec<RawDependency>,
    targets: Vec<RawTarget>,
}

#[derive(Deserialize)]
struct RawDependency {
    name: String,
    /// Nothing for a normal dependency, else `dev` or `build`.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct RawTarget {
    name: String,
    kind: Vec<String>,
    #[serde(default, rename = "required-features")]
    required_features: Vec<String>,
}

impl RawPackage {
    fn into_package(self, names: &BTreeSet<String>) -> Package {
        let needed = self
            .dependencies
            .into_iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"));
        let binaries = self
            .targets
            .into_iter()
            .filter(|target| target.kind.iter().any(|kind| kind == "bin"));
        Package {
            ours: needed
                .map(|dependency| dependency.name)
                .filter(|name| names.contains(name))
                .collect(),
            binaries: binaries.map(|target| (target.name, target.required_features)).collect(),
        }
    }
}
