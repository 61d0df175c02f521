//! Server-side apply and managed fields.

use crate::cx::{Cx, cases, owned, same};
use crate::fixtures::{config_map, deployment, widget};
use anyhow::{Result, ensure};
use http::Method;
use serde_json::{Value, json};

cases!("ssa":
    apply_creates_and_owns, apply_again_changes_nothing, other_values_conflict, several_conflicts_are_listed,
    force_takes_fields, shared_fields_stay, dropped_fields_disappear, manager_is_needed, force_is_for_apply_only,
    managed_fields_cannot_be_applied, applied_lists_merge_by_key, applied_sets_merge, containers_merge_by_name,
    container_ports_need_no_protocol, duplicate_keys_are_refused, unknown_fields_are_refused, apply_to_status,
    apply_with_resource_version, dry_run_apply_leaves_nothing, yaml_apply, apply_of_another_name_is_refused,
    kubectl_moves_from_client_side, apply_keeps_what_others_added, atomic_lists_are_owned_whole,
);

async fn apply_creates_and_owns(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let answer = cx
        .apply(&path, "one", false, config_map("a", json!({"k": "1"})))
        .await?;
    ensure!(answer.code == 201, "created with {}", answer.code);
    let object = answer.ok()?;
    same(&object, "/metadata/managedFields/0/manager", json!("one"))?;
    same(&object, "/metadata/managedFields/0/operation", json!("Apply"))?;
    same(&object, "/metadata/managedFields/0/apiVersion", json!("v1"))?;
    same(&object, "/metadata/managedFields/0/fieldsType", json!("FieldsV1"))?;
    same(
        &object,
        "/metadata/managedFields/0/fieldsV1",
        json!({"f:data": {"f:k": {}}}),
    )
}

