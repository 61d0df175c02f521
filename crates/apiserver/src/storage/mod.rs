//! Objects in memory: one table per resource, one global resourceVersion, a bounded history per table and per
//! namespace from which watches and old snapshots are served.
//!
//! An object is kept as the bytes that readers get; it is parsed only when somebody changes or filters it.

mod history;
mod stored;

pub use history::{Event, EventKind, History};
pub use stored::Stored;

use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Where an object lives: table (`resource.group`), namespace (empty for cluster scope) and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `resource.group`, the table's name.
    pub table: Arc<str>,
    /// Namespace, or empty.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// A key from its parts.
    pub fn new(table: &str, namespace: &str, name: &str) -> Self {
        Key {
            table: table.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// Why a commit or read was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreError {
    /// Creation of something that exists.
    Exists,
    /// The object is gone.
    Missing,
    /// The object has another resourceVersion than expected.
    Changed,
    /// The requested resourceVersion left the history.
    Expired,
    /// The requested resourceVersion lies in the future; holds the present one.
    Future(u64),
}

/// What a commit does. `expect` is the resourceVersion that the caller read.
pub enum Change {
    /// Adds an object that must not exist.
    Create(Value),
    /// Replaces an object.
    Update(Value, u64),
    /// Removes an object; the value is its last state, as watchers see it.
    Remove(Value, u64),
}

/// Which part of a table a read or watch covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The whole table.
    All,
    /// One namespace.
    Namespace(String),
}

/// A consistent read.
pub struct Snapshot {
    /// The resourceVersion the items are consistent with.
    pub rv: u64,
    /// Items in order of namespace and name.
    pub items: Vec<Arc<Stored>>,
}

/// Sizes of the history.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events kept per table.
    pub table_events: usize,
    /// Events kept per namespace of a table.
    pub namespace_events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Bounds memory: a watcher that lags more than this lists again, as with a real server after compaction.
        Limits {
            table_events: 4096,
            namespace_events: 256,
        }
    }
}

struct Space {
    objects: BTreeMap<Arc<str>, Arc<Stored>>,
    history: History,
}

struct Table {
    name: Arc<str>,
    spaces: BTreeMap<Arc<str>, Space>,
    history: History,
    /// History before this version is gone for namespaces that are yet to appear.
    floor: u64,
}

struct Inner {
    rv: u64,
    tables: BTreeMap<Arc<str>, Table>,
    dependents: HashMap<Arc<str>, BTreeSet<Key>>,
    limits: Limits,
}

/// The store. All methods are short and never wait for IO.
pub struct Store(Mutex<Inner>);

impl Store {
    /// An empty store at resourceVersion 1.
    pub fn new(limits: Limits) -> Self {
        Store(Mutex::new(Inner {
            rv: 1,
            tables: BTreeMap::new(),
            dependents: HashMap::new(),
            limits,
        }))
    }

    /// The latest resourceVersion.
    pub fn rv(&self) -> u64 {
        self.0.lock().rv
    }

    /// Adds an empty table if it is missing.
    pub fn add_table(&self, table: &str) {
        let mut inner = self.0.lock();
        let (rv, limits) = (inner.rv, inner.limits);
        let name: Arc<str> = table.into();
        inner.tables.entry(name.clone()).or_insert_with(|| Table {
            name,
            spaces: BTreeMap::new(),
            history: History::new(rv, limits.table_events),
            floor: rv,
        });
    }

    /// Drops a table; its watches end.
    pub fn drop_table(&self, table: &str) {
        self.0.lock().tables.remove(table);
    }

    /// Number of objects per table, for metrics.
    pub fn counts(&self) -> Vec<(Arc<str>, usize)> {
        let inner = self.0.lock();
        let count = |t: &Table| t.spaces.values().map(|s| s.objects.len()).sum();
        inner.tables.values().map(|t| (t.name.clone(), count(t))).collect()
    }

    /// One object.
    pub fn get(&self, table: &str, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        self.0
            .lock()
            .tables
            .get(table)?
            .spaces
            .get(namespace)?
            .objects
            .get(name)
            .cloned()
    }

    /// One object as it was at `rv`.
    pub fn get_at(&self, table: &str, namespace: &str, name: &str, rv: u64) -> Result<Option<Arc<Stored>>, StoreError> {
        let scope = Scope::Namespace(namespace.to_owned());
        let found = self
            .list_at(table, &scope, rv)?
            .items
            .into_iter()
            .find(|s| &*s.name == name);
        Ok(found)
    }

