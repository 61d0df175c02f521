//! `cargo xtask check`: what must hold before anything is tested.

use anyhow::Result;

use crate::commands::codegen;
use crate::steps::Steps;
use crate::workspace::{cargo, packages, root};
use crate::{citations, imports, rules};

/// Verify format, dependency rules, import cycles, citations, links, generated files and clippy without changing
/// anything.
#[derive(Debug, clap::Args)]
pub struct Check {}

impl Check {
    /// Runs the cheap checks first.
    pub fn run(self) -> Result<()> {
        let mut steps = Steps::new("check");
        run_steps(&mut steps)?;
        steps.finish();
        Ok(())
    }
}

/// The checks as steps of a longer command.
pub fn run_steps(steps: &mut Steps) -> Result<()> {
    steps.run("format", || cargo(["fmt", "--all", "--check"]))?;
    steps.run("dependency rules", || rules::verify(&packages()?))?;
    steps.run("import cycles", || imports::verify(&root()))?;
    steps.run("citations and links", || citations::verify(&root()))?;
    steps.run("generated files", || codegen::generate(true))?;
    // The clippy.toml files of the pure crates ban clocks, environment and randomness there.
    steps.run("clippy", || {
        cargo([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    })
}
