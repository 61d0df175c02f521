//! `cargo xtask test`: everything that CI runs.

use anyhow::Result;

use super::bench::build_fleet;
use super::check;
use crate::programs;
use crate::steps::Steps;
use crate::workspace::{cargo, cargo_with};

/// Everything that CI runs.
#[derive(Debug, clap::Args)]
pub struct Test {}

impl Test {
    /// Checks first, then every test of the workspace: unit and property tests, agents on the embedded API server,
    /// the contract on both kinds of control plane, and whole fleets with the release binaries of the agents.
    ///
    /// Programs of others that tests need (dig, kdig, unbound) are installed with apt-get, as root or by sudo without a
    /// password. Where that cannot be, their tests are named in the summary as not run; in CI that is a failure.
    pub fn run(self) -> Result<()> {
        let mut steps = Steps::new("test");
        check::run_steps(&mut steps)?;
        let missing = steps.run("programs of others that tests need", programs::provide)?;
        steps.leave_out(missing);
        let agents = steps.run("release binaries of the agents", build_fleet)?;
        steps.run("binaries of the real control plane", || {
            cargo([
                "run",
                "--quiet",
                "--package",
                "control-plane",
                "--bin",
                "fairway-control-plane",
                "--",
                "binaries",
            ])
        })?;
        steps.run("test binaries", || cargo(["test", "--workspace", "--no-run"]))?;
        steps.run("tests", || {
            cargo_with(["test", "--workspace"], &[("FAIRWAY_AGENTS", &agents)])
        })?;
        steps.finish();
        Ok(())
    }
}
