//! Writes and deletes the InternalServiceExports that record the members' reports.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::names::member_namespace;
use api::text::groups;
use fairway_core::link::{Change, ExportKey, ExportReport, NackCode, Withdrawal, validate};
use fairway_core::services::{FIELD_MANAGER, Record, is_recorded, manifest, record_name};
use kit::index::Index;
use kit::writer::{Answer, Deletion, Patch, Writer};
use kit::{ObjectKey, Resource};
use tokio::sync::broadcast;

/// The API of the records.
pub(super) const RECORDS: Resource = Resource::namespaced(
    groups::NETWORKING,
    "v1alpha1",
    "InternalServiceExport",
    "internalserviceexports",
);
/// Changes that a slow listener may lag behind before it looks at everything anew.
const BACKLOG: usize = 1024;

/// The records of all members: known from a watch, written for sessions.
pub(super) struct Records {
    writer: Writer,
    index: Arc<Index<Record>>,
    traffic_manager: bool,
    changed: broadcast::Sender<ExportKey>,
}

/// Why a change is not written.
#[derive(Debug)]
pub(super) struct Refusal {
    pub code: NackCode,
    pub message: String,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The record was written or deleted.
    Yes,
    /// The record says so already.
    Unchanged,
}

impl Records {
    /// The records and the index that must run for them.
    pub(super) fn new(writer: Writer, traffic_manager: bool) -> (Arc<Self>, Arc<Index<Record>>) {
        let (changed, _) = broadcast::channel(BACKLOG);
        let tell = changed.clone();
        let index = Index::builder(RECORDS, |value| {
            let managed = Record::is_managed(&value);
            Ok(Some(Record::from_value(&value, managed)))
        })
        .keep_managers()
        .on_change(move |change| {
            for record in change.old.iter().chain(&change.new) {
                // Nobody listens before the resolver runs, and that looks at everything first.
                let _ = tell.send(record.key.clone());
            }
        })
        .build();
        let records = Self {
            writer,
            index: Arc::clone(&index),
            traffic_manager,
            changed,
        };
        (Arc::new(records), index)
    }

    /// Hears of every export whose records change.
    pub(super) fn changes(&self) -> broadcast::Receiver<ExportKey> {
        self.changed.subscribe()
    }

    /// All records.
    pub(super) fn all(&self) -> Vec<Arc<Record>> {
        self.index.all()
    }

    /// Takes in the answer to a write of the resolver.
    pub(super) fn fold(&self, object: serde_json::Value) {
        if let Err(reason) = self.index.fold(object) {
            tracing::warn!(reason, "A written export record cannot be read back.");
        }
    }

    /// The exports of a cluster that the hub agent itself recorded.
    pub(super) fn recorded(&self, cluster: &str) -> BTreeSet<ExportKey> {
        let all = self.index.in_namespace(&member_namespace(cluster));
        all.iter()
            .filter(|record| record.ours && !record.deleting)
            .map(|record| record.key.clone())
            .collect()
    }

    /// Writes one change of a cluster.
    pub(super) async fn write(&self, cluster: &str, key: &ExportKey, change: &Change) -> Result<Written, Refusal> {
        let written = match change {
            Change::Report(report) => self.report(cluster, key, report).await,
            Change::Withdraw(withdrawal) => self.withdraw(cluster, key, withdrawal).await,
        };
        if matches!(written, Ok(Written::Unchanged)) {
            // A member that reports again may have missed the verdict, and no record changes to bring it about.
            let _ = self.changed.send(key.clone());
        }
        written
    }

    async fn report(&self, cluster: &str, key: &ExportKey, report: &ExportReport) -> Result<Written, Refusal> {
        validate::report(key, report).map_err(|message| Refusal {
            code: NackCode::InvalidArgument,
            message,
        })?;
        let namespace = member_namespace(cluster);
        let all = self.index.in_namespace(&namespace);
        let known = all.iter().find(|record| record.key == *key);
        let name = match known {
            Some(record) => record.name.clone(),
            None => {
                let plain = record_name(key, false);
                let taken = all.iter().any(|record| record.name == plain);
                record_name(key, taken)
            }
        };
        // Another uid under the same name is another Service: its record starts anew.
        let (known, stale) = match known {
            Some(record) if record.service_uid != report.service.uid => (None, Some(Arc::clone(record))),
            other => (other, None),
        };
        if let Some(stale) = stale {
            self.delete(&namespace, &stale).await?;
        }
        let same_address = known.is_some();
        let object = manifest(
            cluster,
            &name,
            key,
            report,
            known.map(AsRef::as_ref),
            same_address,
            self.traffic_manager,
        );
        if known.is_some_and(|record| is_recorded(record, &object)) {
            return Ok(Written::Unchanged);
        }
        let place = ObjectKey::namespaced(&namespace, &name);
        let patch = Patch::Apply {
            manager: FIELD_MANAGER,
            force: true,
        };
        let answer = self
            .writer
            .patch(&RECORDS, &place, None, patch, &object)
            .await
            .map_err(refusal)?;
        self.fold_ours(answer);
        Ok(Written::Yes)
    }

    /// Answers come without managed fields; what we applied ourselves is ours.
    fn fold_ours(&self, mut answer: serde_json::Value) {
        answer["metadata"]["managedFields"] = serde_json::json!([{"manager": FIELD_MANAGER, "operation": "Apply"}]);
        self.fold(answer);
    }

    async fn withdraw(&self, cluster: &str, key: &ExportKey, withdrawal: &Withdrawal) -> Result<Written, Refusal> {
        let namespace = member_namespace(cluster);
        let all = self.index.in_namespace(&namespace);
        let known = all.iter().find(|record| record.key == *key && !record.deleting);
        let Some(record) = known else {
            return Ok(Written::Unchanged);
        };
        if !withdrawal.service_uid.is_empty() && withdrawal.service_uid != record.service_uid {
            return Ok(Written::Unchanged);
        }
        self.delete(&namespace, record).await?;
        Ok(Written::Yes)
    }

    async fn delete(&self, namespace: &str, record: &Record) -> Result<(), Refusal> {
        let place = ObjectKey::namespaced(namespace, &record.name);
        let how = Deletion {
            uid: Some(&record.uid),
            ..Deletion::default()
        };
        match self.writer.delete(&RECORDS, &place, how).await {
            Ok(Answer::Gone(_)) => self.index.fold_deleted(&place, Some(&record.uid)),
            Ok(Answer::Object(object)) => self.fold_ours(object),
            // Another incarnation took its place: what was to go is gone.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(refusal(error)),
        }
        Ok(())
    }
}

fn refusal(error: kit::Error) -> Refusal {
    let code = match error.code() {
        Some(400 | 422) => NackCode::InvalidArgument,
        Some(413) => NackCode::TooLarge,
        _ => NackCode::Unavailable,
    };
    Refusal {
        code,
        message: error.to_string(),
    }
}
