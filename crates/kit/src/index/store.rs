//! The items of an index, and which version of an object wins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

use super::unreadable::Unreadable;
use super::watch::{Objects, Source};
use super::{Change, Index, Origin};
use crate::backoff::{Backoff, Retry};
use crate::error::panic_text;
use crate::metrics::runtime;
use crate::resource::ObjectKey;
use crate::version::is_newer;

/// Deleted incarnations that are remembered, so that a late answer about one of them does not revive it.
pub(super) const REMEMBERED: usize = 2048;

/// Answers to our own writes of one object whose echo is awaited. Beyond that an echo passes for somebody's write.
pub(super) const AWAITED: usize = 64;

/// Items and what was deleted of late.
pub(super) struct State<T> {
    items: BTreeMap<ObjectKey, Entry<T>>,
    gone: BTreeSet<Box<str>>,
    gone_order: VecDeque<Box<str>>,
    /// There while a list is taken in.
    listing: Option<Listing>,
}

struct Entry<T> {
    item: Arc<T>,
    version: Box<str>,
    uid: Box<str>,
    /// Versions in which our own writes were answered and which the watch has not delivered yet, in order.
    folded: Vec<Box<str>>,
}

/// A list that is being taken in. It was requested after everything that is known, so it is right where it differs, but
/// for what our own writes have changed since.
struct Listing {
    /// Objects of which an answer to a write of ours was taken in meanwhile.
    answered: BTreeSet<ObjectKey>,
    /// Whether the server's history has gone back: its versions cannot be compared with the known ones.
    went_back: bool,
}

/// What an update of an object is worth.
enum Update<T> {
    /// It brings something new; with the folded versions to remember from now on.
    New(Vec<Box<str>>),
    /// It brings nothing new.
    Known,
    /// Somebody else wrote the object, and the answer to a write of ours has brought the outcome before the watch did.
    /// The item is known, but nobody has been notified.
    Overtaken(Arc<T>),
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            gone: BTreeSet::new(),
            gone_order: VecDeque::new(),
            listing: None,
        }
    }
}

impl<T> State<T> {
    pub(super) fn get(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.items.get(key).map(|entry| Arc::clone(&entry.item))
    }

