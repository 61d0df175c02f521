//! The selectable resources of the hub, as selections see them.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::resource::Resource;
use serde::{Deserialize, Serialize};

use crate::objects::{Digest, Manifest};

/// A read-only view of the index of selectable resources.
pub trait ResourceView {
    /// Looks an API up among those that the hub serves, in any served version.
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<Api>;

    /// One object of an API. `namespace` is `None` for cluster-scoped ones.
    fn get(&self, api: &ApiKey, namespace: Option<&str>, name: &str) -> Option<Arc<Selectable>>;

    /// The objects of an API: of one namespace, or (with `None`) all.
    fn list(&self, api: &ApiKey, namespace: Option<&str>) -> Vec<Arc<Selectable>>;

    /// All watched namespaced APIs.
    fn namespaced(&self) -> Vec<Api>;

    /// API groups of which is not known what they serve.
    fn unknown_groups(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
}

/// A served API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Api {
    /// Which one.
    pub key: ApiKey,
    /// Name of its resource in request paths.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether its objects are in the index, completely.
    pub synced: bool,
}

/// Group, version and kind under which objects of an API are indexed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// API group; empty for the core group.
    pub group: String,
    /// Version in which the objects were read.
    pub version: String,
    /// Kind.
    pub kind: String,
}

/// An object that may be selected, as the index keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selectable {
    /// Its content, sanitised (hub-behaviour 2.8).
    #[serde(with = "crate::serde_arc::one")]
    pub manifest: Arc<Manifest>,
    /// Whether it is being deleted; such objects are not selected.
    pub deleting: bool,
    /// Whether its kind and content forbid to propagate it (hub-behaviour 2.7).
    pub exclusion: Exclusion,
    /// Hash of its status, which is not propagated but may be written back (hub-behaviour 7.7); `None` without status.
    pub status: Option<Digest>,
}

/// Why an object may have to stay on the hub (hub-behaviour 2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exclusion {
    /// It may be propagated.
    #[default]
    None,
    /// Never propagated.
    Always,
    /// Not propagated when the hub runs workloads itself (claims for volumes).
    WhenHubRunsWorkloads,
    /// Not propagated when a Service of the same name manages it (Endpoints).
    WhenServiceExists,
}

impl Selectable {
    /// Whether a selection sees no difference. The status is none of its business.
    pub fn selects_like(&self, other: &Self) -> bool {
        self.manifest == other.manifest && self.deleting == other.deleting && self.exclusion == other.exclusion
    }
}

impl Api {
    /// The API in one of the versions that the hub serves it in.
    pub fn resource(&self, version: &str) -> Resource {
        Resource {
            group: self.key.group.clone().into(),
            version: version.to_owned().into(),
            kind: self.key.kind.clone().into(),
            plural: self.plural.clone().into(),
            namespaced: self.namespaced,
        }
    }
}

impl ApiKey {
    /// Names an API.
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        }
    }
}
