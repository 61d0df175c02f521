//! Judges conflicts between the exports of one service: writes the condition on each record and tells the member.

use std::sync::Arc;
use std::time::Duration;

use api::condition::{self, Condition};
use api::names::member_namespace;
use fairway_core::link::{ExportKey, Verdict};
use fairway_core::services::{Judgement, Record, resolve};
use futures::stream::{self, StreamExt};
use kit::ObjectKey;
use kit::backoff::Backoff;
use kit::clock::Clock;
use kit::index::Index;
use kit::queue::{Outcome, Queue, work};
use kit::writer::{Patch, Writer};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::records::{RECORDS, Records, Touched};
use super::sessions::Sessions;

const WORKERS: usize = 4;
/// Verdicts of one service that are written at a time: a thousand clusters may export it.
const WRITES: usize = 8;

/// Judges services one after the other, each at most once at a time.
pub(super) struct Resolver {
    records: Arc<Records>,
    sessions: Arc<Sessions>,
    writer: Writer,
    clock: Clock,
}

impl Resolver {
    pub(super) fn new(records: Arc<Records>, sessions: Arc<Sessions>, writer: Writer, clock: Clock) -> Self {
        Self {
            records,
            sessions,
            writer,
            clock,
        }
    }

    /// Judges what changes until `stop`.
    pub(super) async fn run(self, index: Arc<Index<Record>>, stop: CancellationToken) {
        let queue = Queue::new(Backoff::new(Duration::from_millis(50), Duration::from_secs(30)));
        let mut changes = self.records.changes();
        if stop.run_until_cancelled(index.synced()).await.is_none() {
            return;
        }
        let this = Arc::new(self);
        this.records.keys().into_iter().for_each(|key| queue.add(key));
        let listen = async {
            loop {
                match changes.recv().await {
                    Ok(touched) => {
                        this.check(&touched);
                        queue.add(touched.key);
                    }
                    Err(RecvError::Lagged(_)) => {
                        this.sessions.known().iter().for_each(|touched| this.check(touched));
                        this.records.keys().into_iter().for_each(|key| queue.add(key));
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        };
        let judge = work(&queue, WORKERS, &stop, |key| {
            let this = Arc::clone(&this);
            async move { this.judge(key).await }
        });
        tokio::select! {
            () = listen => {}
            () = judge => {}
            () = stop.cancelled() => {}
        }
    }

    /// Notices records that are no longer what a session wrote, and forgets the judgements of those that are gone.
    fn check(&self, touched: &Touched) {
        let Touched { cluster, key } = touched;
        let version = self.records.version(cluster, key);
        self.sessions.look(cluster, key, version.as_ref());
    }

    async fn judge(&self, key: ExportKey) -> Outcome {
        let all = self.records.of(&key);
        let judgements = resolve(all.iter().map(AsRef::as_ref), self.clock.now());
        let told: Vec<_> = judgements.into_iter().map(|judgement| self.settle(judgement)).collect();
        let done = stream::iter(told)
            .buffer_unordered(WRITES)
            .fold(true, |all, one| std::future::ready(all & one))
            .await;
        if done { Outcome::Done } else { Outcome::Retry }
    }

    /// Writes a judgement and tells the member. Returns whether that is done.
    async fn settle(&self, judgement: Judgement<'_>) -> bool {
        if let Some(condition) = &judgement.condition
            && let Err(error) = self.write(judgement.record, condition.clone()).await
        {
            tracing::info!(%error, "The verdict on an export is not written yet; trying again.");
            return false;
        }
        self.tell(judgement);
        true
    }

    async fn write(&self, record: &Record, condition: Condition) -> Result<(), kit::Error> {
        let mut conditions = record.conditions.clone();
        condition::set(&mut conditions, condition);
        let body = json!({
            "metadata": {"uid": record.uid, "resourceVersion": record.resource_version},
            "status": {"conditions": conditions},
        });
        let place = ObjectKey::namespaced(&member_namespace(&record.cluster), &record.name);
        match self
            .writer
            .patch(&RECORDS, &place, Some("status"), Patch::Merge, &body)
            .await
        {
            Ok(answer) => {
                self.records.fold_as(answer, record.ours);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn tell(&self, judgement: Judgement<'_>) {
        let record = judgement.record;
        let verdict = Verdict {
            service_uid: record.service_uid.clone(),
            conflict: judgement.conflict,
            reason: judgement.reason.to_owned(),
            message: judgement.message,
            for_seq: 0,
        };
        self.sessions.verdict(&record.cluster, &record.key, verdict);
    }
}
