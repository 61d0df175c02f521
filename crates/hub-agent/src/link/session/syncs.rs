//! Full syncs of a topic: their end, and asking for another one.

use std::collections::BTreeSet;
use std::time::Duration;

use fairway_core::link::SyncEnd;
use fairway_core::link::inbox::SyncResult;
use futures::stream::{self, StreamExt};
use jiff::SignedDuration;
use tokio::time::Instant;
use wire::topic::{Answer, MemberTopic};

use super::super::messages::superseded;
use super::changes::{Changes, Handler, Key};
use super::context::{Context, End};

/// Removals of one member at a time.
const REMOVALS: usize = 16;
/// Time for the removals of a full sync; the next one takes up what is left.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);
impl<H: Handler> Changes<H> {
    /// Ends a full sync: waits for its changes, then removes what it did not mention.
    pub(super) async fn end_sync(&mut self, end: SyncEnd<H::Topic>, context: &Context) -> Result<(), End> {
        while let Some(settled) = self.running.join_next().await {
            self.settle(settled, context).await?;
        }
        self.acknowledge(context).await?;
        let recorded = self.handler.recorded(&context.cluster);
        let now = context.clock.now();
        let confirm_after = SignedDuration::try_from(context.config.confirm_after).unwrap_or(SignedDuration::MAX);
        let result = self.inbox(context, |inbox| inbox.sync_end(&end, &recorded, now, confirm_after));
        let label = match result {
            None => return Err(Some(superseded(&context.cluster))),
            Some(SyncResult::Mismatch) => {
                self.resync_soon(context);
                "mismatch"
            }
            Some(SyncResult::Held { confirm_at, removals }) => {
                tracing::warn!(cluster = context.cluster, removals, %confirm_at,
                    "A full sync would remove most exports of a cluster; only a second one may do that.");
                let wait = Duration::try_from(confirm_at.duration_since(now)).unwrap_or_default();
                self.resync.set(Instant::now() + wait);
                "held"
            }
            Some(SyncResult::Remove(keys)) => {
                if self.remove(keys, context).await {
                    self.inbox(context, |inbox| inbox.sync_done());
                    "applied"
                } else {
                    self.resync_soon(context);
                    "incomplete"
                }
            }
        };
        context.metrics.syncs.with_label_values(&[label]).inc();
        Ok(())
    }

    /// Removes records. Returns whether all are gone.
    async fn remove(&self, keys: BTreeSet<Key<H>>, context: &Context) -> bool {
        let (stop, superseded) = (&context.stop, &context.slot.signals.superseded);
        let deadline = Instant::now() + REMOVE_WITHIN;
        let removals = stream::iter(keys).map(|key| async move {
            // Who takes over syncs anew.
            if stop.is_cancelled() || superseded.is_cancelled() || Instant::now() >= deadline {
                return false;
            }
            let removed = self.handler.remove(&context.cluster, &key).await;
            if let Err(refusal) = &removed {
                tracing::warn!(cluster = context.cluster, %key, message = refusal.message,
                    "A record of something that is no longer reported could not be removed; the next full sync tries again.");
            }
            removed.is_ok()
        });
        removals
            .buffer_unordered(REMOVALS)
            .fold(true, |all, one| std::future::ready(all & one))
            .await
    }

    /// Asks the member for everything again, soon, and later each time that it does not help.
    pub(super) fn resync_soon(&mut self, context: &Context) {
        if self.resync.ask() {
            self.inbox(context, |inbox| inbox.distrust());
        }
    }

    /// Asks the member for everything again, now.
    pub(super) async fn ask_for_sync(&mut self, context: &Context) -> Result<(), End> {
        self.resync.done();
        self.inbox(context, |inbox| inbox.distrust());
        let reason = "The hub's records may differ from what this member exports.".to_owned();
        context.send(H::Topic::to_member(Answer::Resync { reason })).await
    }
}
