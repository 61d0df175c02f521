//! `fairway-control-plane`: fleets of control planes that stay in the background.

mod tool;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tool::Command;

/// Start, stop and list control planes on this machine.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask control-plane")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter("warn")
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .init();
    match Args::parse().command.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
