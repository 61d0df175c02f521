//! The project's commands: one file per command under `commands`.
//!
//! It stays light, so that `cargo xtask` starts in seconds: it depends on none of our crates and runs their binaries
//! through cargo instead. It must not hold logic that a crate should hold.

mod citations;
mod commands;
mod imports;
mod programs;
mod rules;
mod steps;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use commands::Command;

/// The tasks of the Fairway repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Args::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nfailed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
