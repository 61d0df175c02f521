//! One file per command. A new command gets its file here and a line in [`Command`].

mod bench;
mod check;
mod codegen;
mod control_plane;
mod demo;
mod test;

use anyhow::Result;

/// What `cargo xtask` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Verify format, dependency rules, generated files and clippy without changing anything.
    Check(check::Check),
    /// Write what is generated from other files: the CRDs and the protobuf code.
    Codegen(codegen::Codegen),
    /// Start, stop and list control planes on this machine.
    ControlPlane(control_plane::ControlPlane),
    /// Bring up a fleet and run a tutorial: `application`, or `migration`.
    Demo(demo::Demo),
    /// Measure.
    Bench(bench::Bench),
    /// Everything that CI runs.
    Test(test::Test),
}

impl Command {
    /// Runs the command; an error is what the user sees last.
    pub fn run(self) -> Result<()> {
        match self {
            Command::Check(command) => command.run(),
            Command::Codegen(command) => command.run(),
            Command::ControlPlane(command) => command.run(),
            Command::Demo(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Test(command) => command.run(),
        }
    }
}
