//! Judges conflicts between the exports of one service and writes the condition on each record.

use std::sync::Arc;

use api::condition::{self, Condition};
use fairway_core::services::{ExportKey, Judgement, Record, Verdict, resolve};
use futures::stream::{self, StreamExt};
use kit::clock::Clock;
use kit::queue::{Action, Queue, work};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::records::Records;

const WORKERS: usize = 4;
/// Conditions of one service that are written at a time: a thousand clusters may export it.
const WRITES: usize = 8;

/// Judges services, each at most once at a time.
pub(super) struct Resolver {
    records: Arc<Records>,
    clock: Clock,
}

impl Resolver {
    pub(super) fn new(records: Arc<Records>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { records, clock })
    }

    /// Judges the services in the queue until `stop`, once all records are known.
    pub(super) async fn run(self: Arc<Self>, queue: &Queue<ExportKey>, stop: CancellationToken) {
        if stop.run_until_cancelled(self.records.index().synced()).await.is_none() {
            return;
        }
        work(queue, WORKERS, &stop, |key| {
            let this = Arc::clone(&self);
            async move { this.judge(key).await }
        })
        .await;
    }

    async fn judge(&self, key: ExportKey) -> Action {
        self.records.tell_changes(&key);
        let all = self.records.of(&key);
        let judgements = resolve(all.iter().map(AsRef::as_ref), self.clock.now());
        let settled: Vec<_> = judgements.into_iter().map(|judgement| self.settle(judgement)).collect();
        let done = stream::iter(settled)
            .buffer_unordered(WRITES)
            .fold(true, |all, one| std::future::ready(all & one))
            .await;
        if done { Action::Done } else { Action::Retry }
    }

    /// Writes a judgement and tells who wants to know. Returns whether that is done.
    async fn settle(&self, judgement: Judgement<'_>) -> bool {
        let record = judgement.record;
        if let Some(condition) = judgement.condition
            && let Err(error) = self.write(record, condition).await
        {
            tracing::info!(%error, "The verdict on an export is not written yet; trying again.");
            return false;
        }
        let verdict = Verdict {
            service_uid: record.service_uid.clone(),
            conflict: judgement.conflict,
            reason: judgement.reason.to_owned(),
            message: judgement.message,
            for_seq: 0,
        };
        self.records.judged(record, &verdict);
        true
    }

    async fn write(&self, record: &Record, condition: Condition) -> Result<(), kit::Error> {
        let mut conditions = record.conditions.clone();
        condition::set(&mut conditions, condition);
        let body = json!({
            "metadata": {"uid": record.uid, "resourceVersion": record.resource_version},
            "status": {"conditions": conditions},
        });
        self.records.judge(record, &body).await
    }
}
