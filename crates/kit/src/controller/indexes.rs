//! The indexes that answers to writes are folded into.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::resource::{ObjectKey, Resource};
use fairway_core::effects::Write;
use parking_lot::RwLock;
use serde_json::Value;

use crate::index::Index;
use crate::writer::Answer;

/// An index of whatever kind, as far as it takes answers in.
pub trait Fold: Send + Sync {
    /// The API whose objects it holds.
    fn resource(&self) -> &Resource;

    /// Takes in the answer to a write.
    ///
    /// # Errors
    /// When the object cannot be read.
    fn fold(&self, object: Value) -> Result<(), String>;

    /// Takes in that a deletion removed the object at once. An incarnation other than `uid` stays.
    fn fold_deleted(&self, key: &ObjectKey, uid: Option<&str>);
}

impl<T: Send + Sync + 'static> Fold for Index<T> {
    fn resource(&self) -> &Resource {
        Index::resource(self)
    }

    fn fold(&self, object: Value) -> Result<(), String> {
        Index::fold(self, object)
    }

    fn fold_deleted(&self, key: &ObjectKey, uid: Option<&str>) {
        Index::fold_deleted(self, key, uid);
    }
}

/// The indexes of a process by API, so that the next pass of whoever reads them need not wait for a watch to see what was
/// written. Kinds that are written without being read have none.
#[derive(Default)]
pub struct Indexes {
    by_resource: RwLock<BTreeMap<Resource, Vec<Arc<dyn Fold>>>>,
}

impl Indexes {
    /// Answers about objects of its API go into this index from now on.
    pub fn add(&self, index: Arc<dyn Fold>) {
        let mut all = self.by_resource.write();
        all.entry(index.resource().clone()).or_default().push(index);
    }

    /// They no longer do.
    pub fn remove(&self, index: &Arc<dyn Fold>) {
        let mut all = self.by_resource.write();
        let Some(of_resource) = all.get_mut(index.resource()) else {
            return;
        };
        let is_same = |other: &Arc<dyn Fold>| std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(index));
        of_resource.retain(|other| !is_same(other));
        if of_resource.is_empty() {
            all.remove(index.resource());
        }
    }

    /// Takes in the answer to a write.
    pub fn fold(&self, write: &Write, answer: Answer) {
        let target = write.target();
        let found = self.by_resource.read().get(&target.resource).cloned();
        let Some((last, others)) = found.as_deref().and_then(<[_]>::split_last) else {
            return;
        };
        match answer {
            Answer::Object(object) => {
                // What cannot be read has been reported by the index.
                others.iter().for_each(|index| drop(index.fold(object.clone())));
                drop(last.fold(object));
            }
            Answer::Gone(answered) => {
                let uid = match write {
                    Write::Delete { uid: Some(uid), .. } => Some(uid),
                    _ => answered.as_ref(),
                };
                for index in others.iter().chain([last]) {
                    index.fold_deleted(&target.key(), uid.map(String::as_str));
                }
            }
        }
    }
}
