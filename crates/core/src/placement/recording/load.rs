//! Builds a slice from plain objects, such as `kubectl get -o json` prints them. The caller reads files; nothing here does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::placement::v1beta1::PlacementStatus;
use api::text::{finalizers, groups, labels};
use api::{kinds, names};
use serde_json::Value;

use super::OwnedSlice;
use crate::effects::Target;
use crate::meta::Meta;
use crate::objects::{
    Binding, DecodeError, Member, ObjectId, OverrideSnapshot, Placement, PlacementKey, PolicySnapshot,
    ResourceSnapshot, Work,
};
use crate::render::Refusals;
use crate::select::{Api, ApiKey, ResourceTable, take_in};

/// A slice that was made from plain objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The slice. Nothing was refused and no status is withheld: what only an agent remembers starts anew.
    pub slice: OwnedSlice,
    /// Objects that cannot be read; they are left out. The name of a binding among them is in `unreadable_bindings`, as it is
    /// in an agent.
    pub unreadable: Vec<DecodeError>,
}

/// Builds the slice of a placement from objects of the hub, in any order: single objects and lists of them (`kind: List`
/// and the like). Objects that do not concern the placement are selectable resources or do no harm.
///
/// An API is known when an object of it is given, or a CustomResourceDefinition that defines it, or when it is among
/// `served`, which is how kinds without objects are known to exist. All are taken to be complete.
pub fn from_objects(key: &PlacementKey, objects: impl IntoIterator<Item = Value>, served: &[Api]) -> Loaded {
    let mut loader = Loader::new(key);
    served.iter().for_each(|api| loader.know(api.clone()));
    for object in objects {
        loader.add(object);
    }
    loader.finish()
}

struct Loader {
    slice: OwnedSlice,
    unreadable: Vec<DecodeError>,
    /// Copies of the placement's status by namespace.
    copies: BTreeMap<String, PlacementStatus>,
    /// APIs of objects, and whether any of these has a namespace.
    seen: BTreeMap<ApiKey, bool>,
    /// Definitions by group and kind.
    defined: BTreeMap<(String, String), Definition>,
}

/// What a CustomResourceDefinition says.
struct Definition {
    plural: String,
    namespaced: bool,
    served: Vec<String>,
    stored: String,
}

impl Loader {
    fn new(key: &PlacementKey) -> Self {
        Self {
            slice: OwnedSlice {
                key: key.clone(),
                placement: None,
                members: Vec::new(),
                policy_snapshots: Vec::new(),
                resource_snapshots: Vec::new(),
                unreadable_snapshots: BTreeSet::new(),
                bindings: Vec::new(),
                unreadable_bindings: BTreeSet::new(),
                unreadable_works: BTreeSet::new(),
                works: Vec::new(),
                members_with_finalizers: BTreeSet::new(),
                overrides: Vec::new(),
                resources: ResourceTable::default(),
                status_copy: None,
                refused: Refusals::new(),
                withheld_since: None,
                others_awaited: 0,
            },
            unreadable: Vec::new(),
            copies: BTreeMap::new(),
            seen: BTreeMap::new(),
            defined: BTreeMap::new(),
        }
    }

    fn add(&mut self, mut object: Value) {
        let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        if let Some(items) = object
            .get_mut("items")
            .and_then(Value::as_array_mut)
            .filter(|_| is_list)
        {
            for item in std::mem::take(items) {
                self.add(item);
            }
            return;
        }
        if let Err(err) = self.add_one(object) {
            self.unreadable.push(err);
        }
    }

    fn add_one(&mut self, object: Value) -> Result<(), DecodeError> {
        let id = ObjectId::of(&object)?;
        match id.group.as_str() {
            groups::PLACEMENT => self.of_placements(&id, &object)?,
            groups::CLUSTER if id.kind == kinds::MEMBER_CLUSTER.kind => {
                self.slice.members.push(Arc::new(Member::from_value(object.clone())?));
            }
            CRDS if id.kind == "CustomResourceDefinition" => self.define(&object),
            _ => {}
        }
        let namespaced = self
            .seen
            .entry(ApiKey::new(&id.group, &id.version, &id.kind))
            .or_default();
        *namespaced |= !id.namespace.is_empty();
        self.slice.resources.add(Arc::new(take_in(object)?));
        Ok(())
    }

