//! A watch kept in memory: list once, then follow, for good.
//!
//! An [`Index`] holds the trimmed items of one API. It lists the objects page by page, follows the watch with
//! bookmarks, lists anew only when the server has forgotten the history, and then delivers also the deletions that it
//! missed. One object that cannot be read never blinds it. Answers to our own writes are folded in at once; the watch's
//! echo of them changes nothing and wakes nobody. An answer may hold what somebody else has written just before; the
//! watch's word of that is delivered although it brings nothing that is not known.

mod drive;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::sync::watch;

use crate::resource::{ObjectKey, Resource};
use store::State;

/// Turns an object as the server sends it (without managed fields) into what the index keeps.
/// `None` leaves the object out. An error is reported and the object skipped.
pub type Decode<T> = Box<dyn Fn(Value) -> Result<Option<T>, String> + Send + Sync>;

/// Told about each change, in order, one at a time. It must be quick: the watch waits for it.
pub type Handler<T> = Box<dyn Fn(&Change<T>) + Send + Sync>;

/// The in-memory copy of one API's objects.
pub struct Index<T> {
    resource: Resource,
    scope: Scope,
    managers: bool,
    decode: Decode<T>,
    handlers: Vec<Handler<T>>,
    /// Held while a change is stored and delivered, so that handlers see changes in the order of the store.
    order: Mutex<()>,
    state: RwLock<State<T>>,
    synced: watch::Sender<bool>,
    revision: watch::Sender<u64>,
    skipped: AtomicU64,
    lists: AtomicU64,
}

/// Which objects of the API are watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only those of a namespace.
    pub namespace: Option<String>,
    /// Only those with such labels, in the notation of label selectors.
    pub labels: Option<String>,
    /// Only those with such fields, in the notation of field selectors.
    pub fields: Option<String>,
    /// Objects on one page of a list, for APIs with large objects; 200 unless set.
    pub page: Option<u32>,
}

/// What happened to one object. At least one of `old` and `new` is there.
#[derive(Debug)]
pub struct Change<T> {
    /// Which object.
    pub key: ObjectKey,
    /// As it was; `None` when it was not there. The same as `new` when the answer to a write of ours has brought the
    /// change before.
    pub old: Option<Arc<T>>,
    /// As it is; `None` when it is gone.
    pub new: Option<Arc<T>>,
    /// The resourceVersion of `new`; empty when it is gone.
    pub version: String,
    /// Who said so.
    pub origin: Origin,
}

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The server's list or watch: somebody else wrote.
    Watch,
    /// The answer to our own write.
    Fold,
}

/// Builds an [`Index`].
pub struct Builder<T> {
    resource: Resource,
    scope: Scope,
    managers: bool,
    decode: Decode<T>,
    handlers: Vec<Handler<T>>,
}

impl<T: Send + Sync + 'static> Index<T> {
    /// Starts an index of an API with the way to read its objects.
    pub fn builder<F>(resource: Resource, decode: F) -> Builder<T>
    where
        F: Fn(Value) -> Result<Option<T>, String> + Send + Sync + 'static,
    {
        Builder {
            resource,
            scope: Scope::default(),
            managers: false,
            decode: Box::new(decode),
            handlers: Vec::new(),
        }
    }

    /// The API.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.state.read().get(key)
    }

    /// All objects, by namespace and name.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.state.read().items().map(|(_, item)| Arc::clone(item)).collect()
    }

    /// The objects of one namespace, by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<T>> {
        self.state.read().in_namespace(namespace)
    }

    /// All objects with their keys.
    pub fn entries(&self) -> BTreeMap<ObjectKey, Arc<T>> {
        self.state
            .read()
            .items()
            .map(|(key, item)| (key.clone(), Arc::clone(item)))
            .collect()
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.state.read().len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first list is complete.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits for the first list to be complete.
    pub async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = synced.wait_for(|done| *done).await;
    }

    /// A number that rises with every change and with the end of the first list, for those who wait for either.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Objects that were skipped so far because they could not be read.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Complete lists so far: one at the start, and one for each time the server had forgotten the history.
    pub fn lists(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }

    /// Takes in the answer to a write of ours. Older than what is known: nothing happens.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn fold(&self, object: Value) -> Result<(), String> {
        self.put(object, Origin::Fold, false)
    }

    /// Takes in that a deletion of ours removed the object at once. An incarnation other than `uid` stays.
    pub fn fold_deleted(&self, key: &ObjectKey, uid: Option<&str>) {
        self.remove(key, Origin::Fold, |entry_uid, _| uid.is_none_or(|uid| uid == entry_uid));
    }
}

impl<T: Send + Sync + 'static> Builder<T> {
    /// Limits which objects are watched.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Lets the decoder see managed fields, for the rare kind where it matters who wrote a field.
    #[must_use]
    pub fn keep_managers(mut self) -> Self {
        self.managers = true;
        self
    }

    /// Adds somebody to be told about changes.
    #[must_use]
    pub fn on_change<F: Fn(&Change<T>) + Send + Sync + 'static>(mut self, handler: F) -> Self {
        self.handlers.push(Box::new(handler));
        self
    }

    /// The index, empty until [`Index::run`] runs.
    pub fn build(self) -> Arc<Index<T>> {
        let Self {
            resource,
            scope,
            managers,
            decode,
            handlers,
        } = self;
        Arc::new(Index {
            resource,
            scope,
            managers,
            decode,
            handlers,
            order: Mutex::default(),
            state: RwLock::default(),
            synced: watch::Sender::new(false),
            revision: watch::Sender::new(0),
            skipped: AtomicU64::new(0),
            lists: AtomicU64::new(0),
        })
    }
}

impl<T> fmt::Debug for Index<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("resource", &self.resource)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
