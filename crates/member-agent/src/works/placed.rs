//! Watches over the objects that were placed, so that their becoming available or drifting is noticed at once.
//!
//! One watch per kind that we placed, and of what it delivers only facts about our own objects are kept. Kinds beyond a
//! limit are left to the periodic passes, as is everything whose watch is not live.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_core::apply::{self, Availability, Entry, Identity, Print, Resource};
use kit::ObjectKey;
use kit::index::{Change, Index, is_newer};
use kit::queue::Queue;
use kube::Client;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::unwatched;
use super::work_state::{Need, WorkStates};
use crate::member::{ObjectRef, kit_resource};

/// Kinds that are watched at most.
const MAX_KINDS: usize = 32;

/// What is kept of an object that was placed, or that has an AppliedWork as its owner.
pub(super) struct Facts {
    uid: String,
    version: String,
    generation: i64,
    print: Print,
    availability: Availability,
    /// Kept only where a Work wants it reported back.
    status: Option<Value>,
}

/// What the watched facts say about an object compared with the end of the last pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectChange {
    /// It still holds.
    Holds,
    /// What controllers write has changed, and maybe more of it than that.
    Marked,
    /// Availability or status have moved.
    Moved,
    /// The object is not as the pass left it.
    Drifted,
}

/// Works by the objects that they placed, for one kind, and whether each wants the status reported back.
type Registry = RwLock<BTreeMap<ObjectKey, BTreeMap<String, bool>>>;

struct Kind {
    registry: Arc<Registry>,
    index: Arc<Index<Facts>>,
    stop: CancellationToken,
}

/// All watches over placed objects.
pub(crate) struct Placed {
    client: Client,
    queue: Queue<String>,
    work_states: Arc<WorkStates>,
    stop: CancellationToken,
    /// The watches.
    tasks: TaskTracker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kinds: BTreeMap<Resource, Kind>,
    by_work: BTreeMap<String, BTreeSet<ObjectRef>>,
}

impl Placed {
    pub(super) fn new(client: Client, queue: Queue<String>, work_states: Arc<WorkStates>) -> Arc<Self> {
        let stop = CancellationToken::new();
        Arc::new(Self {
            client,
            queue,
            work_states,
            stop,
            tasks: TaskTracker::new(),
            state: Mutex::default(),
        })
    }

    /// Runs until `stop`, then ends all watches and waits for that.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        stop.cancelled().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Notes what a Work is about to place, so that nothing that happens to it afterwards is missed.
    pub(super) fn register(&self, work: &str, object_refs: BTreeSet<ObjectRef>, mirror: bool) {
        let mut state = self.state.lock();
        let before = state
            .by_work
            .insert(work.to_owned(), object_refs.clone())
            .unwrap_or_default();
        // A kind whose only object gets another name keeps its watch: what is new of it counts before what has gone.
        let (watched, new): (Vec<_>, Vec<_>) = object_refs
            .iter()
            .partition(|object_ref| state.kinds.contains_key(&object_ref.resource));
        for object_ref in watched {
            state.add(work, object_ref, mirror);
        }
        for object_ref in before.difference(&object_refs) {
            state.remove(work, object_ref);
        }
        for object_ref in new {
            if !state.kinds.contains_key(&object_ref.resource) {
                if state.kinds.len() >= MAX_KINDS {
                    continue;
                }
                let kind = self.watch(&object_ref.resource);
                state.kinds.insert(object_ref.resource.clone(), kind);
            }
            state.add(work, object_ref, mirror);
        }
    }

    /// Whether it is known what a Work has placed.
    pub(super) fn is_registered(&self, work: &str) -> bool {
        self.state.lock().by_work.contains_key(work)
    }

    /// Forgets what a Work placed.
    pub(super) fn forget(&self, work: &str) {
        let mut state = self.state.lock();
        for object_ref in state.by_work.remove(work).unwrap_or_default() {
            state.remove(work, &object_ref);
        }
    }