    /// Takes what belongs to the placement.
    fn of_placements(&mut self, id: &ObjectId, object: &Value) -> Result<(), DecodeError> {
        let key = self.slice.key.clone();
        let is = |cluster: &api::resource::Resource, namespaced: &api::resource::Resource| {
            id.kind == key.pick(cluster.clone(), namespaced.clone()).kind
        };
        let value = || object.clone();
        if is(&kinds::CLUSTER_RESOURCE_PLACEMENT, &kinds::RESOURCE_PLACEMENT) {
            let placement = Placement::from_value(value())?;
            if placement.key() == key {
                self.slice.placement = Some(Arc::new(placement));
            }
        } else if is(
            &kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
            &kinds::SCHEDULING_POLICY_SNAPSHOT,
        ) {
            let snapshot = PolicySnapshot::from_value(value())
                .inspect_err(|_| self.unreadable_snapshot(id, names::policy_snapshot_index(&key.name, &id.name)))?;
            push_own(&mut self.slice.policy_snapshots, snapshot, |s| &s.meta, &key);
        } else if is(&kinds::CLUSTER_RESOURCE_SNAPSHOT, &kinds::RESOURCE_SNAPSHOT) {
            let snapshot = ResourceSnapshot::from_value(value())
                .inspect_err(|_| self.unreadable_snapshot(id, names::resource_snapshot_index(&key.name, &id.name)))?;
            push_own(&mut self.slice.resource_snapshots, snapshot, |s| &s.meta, &key);
        } else if is(&kinds::CLUSTER_RESOURCE_BINDING, &kinds::RESOURCE_BINDING) {
            let binding = Binding::from_value(value()).inspect_err(|_| {
                if id.namespace == key.namespace.as_deref().unwrap_or_default() {
                    self.slice.unreadable_bindings.insert(id.name.clone());
                }
            })?;
            push_own(&mut self.slice.bindings, binding, |b| &b.meta, &key);
        } else if id.kind == kinds::WORK.kind {
            let work = Work::from_value(value()).inspect_err(|_| {
                if names::begins_work(key.namespace.as_deref(), &key.name, &id.name) {
                    let target = Target::new(kinds::WORK, Some(&id.namespace), &id.name);
                    self.slice.unreadable_works.insert(target);
                }
            })?;
            if work.meta.has_finalizer(finalizers::WORK) {
                self.slice.members_with_finalizers.extend(work.meta.namespace.clone());
            }
            if work.placement().as_ref() == Some(&key) {
                self.slice.works.push(Arc::new(work));
            }
        } else if [
            kinds::CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT,
            kinds::RESOURCE_OVERRIDE_SNAPSHOT,
        ]
        .iter()
        .any(|kind| kind.kind == id.kind)
        {
            self.slice
                .overrides
                .push(Arc::new(OverrideSnapshot::from_value(value())?));
        } else if id.kind == kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS.kind && id.name == key.name {
            let status = object.get("sourceStatus").cloned().unwrap_or_default();
            let status: Option<PlacementStatus> =
                serde_json::from_value(status).map_err(|err| DecodeError::new("placement status", &id.name, err))?;
            self.copies.insert(id.namespace.clone(), status.unwrap_or_default());
        }
        Ok(())
    }

    /// Notes a snapshot that cannot be read, if the index in its name makes it one of the placement.
    fn unreadable_snapshot(&mut self, id: &ObjectId, index: Option<u64>) {
        let kinds = [
            kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
            kinds::SCHEDULING_POLICY_SNAPSHOT,
            kinds::CLUSTER_RESOURCE_SNAPSHOT,
            kinds::RESOURCE_SNAPSHOT,
        ];
        let namespace = self.slice.key.namespace.as_deref();
        if index.is_some()
            && id.namespace == namespace.unwrap_or_default()
            && let Some(kind) = kinds.into_iter().find(|kind| kind.kind == id.kind)
        {
            let target = Target::new(kind, namespace, &id.name);
            self.slice.unreadable_snapshots.insert(target);
        }
    }

    /// Notes the API that a definition serves.
    fn define(&mut self, definition: &Value) {
        let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
        let named = |wanted: &str| {
            let all = versions.into_iter().flatten().filter(|version| version[wanted] == true);
            all.filter_map(|version| version["name"].as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let definition = Definition {
            plural: text("/spec/names/plural").to_owned(),
            namespaced: text("/spec/scope") == "Namespaced",
            served: named("served"),
            stored: named("storage").into_iter().next().unwrap_or_default(),
        };
        let kind = (text("/spec/group").to_owned(), text("/spec/names/kind").to_owned());
        self.defined.insert(kind, definition);
    }

    /// The APIs of all definitions and objects. Objects are found under the version in which they are given; kinds without
    /// objects under the one in which they are stored.
    fn know_apis(&mut self) {
        let mut seen = std::mem::take(&mut self.seen);
        for ((group, kind), definition) in std::mem::take(&mut self.defined) {
            let given = seen.keys().find(|key| key.group == group && key.kind == kind);
            let key = given
                .cloned()
                .unwrap_or_else(|| ApiKey::new(&group, &definition.stored, &kind));
            seen.remove(&key);
            let api = Api {
                key,
                plural: definition.plural,
                namespaced: definition.namespaced,
                synced: true,
            };
            for version in &definition.served {
                self.slice.resources.serve(api.clone(), version);
            }
            self.know(api);
        }
        for (key, namespaced) in seen {
            self.know(Api {
                plural: guessed_plural(&key.kind),
                key,
                namespaced,
                synced: true,
            });
        }
    }

    fn know(&mut self, api: Api) {
        let version = api.key.version.clone();
        self.slice.resources.serve(api.clone(), &version);
        if api.namespaced {
            self.slice.resources.watch(api);
        }
    }

    fn finish(mut self) -> Loaded {
        self.know_apis();
        let mut slice = self.slice;
        slice.members.sort_by(|a, b| a.name().cmp(b.name()));
        let selected = slice
            .placement
            .as_ref()
            .and_then(|placement| placement.selected_namespace());
        slice.status_copy = selected
            .filter(|_| slice.key.namespace.is_none())
            .and_then(|namespace| self.copies.remove(namespace))
            .map(Arc::new);
        Loaded {
            slice,
            unreadable: self.unreadable,
        }
    }
}

const CRDS: &str = "apiextensions.k8s.io";

/// Adds an object whose parent label names the placement, in its namespace.
fn push_own<T>(list: &mut Vec<Arc<T>>, object: T, meta: impl Fn(&T) -> &Meta, key: &PlacementKey) {
    let of = meta(&object);
    if of.label(labels::PARENT_PLACEMENT) == Some(key.name.as_str()) && of.namespace == key.namespace {
        list.push(Arc::new(object));
    }
}

/// The name of a kind's resource where no definition gives it, by the rule of Kubernetes' clients.
fn guessed_plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.as_bytes().last() {
        _ if kind == "endpoints" => kind,
        Some(b's') => format!("{kind}es"),
        Some(b'y') => format!("{}ies", &kind[..kind.len() - 1]),
        _ => format!("{kind}s"),
    }
}
