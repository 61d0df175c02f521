//! Paths that are no resources: discovery in both forms, version, health, metrics, OpenAPI.

use crate::openapi;
use crate::registry::{Resource, Version, api_version};
use crate::reply::{self, Body};
use crate::routes::Route;
use crate::server::Core;
use crate::status::{ApiError, ApiResult};
use http::{HeaderMap, Method, Response, header};
use serde_json::{Value, json};
use std::sync::Arc;

/// Version that the server reports.
pub const GIT_VERSION: &str = "v1.34.4";

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a path that is no resource.
pub fn answer(
    core: &Core,
    route: &Route,
    method: &Method,
    headers: &HeaderMap,
    path: &str,
) -> ApiResult<Response<Body>> {
    if method != Method::GET && method != Method::HEAD {
        return Err(ApiError::method_not_allowed());
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let aggregated = accept
        .split(',')
        .any(|a| a.contains("as=APIGroupDiscoveryList") && a.contains("v=v2") && !a.contains("v=v2beta1"));
    match route {
        Route::CoreVersions if aggregated => Ok(aggregate(core, |group| group.is_empty())),
        Route::Groups if aggregated => Ok(aggregate(core, |group| !group.is_empty())),
        Route::CoreVersions => Ok(reply::json(
            200,
            &json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        )),
        Route::Groups => {
            let groups: Vec<Value> = core
                .registry
                .groups()
                .iter()
                .filter(|(group, _)| !group.is_empty())
                .map(|(group, versions)| group_object(group, versions))
                .collect();
            Ok(reply::json(
                200,
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}),
            ))
        }
        Route::Group(group) => {
            let groups = core.registry.groups();
            let versions = groups.get(group).ok_or_else(ApiError::no_such_path)?;
            let mut object = group_object(group, versions);
            object["kind"] = "APIGroup".into();
            object["apiVersion"] = "v1".into();
            Ok(reply::json(200, &object))
        }
        Route::Resources(group, version) => resources(core, group, version),
        Route::Other(_) => other(core, headers, path),
        Route::Resource(_) => Err(ApiError::no_such_path()),
    }
}

fn other(core: &Core, headers: &HeaderMap, path: &str) -> ApiResult<Response<Body>> {
    match path.trim_end_matches('/') {
        "/healthz" | "/livez" | "/readyz" => Ok(reply::plain(200, "ok")),
        "/version" => Ok(reply::json(
            200,
            &json!({"major": "1", "minor": "34", "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
                "emulationMajor": "1", "emulationMinor": "34", "minCompatibilityMajor": "1", "minCompatibilityMinor": "33"}),
        )),
        "/metrics" => {
            let text = core.metrics.text(&core.store);
            Ok(reply::with_type(200, "text/plain; version=0.0.4; charset=utf-8", text))
        }
        "/openapi/v2" => Ok(openapi::v2(headers)),
        "/openapi/v3" => Ok(openapi::index(core)),
        path if path.starts_with("/openapi/v3/") => {
            openapi::document(core, path.trim_start_matches("/openapi/v3/")).ok_or_else(ApiError::no_such_path)
        }
        "" => {
            let mut paths: Vec<String> = vec!["/api".into(), "/api/v1".into(), "/apis".into()];
            for (group, versions) in core.registry.groups().iter().filter(|(g, _)| !g.is_empty()) {
                paths.push(format!("/apis/{group}"));
                paths.extend(versions.iter().map(|v| format!("/apis/{group}/{v}")));
            }
            paths.extend(
                [
                    "/healthz",
                    "/livez",
                    "/metrics",
                    "/openapi/v2",
                    "/openapi/v3",
                    "/readyz",
                    "/version",
                ]
                .map(str::to_owned),
            );
            Ok(reply::json(200, &json!({ "paths": paths })))
        }
        _ => Err(ApiError::no_such_path()),
    }
}

fn group_object(group: &str, versions: &[String]) -> Value {
    let entry = |v: &String| json!({"groupVersion": api_version(group, v), "version": v});
    let list: Vec<Value> = versions.iter().map(entry).collect();
    json!({"name": group, "versions": list, "preferredVersion": list.first()})
}

