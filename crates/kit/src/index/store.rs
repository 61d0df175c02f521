//! The items of an index, and which version of an object wins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::{Change, Index, Origin};
use crate::resource::ObjectKey;

/// Deleted incarnations that are remembered, so that a late word about one of them does not revive it.
const REMEMBERED: usize = 2048;

/// Answers to our own writes of one object whose echo is waited for. Beyond that an echo passes for somebody's write.
const AWAITED: usize = 64;

/// Items and what was deleted of late.
pub(super) struct State<T> {
    items: BTreeMap<ObjectKey, Entry<T>>,
    gone: BTreeSet<Box<str>>,
    gone_order: VecDeque<Box<str>>,
}

struct Entry<T> {
    item: Arc<T>,
    version: Box<str>,
    uid: Box<str>,
    /// Versions in which our own writes were answered and of which the watch has not told yet, in order.
    folded: Vec<Box<str>>,
}

/// What a word about an object is worth.
enum Word<T> {
    /// It tells something new; with the folded versions to remember from now on.
    New(Vec<Box<str>>),
    /// It tells nothing new.
    Known,
    /// Somebody else wrote the object, and the answer to a write of ours has brought the outcome before the watch told of
    /// it. The item is known, but nobody has been told.
    Overtaken(Arc<T>),
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            gone: BTreeSet::new(),
            gone_order: VecDeque::new(),
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

    /// Keys of items that a list of `version` should have held but did not.
    pub(super) fn missed(&self, seen: &BTreeSet<ObjectKey>, version: &str) -> Vec<ObjectKey> {
        self.items
            .iter()
            .filter(|(key, entry)| !seen.contains(key) && !is_newer(&entry.version, version))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Judges a word about an incarnation at a version. A list may have passed over versions of which a watch would have
    /// told, so after one nothing that was folded is taken for the only change.
    fn judge(&mut self, key: &ObjectKey, uid: &str, version: &str, origin: Origin, listed: bool) -> Word<T> {
        if !uid.is_empty() && self.gone.contains(uid) {
            return Word::Known;
        }
        let Some(entry) = self.items.get_mut(key) else {
            return Word::New(match origin {
                Origin::Fold => vec![version.into()],
                Origin::Watch => Vec::new(),
            });
        };
        if is_newer(version, &entry.version) {
            return Word::New(match origin {
                Origin::Fold => {
                    let mut folded = std::mem::take(&mut entry.folded);
                    folded.push(version.into());
                    let surplus = folded.len().saturating_sub(AWAITED);
                    folded.drain(..surplus);
                    folded
                }
                Origin::Watch => Vec::new(),
            });
        }
        if origin == Origin::Fold || entry.folded.is_empty() || *entry.uid != *uid {
            return Word::Known;
        }
        let is_echo = entry.folded.iter().any(|folded| **folded == *version);
        entry.folded.retain(|folded| is_newer(folded, version) && !listed);
        if is_echo && !listed {
            Word::Known
        } else {
            Word::Overtaken(Arc::clone(&entry.item))
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

impl<T: Send + Sync + 'static> Index<T> {
    /// Stores an object unless something newer is known, and tells the handlers. `listed` says that it comes from a list.
    pub(super) fn put(&self, mut object: Value, origin: Origin, listed: bool) -> Result<(), String> {
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
            map.insert("apiVersion".to_owned(), self.resource.api_version().into());
            map.insert("kind".to_owned(), self.resource.kind.as_ref().into());
        }
        let _order = self.order.lock();
        let word = self.state.write().judge(&key, &uid, &version, origin, listed);
        let folded = match word {
            Word::New(folded) => folded,
            Word::Known => return Ok(()),
            Word::Overtaken(item) => {
                self.tell(Change {
                    key,
                    old: Some(Arc::clone(&item)),
                    new: Some(item),
                    version,
                    origin,
                });
                return Ok(());
            }
        };
        let item = match (self.decode)(object) {
            Ok(item) => item.map(Arc::new),
            Err(reason) => {
                self.skipped.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(resource = %self.resource, object = %key, %reason, "An object cannot be read and is skipped.");
                return Err(format!("{} {key}: {reason}", self.resource.kind));
            }
        };
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
        self.tell(Change {
            key,
            old: old.map(|entry| entry.item),
            new: item,
            version,
            origin,
        });
        Ok(())
    }

    /// Removes an item if `applies` (given its uid and version), and tells the handlers.
    pub(super) fn remove(&self, key: &ObjectKey, origin: Origin, applies: impl Fn(&str, &str) -> bool) {
        let _order = self.order.lock();
        let old = {
            let mut state = self.state.write();
            match state.items.get(key) {
                Some(entry) if applies(&entry.uid, &entry.version) => {
                    let uid = entry.uid.clone();
                    state.remember_gone(&uid);
                    state.items.remove(key)
                }
                _ => None,
            }
        };
        if let Some(old) = old {
            self.tell(Change {
                key: key.clone(),
                old: Some(old.item),
                new: None,
                version: String::new(),
                origin,
            });
        }
    }

    /// Takes in the watch's word that an incarnation is gone.
    pub(super) fn deleted(&self, key: &ObjectKey, uid: &str, version: &str) {
        // An unknown incarnation may still be on its way in as the answer to a write of ours.
        self.state.write().remember_gone(uid);
        self.remove(key, Origin::Watch, |entry_uid, entry_version| {
            entry_uid == uid || uid.is_empty() || !is_newer(entry_version, version)
        });
    }

    fn tell(&self, change: Change<T>) {
        if change.old.is_none() && change.new.is_none() {
            return;
        }
        for handler in &self.handlers {
            handler(&change);
        }
        self.revision.send_modify(|revision| *revision += 1);
    }
}

/// Whether resource version `a` is newer than `b`. They are numbers too large for a machine word to be relied on.
/// Versions that are no numbers cannot be compared; then the later word counts.
fn is_newer(a: &str, b: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(a) || !digits(b) {
        return a != b || a.is_empty();
    }
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    (a.len(), a) > (b.len(), b)
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn versions_compare_as_numbers() {
        for (a, b, newer) in [
            ("10", "9", true),
            ("9", "10", false),
            ("9", "9", false),
            ("123456789012345678901234567890", "5", true),
            ("x", "5", true),
            ("x", "x", false),
        ] {
            assert_eq!(is_newer(a, b), newer, "{a} {b}");
        }
    }
}