    /// All objects of a scope, now.
    pub fn list(&self, table: &str, scope: &Scope) -> Snapshot {
        let inner = self.0.lock();
        let items = inner.tables.get(table).map(|t| t.items(scope)).unwrap_or_default();
        Snapshot { rv: inner.rv, items }
    }

    /// All objects of a scope as they were at `rv`, rebuilt by undoing the history.
    pub fn list_at(&self, table: &str, scope: &Scope, rv: u64) -> Result<Snapshot, StoreError> {
        let inner = self.0.lock();
        if rv > inner.rv {
            return Err(StoreError::Future(inner.rv));
        }
        let Some(table) = inner.tables.get(table) else {
            return Ok(Snapshot { rv, items: Vec::new() });
        };
        let items = table.items(scope);
        let Some(history) = table.history(scope) else {
            return Ok(Snapshot { rv, items });
        };
        let before = history.states_before(rv)?;
        if before.is_empty() {
            return Ok(Snapshot { rv, items });
        }
        let mut map: BTreeMap<(Arc<str>, Arc<str>), Arc<Stored>> = items
            .into_iter()
            .map(|s| ((s.namespace.clone(), s.name.clone()), s))
            .collect();
        for (key, state) in before {
            match state {
                Some(old) => map.insert(key, old),
                None => map.remove(&key),
            };
        }
        Ok(Snapshot {
            rv,
            items: map.into_values().collect(),
        })
    }

    /// Applies a change and returns the event it made.
    pub fn commit(&self, table: &str, change: Change) -> Result<Arc<Event>, StoreError> {
        self.0.lock().commit(table, change)
    }

