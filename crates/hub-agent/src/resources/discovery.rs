//! What APIs the hub serves.
//!
//! Aggregated discovery answers in two requests; a server without it is queried group by group. What cannot be learnt
//! about a group (an API service that is down) is named, so that what was known of it before can be kept.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use kit::Error;
use kit::rest::Call;
use kube::Client;
use serde::{Deserialize, Deserializer};

/// Requests aggregated discovery, and the plain one from servers that do not have it.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// A kind that can be listed and watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedApi {
    /// Name in request paths.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Served versions, the preferred one first.
    pub versions: Vec<String>,
}

/// What discovery found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// By group and kind.
    pub apis: BTreeMap<(String, String), ServedApi>,
    /// Groups about which the answer is incomplete.
    pub unknown_groups: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    kind: String,
    /// Of an aggregated answer.
    #[serde(default, deserialize_with = "null_default")]
    items: Vec<GroupItem>,
    /// Of a plain answer about the core group.
    #[serde(default, deserialize_with = "null_default")]
    versions: Vec<String>,
    /// Of a plain answer about the others.
    #[serde(default, deserialize_with = "null_default")]
    groups: Vec<PlainGroup>,
}

#[derive(Deserialize)]
struct GroupItem {
    #[serde(default)]
    metadata: NameOnly,
    #[serde(default, deserialize_with = "null_default")]
    versions: Vec<VersionItem>,
}

#[derive(Default, Deserialize)]
struct NameOnly {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct VersionItem {
    version: String,
    #[serde(default, deserialize_with = "null_default")]
    resources: Vec<ResourceItem>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceItem {
    resource: String,
    #[serde(default, deserialize_with = "null_default")]
    response_kind: KindOnly,
    #[serde(default)]
    scope: String,
    #[serde(default, deserialize_with = "null_default")]
    verbs: Vec<String>,
}

#[derive(Default, Deserialize)]
struct KindOnly {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlainGroup {
    name: String,
    #[serde(default, deserialize_with = "null_default")]
    versions: Vec<PlainVersion>,
    preferred_version: Option<PlainVersion>,
}

#[derive(Deserialize)]
struct PlainVersion {
    version: String,
}

#[derive(Deserialize)]
struct PlainResources {
    #[serde(default, deserialize_with = "null_default")]
    resources: Vec<PlainResource>,
}

#[derive(Deserialize)]
struct PlainResource {
    name: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    kind: String,
    #[serde(default, deserialize_with = "null_default")]
    verbs: Vec<String>,
}

/// Reads `null` like an absent field: servers written in Go send it for lists without entries.
pub(super) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Queries the API server.
///
/// # Errors
/// When the core group or the list of groups cannot be read. A group that fails alone is no error.
pub async fn discover(client: &Client) -> Result<Discovered, Error> {
    let mut found = Discovered::default();
    for root in ["/api", "/apis"] {
        let answer: Answer = Call::new(Method::GET, root, "discover APIs")
            .accept(AGGREGATED)
            .json(client)
            .await?;
        if answer.kind == "APIGroupDiscoveryList" {
            answer.items.into_iter().for_each(|group| found.take_group(group));
        } else if root == "/api" {
            for version in answer.versions {
                found.discover(client, "", &version).await;
            }
        } else {
            for group in answer.groups {
                let preferred = group.preferred_version.map(|v| v.version);
                let others = group
                    .versions
                    .into_iter()
                    .map(|v| v.version)
                    .filter(|v| Some(v) != preferred.as_ref());
                for version in preferred.iter().cloned().chain(others.collect::<Vec<_>>()) {
                    found.discover(client, &group.name, &version).await;
                }
            }
        }
    }
    Ok(found)
}

impl Discovered {
    fn take_group(&mut self, group: GroupItem) {
        let name = group.metadata.name;
        for version in group.versions {
            if version.freshness == "Stale" {
                self.unknown_groups.insert(name.clone());
            }
            for item in version.resources {
                let namespaced = item.scope == "Namespaced";
                self.take(
                    &name,
                    &version.version,
                    &item.response_kind.kind,
                    &item.resource,
                    namespaced,
                    &item.verbs,
                );
            }
        }
    }

    /// Queries one group and version by plain discovery.
    async fn discover(&mut self, client: &Client, group: &str, version: &str) {
        let path = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        match Call::new(Method::GET, path, "discover APIs")
            .json::<PlainResources>(client)
            .await
        {
            Ok(answer) => {
                for item in answer.resources.into_iter().filter(|item| !item.name.contains('/')) {
                    self.take(group, version, &item.kind, &item.name, item.namespaced, &item.verbs);
                }
            }
            Err(err) => {
                tracing::info!(group, version, error = %err, "The kinds of an API group cannot be discovered; they cannot be selected until they can.");
                self.unknown_groups.insert(group.to_owned());
            }
        }
    }

