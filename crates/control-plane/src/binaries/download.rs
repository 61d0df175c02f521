//! Downloads official releases and verifies their published checksums.
//!
//! `curl` does the transfer: it knows the machine's proxies and trust. A machine without it, or without a way to the
//! releases, tries the next source after seconds.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{ETCD_VERSION, KUBERNETES_VERSION, SUBJECT, Tool, go_arch, go_os};
use crate::progress::Progress;

/// Until a connection stands; an offline machine waits this long once.
const CONNECT_SECONDS: &str = "3";
/// For a checksum file, which is small and fetched first.
const SMALL_SECONDS: &str = "10";
/// For a program.
const LARGE_SECONDS: &str = "600";

/// Where releases are published.
#[derive(Debug, Clone)]
pub struct Sites {
    kubernetes: String,
    etcd: String,
}

impl Sites {
    /// The projects' own sites.
    pub fn official() -> Self {
        Self {
            kubernetes: "https://dl.k8s.io/release".to_owned(),
            etcd: "https://github.com/etcd-io/etcd/releases/download".to_owned(),
        }
    }
}

/// Downloads a tool into a folder.
pub fn get(tool: Tool, folder: &Path, sites: &Sites, progress: &dyn Progress) -> Result<()> {
    if go_os() != "linux" {
        bail!("API server binaries are released for Linux only");
    }
    match tool {
        Tool::Etcd => get_etcd(folder, sites, progress),
        Tool::ApiServer | Tool::ControllerManager => get_kubernetes(tool, folder, sites, progress),
    }
}

fn get_kubernetes(tool: Tool, folder: &Path, sites: &Sites, progress: &dyn Progress) -> Result<()> {
    let url = format!(
        "{}/v{KUBERNETES_VERSION}/bin/linux/{}/{}",
        sites.kubernetes,
        go_arch(),
        tool.file_name()
    );
    let published = fetch_text(&format!("{url}.sha256"), folder)?;
    let target = folder.join(tool.file_name());
    progress.note(SUBJECT, &url);
    fetch(&url, &target, LARGE_SECONDS)?;
    verify(&target, published.trim())?;
    make_executable(&target)
}

fn get_etcd(folder: &Path, sites: &Sites, progress: &dyn Progress) -> Result<()> {
    let release = format!("etcd-v{ETCD_VERSION}-linux-{}", go_arch());
    let base = format!("{}/v{ETCD_VERSION}", sites.etcd);
    let sums = fetch_text(&format!("{base}/SHA256SUMS"), folder)?;
    let archive_name = format!("{release}.tar.gz");
    let published = sums
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .find(|(_, name)| name.trim().trim_start_matches('*') == archive_name)
        .with_context(|| format!("SHA256SUMS does not list {archive_name}"))?
        .0;
    let archive = folder.join(&archive_name);
    let url = format!("{base}/{archive_name}");
    progress.note(SUBJECT, &url);
    fetch(&url, &archive, LARGE_SECONDS)?;
    verify(&archive, published)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(folder)
        .args(["--strip-components=1", &format!("{release}/etcd")]);
    run(&mut tar, "tar")?;
    make_executable(&folder.join(Tool::Etcd.file_name()))
}

fn fetch_text(url: &str, folder: &Path) -> Result<String> {
    let path = folder.join("checksum");
    fetch(url, &path, SMALL_SECONDS)?;
    fs::read_to_string(&path).with_context(|| format!("{url} is not text"))
}

fn fetch(url: &str, target: &Path, seconds: &str) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail",
        "--location",
        "--connect-timeout",
        CONNECT_SECONDS,
    ]);
    curl.args(["--max-time", seconds, "--output"]).arg(target).arg(url);
    run(&mut curl, "curl")
}

fn run(command: &mut Command, name: &str) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("there is no {name} on this machine"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn verify(path: &Path, published: &str) -> Result<()> {
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(path).context("the download cannot be read")?;
    std::io::copy(&mut file, &mut hasher).context("the download cannot be read")?;
    let digest = hasher.finalize();
    let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if found != published.to_ascii_lowercase() {
        bail!("{} has checksum {found}, but {published} is published", path.display());
    }
    Ok(())
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context("a binary cannot be made executable")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::RunFolder;
    use crate::progress::Silent;

    /// A release site as a folder: curl reads file URLs as well.
    fn site(root: &Path, program: &str) -> Sites {
        let bin = root.join(format!("v{KUBERNETES_VERSION}/bin/linux/{}", go_arch()));
        fs::create_dir_all(&bin).expect("a folder");
        fs::write(bin.join("kube-apiserver"), program).expect("writes");
        let digest = Sha256::digest(b"#!/bin/sh\n");
        let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(bin.join("kube-apiserver.sha256"), text).expect("writes");
        let etcd = root.join(format!("v{ETCD_VERSION}"));
        let release = format!("etcd-v{ETCD_VERSION}-linux-{}", go_arch());
        fs::create_dir_all(root.join(&release)).expect("a folder");
        fs::create_dir_all(&etcd).expect("a folder");
        fs::write(root.join(&release).join("etcd"), "#!/bin/sh\n").expect("writes");
        let archive = format!("{release}.tar.gz");
        let packed = Command::new("tar")
            .arg("-czf")
            .arg(etcd.join(&archive))
            .arg("-C")
            .arg(root)
            .arg(&release)
            .status();
        assert!(packed.expect("tar runs").success());
        let content = fs::read(etcd.join(&archive)).expect("reads");
        let sum: String = Sha256::digest(content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        fs::write(etcd.join("SHA256SUMS"), format!("00  other.tar.gz\n{sum}  {archive}\n")).expect("writes");
        let url = format!("file://{}", root.display());
        Sites {
            kubernetes: url.clone(),
            etcd: url,
        }
    }

    #[test]
    fn a_release_is_taken_when_its_checksum_fits() {
        let run = RunFolder::create(None).expect("a folder");
        let (published, target) = (run.path().join("site"), run.path().join("target"));
        fs::create_dir_all(&target).expect("a folder");
        let sites = site(&published, "#!/bin/sh\n");
        for (tool, name) in [(Tool::Etcd, "etcd"), (Tool::ApiServer, "kube-apiserver")] {
            get(tool, &target, &sites, &Silent).expect("downloads");
            assert_eq!(fs::read_to_string(target.join(name)).expect("is there"), "#!/bin/sh\n");
        }
    }

    #[test]
    fn a_release_with_another_checksum_is_refused() {
        let run = RunFolder::create(None).expect("a folder");
        let sites = site(&run.path().join("site"), "#!/bin/sh\necho changed on the way\n");
        let error = get(Tool::ApiServer, run.path(), &sites, &Silent).expect_err("is refused");
        assert!(error.to_string().contains("is published"), "{error}");
    }
}
