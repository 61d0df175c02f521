//! Requests to the traffic manager run beside the passes over profiles.

use kit::controller::Triggers;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::store::ProfileKey;

/// Requests that are on their way. Dropping it breaks them off.
pub(super) struct Background {
    triggers: Triggers<ProfileKey>,
    running: Mutex<JoinSet<()>>,
}

impl Background {
    pub(super) fn new(triggers: Triggers<ProfileKey>) -> Self {
        Self {
            triggers,
            running: Mutex::default(),
        }
    }

    /// Starts requests about a profile. Once they have ended, the profile is looked at again if they say so.
    pub(super) fn spawn(&self, key: &ProfileKey, requests: impl Future<Output = bool> + Send + 'static) {
        let (triggers, key) = (self.triggers.clone(), key.clone());
        let mut running = self.running.lock();
        // Results of those that have ended.
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            if requests.await {
                triggers.add(key);
            }
        });
    }

    /// Looks at a profile again.
    pub(super) fn look_again(&self, key: &ProfileKey) {
        self.triggers.add(key.clone());
    }

    /// Waits until nothing is on its way any more.
    pub(super) async fn finish(&self) {
        let mut running = std::mem::take(&mut *self.running.lock());
        while running.join_next().await.is_some() {}
    }
}