    /// Takes in one kind of one version; versions come in order of preference.
    fn take(&mut self, group: &str, version: &str, kind: &str, plural: &str, namespaced: bool, verbs: &[String]) {
        let can = |verb: &str| verbs.iter().any(|v| v == verb);
        if kind.is_empty() || !can("list") || !can("watch") {
            return;
        }
        let known = self
            .apis
            .entry((group.to_owned(), kind.to_owned()))
            .or_insert_with(|| ServedApi {
                plural: plural.to_owned(),
                namespaced,
                versions: Vec::new(),
            });
        if !known.versions.iter().any(|v| v == version) {
            known.versions.push(version.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::convert::Infallible;

    fn server(answers: Vec<(&'static str, Value)>) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let found = answers.iter().find(|(path, _)| *path == request.uri().path());
            let (code, body) = found.map_or((503, json!({})), |(_, body)| (200, body.clone()));
            let response = Response::builder()
                .status(code)
                .body(Body::from(body.to_string().into_bytes()));
            async move { Ok::<_, Infallible>(response.unwrap()) }
        });
        Client::new(service, "default")
    }

    fn api(plural: &str, namespaced: bool, versions: &[&str]) -> ServedApi {
        ServedApi {
            plural: plural.into(),
            namespaced,
            versions: versions.iter().map(|v| (*v).to_owned()).collect(),
        }
    }

    #[tokio::test]
    async fn aggregated_answers_are_read_in_order_of_preference() {
        let verbs = json!(["get", "list", "watch"]);
        let item = |plural: &str, kind: &str, scope: &str, verbs: &Value| json!({"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "verbs": verbs});
        let core = json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
            item("configmaps", "ConfigMap", "Namespaced", &verbs),
            item("bindings", "Binding", "Namespaced", &json!(["create"])),
        ]}]}]});
        let rest = json!({"kind": "APIGroupDiscoveryList", "items": [
            {"metadata": {"name": "autoscaling"}, "versions": [
                {"version": "v2", "resources": [item("hpas", "HPA", "Namespaced", &verbs)]},
                {"version": "v1", "resources": [item("hpas", "HPA", "Namespaced", &verbs)]}]},
            {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]},
        ]});
        let found = discover(&server(vec![("/api", core), ("/apis", rest)])).await.unwrap();
        let expected = [
            (
                (String::new(), "ConfigMap".to_owned()),
                api("configmaps", true, &["v1"]),
            ),
            (
                ("autoscaling".to_owned(), "HPA".to_owned()),
                api("hpas", true, &["v2", "v1"]),
            ),
        ];
        assert_eq!(found.apis, BTreeMap::from(expected));
        assert_eq!(found.unknown_groups, BTreeSet::from(["metrics.k8s.io".to_owned()]));
    }

    #[tokio::test]
    async fn plain_answers_work_too_and_one_broken_group_harms_no_other() {
        let verbs = json!(["list", "watch"]);
        let groups = json!({"kind": "APIGroupList", "groups": [
            {"name": "apps", "versions": [{"version": "v1beta1"}, {"version": "v1"}], "preferredVersion": {"version": "v1"}},
            {"name": "broken", "versions": [{"version": "v1"}]},
            {"name": "empty", "versions": [{"version": "v1"}]},
            {"name": "none", "versions": null},
        ]});
        let deployments = json!({"resources": [
            {"name": "deployments", "namespaced": true, "kind": "Deployment", "verbs": verbs},
            {"name": "deployments/status", "namespaced": true, "kind": "Deployment", "verbs": verbs},
        ]});
        let nodes = json!({"resources": [{"name": "nodes", "namespaced": false, "kind": "Node", "verbs": verbs}]});
        let client = server(vec![
            ("/api", json!({"kind": "APIVersions", "versions": ["v1"]})),
            ("/api/v1", nodes),
            ("/apis", groups),
            ("/apis/apps/v1", deployments.clone()),
            ("/apis/apps/v1beta1", deployments),
            ("/apis/empty/v1", json!({"resources": null})),
        ]);
        let found = discover(&client).await.unwrap();
        let expected = [
            ((String::new(), "Node".to_owned()), api("nodes", false, &["v1"])),
            (
                ("apps".to_owned(), "Deployment".to_owned()),
                api("deployments", true, &["v1", "v1beta1"]),
            ),
        ];
        assert_eq!(found.apis, BTreeMap::from(expected));
        assert_eq!(found.unknown_groups, BTreeSet::from(["broken".to_owned()]));
    }
}
