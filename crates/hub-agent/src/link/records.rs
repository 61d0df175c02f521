//! Writes and deletes the InternalServiceExports that record the members' reports.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::names::member_namespace;
use api::text::groups;
use fairway_core::link::session::Version;
use fairway_core::link::{Change, ExportKey, ExportReport, NackCode, Withdrawal, validate};
use fairway_core::services::{self, HUB_MANAGER, Record, Scope, Step};
use kit::index::Index;
use kit::writer::{Answer, Deletion, Patch, Writer};
use kit::{ObjectKey, Resource};
use parking_lot::Mutex;
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
    /// Where the records of an export are, in whichever member's namespace.
    places: Arc<Mutex<BTreeMap<ExportKey, BTreeSet<ObjectKey>>>>,
    /// The public address that each record speaks of, as far as this process wrote it: records have no place for it.
    addresses: Mutex<BTreeMap<(String, ExportKey), String>>,
    traffic_manager: bool,
    changed: broadcast::Sender<Touched>,
}

/// An export of a cluster whose record may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touched {
    pub cluster: String,
    pub key: ExportKey,
}

/// Why a change is not written.
#[derive(Debug)]
pub(super) struct Refusal {
    pub code: NackCode,
    pub message: String,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// Whether anything had to be written.
    pub changed: bool,
    /// The record as it is now; none after a withdrawal.
    pub version: Option<Version>,
}

impl Records {
    /// The records and the index that must run for them.
    pub(super) fn new(writer: Writer, traffic_manager: bool) -> (Arc<Self>, Arc<Index<Record>>) {
        let (changed, _) = broadcast::channel(BACKLOG);
        let tell = changed.clone();
        let places = Arc::<Mutex<BTreeMap<ExportKey, BTreeSet<ObjectKey>>>>::default();
        let placed = Arc::clone(&places);
        let index = Index::builder(RECORDS, |value| {
            let managed = Record::is_managed(&value, HUB_MANAGER);
            let record = Record::from_value(&value, managed);
            // Outside of the members' namespaces nobody's exports are recorded.
            Ok((!record.cluster.is_empty()).then_some(record))
        })
        .keep_managers()
        .on_change(move |change| {
            let mut placed = placed.lock();
            if let Some(old) = &change.old
                && let Entry::Occupied(mut all) = placed.entry(old.key.clone())
            {
                all.get_mut().remove(&change.key);
                if all.get().is_empty() {
                    all.remove();
                }
            }
            if let Some(new) = &change.new {
                placed.entry(new.key.clone()).or_default().insert(change.key.clone());
            }
            drop(placed);
            for record in change.old.iter().chain(&change.new) {
                // Nobody listens before the resolver runs, and that looks at everything first.
                let _ = tell.send(touched(&record.cluster, &record.key));
            }
        })
        .build();
        let records = Self {
            writer,
            index: Arc::clone(&index),
            places,
            addresses: Mutex::default(),
            traffic_manager,
            changed,
        };
        (Arc::new(records), index)
    }

    /// Hears of every export whose records change.
    pub(super) fn changes(&self) -> broadcast::Receiver<Touched> {
        self.changed.subscribe()
    }

    /// All recorded exports.
    pub(super) fn keys(&self) -> Vec<ExportKey> {
        self.places.lock().keys().cloned().collect()
    }

    /// The records of one export, of all clusters.
    pub(super) fn of(&self, key: &ExportKey) -> Vec<Arc<Record>> {
        let places = self.places.lock().get(key).cloned().unwrap_or_default();
        places.iter().filter_map(|place| self.index.get(place)).collect()
    }

