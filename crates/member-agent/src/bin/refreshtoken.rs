//! Entry point of the side-car that keeps the token towards the hub fresh.

use std::process::ExitCode;

use kit::{runtime, telemetry};
use member_agent::refresh_token;

/// One is enough for a request now and then.
const WORKERS: usize = 1;

/// Exit code for a command line that cannot be used.
const USAGE: u8 = 1;

fn main() -> ExitCode {
    kit::install_crypto();
    let settings = match refresh_token::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(err) => return err.print(USAGE),
    };
    telemetry::init(telemetry::Format::Auto, settings.verbosity);
    match runtime::serve(WORKERS, |stop| refresh_token::run(settings, stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!(%reason, "The token cannot be kept fresh.");
            ExitCode::FAILURE
        }
    }
}