async fn apply_again_changes_nothing(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    cx.apply(&path, "one", false, deployment("a")).await?.ok()?;
    let before = cx.get(&path).await?.ok()?;
    let answer = cx.apply(&path, "one", false, deployment("a")).await?;
    ensure!(answer.code == 200, "applied with {}", answer.code);
    let (before, after) = (owned(&before, "one", "Apply"), owned(&answer.ok()?, "one", "Apply"));
    ensure!(before == after && !before.is_null(), "{before} and {after}");
    let path = format!("{}/a", cx.widgets());
    let first = cx
        .apply(&path, "one", false, widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let second = cx
        .apply(&path, "one", false, widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    ensure!(first == second, "not even the version changes");
    Ok(())
}

async fn other_values_conflict(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.apply(&path, "one", false, widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let answer = cx
        .apply(&path, "two", false, widget("a", json!({"replicas": 2})))
        .await?
        .refused(409, "Conflict")?;
    let status = answer
        .saying(r#"Apply failed with 1 conflict: conflict with "one": .spec.replicas"#)?
        .blaming(&[".spec.replicas"])?
        .body;
    same(&status, "/details/causes/0/reason", json!("FieldManagerConflict"))?;
    same(&status, "/details/causes/0/message", json!(r#"conflict with "one""#))
}

async fn several_conflicts_are_listed(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    cx.apply(&path, "one", false, config_map("a", json!({"x": "1", "y": "1"})))
        .await?
        .ok()?;
    cx.apply(&path, "two", false, config_map("a", json!({"z": "1"})))
        .await?
        .ok()?;
    let answer = cx
        .apply(
            &path,
            "three",
            false,
            config_map("a", json!({"x": "2", "y": "2", "z": "2"})),
        )
        .await?
        .refused(409, "Conflict")?;
    let message = "Apply failed with 3 conflicts: conflicts with \"one\":\n- .data.x\n- .data.y\nconflicts with \"two\":\n- .data.z";
    answer
        .saying(message)?
        .blaming(&[".data.x", ".data.y", ".data.z"])
        .map(drop)
}

async fn force_takes_fields(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    cx.apply(&path, "one", false, config_map("a", json!({"x": "1", "y": "1"})))
        .await?
        .ok()?;
    let object = cx
        .apply(&path, "two", true, config_map("a", json!({"x": "2"})))
        .await?
        .ok()?;
    same(&object, "/data", json!({"x": "2", "y": "1"}))?;
    ensure!(
        owned(&object, "one", "Apply") == json!({"f:data": {"f:y": {}}}),
        "{object}"
    );
    ensure!(
        owned(&object, "two", "Apply") == json!({"f:data": {"f:x": {}}}),
        "{object}"
    );
    Ok(())
}

async fn shared_fields_stay(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    cx.apply(&path, "one", false, config_map("a", json!({"x": "1"})))
        .await?
        .ok()?;
    cx.apply(&path, "two", false, config_map("a", json!({"x": "1", "y": "1"})))
        .await?
        .ok()?;
    let object = cx
        .apply(&path, "two", false, config_map("a", json!({"y": "1"})))
        .await?
        .ok()?;
    same(&object, "/data", json!({"x": "1", "y": "1"}))
}

async fn dropped_fields_disappear(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.apply(
        &path,
        "one",
        false,
        widget("a", json!({"replicas": 1, "labels": {"a": "1", "b": "2"}, "low": 1})),
    )
    .await?
    .ok()?;
    let object = cx
        .apply(&path, "one", false, widget("a", json!({"labels": {"b": "2"}})))
        .await?
        .ok()?;
    same(&object, "/spec", json!({"labels": {"b": "2"}, "size": "small"}))
}

async fn manager_is_needed(cx: Cx) -> Result<()> {
    let answer = cx
        .patch(
            &format!("{}/a", cx.widgets()),
            "application/apply-patch+yaml",
            widget("a", json!({})),
        )
        .await?;
    answer
        .refused(422, "Invalid")?
        .mentioning("fieldManager: Required value: is required for apply patch")
        .map(drop)
}

async fn force_is_for_apply_only(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let answer = cx.merge(&format!("{}/a?force=true", cx.widgets()), json!({})).await?;
    answer
        .refused(422, "Invalid")?
        .mentioning("force: Forbidden: may not be specified for non-apply patch")
        .map(drop)
}

async fn managed_fields_cannot_be_applied(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    body["metadata"]["managedFields"] =
        json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]);
    let answer = cx
        .apply(&format!("{}/a", cx.core("configmaps")), "one", false, body)
        .await?;
    answer
        .refused(400, "BadRequest")?
        .saying("metadata.managedFields must be nil")
        .map(drop)
}

async fn applied_lists_merge_by_key(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.apply(
        &path,
        "one",
        false,
        widget("a", json!({"ports": [{"port": 1, "name": "a"}, {"port": 2}]})),
    )
    .await?
    .ok()?;
    let both = cx
        .apply(
            &path,
            "two",
            false,
            widget("a", json!({"ports": [{"port": 3, "name": "c"}]})),
        )
        .await?
        .ok()?;
    same(
        &both,
        "/spec/ports",
        json!([{"port": 1, "name": "a"}, {"port": 2}, {"port": 3, "name": "c"}]),
    )?;
    let wanted = json!({"f:spec": {"f:ports": {"k:{\"port\":3}": {".": {}, "f:name": {}, "f:port": {}}}}});
    ensure!(
        owned(&both, "two", "Apply") == wanted,
        "{}",
        owned(&both, "two", "Apply")
    );
    let fewer = cx
        .apply(&path, "one", false, widget("a", json!({"ports": [{"port": 2}]})))
        .await?
        .ok()?;
    same(&fewer, "/spec/ports", json!([{"port": 2}, {"port": 3, "name": "c"}]))
}

async fn applied_sets_merge(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.apply(&path, "one", false, widget("a", json!({"tags": ["x", "y"]})))
        .await?
        .ok()?;
    let both = cx
        .apply(&path, "two", false, widget("a", json!({"tags": ["y", "z"]})))
        .await?
        .ok()?;
    same(&both, "/spec/tags", json!(["x", "y", "z"]))?;
    let fewer = cx
        .apply(&path, "one", false, widget("a", json!({"tags": []})))
        .await?
        .ok()?;
    same(&fewer, "/spec/tags", json!(["y", "z"]))
}

async fn containers_merge_by_name(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    cx.apply(&path, "one", false, deployment("a")).await?.ok()?;
    let side = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [
        {"name": "side", "image": "registry.example/side:1"}, {"name": "app", "env": [{"name": "X", "value": "1"}]}]}}}});
    let object = cx.apply(&path, "two", false, side).await?.ok()?;
    let containers = object
        .pointer("/spec/template/spec/containers")
        .cloned()
        .unwrap_or_default();
    let names: Vec<&Value> = containers
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| &c["name"])
        .collect();
    ensure!(names == ["side", "app"], "{names:?}");
    same(&containers, "/1/image", json!("registry.example/app:1"))?;
    same(&containers, "/1/env", json!([{"name": "X", "value": "1"}]))
}

