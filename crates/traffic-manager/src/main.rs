//! Entry point of the traffic manager.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use traffic_manager::app::{App, Failure};
use traffic_manager::args::Arguments;

/// Threads that run it, besides those of the DNS server and the store.
const WORKERS: usize = 2;

/// Exit code for a command line that cannot be used.
const USAGE: u8 = 1;

fn main() -> ExitCode {
    kit::install_crypto();
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(err) => return err.print(USAGE),
    };
    kit::telemetry::init(arguments.log_format, arguments.verbosity);
    match kit::runtime::serve(WORKERS, |stop| serve(arguments, stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!(error = %err, "The traffic manager ends.");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments, stop: CancellationToken) -> Result<(), Failure> {
    App::start(arguments.config, None, stop).await?.run().await
}