    /// The version of a cluster's record of an export; none when there is no record or it is being deleted.
    pub(super) fn version(&self, cluster: &str, key: &ExportKey) -> Option<Version> {
        let all = self.of(key);
        let live = all.iter().find(|record| record.cluster == cluster && !record.deleting);
        live.map(|record| record.version())
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

    /// Writes one change of a cluster. Changes whose records could share a name must not be written side by side.
    pub(super) async fn write(&self, cluster: &str, key: &ExportKey, change: &Change) -> Result<Written, Refusal> {
        let written = match change {
            Change::Report(report) => self.report(cluster, key, report).await,
            Change::Withdraw(withdrawal) => self.withdraw(cluster, key, withdrawal).await,
        };
        if written.as_ref().is_ok_and(|written| !written.changed) {
            // A member that reports again may have missed the verdict, and no record changes to bring it about.
            let _ = self.changed.send(touched(cluster, key));
        }
        written
    }

    /// Deletes what the hub agent recorded of an export that a full sync no longer mentions.
    pub(super) async fn remove(&self, cluster: &str, key: &ExportKey) -> Result<(), Refusal> {
        let all = self.index.in_namespace(&member_namespace(cluster));
        for record in all
            .iter()
            .filter(|record| record.key == *key && record.ours && !record.deleting)
        {
            self.delete(record).await?;
        }
        self.addresses.lock().remove(&(cluster.to_owned(), key.clone()));
        Ok(())
    }

    async fn report(&self, cluster: &str, key: &ExportKey, report: &ExportReport) -> Result<Written, Refusal> {
        validate::report(key, report).map_err(|message| Refusal {
            code: NackCode::InvalidArgument,
            message,
        })?;
        let scope = Scope {
            cluster,
            traffic_manager: self.traffic_manager,
        };
        let at = (cluster.to_owned(), key.clone());
        let address = self.addresses.lock().get(&at).cloned();
        let all = self.index.in_namespace(&member_namespace(cluster));
        let written = match services::report(scope, key, report, &all, address.as_deref()) {
            Step::Wait(going) => return Err(still_going(going)),
            Step::Nothing(known) => Written {
                changed: false,
                version: Some(known.version()),
            },
            Step::Apply { replaces, name, object } => {
                if let Some(stale) = replaces
                    && !self.delete(stale).await?
                {
                    return Err(still_going(stale));
                }
                self.apply(cluster, &name, &object).await?
            }
        };
        let mut addresses = self.addresses.lock();
        match services::address_of(report, address) {
            Some(address) => addresses.insert(at, address),
            None => addresses.remove(&at),
        };
        Ok(written)
    }

    async fn apply(&self, cluster: &str, name: &str, object: &serde_json::Value) -> Result<Written, Refusal> {
        let place = ObjectKey::namespaced(&member_namespace(cluster), name);
        let patch = Patch::Apply {
            manager: HUB_MANAGER,
            force: true,
        };
        let answer = self.writer.patch(&RECORDS, &place, None, patch, object).await;
        let mut answer = answer.map_err(refusal)?;
        if let Some(removal) = services::surplus(object, &answer) {
            // Another agent wrote this record before, or somebody by hand.
            let cleaned = self.writer.patch(&RECORDS, &place, None, Patch::Merge, &removal).await;
            answer = cleaned.map_err(refusal)?;
        }
        let version = Record::from_value(&answer, true).version();
        self.fold_as(answer, true);
        Ok(Written {
            changed: true,
            version: Some(version),
        })
    }

    /// Answers come without managed fields; whose a record is does not change by our own writes to its status.
    pub(super) fn fold_as(&self, mut answer: serde_json::Value, ours: bool) {
        if ours {
            Record::claim(&mut answer, HUB_MANAGER);
        }
        self.fold(answer);
    }

    async fn withdraw(&self, cluster: &str, key: &ExportKey, withdrawal: &Withdrawal) -> Result<Written, Refusal> {
        let all = self.index.in_namespace(&member_namespace(cluster));
        let mut changed = false;
        for record in services::withdraw(key, &withdrawal.service_uid, &all) {
            self.delete(record).await?;
            changed = true;
        }
        self.addresses.lock().remove(&(cluster.to_owned(), key.clone()));
        Ok(Written { changed, version: None })
    }

    /// Deletes a record. Returns whether it is gone already.
    async fn delete(&self, record: &Record) -> Result<bool, Refusal> {
        let place = ObjectKey::namespaced(&member_namespace(&record.cluster), &record.name);
        let how = Deletion {
            uid: Some(&record.uid),
            ..Deletion::default()
        };
        match self.writer.delete(&RECORDS, &place, how).await {
            Ok(Answer::Gone(_)) => self.index.fold_deleted(&place, Some(&record.uid)),
            Ok(Answer::Object(object)) => {
                self.fold_as(object, record.ours);
                return Ok(false);
            }
            // Another incarnation took its place: what was to go is gone.
            Err(error) if error.is_conflict() => {}
            // A deletion is right whatever the server says of it now: it is tried until it succeeds.
            Err(error) => {
                return Err(Refusal {
                    code: NackCode::Unavailable,
                    message: error.to_string(),
                });
            }
        }
        Ok(true)
    }
}

fn touched(cluster: &str, key: &ExportKey) -> Touched {
    Touched {
        cluster: cluster.to_owned(),
        key: key.clone(),
    }
}

fn still_going(record: &Record) -> Refusal {
    Refusal {
        code: NackCode::Unavailable,
        message: services::still_going(record),
    }
}

fn refusal(error: kit::Error) -> Refusal {
    Refusal {
        code: NackCode::of_answer(error.code()),
        message: error.to_string(),
    }
}
