//! The process around an agent: crypto provider and tokio runtime.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Installs the one crypto provider of the process. Call it in the first line of `main` and of test set-ups.
///
/// A repeated call changes nothing.
pub fn install_crypto() {
    // The only error is that a provider is installed already, and ours is the only one compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A runtime with few threads: agents wait far more than they compute, and each thread costs resident memory.
///
/// # Errors
/// When the operating system refuses threads.
pub fn build(workers: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers.max(1))
        .max_blocking_threads(4)
        .thread_stack_size(1024 * 1024)
        .thread_name("agent")
        .enable_all()
        .build()
}
