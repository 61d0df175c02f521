//! Builds the programs with the machine's `go`. The module's checksums pin every source file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{KUBERNETES_VERSION, SUBJECT, Tool};
use crate::progress::Progress;

/// The module, part of our program, so that a build needs no source tree of ours.
pub const GO_MOD: &str = include_str!("../../gomod/go.mod");
const GO_SUM: &str = include_str!("../../gomod/go.sum");

/// How often a long build reports its progress.
const NOTE_EVERY: Duration = Duration::from_secs(15);

/// Builds a tool into a folder.
///
/// The sources go to the user's module cache, where other builds can share them; the build cache is private and goes
/// with the folder, because it is large and nobody else has a use for it.
pub fn get(tool: Tool, folder: &Path, progress: &dyn Progress) -> Result<()> {
    let version = Command::new("go")
        .arg("version")
        .output()
        .context("there is no go on this machine")?;
    progress.note(SUBJECT, String::from_utf8_lossy(&version.stdout).trim());
    let module = folder.join("module");
    fs::create_dir_all(&module).context("the module's folder cannot be created")?;
    fs::write(module.join("go.mod"), GO_MOD).context("the module cannot be written")?;
    fs::write(module.join("go.sum"), GO_SUM).context("the module cannot be written")?;
    build(tool, &module, folder, progress)
}

fn build(tool: Tool, module: &Path, folder: &Path, progress: &dyn Progress) -> Result<()> {
    let mut command = Command::new("go");
    command
        .args([
            "build",
            "-v",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &linker_flags(),
        ])
        .arg("-o")
        .arg(folder.join(tool.file_name()))
        .arg(package(tool))
        .current_dir(module)
        .envs([("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOFLAGS", "")])
        .env("GOCACHE", folder.join("build-cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("go cannot be started")?;
    let errors = child.stderr.take().context("go has no error output")?;
    let last = follow(BufReader::new(errors), tool, progress);
    let status = child.wait().context("go cannot be waited for")?;
    if !status.success() {
        bail!(
            "go build of {} ended with {status}:\n  {}",
            tool.file_name(),
            last.join("\n  ")
        );
    }
    Ok(())
}

/// Counts the packages that go names while it compiles; returns the last lines for an error message.
fn follow(output: impl BufRead, tool: Tool, progress: &dyn Progress) -> Vec<String> {
    const KEPT: usize = 15;
    let mut last = Vec::new();
    let mut packages = 0_u32;
    let mut noted = Instant::now();
    for line in output.lines().map_while(Result::ok) {
        packages += u32::from(!line.contains(' '));
        if noted.elapsed() >= NOTE_EVERY {
            progress.note(SUBJECT, &format!("{}: {packages} packages compiled", tool.file_name()));
            noted = Instant::now();
        }
        if last.len() == KEPT {
            last.remove(0);
        }
        last.push(line);
    }
    last
}

fn package(tool: Tool) -> &'static str {
    match tool {
        Tool::Etcd => "go.etcd.io/etcd/server/v3",
        Tool::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
        Tool::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
    }
}

/// Without the stamp the server reports v0.0.0 and clients misbehave.
fn linker_flags() -> String {
    let stamp = "k8s.io/component-base/version";
    let mut numbers = KUBERNETES_VERSION.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    format!("-s -w -X {stamp}.gitVersion=v{KUBERNETES_VERSION} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}")
}
