//! Who owns what beside server-side apply: plain writes, subresources, defaults.

use crate::cx::{Cx, cases, owned, same};
use crate::fixtures::{config_map, deployment, widget};
use anyhow::{Result, ensure};
use serde_json::json;

cases!("managers":
    plain_create_owns_as_update,
    plain_update_takes_fields,
    conflict_names_updaters,
    status_has_its_own_entries,
    scale_has_its_own_entry,
    unowned_replicas_stay_unowned,
    managed_fields_can_be_reset,
    defaults_belong_to_nobody,
);

async fn plain_create_owns_as_update(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({"k": "1"}));
    body["metadata"]["labels"] = json!({"l": "1"});
    let object = cx
        .post(&format!("{}?fieldManager=maker", cx.core("configmaps")), body)
        .await?
        .ok()?;
    let wanted = json!({"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}});
    ensure!(
        owned(&object, "maker", "Update") == wanted,
        "{}",
        owned(&object, "maker", "Update")
    );
    Ok(())
}

async fn plain_update_takes_fields(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let mut object = cx
        .apply(
            &path,
            "one",
            false,
            config_map("a", json!({"x": "1", "y": "1", "z": "1"})),
        )
        .await?
        .ok()?;
    object["data"] = json!({"x": "2", "y": "1"});
    let object = cx.put(&format!("{path}?fieldManager=editor"), &object).await?.ok()?;
    ensure!(
        owned(&object, "one", "Apply") == json!({"f:data": {"f:y": {}}}),
        "{object}"
    );
    ensure!(
        owned(&object, "editor", "Update") == json!({"f:data": {"f:x": {}}}),
        "{object}"
    );
    Ok(())
}

async fn conflict_names_updaters(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    cx.post(
        &format!("{}?fieldManager=maker", cx.core("configmaps")),
        config_map("a", json!({"k": "1"})),
    )
    .await?
    .ok()?;
    let answer = cx
        .apply(&path, "one", false, config_map("a", json!({"k": "2"})))
        .await?
        .refused(409, "Conflict")?;
    answer
        .saying(r#"Apply failed with 1 conflict: conflict with "maker" using v1: .data.k"#)
        .map(drop)
}

async fn status_has_its_own_entries(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.post(
        &format!("{}?fieldManager=user", cx.widgets()),
        widget("a", json!({"replicas": 1})),
    )
    .await?
    .ok()?;
    let patch = json!({"status": {"replicas": 1, "conditions": [{"type": "Ready", "status": "True"}]}});
    let object = cx
        .merge(&format!("{path}/status?fieldManager=controller"), patch)
        .await?
        .ok()?;
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mine = entries
        .iter()
        .find(|entry| entry["manager"] == "controller")
        .cloned()
        .unwrap_or_default();
    same(&mine, "/subresource", json!("status"))?;
    let wanted = json!({"f:status": {".": {}, "f:replicas": {}, "f:conditions": {".": {}, "k:{\"type\":\"Ready\"}": {".": {}, "f:status": {}, "f:type": {}}}}});
    same(&mine, "/fieldsV1", wanted)?;
    ensure!(owned(&object, "user", "Update").get("f:status").is_none(), "{object}");
    Ok(())
}

async fn scale_has_its_own_entry(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    let mut body = deployment("a");
    body["spec"]["replicas"] = json!(1);
    cx.apply(&path, "one", false, body.clone()).await?.ok()?;
    cx.merge(
        &format!("{path}/scale?fieldManager=scaler"),
        json!({"spec": {"replicas": 3}}),
    )
    .await?
    .ok()?;
    let object = cx.get(&path).await?.ok()?;
    same(&object, "/spec/replicas", json!(3))?;
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mine = entries.iter().find(|entry| entry["manager"] == "scaler").cloned();
    let mine = mine.ok_or_else(|| anyhow::anyhow!("nobody scaled: {}", object["metadata"]["managedFields"]))?;
    same(&mine, "/subresource", json!("scale"))?;
    same(&mine, "/fieldsV1", json!({"f:spec": {"f:replicas": {}}}))?;
    body["spec"]["replicas"] = json!(2);
    let answer = cx.apply(&path, "one", false, body).await?.refused(409, "Conflict")?;
    answer.saying(r#"Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas"#).map(drop)
}

/// The server begins to track the replicas of a scale when somebody owns them.
async fn unowned_replicas_stay_unowned(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    cx.apply(&path, "one", false, deployment("a")).await?.ok()?;
    cx.merge(
        &format!("{path}/scale?fieldManager=scaler"),
        json!({"spec": {"replicas": 3}}),
    )
    .await?
    .ok()?;
    let object = cx.get(&path).await?.ok()?;
    ensure!(owned(&object, "scaler", "Update").is_null(), "{object}");
    let mut body = deployment("a");
    body["spec"]["replicas"] = json!(2);
    let object = cx.apply(&path, "one", false, body).await?.ok()?;
    same(&object, "/spec/replicas", json!(2))
}

async fn managed_fields_can_be_reset(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    cx.apply(&path, "one", false, config_map("a", json!({"k": "1"})))
        .await?
        .ok()?;
    let object = cx
        .merge(&path, json!({"metadata": {"managedFields": [{}]}}))
        .await?
        .ok()?;
    ensure!(object["metadata"].get("managedFields").is_none(), "{object}");
    let answer = cx
        .apply(&path, "one", false, config_map("a", json!({"k": "2"})))
        .await?
        .refused(409, "Conflict")?;
    answer
        .saying(r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k"#)
        .map(drop)
}

async fn defaults_belong_to_nobody(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let object = cx
        .apply(&path, "one", false, widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    same(&object, "/spec/size", json!("small"))?;
    ensure!(
        owned(&object, "one", "Apply") == json!({"f:spec": {"f:replicas": {}}}),
        "{object}"
    );
    let object = cx
        .apply(&path, "two", false, widget("a", json!({"size": "large"})))
        .await?
        .ok()?;
    same(&object, "/spec/size", json!("large"))
}
