//! Where the cluster serves the objects of a payload.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use api::resource::{ObjectKey, Resource};
use fairway_core::apply::sanitize;
use serde_json::Value;

use super::decode::{Invalid, Manifest, Payload, Problem};
use super::object::{ObjectId, text};
use super::{order, pods};

/// A kind in one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

/// Where the cluster serves kinds.
pub type Mapping = BTreeMap<Kind, Resource>;

/// A payload whose objects have their place in the cluster, in the order of application.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Its objects.
    pub objects: Vec<Object>,
    /// Hash of the payload.
    pub hash: String,
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Which one it is.
    pub id: ObjectId,
    /// Where it is served.
    pub resource: Resource,
    /// What users wrote, without what only servers write.
    pub manifest: Value,
    /// Whether it is a pod or makes pods.
    pub owns_pods: bool,
}

/// Why a payload has no place in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// The cluster does not serve kinds of the payload.
    #[error("the cluster does not serve {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Unmapped(Vec<Kind>),
    /// Two documents turn out to mean one object.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Payload {
    /// The kinds of its objects, for looking up where the cluster serves them.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        self.manifests.iter().map(Kind::of).collect()
    }

    /// Finds the place of every object. Kinds that the payload defines itself need no mapping.
    ///
    /// # Errors
    /// All kinds that are not served, or else the first object that is there twice.
    pub fn resolve(&self, mapping: &Mapping) -> Result<Resolved, Unresolved> {
        let own = defined(&self.manifests);
        let find = |kind: &Kind| mapping.get(kind).or_else(|| own.get(kind));
        let missing: Vec<Kind> = self.kinds().into_iter().filter(|kind| find(kind).is_none()).collect();
        if !missing.is_empty() {
            return Err(Unresolved::Unmapped(missing));
        }
        let mut seen = BTreeSet::new();
        let mut objects = Vec::new();
        for manifest in &self.manifests {
            let Some(resource) = find(&Kind::of(manifest)) else {
                continue;
            };
            let object = Object::new(manifest, resource);
            if !seen.insert(object.id.clone()) {
                return Err(Problem::Duplicate(object.id.to_string()).at(manifest.document).into());
            }
            objects.push(object);
        }
        objects.sort_by_key(|object| order::key(&object.resource, object.owns_pods));
        Ok(Resolved {
            objects,
            hash: self.hash.clone(),
        })
    }
}

impl Kind {
    fn of(manifest: &Manifest) -> Self {
        Self {
            group: manifest.id.group.clone(),
            version: manifest.version.clone(),
            kind: manifest.id.kind.clone(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.group.is_empty() { "" } else { "/" };
        write!(f, "{}{separator}{} {}", self.group, self.version, self.kind)
    }
}

impl Object {
    fn new(manifest: &Manifest, resource: &Resource) -> Self {
        let mut id = manifest.id.clone();
        let mut object = sanitize(&manifest.object);
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        if resource.namespaced {
            let namespace = id.namespace.get_or_insert_with(|| "default".to_owned());
            metadata.map(|metadata| metadata.insert("namespace".into(), namespace.as_str().into()));
        } else {
            id.namespace = None;
            metadata.map(|metadata| metadata.remove("namespace"));
        }
        let owns_pods = pods::owns_pods(&id.group, &id.kind, &object);
        Self {
            id,
            resource: resource.clone(),
            manifest: object,
            owns_pods,
        }
    }

    /// Its namespace and name.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.id.namespace.as_deref(), &self.id.name)
    }
}

/// The kinds that a payload defines itself.
fn defined(manifests: &[Manifest]) -> Mapping {
    let mut mapping = Mapping::new();
    for definition in manifests.iter().filter(|manifest| manifest.id.is_definition()) {
        let spec = |pointer: &str| text(&definition.object, pointer).to_owned();
        let versions = definition.object.pointer("/spec/versions").and_then(Value::as_array);
        for version in versions.into_iter().flatten() {
            if version.get("served").and_then(Value::as_bool) != Some(true) {
                continue;
            }
            let kind = Kind {
                group: spec("/spec/group"),
                version: text(version, "/name").to_owned(),
                kind: spec("/spec/names/kind"),
            };
            let resource = Resource {
                group: kind.group.clone().into(),
                version: kind.version.clone().into(),
                kind: kind.kind.clone().into(),
                plural: spec("/spec/names/plural").into(),
                namespaced: spec("/spec/scope") == "Namespaced",
            };
            mapping.insert(kind, resource);
        }
    }
    mapping
}
