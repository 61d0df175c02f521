//! `cargo xtask demo`: the tutorials on a fleet of this machine.

use anyhow::Result;

use super::bench::build_fleet;
use crate::workspace::run;

/// Bring up a fleet and run a tutorial: `application`, or `migration`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Demo {
    /// The tutorial and options of the demo; `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Demo {
    /// Builds the agents and the demo in release mode and runs it.
    pub fn run(self) -> Result<()> {
        run(&build_fleet()?.join("demo"), &self.args)
    }
}
