//! Entry point of the member agent.

use std::process::ExitCode;

use kit::{runtime, telemetry};
use member_agent::args::{self, Environment};

/// Threads of the runtime: the agent waits far more than it computes.
const WORKERS: usize = 2;

/// Exit code for a command line that cannot be used.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    kit::install_crypto();
    let settings = match args::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(err) => return err.print(USAGE),
    };
    telemetry::init(telemetry::Format::Auto, settings.verbosity);
    kit::flags::warn_without_effect(&settings.without_effect);
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
    match runtime::serve(WORKERS, |stop| member_agent::run(config, stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!(%reason, "The agent ends.");
            ExitCode::FAILURE
        }
    }
}