fn served<'a>(
    snapshot: &'a std::collections::BTreeMap<(String, String), Arc<Resource>>,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = (&'a Arc<Resource>, &'a Arc<Version>)> {
    snapshot
        .values()
        .filter(move |r| r.group == group)
        .filter_map(move |r| Some((r, r.version(version)?)))
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    if resource.traits.virtual_create {
        return vec!["create"];
    }
    let mut verbs = if resource.crd.is_some() {
        vec![
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "create",
            "update",
            "watch",
        ]
    } else {
        vec![
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ]
    };
    if matches!(resource.plural.as_str(), "namespaces") {
        verbs.retain(|v| *v != "deletecollection");
    }
    verbs
}

/// Subresources with their kinds and verbs.
fn subresources(version: &Version, resource: &Resource) -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let own = json!({"group": resource.group, "version": version.name, "kind": resource.kind});
    let change = vec!["get", "patch", "update"];
    let mut all = Vec::new();
    if version.status {
        all.push(("status", own.clone(), change.clone()));
    }
    if version.scale.is_some() {
        all.push((
            "scale",
            json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}),
            change,
        ));
    }
    for extra in &version.extra_subresources {
        all.push(match *extra {
            "token" => {
                let kind = json!({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"});
                ("token", kind, vec!["create"])
            }
            "eviction" => (
                "eviction",
                json!({"group": "policy", "version": "v1", "kind": "Eviction"}),
                vec!["create"],
            ),
            "binding" => (
                "binding",
                json!({"group": "", "version": "v1", "kind": "Binding"}),
                vec!["create"],
            ),
            other => (other, own.clone(), vec!["update"]),
        });
    }
    all
}

fn resources(core: &Core, group: &str, version: &str) -> ApiResult<Response<Body>> {
    let snapshot = core.registry.snapshot();
    let mut list = Vec::new();
    for (resource, v) in served(&snapshot, group, version) {
        let mut entry = json!({"name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs(resource)});
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        if !resource.traits.virtual_create {
            entry["storageVersionHash"] = storage_hash(resource).into();
        }
        list.push(entry);
        for (sub, kind, verbs) in subresources(v, resource) {
            let mut entry = json!({"name": format!("{}/{sub}", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": kind["kind"], "verbs": verbs});
            if kind["group"] != group || kind["version"] != version {
                entry["group"] = kind["group"].clone();
                entry["version"] = kind["version"].clone();
            }
            list.push(entry);
        }
    }
    if list.is_empty() {
        return Err(ApiError::no_such_path());
    }
    let object = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version), "resources": list});
    Ok(reply::json(200, &object))
}

/// Eight bytes that name the storage version, base64.
fn storage_hash(resource: &Resource) -> String {
    use base64::Engine;
    use sha2::{Digest, Sha256};
    let text = format!("{}/{}/{}", resource.group, resource.storage_version, resource.kind);
    let digest = Sha256::digest(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest.get(..8).unwrap_or_default())
}

fn aggregate(core: &Core, wanted: impl Fn(&str) -> bool) -> Response<Body> {
    let snapshot = core.registry.snapshot();
    let mut items = Vec::new();
    for (group, versions) in core.registry.groups().iter().filter(|(group, _)| wanted(group)) {
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| {
                let list: Vec<Value> = served(&snapshot, group, version)
                    .map(|(r, v)| aggregated_resource(r, v))
                    .collect();
                json!({"version": version, "freshness": "Current", "resources": list})
            })
            .collect();
        let mut metadata = json!({"creationTimestamp": null});
        if !group.is_empty() {
            metadata["name"] = group.as_str().into();
        }
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    let object = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    let bytes = serde_json::to_vec(&object).unwrap_or_default();
    reply::with_type(200, AGGREGATED, bytes)
}

fn aggregated_resource(resource: &Resource, version: &Version) -> Value {
    let subresources: Vec<Value> = subresources(version, resource)
        .into_iter()
        .map(|(name, kind, verbs)| json!({"subresource": name, "responseKind": kind, "verbs": verbs}))
        .collect();
    let mut entry = json!({
        "resource": resource.plural, "singularResource": resource.singular, "verbs": verbs(resource),
        "responseKind": {"group": resource.group, "version": version.name, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    if !subresources.is_empty() {
        entry["subresources"] = json!(subresources);
    }
    entry
}
