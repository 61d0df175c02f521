//! Leaving the fleet: what the membership and the exports' side agree on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::services::ExportKey;
use parking_lot::Mutex;
use tokio::sync::watch;

/// How the cluster stands with the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is part of it.
    Member,
    /// It is to leave: every export is withdrawn.
    Leaving,
    /// It has left. The hub removes all its records, so nothing is held for an acknowledgement any more.
    Left,
}

/// Shared by whoever decides that the cluster leaves and whoever withdraws its exports.
pub struct Departure {
    stage: watch::Sender<Stage>,
    /// Exports that were not looked at since the cluster began to leave; `None` while nobody counts.
    unseen: Mutex<Option<BTreeSet<ExportKey>>>,
    /// How much is left to withdraw, once that is known.
    open: watch::Sender<Option<usize>>,
}

impl Departure {
    /// A cluster that is part of the fleet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            stage: watch::Sender::new(Stage::Member),
            unseen: Mutex::default(),
            open: watch::Sender::new(None),
        })
    }

    /// Says how the cluster stands.
    pub fn set(&self, stage: Stage) {
        // The count goes first: nobody may take an earlier departure's for this one's.
        let mut unseen = self.unseen.lock();
        if *self.stage.borrow() == stage {
            return;
        }
        if stage != Stage::Left {
            *unseen = None;
            self.open.send_replace(None);
        }
        self.stage.send_replace(stage);
    }

    /// How the cluster stands.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits until the hub has acknowledged the withdrawal of every export and nothing on the member is held for it.
    ///
    /// # Errors
    /// When that takes longer than `within`: how many are left, where that is known.
    pub async fn withdrawn(&self, within: Duration) -> Result<(), Option<usize>> {
        let mut open = self.open.subscribe();
        let done = open.wait_for(|open| *open == Some(0));
        let done = matches!(tokio::time::timeout(within, done).await, Ok(Ok(_)));
        if done { Ok(()) } else { Err(*self.open.borrow()) }
    }

    pub(super) fn stages(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// All these are to be looked at; `held` are known to be open already.
    pub(super) fn begin(&self, all: BTreeSet<ExportKey>, held: usize) {
        let mut unseen = self.unseen.lock();
        self.open.send_replace(Some(all.len() + held));
        *unseen = Some(all);
    }

    /// One was looked at; `held` are open now.
    pub(super) fn looked(&self, key: &ExportKey, held: usize) {
        if let Some(unseen) = self.unseen.lock().as_mut() {
            unseen.remove(key);
            self.open.send_replace(Some(unseen.len() + held));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ExportKey {
        ExportKey {
            namespace: "app".to_owned(),
            name: name.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_done_before_everything_was_looked_at_and_let_go() {
        let within = Duration::from_secs(1);
        let departure = Departure::new();
        departure.set(Stage::Leaving);
        assert_eq!(departure.withdrawn(within).await, Err(None), "nobody has counted yet");
        departure.begin([key("a"), key("b")].into(), 0);
        departure.looked(&key("a"), 0);
        assert_eq!(departure.withdrawn(within).await, Err(Some(1)), "b was not looked at");
        departure.looked(&key("b"), 1);
        assert_eq!(departure.withdrawn(within).await, Err(Some(1)), "b waits for the hub");
        departure.looked(&key("b"), 0);
        assert_eq!(departure.withdrawn(within).await, Ok(()));
        // Coming back and leaving again starts anew.
        departure.set(Stage::Member);
        departure.looked(&key("b"), 0);
        departure.set(Stage::Leaving);
        assert_eq!(departure.withdrawn(within).await, Err(None));
    }
}
