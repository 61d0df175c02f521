//! `cargo xtask control-plane`: control planes on this machine, through the tool of the control-plane crate.

use anyhow::Result;

use crate::workspace::cargo;

/// Start, stop and list control planes on this machine.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct ControlPlane {
    /// `up`, `down` or `status` and their options; `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl ControlPlane {
    /// Hands everything over to the tool.
    pub fn run(self) -> Result<()> {
        let tool = [
            "run",
            "--quiet",
            "--package",
            "control-plane",
            "--bin",
            "fairway-control-plane",
            "--",
        ];
        cargo(tool.map(str::to_owned).into_iter().chain(self.args))
    }
}
