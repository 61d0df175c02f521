//! What the server says about itself.

use crate::cx::{Cx, cases, same};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

cases!("discovery":
    versions_are_listed, groups_are_listed, resources_are_described, core_resources_are_described, discovery_in_one_document,
    health_is_reported, version_is_reported, schemas_are_published,
);

async fn versions_are_listed(cx: Cx) -> Result<()> {
    let versions = cx.get("/api").await?.ok()?;
    same(&versions, "/kind", json!("APIVersions"))?;
    same(&versions, "/versions", json!(["v1"]))
}

async fn groups_are_listed(cx: Cx) -> Result<()> {
    let groups = cx.get("/apis").await?.ok()?;
    let list = groups["groups"].as_array().cloned().unwrap_or_default();
    for name in [
        "apps",
        "batch",
        "rbac.authorization.k8s.io",
        "coordination.k8s.io",
        "apiextensions.k8s.io",
        "contract.fairway.dev",
    ] {
        ensure!(list.iter().any(|group| group["name"] == name), "{name} is missing");
    }
    let group = cx.get("/apis/contract.fairway.dev").await?.ok()?;
    same(&group, "/kind", json!("APIGroup"))?;
    same(
        &group,
        "/preferredVersion",
        json!({"groupVersion": "contract.fairway.dev/v1", "version": "v1"}),
    )
}

async fn resources_are_described(cx: Cx) -> Result<()> {
    let list = cx.get("/apis/contract.fairway.dev/v1").await?.ok()?;
    same(&list, "/kind", json!("APIResourceList"))?;
    same(&list, "/groupVersion", json!("contract.fairway.dev/v1"))?;
    let resources = list["resources"].as_array().cloned().unwrap_or_default();
    let find = |name: &str| {
        resources
            .iter()
            .find(|resource| resource["name"] == name)
            .cloned()
            .unwrap_or_default()
    };
    let widgets = find("widgets");
    same(&widgets, "/kind", json!("Widget"))?;
    same(&widgets, "/singularName", json!("widget"))?;
    same(&widgets, "/namespaced", json!(true))?;
    same(&widgets, "/shortNames", json!(["wd"]))?;
    same(&widgets, "/categories", json!(["contract"]))?;
    let mut verbs: Vec<&str> = widgets["verbs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    verbs.sort_unstable();
    ensure!(
        verbs
            == [
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch"
            ],
        "{verbs:?}"
    );
    same(&find("widgets/status"), "/kind", json!("Widget"))?;
    same(&find("widgets/scale"), "/kind", json!("Scale"))?;
    same(&find("gadgets"), "/namespaced", json!(false))
}

async fn core_resources_are_described(cx: Cx) -> Result<()> {
    let list = cx.get("/api/v1").await?.ok()?;
    let resources = list["resources"].as_array().cloned().unwrap_or_default();
    for (name, kind, namespaced) in [
        ("configmaps", "ConfigMap", true),
        ("namespaces", "Namespace", false),
        ("nodes", "Node", false),
        ("services", "Service", true),
        ("serviceaccounts/token", "TokenRequest", true),
    ] {
        let found = resources
            .iter()
            .find(|resource| resource["name"] == name)
            .cloned()
            .unwrap_or_default();
        ensure!(
            found["kind"] == kind && found["namespaced"] == namespaced,
            "{name}: {found}"
        );
    }
    let list = cx.get("/apis/apps/v1").await?.ok()?;
    let deployments = list["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|resource| resource["name"] == "deployments")
        .cloned()
        .unwrap_or_default();
    same(&deployments, "/shortNames", json!(["deploy"]))
}

async fn discovery_in_one_document(cx: Cx) -> Result<()> {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let answer = cx.get_as("/apis", accept).await?.ok()?;
    same(&answer, "/kind", json!("APIGroupDiscoveryList"))?;
    let groups = answer["items"].as_array().cloned().unwrap_or_default();
    let ours = groups
        .iter()
        .find(|group| group["metadata"]["name"] == "contract.fairway.dev")
        .cloned()
        .unwrap_or_default();
    let resources = ours
        .pointer("/versions/0/resources")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let widgets = resources
        .iter()
        .find(|resource| resource["resource"] == "widgets")
        .cloned()
        .unwrap_or_default();
    same(&widgets, "/scope", json!("Namespaced"))?;
    same(&widgets, "/responseKind/kind", json!("Widget"))?;
    let core = cx.get_as("/api", accept).await?.ok()?;
    same(&core, "/kind", json!("APIGroupDiscoveryList"))
}

async fn health_is_reported(cx: Cx) -> Result<()> {
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = cx.get(path).await?;
        ensure!(
            answer.code == 200 && answer.text == "ok",
            "{path}: {} {}",
            answer.code,
            answer.text
        );
    }
    Ok(())
}

async fn version_is_reported(cx: Cx) -> Result<()> {
    let version = cx.get("/version").await?.ok()?;
    same(&version, "/major", json!("1"))?;
    ensure!(
        version["gitVersion"]
            .as_str()
            .is_some_and(|text| text.starts_with("v1.")),
        "{version}"
    );
    Ok(())
}

async fn schemas_are_published(cx: Cx) -> Result<()> {
    let index = cx
        .until("/openapi/v3", "listed the group", |answer| {
            answer.body.pointer("/paths/apis~1contract.fairway.dev~1v1").is_some()
        })
        .await?;
    let path = index
        .body
        .pointer("/paths/apis~1contract.fairway.dev~1v1/serverRelativeURL")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let document = cx.get(&path).await?.ok()?;
    let schemas = document
        .pointer("/components/schemas")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    ensure!(
        schemas.keys().any(|name| name.ends_with(".Widget")),
        "{:?}",
        schemas.keys()
    );
    Ok(())
}
