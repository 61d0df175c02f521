//! Status and scale.

use crate::cx::{Cx, cases, same};
use crate::fixtures::{deployment, plain, widget};
use anyhow::{Result, ensure};
use serde_json::json;

cases!("subresources":
    status_is_dropped_on_create, status_is_kept_on_update, status_endpoint_changes_status_only, status_does_not_count_as_generation,
    status_needs_the_subresource, status_is_validated, status_conflicts, built_in_status_is_apart, scale_reads_and_writes,
    scale_of_deployment, scale_is_validated, scale_conflicts,
);

async fn status_is_dropped_on_create(cx: Cx) -> Result<()> {
    let mut body = widget("a", json!({}));
    body["status"] = json!({"replicas": 3});
    let object = cx.post(&cx.widgets(), body).await?.ok()?;
    ensure!(object.get("status").is_none(), "{object}");
    Ok(())
}

async fn status_is_kept_on_update(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let mut object = cx
        .merge(&format!("{path}/status"), json!({"status": {"replicas": 3}}))
        .await?
        .ok()?;
    object["status"] = json!({"replicas": 9});
    object["spec"]["replicas"] = json!(1);
    let object = cx.put(&path, &object).await?.ok()?;
    same(&object, "/status/replicas", json!(3))?;
    let object = cx.merge(&path, json!({"status": null})).await?.ok()?;
    same(&object, "/status/replicas", json!(3))
}

async fn status_endpoint_changes_status_only(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let mut object = cx
        .post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    object["status"] = json!({"replicas": 2});
    object["spec"]["replicas"] = json!(9);
    object["metadata"]["labels"] = json!({"a": "b"});
    let object = cx.put(&format!("{path}/status"), &object).await?.ok()?;
    same(&object, "/status/replicas", json!(2))?;
    same(&object, "/spec/replicas", json!(1))?;
    ensure!(object["metadata"].get("labels").is_none(), "{object}");
    let read = cx.get(&format!("{path}/status")).await?.ok()?;
    ensure!(read == object, "{read}");
    Ok(())
}

async fn status_does_not_count_as_generation(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let created = cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let object = cx
        .merge(&format!("{path}/status"), json!({"status": {"replicas": 1}}))
        .await?
        .ok()?;
    same(&object, "/metadata/generation", json!(1))?;
    ensure!(
        object["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"],
        "the version changes"
    );
    Ok(())
}

async fn status_needs_the_subresource(cx: Cx) -> Result<()> {
    let mut body = plain("a", json!({}));
    body["status"] = json!({"x": 1});
    let object = cx.post(&cx.plains(), body).await?.ok()?;
    same(&object, "/status/x", json!(1))?;
    let object = cx
        .merge(&format!("{}/a", cx.plains()), json!({"status": {"x": 2}}))
        .await?
        .ok()?;
    same(&object, "/status/x", json!(2))?;
    same(&object, "/metadata/generation", json!(2))?;
    cx.get(&format!("{}/a/status", cx.plains()))
        .await?
        .refused(404, "NotFound")
        .map(drop)
}

async fn status_is_validated(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let answer = cx
        .merge(
            &format!("{}/a/status", cx.widgets()),
            json!({"status": {"replicas": "many"}}),
        )
        .await?;
    answer
        .refused(422, "Invalid")?
        .mentioning(r#"status.replicas: Invalid value: "string": replicas in body must be of type integer: "string""#)
        .map(drop)
}

async fn status_conflicts(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let mut object = cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    cx.merge(&path, json!({"spec": {"replicas": 1}})).await?.ok()?;
    object["status"] = json!({"replicas": 1});
    cx.put(&format!("{path}/status"), &object)
        .await?
        .refused(409, "Conflict")
        .map(drop)
}

async fn built_in_status_is_apart(cx: Cx) -> Result<()> {
    let node = |status| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": cx.unique, "labels": {"a": "b"}}, "status": status});
    cx.post("/api/v1/nodes", node(json!({}))).await?.ok()?;
    let path = format!("/api/v1/nodes/{}", cx.unique);
    let patch = json!({"status": {"capacity": {"cpu": "4"}}});
    cx.merge(&path, json!({"status": {"capacity": {"cpu": "9"}}}))
        .await?
        .ok()?;
    let object = cx.merge(&format!("{path}/status"), patch).await?.ok()?;
    same(&object, "/status/capacity/cpu", json!("4"))?;
    let object = cx
        .strategic(
            &format!("{path}/status"),
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        )
        .await?
        .ok()?;
    same(&object, "/status/conditions/0/type", json!("Ready"))?;
    cx.delete(&path).await?.ok().map(drop)
}

async fn scale_reads_and_writes(cx: Cx) -> Result<()> {
    let path = format!("{}/a/scale", cx.widgets());
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 2})))
        .await?
        .ok()?;
    cx.merge(
        &format!("{}/a/status", cx.widgets()),
        json!({"status": {"replicas": 1, "selector": "app=a"}}),
    )
    .await?
    .ok()?;
    let mut scale = cx.get(&path).await?.ok()?;
    same(&scale, "/apiVersion", json!("autoscaling/v1"))?;
    same(&scale, "/kind", json!("Scale"))?;
    same(&scale, "/spec/replicas", json!(2))?;
    same(&scale, "/status", json!({"replicas": 1, "selector": "app=a"}))?;
    scale["spec"]["replicas"] = json!(5);
    let scale = cx.put(&path, &scale).await?.ok()?;
    same(&scale, "/spec/replicas", json!(5))?;
    let object = cx.get(&format!("{}/a", cx.widgets())).await?.ok()?;
    same(&object, "/spec/replicas", json!(5))?;
    same(&object, "/metadata/generation", json!(2))
}

async fn scale_of_deployment(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    let mut body = deployment("a");
    body["spec"]["paused"] = json!(true);
    cx.post(&cx.apps("deployments"), body).await?.ok()?;
    let scale = cx.get(&format!("{path}/scale")).await?.ok()?;
    same(&scale, "/spec/replicas", json!(1))?;
    same(&scale, "/status/selector", json!("app=a"))?;
    cx.merge(&format!("{path}/scale"), json!({"spec": {"replicas": 4}}))
        .await?
        .ok()?;
    same(&cx.get(&path).await?.ok()?, "/spec/replicas", json!(4))
}

async fn scale_is_validated(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 2})))
        .await?
        .ok()?;
    cx.merge(&format!("{}/a/scale", cx.widgets()), json!({"spec": {"replicas": -1}}))
        .await?
        .refused(422, "Invalid")?;
    cx.merge(&format!("{}/a/scale", cx.widgets()), json!({"spec": {"replicas": 11}}))
        .await?
        .refused(422, "Invalid")
        .map(drop)
}

async fn scale_conflicts(cx: Cx) -> Result<()> {
    let path = format!("{}/a/scale", cx.widgets());
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 2})))
        .await?
        .ok()?;
    let mut scale = cx.get(&path).await?.ok()?;
    cx.merge(&format!("{}/a", cx.widgets()), json!({"spec": {"low": 1}}))
        .await?
        .ok()?;
    scale["spec"]["replicas"] = json!(3);
    cx.put(&path, &scale).await?.refused(409, "Conflict").map(drop)
}
