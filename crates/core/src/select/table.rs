//! Selectable resources that are held as a whole: read from files, or recorded from what a pass read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Api, ApiKey, ResourceView, Selectable};

/// APIs and objects in memory. Answers like the view that they come from, as far as that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Listed", into = "Listed")]
pub struct ResourceTable {
    apis: BTreeMap<ApiKey, Served>,
    objects: BTreeMap<ApiKey, BTreeMap<(String, String), Arc<Selectable>>>,
    unknown_groups: BTreeSet<String>,
}

/// An API with the versions under which it can be named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    #[serde(flatten)]
    api: Api,
    /// Versions in which the hub serves it.
    versions: BTreeSet<String>,
    /// Whether it is among the watched namespaced APIs.
    watched: bool,
}

/// The table as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    apis: Vec<Served>,
    #[serde(with = "crate::serde_arc::list")]
    objects: Vec<Arc<Selectable>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    unknown_groups: BTreeSet<String>,
}

impl ResourceTable {
    /// Adds an API that may be named in a version.
    pub fn serve(&mut self, api: Api, version: &str) {
        let served = self.entry(api);
        served.versions.insert(version.to_owned());
    }

    /// Adds a watched namespaced API.
    pub fn watch(&mut self, api: Api) {
        let version = api.key.version.clone();
        let served = self.entry(api);
        served.versions.insert(version);
        served.watched = true;
    }

    /// Adds an object, in the place of an older version of it.
    pub fn add(&mut self, object: Arc<Selectable>) {
        let id = &object.manifest.id;
        let name = (id.namespace.clone(), id.name.clone());
        self.objects.entry(key_of(&object)).or_default().insert(name, object);
    }

    /// Adds API groups of which is not known what they serve.
    pub fn add_unknown_groups(&mut self, groups: BTreeSet<String>) {
        self.unknown_groups.extend(groups);
    }

    fn entry(&mut self, api: Api) -> &mut Served {
        let new = || Served {
            api: api.clone(),
            versions: BTreeSet::new(),
            watched: false,
        };
        self.apis.entry(api.key.clone()).or_insert_with(new)
    }
}

fn key_of(object: &Selectable) -> ApiKey {
    let id = &object.manifest.id;
    ApiKey::new(&id.group, &id.version, &id.kind)
}

impl ResourceView for ResourceTable {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<Api> {
        let mut apis = self.apis.values();
        let found = apis.find(|served| {
            served.api.key.group == group && served.api.key.kind == kind && served.versions.contains(version)
        });
        found.map(|served| served.api.clone())
    }

    fn get(&self, api: &ApiKey, namespace: Option<&str>, name: &str) -> Option<Arc<Selectable>> {
        let key = (namespace.unwrap_or_default().to_owned(), name.to_owned());
        self.objects.get(api)?.get(&key).cloned()
    }

    fn list(&self, api: &ApiKey, namespace: Option<&str>) -> Vec<Arc<Selectable>> {
        let objects = self.objects.get(api).into_iter().flatten();
        let wanted = objects.filter(|((of, _), _)| namespace.is_none_or(|namespace| namespace == of));
        wanted.map(|(_, object)| Arc::clone(object)).collect()
    }

    fn namespaced(&self) -> Vec<Api> {
        let watched = self.apis.values().filter(|served| served.watched);
        watched.map(|served| served.api.clone()).collect()
    }

    fn unknown_groups(&self) -> BTreeSet<String> {
        self.unknown_groups.clone()
    }
}

impl From<Listed> for ResourceTable {
    fn from(listed: Listed) -> Self {
        let mut table = Self::default();
        for served in listed.apis {
            table.apis.insert(served.api.key.clone(), served);
        }
        listed.objects.into_iter().for_each(|object| table.add(object));
        table.unknown_groups = listed.unknown_groups;
        table
    }
}

impl From<ResourceTable> for Listed {
    fn from(table: ResourceTable) -> Self {
        Self {
            apis: table.apis.into_values().collect(),
            objects: table.objects.into_values().flat_map(BTreeMap::into_values).collect(),
            unknown_groups: table.unknown_groups,
        }
    }
}
