//! `cargo xtask bench`: measurements over the release binaries.

use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::{cargo, release_folder, run};

/// Measure.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Bench {
    /// The benchmark and its options; `--help` lists them. `dns` compares the DNS server with others.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Bench {
    /// Builds what the named benchmark needs in release mode and runs it.
    pub fn run(self) -> Result<()> {
        match self.args.split_first() {
            Some((name, options)) if name == "dns" => compare_dns_servers(options),
            _ => run(&build_fleet()?.join("bench"), &self.args),
        }
    }
}

/// The DNS server beside those that are installed, through the example of its crate.
fn compare_dns_servers(options: &[String]) -> Result<()> {
    let compare = [
        "run",
        "--release",
        "--package",
        "dns",
        "--example",
        "bench",
        "--",
        "compare",
    ];
    cargo(compare.map(str::to_owned).iter().chain(options))
}

/// Builds the agents and the programs that run fleets of them, in release mode. Returns the folder of the binaries.
///
/// All are built by one call: apart, cargo would choose other features for what they share and build that twice.
pub fn build_fleet() -> Result<PathBuf> {
    eprintln!("==> build the agents and the fleet's programs in release mode");
    let packages = [
        "--package",
        "hub-agent",
        "--package",
        "member-agent",
        "--package",
        "traffic-manager",
        "--package",
        "e2e",
    ];
    cargo(["build", "--release", "--bins"].into_iter().chain(packages))?;
    release_folder()
}
