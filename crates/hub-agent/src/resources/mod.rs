//! The selectable resources of the hub: one watch per enabled kind, read by the planner as a [`ResourceView`].

pub mod crds;
pub mod discovery;
mod follow;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_core::objects::{Interner, PlacementKey};
use fairway_core::select::{Api, ApiKey, Exclusion, ResourceView, Selectable};
use fairway_core::select::{ApiLists, NamespaceRule, take_in};
use kit::controller::Indexes;
use kit::index::{Change, Index};
use kit::{ObjectKey, Resource};
use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::metrics::controllers;
use crate::queues::Queues;
use crate::store::Interest;
use crds::Definition;
use discovery::ServedApi;

/// The index of selectable resources.
pub struct Resources {
    lists: ApiLists,
    namespaces: NamespaceRule,
    interner: Arc<Interner>,
    interest: Arc<Interest>,
    queues: Arc<Queues>,
    /// Take answers to writes of originals in.
    indexes: Arc<Indexes>,
    definitions: Arc<Index<Definition>>,
    definitions_changed: Arc<Notify>,
    table: RwLock<Table>,
    /// Whether discovery has answered at least once.
    discovered: watch::Sender<bool>,
}

/// What is watched.
#[derive(Default)]
struct Table {
    /// By group and kind.
    watched: BTreeMap<(String, String), Watched>,
    /// API groups that have not answered since the start which resources they serve.
    unknown_groups: BTreeSet<String>,
}

#[derive(Clone)]
struct Watched {
    served: ServedApi,
    key: ApiKey,
    index: Arc<Index<Selectable>>,
    /// What followed the kind before the hub served it differently, for as long as the list of `index` is not complete.
    before: Option<Arc<Index<Selectable>>>,
    stop: CancellationToken,
}

impl Watched {
    /// The objects as far as they are known. A selection that found the kind complete a moment ago must not read a list
    /// that has only just begun.
    fn readable(&self) -> &Arc<Index<Selectable>> {
        match &self.before {
            Some(before) if !self.index.is_synced() => before,
            _ => &self.index,
        }
    }
}

impl Resources {
    /// Nothing yet; changes will be handed to placements that have an interest in them.
    pub fn new(
        lists: ApiLists,
        namespaces: NamespaceRule,
        interner: Arc<Interner>,
        interest: Arc<Interest>,
        queues: Arc<Queues>,
        indexes: Arc<Indexes>,
    ) -> Self {
        let definitions_changed = Arc::new(Notify::new());
        Self {
            lists,
            namespaces,
            interner,
            interest,
            queues,
            indexes,
            definitions: crds::index(&definitions_changed),
            definitions_changed,
            table: RwLock::default(),
            discovered: watch::Sender::new(false),
        }
    }

    /// The CustomResourceDefinitions of the hub.
    pub fn definitions(&self) -> &Arc<Index<Definition>> {
        &self.definitions
    }

    /// Whether every watched kind is completely known and followed, or which one is not.
    ///
    /// # Errors
    /// A sentence that names what is missing.
    pub fn ready(&self) -> Result<(), String> {
        let table = self.table.read();
        if !*self.discovered.borrow() || table.watched.is_empty() {
            return Err("No kind of resources is watched yet.".to_owned());
        }
        if let Some(trouble) = table.watched.values().find_map(|watched| watched.index.trouble()) {
            return Err(trouble);
        }
        let mut groups = table.unknown_groups.iter();
        match groups.find(|group| self.lists.may_enable(group)) {
            Some(group) => Err(format!(
                "The API group {group:?} has not answered yet which resources it serves."
            )),
            None => Ok(()),
        }
    }

    /// Waits until every kind that is watched after the first discovery is completely known.
    pub async fn wait_ready(&self) {
        let mut discovered = self.discovered.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = discovered.wait_for(|done| *done).await;
        let indexes: Vec<_> = self
            .table
            .read()
            .watched
            .values()
            .map(|watched| Arc::clone(&watched.index))
            .collect();
        for index in indexes {
            index.synced().await;
        }
    }

