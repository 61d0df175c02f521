//! Judges conflicts between the exports of one service: writes the condition on each record and tells the member.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::condition::{self, Condition};
use api::names::member_namespace;
use fairway_core::link::{Conflict, ExportKey, Verdict};
use fairway_core::services::{Record, resolve};
use kit::ObjectKey;
use kit::backoff::Backoff;
use kit::clock::Clock;
use kit::index::Index;
use kit::queue::{Outcome, Queue, work};
use kit::writer::{Patch, Writer};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::records::{RECORDS, Records};
use super::sessions::Sessions;

const WORKERS: usize = 4;

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
        this.all().into_iter().for_each(|key| queue.add(key));
        let listen = async {
            loop {
                match changes.recv().await {
                    Ok(key) => queue.add(key),
                    Err(RecvError::Lagged(_)) => this.all().into_iter().for_each(|key| queue.add(key)),
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

    fn all(&self) -> BTreeSet<ExportKey> {
        self.records.all().iter().map(|record| record.key.clone()).collect()
    }

    async fn judge(&self, key: ExportKey) -> Outcome {
        let all: Vec<Arc<Record>> = self
            .records
            .all()
            .into_iter()
            .filter(|record| record.key == key)
            .collect();
        for gone in all.iter().filter(|record| record.deleting) {
            self.sessions.forget(&gone.cluster, &key);
        }
        let judgements = resolve(all.iter().map(AsRef::as_ref), self.clock.now());
        let mut outcome = Outcome::Done;
        for judgement in judgements {
            let record = judgement.record;
            if let Some(condition) = judgement.condition
                && let Err(error) = self.write(record, condition).await
            {
                tracing::info!(%error, "The verdict on an export is not written yet; trying again.");
                outcome = Outcome::Retry;
                continue;
            }
            self.tell(record, judgement.conflict);
        }
        outcome
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
            Ok(mut answer) => {
                if record.ours {
                    answer["metadata"]["managedFields"] =
                        json!([{"manager": fairway_core::services::FIELD_MANAGER, "operation": "Apply"}]);
                }
                self.records.fold(answer);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn tell(&self, record: &Record, conflict: Conflict) {
        let (reason, message) = match conflict {
            Conflict::NoConflict => (
                api::text::reasons::networking::NO_CONFLICT_FOUND,
                format!("service {} is exported without conflict", record.key),
            ),
            Conflict::Conflict | Conflict::Unknown => (
                api::text::reasons::networking::CONFLICT_FOUND,
                format!("service {} is in conflict with other exported services", record.key),
            ),
        };
        let verdict = Verdict {
            service_uid: record.service_uid.clone(),
            conflict,
            reason: reason.to_owned(),
            message,
            for_seq: 0,
        };
        self.sessions.verdict(&record.cluster, &record.key, verdict);
    }
}
