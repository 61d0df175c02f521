//! Patches other than apply.

use crate::cx::{Cx, cases, same};
use crate::fixtures::{config_map, deployment, plain, widget};
use anyhow::{Result, ensure};
use serde_json::json;

cases!("patches":
    merge_patch_sets_and_deletes, merge_patch_replaces_lists, json_patch_operations, json_patch_test_failure,
    json_patch_missing_path, json_patch_negative_index, malformed_json_patch, strategic_merge_by_key, strategic_directives,
    strategic_delete_of_element, strategic_on_custom_kind_is_refused, patch_cannot_rename, patch_with_stale_version_conflicts,
    patch_without_change_keeps_version, patch_of_nothing_is_not_found, patch_result_is_validated, concurrent_patches_all_land,
    patch_type_is_needed,
);

async fn merge_patch_sets_and_deletes(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({"x": "1", "y": "2"})))
        .await?
        .ok()?;
    let object = cx
        .merge(
            &format!("{}/a", cx.core("configmaps")),
            json!({"data": {"x": null, "z": "3"}}),
        )
        .await?
        .ok()?;
    same(&object, "/data", json!({"y": "2", "z": "3"}))
}

async fn merge_patch_replaces_lists(cx: Cx) -> Result<()> {
    cx.post(
        &cx.plains(),
        plain("a", json!({"list": [{"n": 1}, {"n": 2}], "map": {"a": {"b": 1}}})),
    )
    .await?
    .ok()?;
    let object = cx
        .merge(
            &format!("{}/a", cx.plains()),
            json!({"spec": {"list": [{"n": 3}], "map": {"a": {"c": 2}}}}),
        )
        .await?
        .ok()?;
    same(
        &object,
        "/spec",
        json!({"list": [{"n": 3}], "map": {"a": {"b": 1, "c": 2}}}),
    )
}

async fn json_patch_operations(cx: Cx) -> Result<()> {
    cx.post(&cx.plains(), plain("a", json!({"list": [1, 2], "old": true, "a/b": 1})))
        .await?
        .ok()?;
    let patch = json!([
        {"op": "add", "path": "/spec/list/-", "value": 3},
        {"op": "add", "path": "/spec/list/0", "value": 0},
        {"op": "remove", "path": "/spec/old"},
        {"op": "replace", "path": "/spec/a~1b", "value": 2},
        {"op": "copy", "from": "/spec/list/1", "path": "/spec/copied"},
        {"op": "move", "from": "/spec/copied", "path": "/spec/moved"},
        {"op": "test", "path": "/spec/moved", "value": 1}]);
    let object = cx.json_patch(&format!("{}/a", cx.plains()), patch).await?.ok()?;
    same(&object, "/spec", json!({"list": [0, 1, 2, 3], "a/b": 2, "moved": 1}))
}

async fn json_patch_test_failure(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({"x": "1"})))
        .await?
        .ok()?;
    let patch =
        json!([{"op": "replace", "path": "/data/x", "value": "2"}, {"op": "test", "path": "/data/x", "value": "1"}]);
    cx.json_patch(&format!("{}/a", cx.core("configmaps")), patch)
        .await?
        .refused(422, "Invalid")?;
    let object = cx.get(&format!("{}/a", cx.core("configmaps"))).await?.ok()?;
    same(&object, "/data/x", json!("1"))
}

async fn json_patch_missing_path(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({"x": "1"})))
        .await?
        .ok()?;
    for patch in [
        json!([{"op": "remove", "path": "/data/y"}]),
        json!([{"op": "add", "path": "/none/y", "value": "1"}]),
    ] {
        let answer = cx.json_patch(&format!("{}/a", cx.core("configmaps")), patch).await?;
        answer
            .refused(422, "Invalid")?
            .saying("the server rejected our request due to an error in our request")?;
    }
    // Replacing what is not there is adding it.
    let object = cx
        .json_patch(
            &format!("{}/a", cx.core("configmaps")),
            json!([{"op": "replace", "path": "/data/y", "value": "2"}]),
        )
        .await?
        .ok()?;
    same(&object, "/data", json!({"x": "1", "y": "2"}))
}

async fn json_patch_negative_index(cx: Cx) -> Result<()> {
    cx.post(&cx.plains(), plain("a", json!({"list": [1, 2, 3]})))
        .await?
        .ok()?;
    let patch = json!([{"op": "replace", "path": "/spec/list/-1", "value": 9}, {"op": "add", "path": "/spec/list/-1", "value": 10}]);
    let object = cx.json_patch(&format!("{}/a", cx.plains()), patch).await?.ok()?;
    same(&object, "/spec/list", json!([1, 2, 9, 10]))
}

async fn malformed_json_patch(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    cx.json_patch(&format!("{}/a", cx.core("configmaps")), json!({"not": "a list"}))
        .await?
        .refused(400, "BadRequest")
        .map(drop)
}

