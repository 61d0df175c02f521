//! `cargo xtask test`: everything that CI runs.

use anyhow::Result;

use crate::commands::check;
use crate::steps::Steps;
use crate::workspace::cargo;

/// Everything that CI runs.
#[derive(Debug, clap::Args)]
pub struct Test {}

impl Test {
    /// Checks first, then every test of the workspace.
    pub fn run(self) -> Result<()> {
        let mut steps = Steps::new("test");
        check::run_steps(&mut steps)?;
        steps.run("tests", || cargo(["test", "--workspace"]))?;
        steps.finish();
        Ok(())
    }
}