async fn container_ports_need_no_protocol(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("services"));
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports}});
    cx.apply(&path, "one", false, service(json!([{"name": "t", "port": 80}])))
        .await?
        .ok()?;
    let object = cx
        .apply(
            &path,
            "two",
            false,
            service(json!([{"name": "u", "port": 80, "protocol": "UDP"}])),
        )
        .await?
        .ok()?;
    let ports = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let protocols: Vec<&Value> = ports.iter().map(|port| &port["protocol"]).collect();
    ensure!(protocols == ["TCP", "UDP"], "{protocols:?}");
    let mine = owned(&object, "one", "Apply");
    ensure!(
        mine.pointer("/f:spec/f:ports/k:{\"port\":80,\"protocol\":\"TCP\"}")
            .is_some(),
        "{mine}"
    );
    Ok(())
}

async fn duplicate_keys_are_refused(cx: Cx) -> Result<()> {
    let answer = cx
        .apply(
            &format!("{}/a", cx.widgets()),
            "one",
            false,
            widget("a", json!({"ports": [{"port": 1}, {"port": 1}]})),
        )
        .await?;
    ensure!(
        answer.code >= 400 && answer.text.contains(r#"duplicate entries for key [port=1]"#),
        "{} {}",
        answer.code,
        answer.text
    );
    Ok(())
}

async fn unknown_fields_are_refused(cx: Cx) -> Result<()> {
    let answer = cx
        .apply(
            &format!("{}/a", cx.widgets()),
            "one",
            false,
            widget("a", json!({"nope": 1})),
        )
        .await?;
    ensure!(
        answer.code >= 400 && answer.text.contains(".spec.nope: field not declared in schema"),
        "{} {}",
        answer.code,
        answer.text
    );
    Ok(())
}

async fn apply_to_status(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let mut body = widget("a", json!({"replicas": 5}));
    body["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let object = cx
        .apply(&format!("{path}/status"), "controller", true, body)
        .await?
        .ok()?;
    same(
        &object,
        "/status/conditions",
        json!([{"type": "Ready", "status": "True"}]),
    )?;
    same(&object, "/spec/replicas", json!(1))?;
    let body = json!({"apiVersion": "contract.fairway.dev/v1", "kind": "Widget", "metadata": {"name": "a"}, "status": {"replicas": 1}});
    let object = cx
        .apply(&format!("{path}/status"), "controller", true, body)
        .await?
        .ok()?;
    same(&object, "/status", json!({"replicas": 1}))
}

async fn apply_with_resource_version(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let first = cx
        .apply(&path, "one", false, config_map("a", json!({"k": "1"})))
        .await?
        .ok()?;
    cx.apply(&path, "one", false, config_map("a", json!({"k": "2"})))
        .await?
        .ok()?;
    let mut body = config_map("a", json!({"k": "3"}));
    body["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"].clone();
    cx.apply(&path, "one", false, body)
        .await?
        .refused(409, "Conflict")?
        .mentioning("the object has been modified")
        .map(drop)
}

async fn dry_run_apply_leaves_nothing(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    cx.apply(
        &format!("{path}?dryRun=All"),
        "one",
        false,
        config_map("a", json!({"k": "1"})),
    )
    .await?
    .ok()?;
    cx.get(&path).await?.refused(404, "NotFound")?;
    let created = cx
        .apply(&path, "one", false, config_map("a", json!({"k": "1"})))
        .await?
        .ok()?;
    let tried = cx
        .apply(
            &format!("{path}?dryRun=All"),
            "two",
            true,
            config_map("a", json!({"k": "2"})),
        )
        .await?
        .ok()?;
    same(&tried, "/data/k", json!("2"))?;
    let read = cx.get(&path).await?.ok()?;
    ensure!(read == created, "{read}");
    Ok(())
}

async fn yaml_apply(cx: Cx) -> Result<()> {
    let path = format!("{}/a?fieldManager=one", cx.core("configmaps"));
    let body = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: |\n    two\n    lines\n";
    let headers = [("content-type", "application/apply-patch+yaml")];
    let object = cx
        .call(Method::PATCH, &path, &headers, Some(body.to_owned()))
        .await?
        .ok()?;
    same(&object, "/data/k", json!("two\nlines\n"))
}

async fn apply_of_another_name_is_refused(cx: Cx) -> Result<()> {
    let answer = cx
        .apply(
            &format!("{}/a", cx.core("configmaps")),
            "one",
            false,
            config_map("b", json!({})),
        )
        .await?;
    answer.refused(400, "BadRequest").map(drop)
}

async fn kubectl_moves_from_client_side(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let mut body = config_map("a", json!({"k": "1", "other": "1"}));
    body["metadata"]["annotations"] = json!({annotation: config_map("a", json!({"k": "1"})).to_string()});
    cx.post(
        &format!("{}?fieldManager=kubectl-client-side-apply", cx.core("configmaps")),
        body,
    )
    .await?
    .ok()?;
    let object = cx
        .apply(&path, "kubectl", false, config_map("a", json!({"k": "2"})))
        .await?
        .ok()?;
    same(&object, "/data/k", json!("2"))?;
    let last: Value = serde_json::from_str(
        object["metadata"]["annotations"][annotation]
            .as_str()
            .unwrap_or_default(),
    )?;
    same(&last, "/data/k", json!("2"))?;
    let answer = cx
        .apply(&path, "kubectl", false, config_map("a", json!({"other": "2"})))
        .await?;
    answer.refused(409, "Conflict")?.mentioning(".data.other").map(drop)
}

async fn apply_keeps_what_others_added(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.apply(&path, "one", false, widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    cx.merge(
        &format!("{path}?fieldManager=other"),
        json!({"metadata": {"labels": {"l": "1"}}, "spec": {"low": 1}}),
    )
    .await?
    .ok()?;
    let object = cx
        .apply(&path, "one", false, widget("a", json!({"replicas": 2})))
        .await?
        .ok()?;
    same(&object, "/spec", json!({"replicas": 2, "low": 1, "size": "small"}))?;
    same(&object, "/metadata/labels", json!({"l": "1"}))
}

async fn atomic_lists_are_owned_whole(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let object = cx
        .apply(&path, "one", false, widget("a", json!({"steps": [{"do": "x"}]})))
        .await?
        .ok()?;
    ensure!(
        owned(&object, "one", "Apply") == json!({"f:spec": {"f:steps": {}}}),
        "{object}"
    );
    let answer = cx
        .apply(&path, "two", false, widget("a", json!({"steps": [{"do": "y"}]})))
        .await?;
    answer
        .refused(409, "Conflict")?
        .saying(r#"Apply failed with 1 conflict: conflict with "one": .spec.steps"#)
        .map(drop)
}
