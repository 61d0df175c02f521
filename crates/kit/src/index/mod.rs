//! A watch kept in memory: list once, then follow, for good.
//!
//! An [`Index`] holds the trimmed items of one API. It lists the objects page by page, follows the watch with
//! bookmarks, lists anew only when the server no longer keeps the history or has gone back behind what it has delivered before,
//! and then delivers also the deletions that it missed. An object that cannot be read is skipped and named
//! ([`Index::unreadable`]); a handler that panics gets its change again; a task that panics is started again.
//! [`Index::is_live`] says whether changes are delivered now: only then does the index show that nothing has changed.
//!
//! Answers to our own writes are folded in at once; the watch's echo of them changes nothing and notifies nobody. An answer
//! may hold what somebody else has written just before; the watch's event of that is delivered although it brings nothing
//! that is not known.

mod drive;
mod liveness;
mod position;
mod requests;
mod rewind;
mod store;
mod unreadable;
mod watch;
mod wire;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kube::Client;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::sync::{Notify, watch as changes};
use tokio_util::sync::CancellationToken;

use crate::events::Recorder;
use crate::resource::{ObjectKey, Resource};
pub use crate::version::is_newer;
pub use liveness::{Liveness, Status};
use store::State;
pub use unreadable::Unreadable;
use watch::{Objects as _, Source, Watch};

/// Turns an object as the server sends it (without managed fields) into what the index keeps.
/// `None` leaves the object out. An error (or a panic) is reported and the object skipped.
pub type Decode<T> = Box<dyn Fn(Value) -> Result<Option<T>, String> + Send + Sync>;

/// Notified of each change, in order, one at a time. It must be quick: the watch waits for it. After a panic the change is
/// delivered again, to all handlers.
pub type Handler<T> = Box<dyn Fn(&Change<T>) + Send + Sync>;

/// Notified after everything known was replaced because the server's history has gone back.
type WentBack = Box<dyn Fn() + Send + Sync>;

/// The in-memory copy of one API's objects.
pub struct Index<T> {
    watch: Watch,
    decode: Decode<T>,
    handlers: Vec<Handler<T>>,
    /// Held while a change is stored and delivered, so that handlers see changes in the order of the store.
    order: Mutex<()>,
    state: RwLock<State<T>>,
    /// Objects whose latest change panicked in a handler, as they were before it.
    undelivered: Mutex<BTreeMap<ObjectKey, Option<Arc<T>>>>,
    has_undelivered: Notify,
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

impl Scope {
    /// Whether objects can leave it without being deleted, and come back.
    fn is_selective(&self) -> bool {
        self.labels.is_some() || self.fields.is_some()
    }
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
    /// Where it comes from.
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
    went_back: Vec<WentBack>,
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
            went_back: Vec::new(),
        }
    }

    /// The API.
    pub fn resource(&self) -> &Resource {
        &self.watch.resource
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

    /// Whether the first list is complete. It says nothing about now: see [`Self::is_live`].
    pub fn is_synced(&self) -> bool {
        self.watch.is_synced()
    }

    /// Waits for the first list to be complete.
    pub async fn synced(&self) {
        let mut synced = self.watch.synced.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = synced.wait_for(|done| *done).await;
    }

    /// A number that rises with every change and with the end of the first list, for those who wait for either.
    pub fn revision(&self) -> changes::Receiver<u64> {
        self.watch.revision.subscribe()
    }

    /// Whether the watch is established now, so that what is known is what there is, but for what is on its way.
    pub fn is_live(&self) -> bool {
        self.watch.liveness.is_live()
    }

    /// How the API is followed at this moment, and why not better.
    pub fn status(&self) -> Status {
        self.watch.liveness.status()
    }

    /// The status for those who wait for it to change.
    pub fn status_changes(&self) -> changes::Receiver<Status> {
        self.watch.liveness.changes()
    }

    /// What is wrong with the watch, as a sentence for probes. `None` while it is live, and in short gaps.
    pub fn trouble(&self) -> Option<String> {
        self.status()
            .trouble(&self.watch.resource.to_string(), self.is_synced())
    }

    /// The objects that cannot be read now. What was known of such an object before stays.
    pub fn unreadable(&self) -> BTreeMap<ObjectKey, Unreadable> {
        self.watch.unreadable.all()
    }

    /// How many objects cannot be read now.
    pub fn unreadable_count(&self) -> usize {
        self.watch.unreadable.len()
    }

    /// Records a Warning event on each object that cannot be read, once per version of it, for good.
    pub async fn report_unreadable(&self, recorder: &Recorder, component: &'static str) -> Infallible {
        let mut changes = self.unreadable_changes();
        let mut reported: BTreeMap<ObjectKey, Unreadable> = BTreeMap::new();
        loop {
            changes.borrow_and_update();
            let unreadable = self.unreadable();
            for (key, why) in &unreadable {
                if reported.get(key) != Some(why) {
                    recorder.record(why.event(&self.watch.resource, key, component));
                }
            }
            reported = unreadable;
            // The sender lives as long as `self`, so waiting cannot fail.
            let _ = changes.changed().await;
        }
    }

    /// A number that rises when the set of unreadable objects changes.
    pub fn unreadable_changes(&self) -> changes::Receiver<u64> {
        self.watch.unreadable.changes()
    }

    /// Complete lists so far: one at the start, and one for each time that resuming the watch was not enough.
    pub fn lists(&self) -> u64 {
        self.watch.lists.load(Ordering::Relaxed)
    }

    /// Lists and watches until `stop`. It never gives up: failures and panics are met with back-off.
    pub async fn run(&self, client: Client, stop: CancellationToken) {
        let following = async {
            tokio::select! {
                never = self.watch.supervise(self, &client) => never,
                never = self.deliver_again() => never,
            }
        };
        // On the heap, once: a future that holds this one may be moved and wrapped at no cost.
        stop.run_until_cancelled(Box::pin(following)).await;
    }

    /// Takes in the answer to a write of ours. Older than what is known: nothing happens.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn fold(&self, object: Value) -> Result<(), String> {
        self.put(object, Source::Answer)
    }

    /// Takes in that a deletion of ours removed the object at once. An incarnation other than `uid` stays.
    pub fn fold_deleted(&self, key: &ObjectKey, uid: Option<&str>) {
        self.remove(key, Source::Answer, |entry_uid, _| {
            uid.is_none_or(|uid| uid == entry_uid)
        });
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

    /// Adds somebody to be notified of changes.
    #[must_use]
    pub fn on_change<F: Fn(&Change<T>) + Send + Sync + 'static>(mut self, handler: F) -> Self {
        self.handlers.push(Box::new(handler));
        self
    }

    /// Adds somebody to be notified when the server's history has gone back, as after a restore of its storage: versions
    /// that were remembered before mean nothing any more. Everything known has been replaced by then, and the changes
    /// delivered.
    #[must_use]
    pub fn on_went_back<F: Fn() + Send + Sync + 'static>(mut self, handler: F) -> Self {
        self.went_back.push(Box::new(handler));
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
            went_back,
        } = self;
        Arc::new(Index {
            watch: Watch::new(resource, scope, managers, went_back),
            decode,
            handlers,
            order: Mutex::default(),
            state: RwLock::default(),
            undelivered: Mutex::default(),
            has_undelivered: Notify::new(),
        })
    }
}

impl<T> fmt::Debug for Index<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("resource", &self.watch.resource)
            .field("scope", &self.watch.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
