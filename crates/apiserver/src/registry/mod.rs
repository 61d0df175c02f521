//! The served resources: a table of built-in kinds and those that CustomResourceDefinitions add.

mod builtin;
mod custom;

pub use builtin::builtins;
pub use custom::{from_crd, names_in_use};

use parking_lot::RwLock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A resource in all its served versions.
#[derive(Debug, Clone)]
pub struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// Plural name, as in paths.
    pub plural: String,
    /// Singular name.
    pub singular: String,
    /// Kind.
    pub kind: String,
    /// Kind of lists.
    pub list_kind: String,
    /// Short names for kubectl.
    pub short_names: Vec<String>,
    /// Categories for kubectl.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Versions, preferred first.
    pub versions: Vec<Arc<Version>>,
    /// Version in which objects are stored.
    pub storage_version: String,
    /// Table in the store (`resource.group` of the resource that owns the storage).
    pub table: Arc<str>,
    /// How the kind departs from the general rules.
    pub traits: Traits,
    /// uid of the CustomResourceDefinition; `None` for built-in kinds.
    pub crd: Option<String>,
    /// Generation of the CustomResourceDefinition that this was made from; 0 for built-in kinds.
    pub generation: i64,
}

/// Behaviour that differs between kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    /// `metadata.generation` counts changes of the desired state.
    pub generation: bool,
    /// A replace without resourceVersion is allowed.
    pub unconditional_update: bool,
    /// A replace of something missing creates it.
    pub create_on_update: bool,
    /// Deletion answers with the object instead of a Status.
    pub returns_deleted: bool,
    /// Only `create` is served; nothing is stored (reviews).
    pub virtual_create: bool,
}

/// One version of a resource.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Whether requests in it are answered.
    pub served: bool,
    /// Whether `/status` exists.
    pub status: bool,
    /// Paths of the scale subresource, if it exists.
    pub scale: Option<ScalePaths>,
    /// Further subresources (for discovery).
    pub extra_subresources: Vec<&'static str>,
    /// Columns for tables; empty means the default ones or the kind's built-in ones.
    pub columns: Vec<Column>,
    /// Schema of a custom resource.
    pub schema: Option<Arc<schema::Schema>>,
    /// The schema as written in the definition.
    pub raw_schema: Option<Arc<Value>>,
    /// Warning for users of a deprecated version.
    pub deprecation: Option<String>,
    /// Fields that a field selector may name, as JSON paths such as `.spec.color`.
    pub selectable: Vec<String>,
}

/// Where the scale subresource finds its facts, as JSON paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// `.spec.replicas`
    pub spec: String,
    /// `.status.replicas`
    pub status: String,
    /// Path of the label selector in text form, if any.
    pub selector: Option<String>,
}

/// A printer column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// OpenAPI type.
    pub kind: String,
    /// OpenAPI format.
    pub format: String,
    /// Description.
    pub description: String,
    /// 0 is always shown; more only in wide output.
    pub priority: i64,
    /// Where the value is.
    pub json_path: String,
}

impl Resource {
    /// The served version of that name.
    pub fn version(&self, name: &str) -> Option<&Arc<Version>> {
        self.versions.iter().find(|v| v.name == name && v.served)
    }

    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self, version: &str) -> String {
        api_version(&self.group, version)
    }

    /// apiVersion in which objects are stored.
    pub fn storage_api_version(&self) -> String {
        self.api_version(&self.storage_version)
    }

    /// `resource.group`.
    pub fn qualified(&self) -> String {
        crate::status::qualified(&self.group, &self.plural)
    }

    /// Whether the objects of this resource are stored by another one (events of two groups).
    pub fn is_alias(&self) -> bool {
        *self.table != *self.qualified()
    }
}

/// `group/version`, or the version alone in the core group.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// `(group, version)` of an apiVersion.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

type Map = BTreeMap<(String, String), Arc<Resource>>;

/// All served resources. Readers take a snapshot.
pub struct Registry(RwLock<Arc<Map>>);