    /// The API under which a kind is watched. What the hub refuses to list is not known, whatever was known before.
    fn api(watched: &Watched) -> Api {
        Api {
            key: watched.key.clone(),
            plural: watched.served.plural.clone(),
            namespaced: watched.served.namespaced,
            synced: watched.index.is_synced() && !watched.index.status().is_blind(),
        }
    }

    fn index_of(&self, api: &ApiKey) -> Option<Arc<Index<Selectable>>> {
        let table = self.table.read();
        table
            .watched
            .get(&(api.group.clone(), api.kind.clone()))
            .map(|watched| Arc::clone(watched.readable()))
    }

    /// An index of one kind whose changes reach those concerned. What `before` held alike is no change.
    fn watch_of(
        self: &Arc<Self>,
        group: &str,
        kind: &str,
        served: &ServedApi,
        version: &str,
        before: Option<&Arc<Index<Selectable>>>,
    ) -> Arc<Index<Selectable>> {
        let resource = Resource {
            group: group.to_owned().into(),
            version: version.to_owned().into(),
            kind: kind.to_owned().into(),
            plural: served.plural.clone().into(),
            namespaced: served.namespaced,
        };
        let interner = Arc::clone(&self.interner);
        let read = move |value: Value| {
            let mut object = take_in(value).map_err(|err| err.to_string())?;
            // What no placement may select is as good as not there. Objects of reserved namespaces are not among it: a
            // ResourcePlacement that lives there selects them (hub-behaviour 2.4).
            if object.exclusion == Exclusion::Always {
                return Ok(None);
            }
            object.manifest = interner.share(object.manifest);
            Ok(Some(object))
        };
        let all = Arc::downgrade(self);
        let before = before.map(Arc::downgrade).unwrap_or_default();
        Index::builder(resource, read)
            .on_change(move |change: &Change<Selectable>| {
                if let Some(all) = all.upgrade() {
                    let known = || before.upgrade()?.get(&change.key);
                    let old = change.old.clone().or_else(known);
                    all.changed(old.as_deref(), change.new.as_deref());
                }
            })
            .build()
    }

    /// Has those placements looked at that a change of a resource concerns (hub-behaviour 2.9).
    fn changed(&self, old: Option<&Selectable>, new: Option<&Selectable>) {
        if let (Some(old), Some(new)) = (old, new)
            && old.selects_like(new)
        {
            return;
        }
        self.queues
            .watched(&[controllers::RESOURCE_CHANGE], || self.look_at_concerned(old, new));
    }

    fn look_at_concerned(&self, old: Option<&Selectable>, new: Option<&Selectable>) {
        let Some(object) = new.or(old) else { return };
        let namespace = object.manifest.id.namespace.as_str();
        // What lies in a namespace that is never propagated can only be selected from within.
        let around = if namespace.is_empty() || !self.namespaces.allows(namespace) {
            None
        } else {
            self.index_of(&ApiKey::new("", "v1", "Namespace"))
                .and_then(|index| index.get(&ObjectKey::cluster(namespace)))
        };
        for key in self.interest.in_object(old, new, around.as_deref()) {
            self.look_at(key);
        }
    }

    fn look_at(&self, key: PlacementKey) {
        self.queues.placements.add(key);
    }
}

impl ResourceView for Resources {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<Api> {
        let table = self.table.read();
        let watched = table.watched.get(&(group.to_owned(), kind.to_owned()))?;
        watched
            .served
            .versions
            .iter()
            .any(|v| v == version)
            .then(|| Self::api(watched))
    }

    fn get(&self, api: &ApiKey, namespace: Option<&str>, name: &str) -> Option<Arc<Selectable>> {
        self.index_of(api)?.get(&ObjectKey::new(namespace, name))
    }

    fn list(&self, api: &ApiKey, namespace: Option<&str>) -> Vec<Arc<Selectable>> {
        match (self.index_of(api), namespace) {
            (None, _) => Vec::new(),
            (Some(index), None) => index.all(),
            (Some(index), Some(namespace)) => index.in_namespace(namespace),
        }
    }

    fn namespaced(&self) -> Vec<Api> {
        let table = self.table.read();
        table
            .watched
            .values()
            .filter(|watched| watched.served.namespaced)
            .map(Self::api)
            .collect()
    }

    fn unknown_groups(&self) -> BTreeSet<String> {
        self.table.read().unknown_groups.clone()
    }
}
