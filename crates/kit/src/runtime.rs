//! The process around an agent: crypto provider and tokio runtime.

use std::fmt::Display;
use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::shutdown;

/// Installs the one crypto provider of the process. Call it in the first line of `main` and of test set-ups.
///
/// A repeated call changes nothing.
pub fn install_crypto() {
    // The only error is that a provider is installed already, and ours is the only one compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs an agent on so many threads until it ends. A signal cancels the token that it is given.
///
/// # Errors
/// Why there is no agent, or why it ended.
pub fn serve<F, E>(workers: usize, agent: impl FnOnce(CancellationToken) -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let runtime = build(workers).map_err(|err| format!("The runtime cannot be started: {err}."))?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        shutdown::on_signal(stop.clone()).map_err(|err| err.to_string())?;
        agent(stop).await.map_err(|err| err.to_string())
    })
}

/// A runtime with few threads: agents wait far more than they compute, and each thread costs resident memory.
fn build(workers: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers.max(1))
        .max_blocking_threads(4)
        .thread_name("agent")
        .enable_all()
        .build()
}
