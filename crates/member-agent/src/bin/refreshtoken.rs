//! Entry point of the side-car that keeps the token towards the hub fresh.

use std::process::ExitCode;

use kit::flags::ParseError;
use kit::{runtime, shutdown, telemetry};
use member_agent::refresh_token;
use tokio_util::sync::CancellationToken;

/// One is enough for a request now and then.
const WORKERS: usize = 1;

fn main() -> ExitCode {
    kit::install_crypto();
    let settings = match refresh_token::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(ParseError::Help(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(err) => {
            eprintln!("{err}");
            return ExitCode::FAILURE;
        }
    };
    telemetry::init(telemetry::Format::Auto, settings.verbosity);
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
        refresh_token::run(settings, stop).await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!(%reason, "The token cannot be kept fresh.");
            ExitCode::FAILURE
        }
    }
}
