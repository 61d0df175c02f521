//! Items of an index by what they belong to, so that a placement's slice is gathered without a search.

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::ObjectKey;
use kit::index::Change;
use parking_lot::RwLock;

/// Items by group, kept up to date by the handler of an index (or of several with different keys).
#[derive(Debug)]
pub struct Groups<G, T> {
    members: RwLock<BTreeMap<G, BTreeMap<ObjectKey, Arc<T>>>>,
}

/// All items of one or several indexes, as a list that is rebuilt only after a change.
#[derive(Debug)]
pub struct Roster<K, T> {
    state: RwLock<RosterState<K, T>>,
}

#[derive(Debug)]
struct RosterState<K, T> {
    items: BTreeMap<K, Arc<T>>,
    list: Option<Arc<Vec<Arc<T>>>>,
}

impl<G, T> Default for Groups<G, T> {
    fn default() -> Self {
        Self {
            members: RwLock::default(),
        }
    }
}

impl<G: Ord + Clone, T> Groups<G, T> {
    /// Follows a change: the item leaves the group it was in and enters the one it is in.
    pub fn apply(&self, change: &Change<T>, group_of: impl Fn(&T) -> Option<G>) {
        let before = change.old.as_deref().and_then(&group_of);
        let after = change.new.as_deref().and_then(&group_of);
        let mut groups = self.members.write();
        if before != after
            && let Some(group) = before
            && let Some(items) = groups.get_mut(&group)
        {
            items.remove(&change.key);
            if items.is_empty() {
                groups.remove(&group);
            }
        }
        if let (Some(group), Some(item)) = (after, &change.new) {
            groups
                .entry(group)
                .or_default()
                .insert(change.key.clone(), Arc::clone(item));
        }
    }

    /// The items of one group, by namespace and name.
    pub fn of(&self, group: &G) -> Vec<Arc<T>> {
        self.members
            .read()
            .get(group)
            .map(|items| items.values().cloned().collect())
            .unwrap_or_default()
    }
}

impl<K, T> Default for Roster<K, T> {
    fn default() -> Self {
        Self {
            state: RwLock::new(RosterState {
                items: BTreeMap::new(),
                list: None,
            }),
        }
    }
}

impl<K: Ord, T> Roster<K, T> {
    /// Sets or removes an item.
    pub fn set(&self, key: K, item: Option<Arc<T>>) {
        let mut state = self.state.write();
        state.list = None;
        match item {
            Some(item) => state.items.insert(key, item),
            None => state.items.remove(&key),
        };
    }

    /// All items in the order of their keys.
    pub fn list(&self) -> Arc<Vec<Arc<T>>> {
        if let Some(list) = &self.state.read().list {
            return Arc::clone(list);
        }
        let mut state = self.state.write();
        let list = Arc::new(state.items.values().cloned().collect());
        state.list = Some(Arc::clone(&list));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::index::Origin;

    fn change(old: Option<&str>, new: Option<&str>) -> Change<String> {
        let item = |text: Option<&str>| text.map(|t| Arc::new(t.to_owned()));
        let (old, new) = (item(old), item(new));
        Change {
            key: ObjectKey::cluster("x"),
            old,
            new,
            version: String::new(),
            origin: Origin::Watch,
        }
    }

    #[test]
    fn items_move_between_groups_and_empty_groups_vanish() {
        let groups: Groups<String, String> = Groups::default();
        let group_of = |item: &String| item.split_once('/').map(|(group, _)| group.to_owned());
        groups.apply(&change(None, Some("a/1")), group_of);
        groups.apply(&change(Some("a/1"), Some("a/2")), group_of);
        assert_eq!(*groups.of(&"a".to_owned())[0], "a/2");
        groups.apply(&change(Some("a/2"), Some("b/1")), group_of);
        assert!(groups.of(&"a".to_owned()).is_empty());
        assert_eq!(groups.of(&"b".to_owned()).len(), 1);
        groups.apply(&change(Some("b/1"), Some("none")), group_of);
        assert!(groups.members.read().is_empty());
    }

    #[test]
    fn a_roster_is_listed_in_order_of_keys_and_rebuilt_after_changes() {
        let roster = Roster::default();
        roster.set("b", Some(Arc::new(2)));
        roster.set("a", Some(Arc::new(1)));
        let first = roster.list();
        assert_eq!(first.iter().map(|n| **n).collect::<Vec<_>>(), [1, 2]);
        assert!(Arc::ptr_eq(&first, &roster.list()));
        roster.set("a", None);
        assert_eq!(roster.list().len(), 1);
    }
}
