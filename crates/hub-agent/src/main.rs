//! Entry point of the hub agent.

use std::process::ExitCode;

use hub_agent::{Clients, Config};
use kit::flags::ParseError;
use tokio_util::sync::CancellationToken;

/// Threads that run the agent; it waits far more than it computes.
const WORKERS: usize = 3;

fn main() -> ExitCode {
    kit::install_crypto();
    let config = match Config::parse(std::env::args().skip(1)) {
        Ok(config) => config,
        Err(ParseError::Help(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(err) => {
            eprintln!("{err}");
            return ExitCode::FAILURE;
        }
    };
    kit::telemetry::init(config.process.log_format, config.process.verbosity);
    let runtime = match kit::runtime::build(WORKERS) {
        Ok(runtime) => runtime,
        Err(err) => {
            tracing::error!(error = %err, "The runtime cannot start.");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!(error = %err, "The hub agent ends.");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    kit::shutdown::on_signal(stop.clone())?;
    let clients = Clients::build(&config).await?;
    hub_agent::run(config, clients, stop).await?;
    Ok(())
}
