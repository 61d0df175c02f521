//! The statuses of AppliedWorks, written while no Work is waiting for its turn.
//!
//! They repeat what is known already: the manifests were recorded before they were applied, and the Work's status says how
//! that ended. So they are deferred while passes run, for a few seconds at most. What is not written when the agent ends is written
//! after its next start, because then every Work gets a pass.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::placement::v1beta1::{AppliedResourceMeta, WorkResourceIdentifier};
use fairway_core::apply::{self, AppliedWork, Entry};
use kit::queue::{self, Action, Queue};
use kit::writer::Patch;
use kit::{Error, ObjectKey};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Applier, RETRY};

/// Rest that shows that no Work waits.
const REST: Duration = Duration::from_millis(100);
/// How long statuses are deferred while passes run.
const DEFERRAL: Duration = Duration::from_secs(5);
/// Statuses that are written at once.
const WRITERS: usize = 2;

/// Works whose AppliedWork may have to be written.
pub(super) struct Pending {
    /// Those that wait for passes to rest.
    deferred: Mutex<BTreeSet<String>>,
    added: Notify,
    /// Those whose turn it is. One whose write fails waits alone for the next try.
    due: Queue<String>,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            deferred: Mutex::default(),
            added: Notify::new(),
            due: Queue::new(RETRY),
        }
    }
}

impl Pending {
    pub(super) fn add(&self, work: &str) {
        self.deferred.lock().insert(work.to_owned());
        self.added.notify_one();
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.deferred.lock())
    }
}

impl Applier {
    /// Writes statuses of AppliedWorks until `stop`.
    pub(crate) async fn run_applied(self: Arc<Self>, stop: CancellationToken) {
        self.pending
            .due
            .retry_after_outages_of(self.member.writer().client())
            .await;
        let write = |work: String| {
            let applier = Arc::clone(&self);
            async move { applier.try_write_applied(&work).await }
        };
        tokio::join!(
            stop.run_until_cancelled(self.make_due()),
            queue::work(&self.pending.due, WRITERS, &stop, write),
        );
    }

    /// Enqueues statuses when no pass runs, or when they have waited long enough.
    async fn make_due(&self) {
        loop {
            self.pending.added.notified().await;
            let _ = tokio::time::timeout(DEFERRAL, self.activity.rest(REST)).await;
            for work in self.pending.take() {
                self.pending.due.add(work);
            }
        }
    }

    async fn try_write_applied(&self, work: &str) -> Action {
        let Err(err) = self.write_applied(work).await else {
            return Action::Done;
        };
        tracing::debug!(work, error = %err, "The status of an AppliedWork could not be written; trying again.");
        err.retry_after().map_or(Action::Retry, Action::RetryAfter)
    }

    async fn write_applied(&self, work: &str) -> Result<(), Error> {
        let known = self.applied_works.get(&ObjectKey::cluster(work));
        let Some((known, settled)) = known.zip(self.work_states.last_pass(work)) else {
            return Ok(());
        };
        if known.uid != settled.owner || known.deleted.is_some() {
            return Ok(());
        }
        match self
            .record_applied(&known, settled.subject.only_reports, &settled.entries, &settled.kept)
            .await
        {
            // Its end has not been delivered yet.
            Err(err) if err.is_not_found() || err.is_conflict() => Ok(()),
            ended => ended,
        }
    }

    /// Writes what the AppliedWork has to say after a pass.
    pub(super) async fn record_applied(
        &self,
        applied_work: &AppliedWork,
        only_reports: bool,
        entries: &[Entry],
        kept: &[WorkResourceIdentifier],
    ) -> Result<(), Error> {
        let record = apply::record(applied_work, only_reports, entries, kept);
        if let Some(held) = record.held {
            self.hold(applied_work, &held).await?;
        }
        if let Some(applied) = record.applied {
            self.write_applied_list(applied_work, &applied).await?;
        }
        Ok(())
    }

    /// Writes the status of an AppliedWork.
    pub(super) async fn write_applied_list(
        &self,
        applied_work: &AppliedWork,
        applied: &[AppliedResourceMeta],
    ) -> Result<(), Error> {
        let key = ObjectKey::cluster(&applied_work.name);
        let body = json!({"metadata": {"uid": applied_work.uid}, "status": {"appliedResources": applied}});
        let writer = self.member.writer();
        let answer = writer
            .patch(&kinds::APPLIED_WORK, &key, Some("status"), Patch::Merge, &body)
            .await?;
        self.fold_applied_work(answer).map(|_| ())
    }
}
