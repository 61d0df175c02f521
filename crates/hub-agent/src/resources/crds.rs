//! CustomResourceDefinitions: watched, so that a new kind is known at once, without waiting for the next discovery.

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::Resource;
use kit::index::{Index, Scope};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::discovery::{ServedApi, null_default};

/// The API of CustomResourceDefinitions.
pub const DEFINITIONS: Resource = Resource::cluster(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
);

/// Definitions are large (their schemas); few of them are read at once.
const PAGE: u32 = 10;

/// What is kept of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Whether requests for it are answered.
    pub established: bool,
    /// How it is served.
    pub api: ServedApi,
}

#[derive(Deserialize)]
struct Stored {
    spec: StoredSpec,
    #[serde(default, deserialize_with = "null_default")]
    status: StoredStatus,
}

#[derive(Deserialize)]
struct StoredSpec {
    group: String,
    names: StoredNames,
    scope: String,
    #[serde(default, deserialize_with = "null_default")]
    versions: Vec<StoredVersion>,
}

#[derive(Deserialize)]
struct StoredNames {
    kind: String,
    plural: String,
}

#[derive(Deserialize)]
struct StoredVersion {
    name: String,
    #[serde(default)]
    served: bool,
}

#[derive(Default, Deserialize)]
struct StoredStatus {
    // The API server stores `null` here until the first condition is set.
    #[serde(default, deserialize_with = "null_default")]
    conditions: Vec<StoredCondition>,
}

#[derive(Deserialize)]
struct StoredCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// The index of definitions; `changed` is notified of each change.
pub fn index(changed: &Arc<Notify>) -> Arc<Index<Definition>> {
    let changed = Arc::clone(changed);
    Index::builder(DEFINITIONS, |value| read(value).map(Some))
        .scope(Scope {
            page: Some(PAGE),
            ..Scope::default()
        })
        .on_change(move |change| {
            if change.old != change.new {
                changed.notify_one();
            }
        })
        .build()
}

/// Waits until all of these kinds are served, however long that takes. `missing` is called with the kinds that are not
/// served, at first and whenever that changes.
pub async fn until_served(definitions: &Index<Definition>, kinds: &[Resource], mut missing: impl FnMut(&[&Resource])) {
    let mut changes = definitions.revision();
    let mut known = None;
    loop {
        changes.borrow_and_update();
        let all = definitions.all();
        let is_served = |kind: &Resource| {
            all.iter()
                .any(|d| d.established && d.group == kind.group && d.kind == kind.kind)
        };
        let now: Vec<&Resource> = kinds.iter().filter(|kind| !is_served(kind)).collect();
        if known.as_ref() != Some(&now) {
            missing(&now);
        }
        if now.is_empty() {
            return;
        }
        known = Some(now);
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The APIs that established definitions serve, by group and kind.
pub fn served(index: &Index<Definition>) -> BTreeMap<(String, String), ServedApi> {
    let all = index.all();
    let ready = all.iter().filter(|d| d.established && !d.api.versions.is_empty());
    ready
        .map(|d| ((d.group.clone(), d.kind.clone()), d.api.clone()))
        .collect()
}

fn read(value: Value) -> Result<Definition, String> {
    let Stored { spec, status } = serde_json::from_value(value).map_err(|err| err.to_string())?;
    let mut versions: Vec<String> = spec.versions.into_iter().filter(|v| v.served).map(|v| v.name).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
    Ok(Definition {
        established: status
            .conditions
            .iter()
            .any(|c| c.type_ == "Established" && c.status == "True"),
        group: spec.group,
        kind: spec.names.kind,
        api: ServedApi {
            plural: spec.names.plural,
            namespaced: spec.scope == "Namespaced",
            versions,
        },
    })
}

/// Kubernetes' order of versions: stable before beta before alpha, the higher the better, others last by name.
fn priority(version: &str) -> (u8, u32, u32, std::cmp::Reverse<String>) {
    let parsed = version.strip_prefix('v').and_then(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, tail) = rest.split_at(digits);
        let major: u32 = major.parse().ok()?;
        let (stage, minor) = match tail {
            "" => return Some((3, major, 0)),
            _ if tail.starts_with("beta") => (2, &tail[4..]),
            _ if tail.starts_with("alpha") => (1, &tail[5..]),
            _ => return None,
        };
        Some((stage, major, minor.parse().ok()?))
    });
    let (stage, major, minor) = parsed.unwrap_or((0, 0, 0));
    (stage, major, minor, std::cmp::Reverse(version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn definitions_are_read_with_versions_in_order_of_preference() {
        let version = |name: &str, served: bool| json!({"name": name, "served": served, "schema": {}});
        let definition = read(json!({
            "metadata": {"name": "things.x.io"},
            "spec": {"group": "x.io", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things"}, "versions": [
                version("v1alpha1", true), version("v2beta1", true), version("v1", true), version("foo", true),
                version("v10", false), version("v2", true), version("v2beta10", true)]},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        }))
        .unwrap();
        assert!(definition.established && !definition.api.namespaced);
        assert_eq!(
            definition.api.versions,
            ["v2", "v1", "v2beta10", "v2beta1", "v1alpha1", "foo"]
        );
    }

    #[test]
    fn a_definition_that_was_just_created_can_be_read() {
        let spec = json!({"group": "x.io", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true}]});
        let accepted = json!({"plural": "", "kind": ""});
        let new = json!({"conditions": null, "acceptedNames": accepted, "storedVersions": ["v1"]});
        for status in [new, Value::Null] {
            let definition =
                read(json!({"metadata": {"name": "things.x.io"}, "spec": spec, "status": status})).unwrap();
            assert!(!definition.established);
            assert_eq!(definition.api.versions, ["v1"]);
        }
    }
}