impl Default for Registry {
    fn default() -> Self {
        let map = builtins()
            .into_iter()
            .map(|r| ((r.group.clone(), r.plural.clone()), Arc::new(r)))
            .collect();
        Registry(RwLock::new(Arc::new(map)))
    }
}

impl Registry {
    /// All resources, by group and plural name.
    pub fn snapshot(&self) -> Arc<Map> {
        self.0.read().clone()
    }

    /// The resource of a group and plural name.
    pub fn resource(&self, group: &str, plural: &str) -> Option<Arc<Resource>> {
        self.0.read().get(&(group.to_owned(), plural.to_owned())).cloned()
    }

    /// The resource whose objects live in `table`.
    pub fn by_table(&self, table: &str) -> Option<Arc<Resource>> {
        let (plural, group) = table.split_once('.').unwrap_or((table, ""));
        self.resource(group, plural)
    }

    /// The resource that serves a kind of a group.
    pub fn by_kind(&self, group: &str, kind: &str) -> Option<Arc<Resource>> {
        let map = self.0.read();
        map.values().find(|r| r.group == group && r.kind == kind).cloned()
    }

    /// Adds or replaces a resource.
    pub fn insert(&self, resource: Resource) {
        let mut guard = self.0.write();
        let mut map = Map::clone(&guard);
        map.insert((resource.group.clone(), resource.plural.clone()), Arc::new(resource));
        *guard = Arc::new(map);
    }

    /// Removes a resource.
    pub fn remove(&self, group: &str, plural: &str) {
        let mut guard = self.0.write();
        let mut map = Map::clone(&guard);
        map.remove(&(group.to_owned(), plural.to_owned()));
        *guard = Arc::new(map);
    }

    /// Groups with their served versions, preferred first; core (empty group) included.
    pub fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for resource in self.snapshot().values() {
            let versions = groups.entry(resource.group.clone()).or_default();
            for version in resource.versions.iter().filter(|v| v.served) {
                if !versions.contains(&version.name) {
                    versions.push(version.name.clone());
                }
            }
        }
        groups.retain(|_, versions| !versions.is_empty());
        groups
            .values_mut()
            .for_each(|versions| versions.sort_by(|a, b| compare_versions(b, a)));
        groups
    }
}

/// Orders versions as Kubernetes does: `v2` over `v1` over `v1beta1` over `v1alpha1` over anything else.
pub fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    rank(a).cmp(&rank(b)).then_with(|| b.cmp(a))
}

fn rank(version: &str) -> (u8, u32, u32) {
    parse_version(version).unwrap_or((0, 0, 0))
}

fn parse_version(version: &str) -> Option<(u8, u32, u32)> {
    let rest = version.strip_prefix('v')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, tail) = rest.split_at(digits);
    let major = major.parse().ok()?;
    if tail.is_empty() {
        return Some((3, major, 0));
    }
    let (stage, minor) = match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
        (Some(minor), _) => (2, minor),
        (_, Some(minor)) => (1, minor),
        _ => return None,
    };
    Some((stage, major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_stability() {
        let mut versions = ["v1alpha1", "foo", "v1", "v2beta1", "v10", "v1beta2", "v1beta1"];
        versions.sort_by(|a, b| compare_versions(b, a));
        assert_eq!(
            versions,
            ["v10", "v1", "v2beta1", "v1beta2", "v1beta1", "v1alpha1", "foo"]
        );
    }

    #[test]
    fn every_builtin_kind_can_be_found() {
        let registry = Registry::default();
        for ((group, plural), resource) in registry.snapshot().iter() {
            assert_eq!(
                registry.resource(group, plural).map(|r| r.kind.clone()),
                Some(resource.kind.clone())
            );
            assert!(
                resource.version(&resource.storage_version).is_some(),
                "{plural} is served in its storage version"
            );
        }
        assert_eq!(
            registry.by_kind("events.k8s.io", "Event").map(|r| r.is_alias()),
            Some(true)
        );
        assert_eq!(
            registry.by_table("deployments.apps").map(|r| r.kind.clone()),
            Some("Deployment".into())
        );
    }
}
