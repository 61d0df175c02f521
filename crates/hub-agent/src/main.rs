//! Entry point of the hub agent.

use std::process::ExitCode;

use hub_agent::{Clients, Config};
use tokio_util::sync::CancellationToken;

/// Threads that run the agent; it waits far more than it computes.
const WORKERS: usize = 3;

/// Exit code for a command line that cannot be used.
const USAGE: u8 = 1;

fn main() -> ExitCode {
    kit::install_crypto();
    let config = match Config::parse(std::env::args().skip(1)) {
        Ok(config) => config,
        Err(err) => return err.print(USAGE),
    };
    kit::telemetry::init(config.process.log_format, config.process.verbosity);
    kit::flags::warn_without_effect(&config.without_effect);
    match kit::runtime::serve(WORKERS, |stop| serve(config, stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!(error = %err, "The hub agent ends.");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let clients = Clients::build(&config).await?;
    hub_agent::run(config, clients, stop).await?;
    Ok(())
}
