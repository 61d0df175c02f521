//! The InternalServiceExports of all members: known from a watch, written for those who report exports here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::names::member_namespace;
use fairway_core::link::inbox::Version;
use fairway_core::link::{Change, NackCode, Refusal};
use fairway_core::services::{
    self, ExportChange, ExportKey, ExportReport, HUB_MANAGER, Record, Scope, Step, Withdrawal,
};
use kit::controller::{Fold, Triggers};
use kit::index::Index;
use kit::managed::Managed;
use kit::writer::Writer;
use kit::{ObjectKey, Resource};
use parking_lot::Mutex;
use serde_json::Value;

use super::observers::Observers;

/// The API of the records.
pub(super) const RECORDS: Resource = kinds::INTERNAL_SERVICE_EXPORT;

/// Time for one write on the hub; a report that waits longer is answered `UNAVAILABLE` (networking 16.6).
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Whether anything had to be written.
    pub changed: bool,
    /// The record as it is now; none after a withdrawal.
    pub version: Option<Version>,
}

/// The records of all members.
pub(super) struct Records {
    store: Managed<Record>,
    known: Arc<Known>,
    observers: Observers,
    traffic_manager: bool,
}

/// What is known of records beside their contents.
#[derive(Default)]
struct Known {
    /// Where the records of an export are, in whichever member's namespace.
    locations: Mutex<BTreeMap<ExportKey, BTreeSet<ObjectKey>>>,
    /// The clusters whose record of an export is another one, or says something else, since the export was looked at last.
    touched: Mutex<BTreeMap<ExportKey, BTreeSet<String>>>,
    /// The public address that each record describes, as far as this process wrote it: records have no field for it.
    addresses: Mutex<BTreeMap<ObjectKey, String>>,
}

impl Known {
    /// Takes in where a record was and is.
    fn moved(&self, at: &ObjectKey, old: Option<&Record>, new: Option<&Record>) {
        let mut locations = self.locations.lock();
        if let Some(old) = old
            && let Entry::Occupied(mut all) = locations.entry(old.key.clone())
        {
            all.get_mut().remove(at);
            if all.get().is_empty() {
                all.remove();
            }
        }
        match new {
            Some(new) => {
                locations.entry(new.key.clone()).or_default().insert(at.clone());
            }
            None => {
                self.addresses.lock().remove(at);
            }
        }
        drop(locations);
        let said =
            |record: Option<&Record>| record.map(|record| (record.key.clone(), record.version(), record.deleting));
        if said(old) == said(new) {
            // Conditions alone have changed.
            return;
        }
        let mut touched = self.touched.lock();
        for record in old.into_iter().chain(new) {
            let clusters = touched.entry(record.key.clone()).or_default();
            clusters.insert(record.cluster.clone());
        }
    }

    fn of(&self, key: &ExportKey) -> BTreeSet<ObjectKey> {
        self.locations.lock().get(key).cloned().unwrap_or_default()
    }

    fn set_address(&self, at: ObjectKey, address: Option<String>) {
        let mut addresses = self.addresses.lock();
        match address {
            Some(address) => addresses.insert(at, address),
            None => addresses.remove(&at),
        };
    }
}

impl Records {
    /// The records; changes of records trigger a look at their exports.
    pub(super) fn new(writer: Writer, traffic_manager: bool, triggers: &Triggers<ExportKey>) -> Arc<Self> {
        let known = Arc::<Known>::default();
        let (moved, triggers) = (Arc::clone(&known), triggers.clone());
        let index = Index::builder(RECORDS, |value| {
            let managed = Record::is_managed(&value, HUB_MANAGER);
            let record = Record::from_value(&value, managed);
            // Outside of the members' namespaces nobody's exports are recorded.
            Ok((!record.cluster.is_empty()).then_some(record))
        })
        .keep_managers()
        .on_change(move |change| {
            moved.moved(&change.key, change.old.as_deref(), change.new.as_deref());
            let records = change.old.iter().chain(&change.new);
            triggers.changed(&RECORDS, change, records.map(|record| record.key.clone()));
        })
        .build();
        Arc::new(Self {
            store: Managed::new(writer, index, HUB_MANAGER),
            known,
            observers: Observers::default(),
            traffic_manager,
        })
    }

    pub(super) fn index(&self) -> &Arc<Index<Record>> {
        self.store.index()
    }

    pub(super) fn observers(&self) -> &Observers {
        &self.observers
    }

    /// The records of one export, of all clusters.
    pub(super) fn of(&self, key: &ExportKey) -> Vec<Arc<Record>> {
        let all = self.known.of(key);
        all.iter().filter_map(|at| self.index().get(at)).collect()
    }

    /// The version of a cluster's record of an export; none when there is no record or it is being deleted.
    pub(super) fn version(&self, cluster: &str, key: &ExportKey) -> Option<Version> {
        let all = self.of(key);
        let live = all.iter().find(|record| record.cluster == cluster && !record.deleting);
        live.map(|record| record.version())
    }

    /// The exports of which there is a record of a cluster, whoever wrote it.
    pub(super) fn exports_of(&self, cluster: &str) -> BTreeSet<ExportKey> {
        let all = self.index().in_namespace(&member_namespace(cluster));
        all.iter().map(|record| record.key.clone()).collect()
    }

    /// The exports of a cluster that the hub agent itself recorded.
    pub(super) fn recorded(&self, cluster: &str) -> BTreeSet<ExportKey> {
        let all = self.index().in_namespace(&member_namespace(cluster));
        all.iter()
            .filter(|record| record.ours && !record.deleting)
            .map(|record| record.key.clone())
            .collect()
    }

