//! Entry point of the member agent.

use std::process::ExitCode;

use kit::flags::ParseError;
use kit::{runtime, shutdown, telemetry};
use member_agent::args::{self, Environment};
use tokio_util::sync::CancellationToken;

/// Threads of the runtime: the agent waits far more than it computes.
const WORKERS: usize = 2;

/// Exit code for a command line that cannot be used.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    kit::install_crypto();
    let settings = match args::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(ParseError::Help(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(err) => {
            eprintln!("{err}");
            return ExitCode::from(USAGE);
        }
    };
    telemetry::init(telemetry::Format::Auto, settings.verbosity);
    let environment = Environment::of_process();
    let config = match args::configure(settings, &environment) {
        Ok(config) => config,
        Err(problems) => {
            for problem in problems {
                tracing::error!("{problem}");
            }
            return ExitCode::FAILURE;
        }
    };
    let runtime = match runtime::build(WORKERS) {
        Ok(runtime) => runtime,
        Err(err) => {
            tracing::error!(error = %err, "The runtime cannot be started.");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let stop = CancellationToken::new();
        shutdown::on_signal(stop.clone()).map_err(|err| err.to_string())?;
        member_agent::run(config, stop).await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!(%reason, "The agent ends.");
            ExitCode::FAILURE
        }
    }
}