    /// Compares an entry with what the watch delivered, and takes over changed availability and status.
    pub(super) fn refresh_entry(&self, entry: &mut Entry, object_ref: &ObjectRef, mirror: bool) -> ObjectChange {
        let Some(facts) = self.facts(object_ref) else {
            return ObjectChange::Holds;
        };
        let object_change = compare(entry, Some(&facts), mirror);
        if object_change == ObjectChange::Moved
            && let Some(live) = &mut entry.outcome.live
        {
            live.resource_version = facts.version.clone();
            live.generation = facts.generation;
            live.status = facts.status.clone().filter(|_| mirror);
            entry.outcome.availability = facts.availability.clone();
        }
        object_change
    }

    /// Whether a watch that is live shows the object, and as the last pass left it.
    pub(super) fn shows_unchanged(&self, entry: &Entry, object_ref: &ObjectRef, mirror: bool) -> bool {
        let Some(index) = self.index(object_ref).filter(|index| index.is_live()) else {
            return false;
        };
        // What is older than the last pass's end says nothing about it.
        let is_behind = |facts: &Facts| {
            let live = entry.outcome.live.as_ref();
            live.is_some_and(|live| {
                facts.version != live.resource_version && !is_newer(&facts.version, &live.resource_version)
            })
        };
        let facts = index.get(&key_of(object_ref)).filter(|facts| !is_behind(facts));
        facts.is_some_and(|facts| compare(entry, Some(&facts), mirror) == ObjectChange::Holds)
    }

    /// Kinds among those that a Work has placed that the member does not let us watch.
    pub(super) fn refused_kinds(&self, work: &str) -> Vec<String> {
        let state = self.state.lock();
        let placed = state.by_work.get(work).into_iter().flatten();
        let kinds: BTreeSet<_> = placed.map(|object_ref| &object_ref.resource).collect();
        let indexes = kinds.into_iter().filter_map(|kind| state.kinds.get(kind));
        let refused = indexes.filter(|kind| kind.index.status().is_refused());
        refused.map(|kind| kind.index.resource().to_string()).collect()
    }

    fn index(&self, object_ref: &ObjectRef) -> Option<Arc<Index<Facts>>> {
        let state = self.state.lock();
        state
            .kinds
            .get(&object_ref.resource)
            .map(|kind| Arc::clone(&kind.index))
    }

    fn facts(&self, object_ref: &ObjectRef) -> Option<Arc<Facts>> {
        self.index(object_ref)?.get(&key_of(object_ref))
    }

    fn watch(&self, resource: &Resource) -> Kind {
        let registry = Arc::new(Registry::default());
        let decode = {
            let (resource, registry) = (resource.clone(), Arc::clone(&registry));
            move |object: Value| {
                let mirror = registry
                    .read()
                    .get(&ObjectKey::of(&object))
                    .map(|works| works.values().any(|mirror| *mirror));
                // After a restart the list may come before the Work that placed an object has had its first pass.
                let mirror = mirror.or_else(|| apply::has_owner(&object).then_some(false));
                Ok(mirror.map(|mirror| facts(&resource, &object, mirror)))
            }
        };
        let notify = {
            let (resource, registry) = (resource.clone(), Arc::clone(&registry));
            let (queue, work_states) = (self.queue.clone(), Arc::clone(&self.work_states));
            move |change: &Change<Facts>| on_change(change, &resource, &registry, &queue, &work_states)
        };
        let works = {
            let registry = Arc::clone(&registry);
            move || -> Vec<String> {
                let registry = registry.read();
                let all: BTreeSet<_> = registry.values().flat_map(BTreeMap::keys).collect();
                all.into_iter().cloned().collect()
            }
        };
        let went_back = {
            let (works, queue, work_states) = (works.clone(), self.queue.clone(), Arc::clone(&self.work_states));
            move || {
                for work in works() {
                    work_states.need(&work, Need::Pass);
                    queue.add(work);
                }
            }
        };
        let builder = Index::builder(kit_resource(resource), decode).on_change(notify);
        // Passes have remembered versions that mean nothing any more.
        let index = builder.on_went_back(went_back).build();
        let stop = self.stop.child_token();
        {
            let (index, client, stop) = (Arc::clone(&index), self.client.clone(), stop.clone());
            let (queue, work_states) = (self.queue.clone(), Arc::clone(&self.work_states));
            self.tasks.spawn(async move {
                tokio::select! {
                    () = index.run(client, stop) => {}
                    () = unwatched::follow(&index, works, &queue, &work_states) => {}
                }
            });
        }
        Kind { registry, index, stop }
    }
}

