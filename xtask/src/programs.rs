//! Programs of others that judge ours in tests: found, or installed where that is allowed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// A program, the Debian package that has it, and the tests that need it.
struct Program {
    name: &'static str,
    package: &'static str,
    tests: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "dig",
        package: "bind9-dnsutils",
        tests: "e2e/tests/resolvers (dig, unbound)",
    },
    Program {
        name: "kdig",
        package: "knot-dnsutils",
        tests: "e2e/tests/resolvers (kdig)",
    },
    Program {
        name: "unbound",
        package: "unbound",
        tests: "e2e/tests/resolvers (unbound)",
    },
];

/// Installs what is missing with apt-get, as root or by sudo without a password. Returns a line for everything that is
/// still missing.
///
/// # Errors
/// In CI (environment variable `CI`), when something is still missing.
pub fn provide() -> Result<Vec<String>> {
    let missing: Vec<&Program> = PROGRAMS.iter().filter(|program| !program.is_there()).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
    match installer() {
        Some(command) => {
            eprintln!("    installing {} with apt-get", packages.join(", "));
            install(&command, &packages);
        }
        None => eprintln!("    apt-get cannot be used: there is none, or neither root nor sudo without a password"),
    }
    let left: Vec<String> = missing
        .iter()
        .filter(|program| !program.is_there())
        .map(|program| {
            let Program { name, package, tests } = program;
            format!("{tests}: {name} is not installed (package {package})")
        })
        .collect();
    if !left.is_empty() && std::env::var_os("CI").is_some() {
        bail!("in CI nothing may be left out:\n  {}", left.join("\n  "));
    }
    Ok(left)
}

impl Program {
    fn is_there(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Servers are often in folders that only root has in its path.
        let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
        folders.into_iter().any(|folder| folder.join(self.name).is_file())
    }
}

/// The beginning of a command line that may install packages.
fn installer() -> Option<Vec<&'static str>> {
    if !Path::new("/usr/bin/apt-get").exists() {
        return None;
    }
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        return Some(vec!["apt-get"]);
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).stderr(Stdio::null()).status();
    sudo.is_ok_and(|status| status.success())
        .then(|| vec!["sudo", "-n", "apt-get"])
}

/// Whether it worked shows by the programs that are there afterwards.
fn install(command: &[&str], packages: &[&str]) {
    let run = |arguments: &[&str]| {
        let (program, before) = command.split_first()?;
        let status = Command::new(program)
            .args(before)
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status();
        status.ok().filter(std::process::ExitStatus::success)
    };
    let mut wanted = vec!["install", "--yes", "--no-install-recommends"];
    wanted.extend(packages);
    // The lists of packages may be old, or there are none yet.
    if run(&wanted).is_none() && run(&["update"]).is_some() {
        run(&wanted);
    }
}
