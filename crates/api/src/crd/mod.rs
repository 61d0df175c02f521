//! The CRD files under `deploy/crds`, made from the types. Agents do not need this module.
//!
//! Types carry the schema of each field; the tables carry what belongs to a kind: short names, categories, columns,
//! versions. `cargo xtask codegen` writes the files, `cargo xtask codegen --check` compares them.

mod columns;
mod inventory;
mod kubefleet;
mod multicluster;
mod networking;
mod placement;
mod structural;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::RootKind;
use columns::Column;

/// First line of every file.
const HEADER: &str = "# Written by `cargo xtask codegen` from the types in crates/api. Do not edit.\n";

/// A kind with all its versions.
#[derive(Clone, Debug)]
pub struct Crd {
    /// API group.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural resource name.
    pub plural: &'static str,
    /// Whether objects are namespaced.
    pub namespaced: bool,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    subresources: Option<Value>,
    versions: Vec<Version>,
}

#[derive(Clone, Debug)]
struct Version {
    name: &'static str,
    schema: Value,
    columns: Vec<Column>,
    round_trip: RoundTrip,
}

/// Decodes an object into its type and encodes it again.
type RoundTrip = fn(Value) -> Result<Value, serde_json::Error>;

fn round_trip<K: RootKind>(object: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<K>(object)?)
}

impl Crd {
    /// A kind whose storage version is `K`.
    fn new<K: RootKind + JsonSchema>(
        short_names: &'static [&'static str],
        categories: &'static [&'static str],
    ) -> Self {
        let crd = Self {
            group: K::GROUP,
            kind: K::KIND,
            plural: K::PLURAL,
            namespaced: K::NAMESPACED,
            short_names,
            categories,
            subresources: None,
            versions: Vec::new(),
        };
        crd.served::<K>()
    }

    /// Serves a further version. The storage version stays the first one.
    fn served<K: RootKind + JsonSchema>(mut self) -> Self {
        self.versions.push(Version {
            name: K::VERSION,
            schema: structural::schema::<K>(),
            columns: Vec::new(),
            round_trip: round_trip::<K>,
        });
        self
    }

    /// Separates the status from the rest.
    fn with_status(mut self) -> Self {
        self.subresources = Some(json!({ "status": {} }));
        self
    }

    /// Declares that there is nothing to separate.
    fn with_empty_subresources(mut self) -> Self {
        self.subresources = Some(json!({}));
        self
    }

    /// Columns of the versions served so far.
    fn columns(mut self, columns: &[Column]) -> Self {
        for version in self.versions.iter_mut().filter(|v| v.columns.is_empty()) {
            version.columns = columns.to_vec();
        }
        self
    }

    /// What the type of a version makes of an object: the object without what the type does not know. `None` for a
    /// version that is not served.
    pub fn through_type(&self, version: &str, object: Value) -> Option<Result<Value, serde_json::Error>> {
        self.versions
            .iter()
            .find(|v| v.name == version)
            .map(|v| (v.round_trip)(object))
    }

    /// Name of the file.
    pub fn file_name(&self) -> String {
        format!("{}_{}.yaml", self.group, self.plural)
    }

    /// The CustomResourceDefinition.
    pub fn object(&self) -> Value {
        let singular = self.kind.to_lowercase();
        let mut names = json!({
            "kind": self.kind,
            "listKind": format!("{}List", self.kind),
            "plural": self.plural,
            "singular": singular,
        });
        for (key, values) in [("categories", self.categories), ("shortNames", self.short_names)] {
            if !values.is_empty() {
                names[key] = json!(values);
            }
        }
        let storage = self.versions.first().map_or("", |v| v.name);
        let mut versions: Vec<&Version> = self.versions.iter().collect();
        versions.sort_by_key(|v| v.name);
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{}.{}", self.plural, self.group) },
            "spec": {
                "group": self.group,
                "names": names,
                "scope": if self.namespaced { "Namespaced" } else { "Cluster" },
                "versions": versions.iter().map(|v| self.version(v, v.name == storage)).collect::<Vec<_>>(),
            },
        })
    }

    fn version(&self, version: &Version, storage: bool) -> Value {
        let mut object = json!({
            "name": version.name,
            "served": true,
            "storage": storage,
            "schema": { "openAPIV3Schema": version.schema },
        });
        if !version.columns.is_empty() {
            object["additionalPrinterColumns"] = version.columns.iter().map(Column::object).collect();
        }
        if let Some(subresources) = &self.subresources {
            object["subresources"] = subresources.clone();
        }
        object
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        format!("{HEADER}---\n{}", crate::yaml::to_string(&self.object()))
    }
}

/// All kinds, by file name.
pub fn all() -> Vec<Crd> {
    let mut crds = placement::kinds();
    crds.extend(networking::kinds());
    crds.extend(inventory::kinds());
    crds.extend(kubefleet::kinds());
    crds.extend(multicluster::kinds());
    crds.sort_by_key(Crd::file_name);
    crds
}

/// All files, by name.
pub fn files() -> BTreeMap<String, String> {
    all().iter().map(|crd| (crd.file_name(), crd.text())).collect()
}

/// The names of files that are missing among those `found`, differ from ours, or belong to no kind.
pub fn differences(wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> BTreeSet<String> {
    let names = wanted.keys().chain(found.keys());
    names
        .filter(|name| wanted.get(*name) != found.get(*name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
