//! Watches as tasks of the agent.

use std::sync::Arc;

use kit::index::Index;
use kube::Client;
use tokio_util::sync::CancellationToken;

/// Keeps an index up to date until `stop`.
pub(crate) fn follow<T: Send + Sync + 'static>(
    index: &Arc<Index<T>>,
    client: &Client,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let (index, client, stop) = (Arc::clone(index), client.clone(), stop.clone());
    async move { index.run(client, stop).await }
}
