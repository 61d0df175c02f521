//! CustomResourceDefinitions themselves.

use crate::cx::{Cx, cases, same};
use crate::fixtures::{definition, version};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

cases!("definitions":
    definition_becomes_established, definition_name_must_fit, definition_must_be_structural, definition_needs_one_storage_version,
    rules_must_compile, taken_names_are_not_accepted, deletion_takes_objects_along, several_versions_show_the_same_object,
    unserved_versions_are_not_found, definitions_are_discovered, cluster_scope_has_no_namespace,
);

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Creates a definition and waits until its kind is served.
pub async fn install(cx: &Cx, definition: &Value) -> Result<()> {
    cx.post(DEFINITIONS, definition.clone()).await?.ok()?;
    let name = definition["metadata"]["name"].as_str().unwrap_or_default();
    cx.until(&format!("{DEFINITIONS}/{name}"), "became established", |answer| {
        condition(&answer.body, "Established") == "True"
    })
    .await?;
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    for version in definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["served"] == true)
    {
        let plural = definition["spec"]["names"]["plural"].as_str().unwrap_or_default();
        let path = format!(
            "/apis/{group}/{}/{plural}",
            version["name"].as_str().unwrap_or_default()
        );
        cx.until(&path, "was served", |answer| answer.code == 200).await?;
    }
    Ok(())
}

fn condition(object: &Value, kind: &str) -> String {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut found = conditions.filter(|condition| condition["type"] == kind);
    found
        .next()
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or_default()
        .to_owned()
}

fn group(cx: &Cx) -> String {
    format!("{}.fairway.dev", cx.unique)
}

fn open() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn thing(group: &str, version: &str, name: &str) -> Value {
    json!({"apiVersion": format!("{group}/{version}"), "kind": "Thing", "metadata": {"name": name}, "spec": {"a": 1}})
}

async fn definition_becomes_established(cx: Cx) -> Result<()> {
    let group = group(&cx);
    install(&cx, &definition(&group, "Thing", "Namespaced", version("v1", open()))).await?;
    let object = cx.get(&format!("{DEFINITIONS}/things.{group}")).await?.ok()?;
    ensure!(condition(&object, "NamesAccepted") == "True", "{object}");
    same(&object, "/status/acceptedNames/kind", json!("Thing"))?;
    same(&object, "/status/acceptedNames/listKind", json!("ThingList"))?;
    same(&object, "/status/storedVersions", json!(["v1"]))?;
    same(&object, "/spec/conversion", json!({"strategy": "None"}))
}

async fn definition_name_must_fit(cx: Cx) -> Result<()> {
    let mut body = definition(&group(&cx), "Thing", "Namespaced", version("v1", open()));
    body["metadata"]["name"] = json!("others.example.org");
    let answer = cx.post(DEFINITIONS, body).await?.refused(422, "Invalid")?;
    answer
        .mentioning("must be spec.names.plural+\".\"+spec.group")
        .map(drop)
}

async fn definition_must_be_structural(cx: Cx) -> Result<()> {
    let spec = json!({"properties": {"a": {"type": "string"}}});
    let answer = cx
        .post(
            DEFINITIONS,
            definition(&group(&cx), "Thing", "Namespaced", version("v1", spec)),
        )
        .await?
        .refused(422, "Invalid")?;
    answer.mentioning("spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields").map(drop)
}

async fn definition_needs_one_storage_version(cx: Cx) -> Result<()> {
    let mut body = definition(&group(&cx), "Thing", "Namespaced", version("v1", open()));
    body["spec"]["versions"][0]["storage"] = json!(false);
    let answer = cx.post(DEFINITIONS, body).await?.refused(422, "Invalid")?;
    answer
        .mentioning("must have exactly one version marked as storage version")
        .map(drop)
}

async fn rules_must_compile(cx: Cx) -> Result<()> {
    let spec = json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.a =="}], "properties": {"a": {"type": "string"}}});
    let answer = cx
        .post(
            DEFINITIONS,
            definition(&group(&cx), "Thing", "Namespaced", version("v1", spec)),
        )
        .await?
        .refused(422, "Invalid")?;
    answer
        .mentioning("x-kubernetes-validations[0].rule: Invalid value: ")?
        .mentioning("compilation failed")
        .map(drop)
}

async fn taken_names_are_not_accepted(cx: Cx) -> Result<()> {
    let group = group(&cx);
    install(&cx, &definition(&group, "Thing", "Namespaced", version("v1", open()))).await?;
    let mut body = definition(&group, "Other", "Namespaced", version("v1", open()));
    body["spec"]["names"]["shortNames"] = json!(["things"]);
    cx.post(DEFINITIONS, body).await?.ok()?;
    let answer = cx
        .until(
            &format!("{DEFINITIONS}/others.{group}"),
            "has its conditions",
            |answer| !condition(&answer.body, "NamesAccepted").is_empty(),
        )
        .await?;
    ensure!(condition(&answer.body, "NamesAccepted") == "False", "{}", answer.body);
    Ok(())
}