    /// Objects that name `uid` as an owner.
    pub fn dependents(&self, uid: &str) -> Vec<Key> {
        self.0
            .lock()
            .dependents
            .get(uid)
            .map(|set| set.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Opens a reader of events after `rv`.
    pub fn cursor(&self, table: &str, scope: &Scope, rv: u64) -> Result<Cursor, StoreError> {
        let mut inner = self.0.lock();
        let limits = inner.limits;
        let Some(table) = inner.tables.get_mut(table) else {
            return Err(StoreError::Missing);
        };
        let name = table.name.clone();
        let history = table.history_or_new(scope, limits);
        if rv < history.floor() {
            return Err(StoreError::Expired);
        }
        Ok(Cursor {
            table: name,
            scope: scope.clone(),
            rv,
            changes: history.subscribe(),
        })
    }

    /// A consistent read together with a reader of what follows it.
    pub fn list_and_cursor(&self, table: &str, scope: &Scope) -> Option<(Snapshot, Cursor)> {
        let mut inner = self.0.lock();
        let (limits, rv) = (inner.limits, inner.rv);
        let table = inner.tables.get_mut(table)?;
        let changes = table.history_or_new(scope, limits).subscribe();
        let cursor = Cursor {
            table: table.name.clone(),
            scope: scope.clone(),
            rv,
            changes,
        };
        Some((
            Snapshot {
                rv,
                items: table.items(scope),
            },
            cursor,
        ))
    }

    /// Events after the cursor, at most `limit`, and the version up to which the reader is then complete.
    pub fn read(&self, cursor: &mut Cursor, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let inner = self.0.lock();
        let table = inner.tables.get(&cursor.table).ok_or(StoreError::Missing)?;
        let history = table.history(&cursor.scope).ok_or(StoreError::Missing)?;
        // Mark before reading: what comes later notifies the reader again.
        cursor.changes.mark_unchanged();
        let events = history.after(cursor.rv, limit)?;
        cursor.rv = match events.last() {
            Some(last) if events.len() == limit => last.rv,
            _ => inner.rv.max(cursor.rv),
        };
        Ok(events)
    }

    /// What the store holds now.
    pub fn backup(&self) -> Backup {
        let inner = self.0.lock();
        let tables = inner.tables.iter();
        Backup {
            rv: inner.rv,
            tables: tables
                .map(|(name, table)| (name.clone(), table.items(&Scope::All)))
                .collect(),
            dependents: inner.dependents.clone(),
        }
    }

    /// Goes back to what the store held: objects, versions and all. Tables that are younger are emptied; watches end.
    pub fn restore(&self, backup: &Backup) {
        let mut inner = self.0.lock();
        let limits = inner.limits;
        inner.rv = backup.rv;
        inner.dependents = backup.dependents.clone();
        for table in inner.tables.values_mut() {
            table.spaces.clear();
            table.floor = backup.rv;
            table.history = History::new(backup.rv, limits.table_events);
            for object in backup.tables.get(&table.name).into_iter().flatten() {
                let space = table.space(&object.namespace, limits);
                space.objects.insert(object.name.clone(), object.clone());
            }
        }
    }

    /// Forgets all history, so that resuming from before now is answered with "expired".
    pub fn compact(&self) {
        let mut inner = self.0.lock();
        let rv = inner.rv;
        for table in inner.tables.values_mut() {
            table.floor = rv;
            table.history.compact(rv);
            table.spaces.values_mut().for_each(|s| s.history.compact(rv));
        }
    }
}

/// What a store held at a point in time, as a backup has it.
#[derive(Clone)]
pub struct Backup {
    rv: u64,
    tables: BTreeMap<Arc<str>, Vec<Arc<Stored>>>,
    dependents: HashMap<Arc<str>, BTreeSet<Key>>,
}

/// A place in a table's history, held by a watch.
pub struct Cursor {
    table: Arc<str>,
    scope: Scope,
    rv: u64,
    changes: tokio::sync::watch::Receiver<u64>,
}

impl Cursor {
    /// The version up to which this reader has seen everything.
    pub fn rv(&self) -> u64 {
        self.rv
    }

    /// Waits for something new; `false` when the table is gone.
    pub async fn changed(&mut self) -> bool {
        self.changes.changed().await.is_ok()
    }
}

impl Table {
    fn items(&self, scope: &Scope) -> Vec<Arc<Stored>> {
        match scope {
            Scope::All => self.spaces.values().flat_map(|s| s.objects.values().cloned()).collect(),
            Scope::Namespace(ns) => self
                .spaces
                .get(ns.as_str())
                .map(|s| s.objects.values().cloned().collect())
                .unwrap_or_default(),
        }
    }

    fn history(&self, scope: &Scope) -> Option<&History> {
        match scope {
            Scope::All => Some(&self.history),
            Scope::Namespace(ns) => self.spaces.get(ns.as_str()).map(|s| &s.history),
        }
    }

    fn history_or_new(&mut self, scope: &Scope, limits: Limits) -> &History {
        match scope {
            Scope::All => &self.history,
            Scope::Namespace(ns) => &self.space(&ns.as_str().into(), limits).history,
        }
    }

    fn space(&mut self, namespace: &Arc<str>, limits: Limits) -> &mut Space {
        let floor = self.floor;
        self.spaces.entry(namespace.clone()).or_insert_with(|| Space {
            objects: BTreeMap::new(),
            history: History::new(floor, limits.namespace_events),
        })
    }
}

impl Inner {
    fn commit(&mut self, table: &str, change: Change) -> Result<Arc<Event>, StoreError> {
        let rv = self.rv + 1;
        let limits = self.limits;
        let (value, expect, kind) = match change {
            Change::Create(value) => (value, None, EventKind::Added),
            Change::Update(value, expect) => (value, Some(expect), EventKind::Modified),
            Change::Remove(value, expect) => (value, Some(expect), EventKind::Deleted),
        };
        let table = self.tables.get_mut(table).ok_or(StoreError::Missing)?;
        let namespace: Arc<str> = crate::object::namespace(&value).into();
        let name: Arc<str> = crate::object::name(&value).into();
        let previous = table.spaces.get(&namespace).and_then(|s| s.objects.get(&name)).cloned();
        match (&previous, expect) {
            (Some(_), None) => return Err(StoreError::Exists),
            (None, Some(_)) => return Err(StoreError::Missing),
            (Some(live), Some(expect)) if live.rv != expect => return Err(StoreError::Changed),
            _ => {}
        }
        let object = Arc::new(Stored::new(value, rv));
        let event = Arc::new(Event {
            rv,
            kind,
            object: object.clone(),
            previous: previous.clone(),
        });
        let key = Key {
            table: table.name.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let space = table.space(&namespace, limits);
        if kind == EventKind::Deleted {
            space.objects.remove(&name);
        } else {
            space.objects.insert(name, object.clone());
        }
        space.history.push(event.clone());
        table.history.push(event.clone());
        self.rv = rv;
        let owners = if kind == EventKind::Deleted {
            &[][..]
        } else {
            &object.owners
        };
        self.index_owners(
            &key,
            previous.as_ref().map(|p| p.owners.as_slice()).unwrap_or_default(),
            owners,
        );
        Ok(event)
    }

    fn index_owners(&mut self, key: &Key, old: &[Arc<str>], new: &[Arc<str>]) {
        for uid in old.iter().filter(|uid| !new.contains(uid)) {
            if let Some(set) = self.dependents.get_mut(uid) {
                set.remove(key);
                if set.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
        for uid in new.iter().filter(|uid| !old.contains(uid)) {
            self.dependents.entry(uid.clone()).or_default().insert(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(ns: &str, name: &str, n: u64) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": ns, "name": name}, "data": {"n": n.to_string()}})
    }

    fn store(limits: Limits) -> Store {
        let store = Store::new(limits);
        store.add_table("configmaps");
        store
    }

    #[test]
    fn versions_guard_commits_and_old_snapshots_are_rebuilt() {
        let s = store(Limits::default());
        let a = s.commit("configmaps", Change::Create(object("x", "a", 1))).unwrap().rv;
        let b = s.commit("configmaps", Change::Create(object("y", "b", 1))).unwrap().rv;
        assert_eq!(
            s.commit("configmaps", Change::Create(object("x", "a", 2))).err(),
            Some(StoreError::Exists)
        );
        assert_eq!(
            s.commit("configmaps", Change::Update(object("x", "a", 2), b)).err(),
            Some(StoreError::Changed)
        );
        s.commit("configmaps", Change::Update(object("x", "a", 2), a)).unwrap();
        s.commit("configmaps", Change::Remove(object("y", "b", 1), b)).unwrap();
        let data = |snapshot: Snapshot| -> Vec<String> {
            snapshot
                .items
                .iter()
                .map(|i| format!("{}={}", i.name, crate::object::text(&i.value(), &["data", "n"])))
                .collect()
        };
        assert_eq!(data(s.list("configmaps", &Scope::All)), ["a=2"]);
        assert_eq!(data(s.list_at("configmaps", &Scope::All, b).unwrap()), ["a=1", "b=1"]);
        assert_eq!(
            data(s.list_at("configmaps", &Scope::Namespace("y".into()), b).unwrap()),
            ["b=1"]
        );
        assert_eq!(
            s.list_at("configmaps", &Scope::All, 99).err(),
            Some(StoreError::Future(s.rv()))
        );
        s.compact();
        assert_eq!(s.list_at("configmaps", &Scope::All, b).err(), Some(StoreError::Expired));
        assert_eq!(
            s.cursor("configmaps", &Scope::Namespace("new".into()), b).err(),
            Some(StoreError::Expired)
        );
    }

    #[tokio::test]
    async fn a_restored_store_is_what_it_was_and_counts_on_from_there() {
        let s = store(Limits::default());
        let a = s.commit("configmaps", Change::Create(object("x", "a", 1))).unwrap().rv;
        let backup = s.backup();
        let mut cursor = s.cursor("configmaps", &Scope::All, s.rv()).unwrap();
        s.commit("configmaps", Change::Update(object("x", "a", 2), a)).unwrap();
        s.commit("configmaps", Change::Create(object("y", "b", 1))).unwrap();
        let ahead = s.rv();
        s.restore(&backup);
        while cursor.changed().await {}
        assert_eq!((s.rv(), s.list("configmaps", &Scope::All).items.len()), (a, 1));
        assert_eq!(
            s.commit("configmaps", Change::Update(object("x", "a", 3), a))
                .unwrap()
                .rv,
            a + 1
        );
        // As with a real server, a watch from a version that is yet to come delivers nothing until then.
        let mut early = s.cursor("configmaps", &Scope::All, ahead).unwrap();
        assert!(s.read(&mut early, 10).unwrap().is_empty() && early.rv() == ahead);
    }

    #[tokio::test]
    async fn a_reader_sees_its_namespace_only_and_expires_when_it_lags() {
        let s = store(Limits {
            table_events: 4,
            namespace_events: 2,
        });
        let mut cursor = s.cursor("configmaps", &Scope::Namespace("x".into()), s.rv()).unwrap();
        for n in 0..10 {
            s.commit("configmaps", Change::Create(object("other", &format!("o{n}"), n)))
                .unwrap();
        }
        assert!(
            s.read(&mut cursor, 10).unwrap().is_empty(),
            "other namespaces do not count against the history"
        );
        s.commit("configmaps", Change::Create(object("x", "a", 1))).unwrap();
        assert!(cursor.changed().await);
        assert_eq!(s.read(&mut cursor, 10).unwrap().len(), 1);
        assert_eq!(cursor.rv(), s.rv());
        for n in 0..3 {
            s.commit("configmaps", Change::Create(object("x", &format!("n{n}"), n)))
                .unwrap();
        }
        assert_eq!(s.read(&mut cursor, 10).err(), Some(StoreError::Expired));
        s.drop_table("configmaps");
        assert!(!cursor.changed().await);
    }

    impl std::fmt::Debug for Snapshot {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{} items at {}", self.items.len(), self.rv)
        }
    }
    impl std::fmt::Debug for Cursor {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "cursor at {}", self.rv)
        }
    }
}