    pub(super) fn items(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<T>)> {
        self.items.iter().map(|(key, entry)| (key, &entry.item))
    }

    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<Arc<T>> {
        let first = ObjectKey {
            namespace: Some(namespace.to_owned()),
            name: String::new(),
        };
        self.items
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(|(key, _)| key.namespace.as_deref() == Some(namespace))
            .map(|(_, entry)| Arc::clone(&entry.item))
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    fn version(&self, key: &ObjectKey) -> String {
        self.items
            .get(key)
            .map_or_else(String::new, |entry| entry.version.to_string())
    }

    /// A list is about to be requested. `went_back` says whether the server's history is known to have gone back.
    fn begin_list(&mut self, went_back: bool) {
        self.listing = Some(Listing {
            answered: BTreeSet::new(),
            went_back,
        });
    }

    /// The list proves that the server's history has gone back.
    fn go_back(&mut self) {
        if let Some(listing) = &mut self.listing {
            listing.went_back = true;
        }
    }

    /// The list is over. Answers whether the server's history has gone back.
    fn end_list(&mut self) -> bool {
        self.listing.take().is_some_and(|listing| listing.went_back)
    }

    /// Items, with their uids and versions, that a list of `version` should have held but did not.
    fn missed(&self, seen: &BTreeSet<ObjectKey>, version: &str) -> Vec<(ObjectKey, Box<str>, Box<str>)> {
        let answered = self.listing.as_ref().map(|listing| &listing.answered);
        let is_later = |key, entry: &Entry<T>| {
            answered.is_some_and(|answered| answered.contains(key)) && is_newer(&entry.version, version)
        };
        let missed = self.items.iter().filter(|(key, _)| !seen.contains(key));
        let missed = missed.filter(|(key, entry)| !is_later(key, entry));
        let incarnation =
            |(key, entry): (&ObjectKey, &Entry<T>)| (key.clone(), entry.uid.clone(), entry.version.clone());
        missed.map(incarnation).collect()
    }

    /// Judges what came about an incarnation at a version.
    fn judge(&mut self, key: &ObjectKey, uid: &str, version: &str, source: Source) -> Update<T> {
        match (source, &mut self.listing) {
            (Source::List, Some(listing)) if !listing.answered.contains(key) => {
                return self.judge_listed(key, uid, version);
            }
            // It was written after whatever is known of the history that is lost, whatever the versions say.
            (Source::Answer, Some(listing)) if listing.went_back && !listing.answered.contains(key) => {
                listing.answered.insert(key.clone());
                self.forget_gone(uid);
                return Update::New(vec![version.into()]);
            }
            _ => {}
        }
        let is_listed = source == Source::List;
        if !uid.is_empty() && self.gone.contains(uid) {
            return Update::Known;
        }
        let entry = self.items.get_mut(key);
        if entry.as_ref().is_none_or(|entry| is_newer(version, &entry.version)) {
            if source != Source::Answer {
                return Update::New(Vec::new());
            }
            if let Some(listing) = &mut self.listing {
                listing.answered.insert(key.clone());
            }
            let mut folded = entry.map_or_else(Vec::new, |entry| std::mem::take(&mut entry.folded));
            folded.push(version.into());
            let surplus = folded.len().saturating_sub(AWAITED);
            folded.drain(..surplus);
            return Update::New(folded);
        }
        let Some(entry) = entry else {
            return Update::Known;
        };
        if source == Source::Answer || entry.folded.is_empty() || *entry.uid != *uid {
            return Update::Known;
        }
        let is_echo = entry.folded.iter().any(|folded| **folded == *version);
        // A list may have passed over versions that a watch would have delivered, so after one nothing that was folded is
        // taken for the only change.
        entry.folded.retain(|folded| is_newer(folded, version) && !is_listed);
        if is_echo && !is_listed {
            Update::Known
        } else {
            Update::Overtaken(Arc::clone(&entry.item))
        }
    }

    /// Judges an item of a list that was requested after everything that is known of it: the list is right.
    fn judge_listed(&mut self, key: &ObjectKey, uid: &str, version: &str) -> Update<T> {
        self.forget_gone(uid);
        let Some(entry) = self.items.get_mut(key) else {
            return Update::New(Vec::new());
        };
        let is_same = *entry.version == *version && *entry.uid == *uid;
        if let Some(listing) = &mut self.listing {
            listing.went_back |= !is_same && *entry.uid == *uid && !is_newer(version, &entry.version);
            if listing.went_back || !is_same {
                return Update::New(Vec::new());
            }
        }
        if std::mem::take(&mut entry.folded).is_empty() {
            Update::Known
        } else {
            Update::Overtaken(Arc::clone(&entry.item))
        }
    }

    fn forget_gone(&mut self, uid: &str) {
        if self.gone.remove(uid) {
            self.gone_order.retain(|gone| **gone != *uid);
        }
    }

    fn remember_gone(&mut self, uid: &str) {
        if uid.is_empty() || !self.gone.insert(uid.into()) {
            return;
        }
        self.gone_order.push_back(uid.into());
        if self.gone_order.len() > REMEMBERED
            && let Some(oldest) = self.gone_order.pop_front()
        {
            self.gone.remove(&oldest);
        }
    }
}

impl<T: Send + Sync + 'static> Objects for Index<T> {
    fn begin_list(&self, went_back: bool) {
        self.state.write().begin_list(went_back);
    }

    fn go_back(&self) {
        self.state.write().go_back();
    }

    fn end_list(&self) -> bool {
        self.state.write().end_list()
    }

    fn drop_missed(&self, seen: &BTreeSet<ObjectKey>, version: &str) {
        let missed = self.state.read().missed(seen, version);
        for (key, uid, version) in missed {
            // What an answer to a write of ours has brought meanwhile stays.
            self.remove(&key, Source::List, |entry_uid, entry_version| {
                *entry_uid == *uid && *entry_version == *version
            });
        }
    }

    fn put(&self, mut object: Value, source: Source) -> Result<(), String> {
        let key = ObjectKey::of(&object);
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (version, uid) = (text("/metadata/resourceVersion"), text("/metadata/uid"));
        if key.name.is_empty() {
            return Err("an object without a name".to_owned());
        }
        // Lists leave out on each item what holds for all of them.
        if let Some(map) = object.as_object_mut()
            && !map.contains_key("kind")
        {
            map.insert("apiVersion".to_owned(), self.watch.resource.api_version().into());
            map.insert("kind".to_owned(), self.watch.resource.kind.as_ref().into());
        }
        let origin = source.origin();
        if source == Source::Answer {
            self.watch.position.answered(&version);
        }
        let _order = self.order.lock();
        let update = self.state.write().judge(&key, &uid, &version, source);
        let folded = match update {
            Update::New(folded) => folded,
            Update::Known => {
                if source == Source::Answer {
                    self.check_answer(&key, &version);
                }
                return Ok(());
            }
            Update::Overtaken(item) => {
                self.notify(Change {
                    key,
                    old: Some(Arc::clone(&item)),
                    new: Some(item),
                    version,
                    origin,
                });
                return Ok(());
            }
        };
        let item = match self.decode(object) {
            Ok(item) => item.map(Arc::new),
            Err(reason) => {
                let message = format!("{} {key}: {reason}", self.watch.resource.kind);
                self.watch.unreadable.add(&key, Unreadable { uid, version, reason });
                return Err(message);
            }
        };
        self.watch.unreadable.remove(&key);
        let old = {
            let mut state = self.state.write();
            match &item {
                Some(item) => {
                    let entry = Entry {
                        item: Arc::clone(item),
                        version: version.as_str().into(),
                        uid: uid.into(),
                        folded,
                    };
                    state.items.insert(key.clone(), entry)
                }
                None => state.items.remove(&key),
            }
        };
        let version = if item.is_some() { version } else { String::new() };
        self.notify(Change {
            key,
            old: old.map(|entry| entry.item),
            new: item,
            version,
            origin,
        });
        Ok(())
    }