async fn strategic_merge_by_key(cx: Cx) -> Result<()> {
    cx.post(&cx.apps("deployments"), deployment("a")).await?.ok()?;
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "app", "env": [{"name": "X", "value": "1"}]},
        {"name": "side", "image": "registry.example/side:1"}]}}}});
    let object = cx
        .strategic(&format!("{}/a", cx.apps("deployments")), patch)
        .await?
        .ok()?;
    same(&object, "/spec/template/spec/containers/0/name", json!("app"))?;
    same(
        &object,
        "/spec/template/spec/containers/0/image",
        json!("registry.example/app:1"),
    )?;
    same(
        &object,
        "/spec/template/spec/containers/0/env",
        json!([{"name": "X", "value": "1"}]),
    )?;
    same(&object, "/spec/template/spec/containers/1/name", json!("side"))
}

async fn strategic_directives(cx: Cx) -> Result<()> {
    let mut body = deployment("a");
    body["metadata"]["labels"] = json!({"x": "1", "y": "2"});
    cx.post(&cx.apps("deployments"), body).await?.ok()?;
    let patch = json!({"metadata": {"labels": {"$patch": "replace", "z": "3"}}, "spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let object = cx
        .strategic(&format!("{}/a", cx.apps("deployments")), patch)
        .await?
        .ok()?;
    same(&object, "/metadata/labels", json!({"z": "3"}))?;
    same(&object, "/spec/strategy", json!({"type": "Recreate"}))
}

async fn strategic_delete_of_element(cx: Cx) -> Result<()> {
    let mut body = deployment("a");
    body["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}, {"name": "c", "image": "i"}]);
    cx.post(&cx.apps("deployments"), body).await?.ok()?;
    let patch = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
        "containers": [{"name": "b", "$patch": "delete"}]}}}});
    let object = cx
        .strategic(&format!("{}/a", cx.apps("deployments")), patch)
        .await?
        .ok()?;
    let containers = object
        .pointer("/spec/template/spec/containers")
        .and_then(|c| c.as_array())
        .cloned()
        .unwrap_or_default();
    let names: Vec<&str> = containers.iter().filter_map(|c| c["name"].as_str()).collect();
    ensure!(names == ["c", "a"], "{names:?}");
    Ok(())
}

async fn strategic_on_custom_kind_is_refused(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let answer = cx
        .strategic(&format!("{}/a", cx.widgets()), json!({"spec": {"replicas": 1}}))
        .await?
        .refused(415, "UnsupportedMediaType")?;
    answer
        .mentioning("application/json-patch+json, application/merge-patch+json")
        .map(drop)
}

async fn patch_cannot_rename(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    let answer = cx
        .merge(
            &format!("{}/a", cx.core("configmaps")),
            json!({"metadata": {"name": "b"}}),
        )
        .await?;
    answer
        .refused(400, "BadRequest")?
        .saying("the name of the object (b) does not match the name on the URL (a)")
        .map(drop)
}

async fn patch_with_stale_version_conflicts(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let created = cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    cx.merge(&path, json!({"spec": {"replicas": 1}})).await?.ok()?;
    let version = created["metadata"]["resourceVersion"].clone();
    let answer = cx
        .merge(
            &path,
            json!({"metadata": {"resourceVersion": version}, "spec": {"replicas": 2}}),
        )
        .await?;
    answer
        .refused(409, "Conflict")?
        .mentioning("the object has been modified")
        .map(drop)
}

async fn patch_without_change_keeps_version(cx: Cx) -> Result<()> {
    let created = cx
        .post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let patched = cx
        .merge(&format!("{}/a", cx.widgets()), json!({"spec": {"replicas": 1}}))
        .await?
        .ok()?;
    same(
        &patched,
        "/metadata/resourceVersion",
        created["metadata"]["resourceVersion"].clone(),
    )
}

async fn patch_of_nothing_is_not_found(cx: Cx) -> Result<()> {
    cx.merge(&format!("{}/a", cx.widgets()), json!({"spec": {}}))
        .await?
        .refused(404, "NotFound")?
        .saying(r#"widgets.contract.fairway.dev "a" not found"#)
        .map(drop)
}

async fn patch_result_is_validated(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({"low": 1, "high": 2})))
        .await?
        .ok()?;
    let answer = cx
        .merge(&format!("{}/a", cx.widgets()), json!({"spec": {"low": 3}}))
        .await?;
    answer
        .refused(422, "Invalid")?
        .saying(
            r#"Widget.contract.fairway.dev "a" is invalid: spec: Invalid value: "object": low must not be above high"#,
        )
        .map(drop)
}

async fn concurrent_patches_all_land(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    let path = format!("{}/a", cx.core("configmaps"));
    let patches: Vec<_> = (0..20)
        .map(|i| cx.merge(&path, json!({"data": {format!("k{i}"): "v"}})))
        .collect();
    for answer in futures::future::try_join_all(patches).await? {
        answer.ok()?;
    }
    let object = cx.get(&path).await?.ok()?;
    ensure!(
        object["data"].as_object().is_some_and(|data| data.len() == 20),
        "{}",
        object["data"]
    );
    Ok(())
}

async fn patch_type_is_needed(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    let answer = cx
        .patch(&format!("{}/a", cx.core("configmaps")), "application/json", json!({}))
        .await?;
    answer.refused(415, "UnsupportedMediaType").map(drop)
}
