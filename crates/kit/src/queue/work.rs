//! Hands the keys of a queue out to workers.

use std::time::Duration;

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Action, Queue};

/// Updates of several objects that belong together, such as the objects of one manifest or the answers of several members,
/// arrive by different watches within this time. A key that ends the queue's rest waits for them, so that one pass
/// answers them all instead of the first alone. While keys wait already, nothing is delayed.
const TOGETHER: Duration = Duration::from_millis(1);

/// Works on the keys of a queue, at most `workers` at once, until `stop`; then finishes what is running and returns.
///
/// One task hands out the keys; a key that waits costs no task.
pub async fn work<K, F, Fut>(queue: &Queue<K>, workers: usize, stop: &CancellationToken, handle: F)
where
    K: Ord + Clone + Send + 'static,
    F: Fn(K) -> Fut,
    Fut: Future<Output = Action> + Send + 'static,
{
    let mut running = JoinSet::new();
    let hand_out = async {
        loop {
            while let Some(ended) = running.try_join_next() {
                report(ended);
            }
            if running.len() >= workers.max(1) {
                if let Some(ended) = running.join_next().await {
                    report(ended);
                }
                continue;
            }
            let next = async {
                if queue.is_empty() {
                    queue.ready().await;
                    tokio::time::sleep(TOGETHER).await;
                }
                queue.next().await
            };
            let Some(next) = stop.run_until_cancelled(next).await else {
                break;
            };
            let Some(task) = next else { break };
            let future = handle(task.key().clone());
            running.spawn(future.map(|outcome| task.done(outcome)));
        }
    };
    tokio::select! {
        () = hand_out => {}
        never = queue.release_after_outages() => match never {},
    }
    queue.close();
    while let Some(ended) = running.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(err) = ended
        && err.is_panic()
    {
        tracing::error!(error = %err, "A worker broke off; its key is retried.");
    }
}
