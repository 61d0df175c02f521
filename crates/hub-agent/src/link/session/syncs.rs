//! Full syncs of a topic: their end, and asking for another one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::SyncEnd;
use fairway_core::link::inbox::SyncResult;
use jiff::SignedDuration;
use kit::link::remove_all;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::topic::{Answer, MemberTopic};

use super::super::messages::superseded;
use super::changes::{Changes, Handler, Key};
use super::context::{Context, End};

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
            Some(SyncResult::Remove(keys)) if keys.is_empty() => {
                self.inbox(context, |inbox| inbox.sync_done());
                "applied"
            }
            Some(SyncResult::Remove(keys)) => {
                self.start_removing(keys, context);
                return Ok(());
            }
        };
        context.metrics.syncs.with_label_values(&[label]).inc();
        Ok(())
    }

    /// Removes records beside the session's loop, which has to send pings meanwhile. No change is taken before that is
    /// over ([`super::channel::Channel::has_room`]), so none meets the removal of its record.
    fn start_removing(&mut self, keys: BTreeSet<Key<H>>, context: &Context) {
        let (handler, cluster) = (Arc::clone(&self.handler), context.cluster.clone());
        // Who takes over syncs anew.
        let ends = [
            context.stop.clone(),
            context.slot.signals.superseded.clone(),
            self.ending.clone(),
        ];
        self.removing
            .spawn(async move { remove(&*handler, keys, &cluster, &ends).await });
    }

    /// Takes in the end of the removals: whether all records are gone.
    pub(super) fn removed(&mut self, all: Result<bool, JoinError>, context: &Context) {
        let label = if all.unwrap_or_default() {
            self.inbox(context, |inbox| inbox.sync_done());
            "applied"
        } else {
            self.resync_soon(context);
            "incomplete"
        };
        context.metrics.syncs.with_label_values(&[label]).inc();
    }

    /// Requests a full sync from the member, soon, and later each time that it does not help.
    pub(super) fn resync_soon(&mut self, context: &Context) {
        if self.resync.request() {
            self.inbox(context, |inbox| inbox.distrust());
        }
    }

    /// Requests a full sync from the member, now.
    pub(super) async fn ask_for_sync(&mut self, context: &Context) -> Result<(), End> {
        self.resync.done();
        self.inbox(context, |inbox| inbox.distrust());
        let reason = "The hub's records may differ from what this member exports.".to_owned();
        context.send(H::Topic::to_member(Answer::Resync { reason })).await
    }
}

/// Removes records until one of the tokens is cancelled. Returns whether all are gone.
async fn remove<H: Handler>(handler: &H, keys: BTreeSet<Key<H>>, cluster: &str, ends: &[CancellationToken]) -> bool {
    let ends = || ends.iter().any(CancellationToken::is_cancelled);
    let remove = |key: Key<H>| async move {
        let removed = handler.remove(cluster, &key).await;
        if let Err(refusal) = &removed {
            tracing::warn!(cluster, %key, message = refusal.message,
                "A record of something that is no longer reported could not be removed; the next full sync tries again.");
        }
        removed.is_ok()
    };
    remove_all(keys, ends, remove).await
}
