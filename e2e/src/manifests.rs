//! Applies users' manifests as kubectl would: whatever kinds they hold, in the order of the files.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use serde_json::Value;

/// Field manager of everything that the demo and the scenarios apply.
const FIELD_MANAGER: &str = "fairway-user";
const DEADLINE: Duration = Duration::from_secs(30);

/// Reads all documents of a YAML file.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    api::yaml::parse_all(&text).with_context(|| format!("{} is not YAML", path.display()))
}

/// Applies every document of a file on the server side. An error names the object and what the API server said.
pub async fn apply_file(client: &Client, path: &Path) -> Result<Vec<DynamicObject>> {
    let mut applied = Vec::new();
    for document in read(path)? {
        applied.push(apply(client, &document).await?);
    }
    Ok(applied)
}

/// Applies one object on the server side.
pub async fn apply(client: &Client, object: &Value) -> Result<DynamicObject> {
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
    let api = api_for(client, object, namespace).await?;
    let params = PatchParams::apply(FIELD_MANAGER).force();
    tokio::time::timeout(DEADLINE, api.patch(name, &params, &Patch::Apply(object)))
        .await
        .with_context(|| format!("the API server does not answer when {name} is applied"))?
        .with_context(|| format!("{} {name} is refused", kind_of(object)))
}

/// A client for the kind of an object, found by discovery.
pub async fn api_for(client: &Client, object: &Value, namespace: Option<&str>) -> Result<Api<DynamicObject>> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let types = TypeMeta {
        api_version: text("apiVersion"),
        kind: text("kind"),
    };
    let gvk = GroupVersionKind::try_from(&types).with_context(|| format!("{types:?} names no kind"))?;
    let found = tokio::time::timeout(DEADLINE, pinned_kind(client, &gvk))
        .await
        .context("discovery takes too long")?;
    let (resource, capabilities) = found.with_context(|| format!("{gvk:?} is not served"))?;
    match (capabilities.scope, namespace) {
        (Scope::Cluster, _) => Ok(Api::all_with(client.clone(), &resource)),
        (Scope::Namespaced, Some(namespace)) => Ok(Api::namespaced_with(client.clone(), namespace, &resource)),
        (Scope::Namespaced, None) => bail!("{} needs a namespace", kind_of(object)),
    }
}

/// A client for a kind that is known by its names, without discovery.
pub fn known(
    client: &Client,
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

fn kind_of(object: &Value) -> &str {
    object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("object without kind")
}
