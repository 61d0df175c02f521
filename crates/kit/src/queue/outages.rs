//! Keys that failed while a server could not be reached come again as soon as it answers.

use std::convert::Infallible;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kube::Client;
use tokio::time::Instant;

use super::Queue;
use crate::reachability::{Reachability, moment};

impl<K: Ord + Clone> Queue<K> {
    /// Tries keys again at once that failed while the server of this client could not be reached. Call it before
    /// [`work`]. A client that [`crate::client::build`] has not made changes nothing.
    pub async fn retry_after_outages_of(&self, client: &Client) {
        if let Some(server) = Reachability::of(client).await {
            self.retry_after_outages(server);
        }
    }

    /// As [`Self::retry_after_outages_of`].
    pub fn retry_after_outages(&self, server: Reachability) {
        self.inner.servers.lock().push(server);
    }

    /// Makes what failed since then come again in a moment, as if it had not failed.
    fn release(&self, since: Instant) {
        let mut state = self.inner.state.lock();
        let failed = state.failures.iter();
        let failed = failed.filter(|(_, failed)| failed.at >= since && !failed.is_told_when);
        let keys: Vec<K> = failed.map(|(key, _)| key.clone()).collect();
        for key in keys {
            state.failures.remove(&key);
            if let Some((_, priority)) = state.due.get(&key).copied() {
                state.delay(key, Instant::now() + moment(), priority);
            }
        }
        drop(state);
        self.inner.notify.notify_one();
    }

    /// Releases what failed in an outage when that is over, for good.
    pub(super) async fn release_after_outages(&self) -> Infallible {
        let over = |server: Reachability| async move {
            let outages = server.outage_over().await;
            (server, outages)
        };
        let mut outages: FuturesUnordered<_> = self.inner.servers.lock().iter().cloned().map(over).collect();
        while let Some((server, ended)) = outages.next().await {
            if let Some(began) = ended.last_began {
                self.release(began);
            }
            outages.push(over(server));
        }
        std::future::pending().await
    }
}
