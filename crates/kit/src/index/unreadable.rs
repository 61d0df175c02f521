//! Objects that cannot be read at present: which, and why.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::events::Event;
use crate::metrics::runtime;
use crate::resource::{ObjectKey, Resource};

/// Why an object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its uid; empty when not even that could be read.
    pub uid: String,
    /// The resourceVersion that cannot be read.
    pub version: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Unreadable {
    /// Reports it to whoever owns the object.
    pub(super) fn event(&self, resource: &Resource, key: &ObjectKey, component: &'static str) -> Event {
        Event {
            api_version: resource.api_version(),
            kind: resource.kind.to_string(),
            key: key.clone(),
            uid: self.uid.clone(),
            warning: true,
            reason: "ObjectUnreadable".to_owned(),
            message: format!(
                "The object cannot be read, so it is left as it is until it is corrected: {}.",
                self.reason.trim_end_matches('.')
            ),
            component,
        }
    }
}

/// The objects of one index that cannot be read. An object leaves the set when it can be read or is gone.
pub(super) struct UnreadableSet {
    resource: Resource,
    objects: Mutex<BTreeMap<ObjectKey, Unreadable>>,
    changes: watch::Sender<u64>,
}

impl UnreadableSet {
    pub(super) fn new(resource: Resource) -> Self {
        Self {
            resource,
            objects: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    pub(super) fn all(&self) -> BTreeMap<ObjectKey, Unreadable> {
        self.objects.lock().clone()
    }

    pub(super) fn len(&self) -> usize {
        self.objects.lock().len()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// An object cannot be read. It is logged once per version.
    pub(super) fn add(&self, key: &ObjectKey, found: Unreadable) {
        let mut objects = self.objects.lock();
        if objects.get(key).is_some_and(|known| known.version == found.version) {
            return;
        }
        tracing::warn!(
            resource = %self.resource, object = %key, version = found.version, reason = found.reason,
            "An object cannot be read and is skipped until it changes."
        );
        if objects.insert(key.clone(), found).is_none() {
            self.count(1);
        }
        drop(objects);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The object can be read, or it is gone.
    pub(super) fn remove(&self, key: &ObjectKey) {
        let mut objects = self.objects.lock();
        if objects.remove(key).is_none() {
            return;
        }
        drop(objects);
        self.count(-1);
        self.changes.send_modify(|changes| *changes += 1);
        tracing::info!(resource = %self.resource, object = %key, "An object that could not be read can be, or is gone.");
    }

    /// Keeps only what a complete list holds.
    pub(super) fn retain(&self, seen: &BTreeSet<ObjectKey>) {
        let gone: Vec<_> = {
            let objects = self.objects.lock();
            objects.keys().filter(|key| !seen.contains(key)).cloned().collect()
        };
        gone.iter().for_each(|key| self.remove(key));
    }

    fn count(&self, change: i64) {
        if let Some(runtime) = runtime() {
            let gauge = runtime.unreadable.with_label_values(&[&self.resource.qualified()]);
            gauge.add(change);
        }
    }
}

impl Drop for UnreadableSet {
    fn drop(&mut self) {
        let left = self.objects.get_mut().len();
        if left > 0 {
            self.count(-i64::try_from(left).unwrap_or(i64::MAX));
        }
    }
}