    fn deleted(&self, key: &ObjectKey, uid: &str, version: &str) {
        // An unknown incarnation may still be on its way in as the answer to a write of ours. An object that has only
        // left what is selected may come back.
        if !self.watch.scope.is_selective() {
            self.state.write().remember_gone(uid);
        }
        self.watch.unreadable.remove(key);
        self.remove(key, Source::Watch, |entry_uid, entry_version| {
            entry_uid == uid || uid.is_empty() || !is_newer(entry_version, version)
        });
    }
}

impl<T: Send + Sync + 'static> Index<T> {
    /// Reads an object. A panic is an error like any other: it concerns this object alone.
    fn decode(&self, object: Value) -> Result<Option<T>, String> {
        catch_unwind(AssertUnwindSafe(|| (self.decode)(object)))
            .unwrap_or_else(|panic| Err(format!("reading it panicked: {}", panic_text(&*panic))))
    }

    /// An answer that is older than what is known is mostly one that the watch has overtaken.
    fn check_answer(&self, key: &ObjectKey, version: &str) {
        let known = self.state.read().version(key);
        if self.watch.position.is_disproved_by(version, &known) {
            self.watch.disproved.notify_one();
        }
    }

    /// Removes an item if `applies` (given its uid and version), and notifies the handlers.
    pub(super) fn remove(&self, key: &ObjectKey, source: Source, applies: impl Fn(&str, &str) -> bool) {
        let _order = self.order.lock();
        let old = {
            let mut state = self.state.write();
            if let (Source::Answer, Some(listing)) = (source, &mut state.listing) {
                listing.answered.insert(key.clone());
            }
            match state.items.get(key) {
                Some(entry) if applies(&entry.uid, &entry.version) => {
                    let uid = entry.uid.clone();
                    if source == Source::Answer || !self.watch.scope.is_selective() {
                        state.remember_gone(&uid);
                    }
                    state.items.remove(key)
                }
                _ => None,
            }
        };
        if let Some(old) = old {
            self.notify(Change {
                key: key.clone(),
                old: Some(old.item),
                new: None,
                version: String::new(),
                origin: source.origin(),
            });
        }
    }

    /// Notifies the handlers. One that panics keeps the others from nothing; the change is delivered again.
    fn notify(&self, change: Change<T>) {
        if change.old.is_none() && change.new.is_none() {
            return;
        }
        let mut panic = None;
        for handler in &self.handlers {
            if let Err(caught) = catch_unwind(AssertUnwindSafe(|| handler(&change))) {
                panic = Some(panic_text(&*caught));
            }
        }
        self.watch.revision.send_modify(|revision| *revision += 1);
        if let Some(panic) = panic {
            tracing::error!(resource = %self.watch.resource, object = %change.key, panic, "A handler of changes panicked; the change is delivered again.");
            if let Some(runtime) = runtime() {
                let labels = [&self.watch.resource.qualified()];
                runtime.handler_panics.with_label_values(&labels).inc();
            }
            self.undelivered.lock().entry(change.key).or_insert(change.old);
            self.has_undelivered.notify_one();
        }
    }

    /// Delivers changes again whose handler panicked, as what they are by then, with back-off.
    pub(super) async fn deliver_again(&self) -> Infallible {
        let mut retry = Retry::new(Backoff::connection());
        loop {
            self.has_undelivered.notified().await;
            tokio::time::sleep(retry.failed()).await;
            let changes = std::mem::take(&mut *self.undelivered.lock());
            for (key, old) in changes {
                let _order = self.order.lock();
                let (new, version) = {
                    let state = self.state.read();
                    (state.get(&key), state.version(&key))
                };
                self.notify(Change {
                    key,
                    old,
                    new,
                    version,
                    origin: Origin::Watch,
                });
            }
            if self.undelivered.lock().is_empty() {
                retry.reset();
            }
        }
    }
}
