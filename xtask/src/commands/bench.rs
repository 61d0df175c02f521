//! `cargo xtask bench`: measurements over the release binaries.

use anyhow::Result;

use crate::workspace::cargo;

/// Measure.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Bench {
    /// The benchmark and its options; `--help` tells more.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Bench {
    /// Builds the agents and the benchmarks in release mode and runs the named one.
    pub fn run(self) -> Result<()> {
        build_agents()?;
        let bench = [
            "run",
            "--quiet",
            "--release",
            "--package",
            "e2e",
            "--bin",
            "bench",
            "--",
        ];
        cargo(bench.map(str::to_owned).into_iter().chain(self.args))
    }
}

/// Builds the release binaries that demo and benchmarks start as processes.
pub fn build_agents() -> Result<()> {
    eprintln!("==> build the agents and control planes in release mode");
    let packages = [
        "--package",
        "hub-agent",
        "--package",
        "member-agent",
        "--package",
        "control-plane",
    ];
    cargo(["build", "--release", "--bins"].into_iter().chain(packages))
}
