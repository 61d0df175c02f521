//! `cargo xtask demo`: the tutorial on a fleet of this machine.

use anyhow::Result;

use crate::workspace::cargo;

/// Bring up a fleet and place the tutorial's application.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Demo {
    /// Options of the demo; `--help` tells more.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Demo {
    /// Builds the agents and the demo in release mode and runs it.
    pub fn run(self) -> Result<()> {
        super::bench::build_agents()?;
        let demo = ["run", "--quiet", "--release", "--package", "e2e", "--bin", "demo", "--"];
        cargo(demo.map(str::to_owned).into_iter().chain(self.args))
    }
}