impl State {
    /// Notes a Work's claim to an object of a kind that is watched.
    fn add(&self, work: &str, object_ref: &ObjectRef, mirror: bool) {
        if let Some(kind) = self.kinds.get(&object_ref.resource) {
            let mut registry = kind.registry.write();
            let works = registry.entry(key_of(object_ref)).or_default();
            works.insert(work.to_owned(), mirror);
        }
    }

    /// Removes a Work's claim to an object. A kind without objects is watched no longer.
    fn remove(&mut self, work: &str, object_ref: &ObjectRef) {
        let Some(kind) = self.kinds.get(&object_ref.resource) else {
            return;
        };
        let mut registry = kind.registry.write();
        let key = key_of(object_ref);
        if let Some(works) = registry.get_mut(&key) {
            works.remove(work);
            if works.is_empty() {
                registry.remove(&key);
            }
        }
        let is_unused = registry.is_empty();
        drop(registry);
        if is_unused && let Some(kind) = self.kinds.remove(&object_ref.resource) {
            kind.stop.cancel();
        }
    }
}

fn key_of(object_ref: &ObjectRef) -> ObjectKey {
    ObjectKey::new(Some(&object_ref.namespace), &object_ref.name)
}

fn facts(resource: &Resource, object: &Value, mirror: bool) -> Facts {
    let text = |path: &str| {
        object
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Facts {
        uid: text("/metadata/uid"),
        version: text("/metadata/resourceVersion"),
        generation: object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or_default(),
        print: Print::of(object),
        availability: apply::availability(&resource.group, &resource.version, &resource.plural, object),
        status: object.get("status").filter(|_| mirror).cloned(),
    }
}

/// Enqueues the Works whose object has changed, unless a pass of theirs is running: that compares at its end.
fn on_change(
    change: &Change<Facts>,
    resource: &Resource,
    registry: &Registry,
    queue: &Queue<String>,
    work_states: &WorkStates,
) {
    let works = registry.read().get(&change.key).cloned().unwrap_or_default();
    for work in works.into_keys() {
        let is_meant = |entry: &&Entry| {
            Identity::of(&entry.identifier).is_some_and(|identity| {
                identity.name == change.key.name
                    && identity.namespace == change.key.namespace.as_deref().unwrap_or_default()
                    && identity.kind == resource.kind
                    && identity.group == resource.group
                    && identity.version == resource.version
            })
        };
        let object_change = work_states.inspect(&work, |settled| {
            let entries = settled.entries.iter().filter(is_meant);
            entries
                .map(|entry| compare(entry, change.new.as_deref(), settled.subject.mirror))
                .max()
        });
        if let Some(object_change) = object_change.flatten() {
            enqueue_changed(&work, object_change, queue, work_states);
        } else if work_states.is_in_deletion(&work) {
            enqueue_changed(&work, ObjectChange::Drifted, queue, work_states);
        }
    }
}

/// Queues a Work again whose objects are not as its last turn left them.
pub(super) fn enqueue_changed(
    work: &str,
    object_change: ObjectChange,
    queue: &Queue<String>,
    work_states: &WorkStates,
) {
    match object_change {
        ObjectChange::Holds => {}
        ObjectChange::Marked => queue.add_after(work.to_owned(), work_states.bring_forward_to_backoff(work)),
        ObjectChange::Moved => {
            work_states.need(work, Need::Refresh);
            queue.add(work.to_owned());
        }
        ObjectChange::Drifted => {
            let wait = work_states.need_repair(work, Instant::now());
            queue.add_after(work.to_owned(), wait);
        }
    }
}

/// Compares the last pass's end for an object with what is known of the object now; `None` when it is gone.
fn compare(entry: &Entry, facts: Option<&Facts>, mirror: bool) -> ObjectChange {
    let outcome = &entry.outcome;
    let (live, facts) = match (&outcome.live, facts) {
        (Some(live), Some(facts)) => (live, facts),
        (None, None) => return ObjectChange::Holds,
        (Some(_), None) | (None, Some(_)) => return ObjectChange::Drifted,
    };
    let is_marked = facts.print.marks != live.print.marks;
    if !is_newer(&facts.version, &live.resource_version) {
        // An older one says nothing. The same one was looked at before, and its marks are still to be looked at.
        let is_same = facts.version == live.resource_version;
        return if is_same && is_marked {
            ObjectChange::Marked
        } else {
            ObjectChange::Holds
        };
    }
    if facts.uid != live.uid || facts.print.content != live.print.content {
        return ObjectChange::Drifted;
    }
    let status_moved = mirror && live.status != facts.status;
    if outcome.result.is_applied() && (outcome.availability != facts.availability || status_moved) {
        return ObjectChange::Moved;
    }
    if is_marked {
        ObjectChange::Marked
    } else {
        ObjectChange::Holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::backoff::Backoff;
    use kit::index::Origin;
    use std::time::Duration;

    fn config_map(name: &str) -> ObjectRef {
        let resource = Resource {
            group: String::new(),
            version: "v1".into(),
            kind: "ConfigMap".into(),
            plural: "configmaps".into(),
            namespaced: true,
        };
        let identity = Identity {
            version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: "default".into(),
            name: name.into(),
            ..Identity::default()
        };
        ObjectRef::new(&resource, &identity)
    }

    #[tokio::test]
    async fn events_of_a_work_in_deletion_without_a_pass_bring_its_next_look_forward() {
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_secs(1));
        let (queue, work_states) = (Queue::new(backoff), WorkStates::default());
        let a = config_map("a");
        let registry = Registry::default();
        registry
            .write()
            .insert(key_of(&a), BTreeMap::from([("w".to_owned(), false)]));
        let change = Change {
            key: key_of(&a),
            old: None,
            new: None,
            version: "1".into(),
            origin: Origin::Watch,
        };
        on_change(&change, &a.resource, &registry, &queue, &work_states);
        assert!(queue.is_empty(), "its first pass is to come");
        work_states.follow_deletion("w");
        on_change(&change, &a.resource, &registry, &queue, &work_states);
        assert_eq!(queue.next().await.unwrap().key(), "w");
    }

    #[tokio::test]
    async fn a_kind_whose_only_object_gets_another_name_keeps_its_watch() {
        let never = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>().await
        });
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_secs(1));
        let placed = Placed::new(Client::new(never, "default"), Queue::new(backoff), Arc::default());
        let (a, b) = (config_map("a"), config_map("b"));
        placed.register("w", BTreeSet::from([a.clone()]), false);
        let before = placed.index(&a).unwrap();
        placed.register("w", BTreeSet::from([b.clone()]), false);
        assert!(Arc::ptr_eq(&before, &placed.index(&b).unwrap()));
        {
            let state = placed.state.lock();
            let registry = state.kinds[&b.resource].registry.read();
            assert_eq!(registry.keys().collect::<Vec<_>>(), [&key_of(&b)]);
        }
        placed.forget("w");
        assert!(placed.index(&b).is_none());
    }
}
