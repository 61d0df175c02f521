//! Full syncs: their end, and asking for another one.

use std::collections::BTreeSet;
use std::time::Duration;

use fairway_core::link::ExportKey;
use fairway_core::link::session::{SyncEnd, SyncOutcome};
use futures::stream::{self, StreamExt};
use kit::backoff::Backoff;
use tokio::time::Instant;
use wire::convert;
use wire::member::{self as pb, hub_message};

use super::super::server::message;
use super::{Conversation, End};

/// Removals of one member at a time.
const REMOVALS: usize = 16;
/// Waits before the member is asked for everything again: somebody who keeps changing records must not keep it busy.
const RESYNC: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(60));
/// After this long without trouble the waits begin anew.
const RESYNC_FORGIVEN: Duration = Duration::from_secs(300);

/// When the member is asked to report everything again.
#[derive(Default)]
pub(super) struct Syncs {
    pub(super) due: Option<Instant>,
    asked: u32,
    last: Option<Instant>,
}

impl Conversation {
    /// Ends a full sync: waits for its writes, then removes what it did not mention.
    pub(super) async fn end_sync(&mut self, end: pb::SyncEnd) -> Result<(), End> {
        while let Some(settled) = self.progress.changes.running.join_next().await {
            self.settle(settled).await?;
        }
        self.acknowledge().await?;
        let recorded = self.records.recorded(&self.cluster);
        let now = self.clock.now();
        let end = SyncEnd {
            id: end.sync_id,
            count: end.count,
            digest: end.digest,
            kept: end
                .kept
                .into_iter()
                .filter_map(|key| convert::key(Some(key)).ok())
                .collect(),
        };
        let outcome = self
            .place
            .with(|state| state.sync_end(&end, &recorded, now, self.confirm_after));
        let label = match outcome {
            None => return Err(Some(self.superseded())),
            Some(SyncOutcome::Mismatch) => {
                self.resync_soon();
                "mismatch"
            }
            Some(SyncOutcome::Held { confirm_at, removals }) => {
                tracing::warn!(cluster = self.cluster, removals, %confirm_at,
                    "A full sync would remove most exports of a cluster; only a second one may do that.");
                let wait = Duration::try_from(confirm_at.duration_since(now)).unwrap_or_default();
                self.progress.syncs.due = Some(Instant::now() + wait);
                "held"
            }
            Some(SyncOutcome::Remove(keys)) => {
                if self.remove(keys).await {
                    self.place.with(|state| state.sync_done());
                    "applied"
                } else {
                    self.resync_soon();
                    "incomplete"
                }
            }
        };
        self.metrics.syncs.with_label_values(&[label]).inc();
        Ok(())
    }

    /// Removes records. Returns whether all are gone.
    async fn remove(&self, keys: BTreeSet<ExportKey>) -> bool {
        let (stop, superseded) = (&self.stop, &self.place.signals.superseded);
        let removals = stream::iter(keys).map(|key| async move {
            // Who takes over syncs anew.
            if stop.is_cancelled() || superseded.is_cancelled() {
                return false;
            }
            let removed = self.records.remove(&self.cluster, &key).await;
            if let Err(refusal) = &removed {
                tracing::warn!(cluster = self.cluster, export = %key, message = refusal.message,
                    "An export that is no longer reported could not be removed; the next full sync tries again.");
            }
            removed.is_ok()
        });
        removals
            .buffer_unordered(REMOVALS)
            .fold(true, |all, one| std::future::ready(all & one))
            .await
    }

    /// Asks the member for everything again, soon, and later each time that it does not help.
    pub(super) fn resync_soon(&mut self) {
        let syncs = &mut self.progress.syncs;
        if syncs.due.is_some() {
            return;
        }
        let now = Instant::now();
        if syncs.last.is_none_or(|last| now.duration_since(last) > RESYNC_FORGIVEN) {
            syncs.asked = 0;
        }
        syncs.asked += 1;
        syncs.last = Some(now);
        syncs.due = Some(now + RESYNC.delay(syncs.asked));
        self.place.with(|state| state.distrust());
    }

    /// Asks the member for everything again, now.
    pub(super) async fn ask_for_sync(&mut self) -> Result<(), End> {
        self.progress.syncs.due = None;
        self.place.with(|state| state.distrust());
        let reason = "The hub's records may differ from what this member exports.".to_owned();
        self.send(message(hub_message::Body::Resync(pb::Resync { reason })))
            .await
    }
}