    /// Carries out one change of a cluster.
    pub(super) async fn write(
        &self,
        cluster: &str,
        key: &ExportKey,
        change: &ExportChange,
    ) -> Result<Written, Refusal> {
        match change {
            Change::Set(report) => self.report(cluster, key, report).await,
            Change::Remove(withdrawal) => self.withdraw(cluster, key, withdrawal).await,
        }
    }

    /// Deletes what the hub agent recorded of an export.
    pub(super) async fn remove(&self, cluster: &str, key: &ExportKey) -> Result<(), Refusal> {
        let all = self.index().in_namespace(&member_namespace(cluster));
        for record in all
            .iter()
            .filter(|record| record.key == *key && record.ours && !record.deleting)
        {
            self.delete(record).await?;
        }
        Ok(())
    }

    /// Notifies the observers of the records of an export that changed since this was called last.
    pub(super) fn notify_changed(&self, key: &ExportKey) {
        let touched = self.known.touched.lock().remove(key).unwrap_or_default();
        for cluster in touched {
            let version = self.version(&cluster, key);
            self.observers
                .each(|observer| observer.changed(&cluster, key, version.as_ref()));
        }
    }

    async fn report(&self, cluster: &str, key: &ExportKey, report: &ExportReport) -> Result<Written, Refusal> {
        services::validate(key, report).map_err(|message| Refusal::new(NackCode::InvalidArgument, message))?;
        let scope = Scope {
            cluster,
            traffic_manager: self.traffic_manager,
        };
        let all = self.index().in_namespace(&member_namespace(cluster));
        let live = all.iter().find(|record| record.key == *key && !record.deleting);
        let address = live.and_then(|record| self.known.addresses.lock().get(&location(record)).cloned());
        let (at, written) = match services::report(scope, key, report, &all, address.as_deref()) {
            Step::Wait(going) => return Err(services::still_going(going)),
            Step::Nothing(known) => {
                let version = Some(known.version());
                (
                    location(known),
                    Written {
                        changed: false,
                        version,
                    },
                )
            }
            Step::Apply { replaces, name, object } => {
                if let Some(stale) = replaces
                    && !self.delete(stale).await?
                {
                    return Err(services::still_going(stale));
                }
                let at = ObjectKey::namespaced(&member_namespace(cluster), &name);
                let answer = self
                    .store
                    .apply(&at, &object, services::surplus)
                    .await
                    .map_err(refusal)?;
                let version = Some(Record::from_value(&answer, true).version());
                (at, Written { changed: true, version })
            }
        };
        self.known
            .set_address(at, services::address_of(&report.public_ip, address));
        Ok(written)
    }

    async fn withdraw(&self, cluster: &str, key: &ExportKey, withdrawal: &Withdrawal) -> Result<Written, Refusal> {
        let all = self.index().in_namespace(&member_namespace(cluster));
        let mut changed = false;
        for record in services::withdraw(key, &withdrawal.service_uid, &all) {
            self.delete(record).await?;
            changed = true;
        }
        Ok(Written { changed, version: None })
    }

    /// Deletes a record. Returns whether it is gone already. A deletion is right whatever the API server says of it now:
    /// it is tried until it succeeds.
    async fn delete(&self, record: &Record) -> Result<bool, Refusal> {
        let deleted = self.store.delete(&location(record), &record.uid, record.ours).await;
        deleted.map_err(|error| match error.code() {
            Some(_) => Refusal::unavailable(error.to_string()),
            None => Refusal::unanswered(error.to_string()),
        })
    }
}

/// Answers to a controller's writes, which are of conditions only: that does not change who wrote the spec.
impl Fold for Records {
    fn resource(&self) -> &Resource {
        self.index().resource()
    }

    fn fold(&self, object: Value) -> Result<(), String> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let at = ObjectKey::namespaced(text("/metadata/namespace"), text("/metadata/name"));
        let known = self.index().get(&at);
        let ours = known.is_some_and(|known| known.uid == text("/metadata/uid") && known.ours);
        self.store.fold(object, ours)
    }

    fn fold_deleted(&self, key: &ObjectKey, uid: Option<&str>) {
        self.index().fold_deleted(key, uid);
    }
}

fn location(record: &Record) -> ObjectKey {
    ObjectKey::namespaced(&member_namespace(&record.cluster), &record.name)
}

fn refusal(error: kit::Error) -> Refusal {
    Refusal::of_answer(error.code(), error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_kept_of_records_that_are_gone() {
        let known = Known::default();
        let record = |name: &str| {
            let object = json!({
                "metadata": {"namespace": "fleet-member-m1", "name": name},
                "spec": {"serviceReference": {"clusterId": "m1", "namespace": "app", "name": name}},
            });
            Record::from_value(&object, true)
        };
        let all = ["a", "b"].map(record);
        for record in &all {
            known.moved(&location(record), None, Some(record));
            known.set_address(location(record), Some("1.2.3.4".to_owned()));
        }
        assert_eq!(known.of(&all[0].key).len(), 1);
        let touched = known.touched.lock().remove(&all[0].key);
        assert_eq!(touched, Some(BTreeSet::from(["m1".to_owned()])));
        // A condition that was written is no change of what the record says, and nobody would take it out again.
        let judged = Record {
            resource_version: "2".to_owned(),
            ..all[0].clone()
        };
        known.moved(&location(&judged), Some(&all[0]), Some(&judged));
        assert!(!known.touched.lock().contains_key(&all[0].key));
        // Whoever deletes them: a withdrawal, a user, or the end of the member's namespace.
        for record in &all {
            known.moved(&location(record), Some(record), None);
        }
        assert!(known.locations.lock().is_empty());
        assert!(known.addresses.lock().is_empty());
    }
}