async fn deletion_takes_objects_along(cx: Cx) -> Result<()> {
    let group = group(&cx);
    install(&cx, &definition(&group, "Thing", "Namespaced", version("v1", open()))).await?;
    let collection = format!("/apis/{group}/v1/namespaces/{}/things", cx.namespace);
    cx.post(&collection, thing(&group, "v1", "t")).await?.ok()?;
    cx.delete(&format!("{DEFINITIONS}/things.{group}")).await?.ok()?;
    cx.until_gone(&format!("{DEFINITIONS}/things.{group}")).await?;
    cx.until_gone(&collection).await
}

async fn several_versions_show_the_same_object(cx: Cx) -> Result<()> {
    let group = group(&cx);
    let mut body = definition(&group, "Thing", "Namespaced", version("v1", open()));
    let mut second = version(
        "v1beta1",
        json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
    );
    second["storage"] = json!(false);
    if let Some(versions) = body["spec"]["versions"].as_array_mut() {
        versions.push(second);
    }
    install(&cx, &body).await?;
    let collection = |version: &str| format!("/apis/{group}/{version}/namespaces/{}/things", cx.namespace);
    let mut created = thing(&group, "v1beta1", "t");
    created["spec"]["b"] = json!(2);
    let created = cx.post(&collection("v1beta1"), created).await?.ok()?;
    same(&created, "/spec", json!({"a": 1}))?;
    cx.merge(&format!("{}/t", collection("v1")), json!({"spec": {"b": 2}}))
        .await?
        .ok()?;
    let new = cx.get(&format!("{}/t", collection("v1"))).await?.ok()?;
    same(&new, "/apiVersion", json!(format!("{group}/v1")))?;
    same(&new, "/spec", json!({"a": 1, "b": 2}))?;
    let old = cx.get(&format!("{}/t", collection("v1beta1"))).await?.ok()?;
    same(&old, "/apiVersion", json!(format!("{group}/v1beta1")))?;
    same(&old, "/spec", json!({"a": 1}))?;
    same(&old, "/metadata/uid", new["metadata"]["uid"].clone())
}

async fn unserved_versions_are_not_found(cx: Cx) -> Result<()> {
    let group = group(&cx);
    let mut body = definition(&group, "Thing", "Namespaced", version("v1", open()));
    let mut second = version("v1alpha1", open());
    second["storage"] = json!(false);
    second["served"] = json!(false);
    if let Some(versions) = body["spec"]["versions"].as_array_mut() {
        versions.push(second);
    }
    install(&cx, &body).await?;
    let answer = cx
        .get(&format!("/apis/{group}/v1alpha1/namespaces/{}/things", cx.namespace))
        .await?;
    ensure!(answer.code == 404, "answered {}", answer.code);
    Ok(())
}

async fn definitions_are_discovered(cx: Cx) -> Result<()> {
    let group = group(&cx);
    let mut body = definition(&group, "Thing", "Namespaced", version("v1", open()));
    body["spec"]["names"]["shortNames"] = json!(["th"]);
    body["spec"]["versions"][0]["subresources"] = json!({"status": {}});
    install(&cx, &body).await?;
    let answer = cx
        .until(&format!("/apis/{group}/v1"), "was discovered", |answer| {
            answer.code == 200
        })
        .await?;
    let resources = answer.body["resources"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = resources
        .iter()
        .filter_map(|resource| resource["name"].as_str())
        .collect();
    ensure!(names == ["things", "things/status"], "{names:?}");
    same(&resources[0], "/shortNames", json!(["th"]))?;
    same(&resources[0], "/namespaced", json!(true))?;
    let groups = cx
        .until("/apis", "listed the group", |answer| answer.text.contains(&group))
        .await?;
    ensure!(groups.body["kind"] == "APIGroupList", "{}", groups.body["kind"]);
    Ok(())
}

async fn cluster_scope_has_no_namespace(cx: Cx) -> Result<()> {
    let object = cx
        .post(
            "/apis/contract.fairway.dev/v1/gadgets",
            crate::fixtures::gadget(&cx.unique, json!({"a": 1})),
        )
        .await?
        .ok()?;
    ensure!(object["metadata"].get("namespace").is_none(), "{object}");
    let answer = cx
        .get(&format!(
            "/apis/contract.fairway.dev/v1/namespaces/{}/gadgets",
            cx.namespace
        ))
        .await?;
    ensure!(answer.code == 404, "answered {}", answer.code);
    cx.delete(&format!("/apis/contract.fairway.dev/v1/gadgets/{}", cx.unique))
        .await?
        .ok()
        .map(drop)
}
