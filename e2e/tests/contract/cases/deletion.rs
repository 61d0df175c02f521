//! Deletion: finalizers, owners, namespaces.

use crate::cx::{Cx, cases, same, text};
use crate::fixtures::{config_map, widget};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

cases!("deletion":
    deletion_answers_with_a_status, deletion_of_nothing_is_not_found, finalizers_hold_objects, the_last_finalizer_releases_the_object,
    finalizers_cannot_be_added_during_deletion, deleting_objects_can_change, deleting_twice_is_allowed, uid_preconditions_guard,
    version_preconditions_guard, collections_are_deleted_by_label, dependents_go_with_their_owner, dependents_can_be_orphaned,
    foreground_deletion_waits_for_dependents, dependents_of_two_owners_stay, dependents_without_an_owner_are_deleted, owners_may_be_of_the_cluster,
    background_is_the_default_for_custom_kinds, namespaces_are_emptied, terminating_namespaces_refuse_new_objects, namespace_waits_for_finalizers,
    bad_owner_references_are_refused, two_controllers_are_refused, propagation_must_be_known,
);

async fn deletion_answers_with_a_status(cx: Cx) -> Result<()> {
    let object = cx
        .post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    let status = cx.delete(&format!("{}/a", cx.core("configmaps"))).await?.ok()?;
    same(&status, "/kind", json!("Status"))?;
    same(&status, "/status", json!("Success"))?;
    same(
        &status,
        "/details",
        json!({"name": "a", "kind": "configmaps", "uid": object["metadata"]["uid"]}),
    )?;
    cx.get(&format!("{}/a", cx.core("configmaps")))
        .await?
        .refused(404, "NotFound")
        .map(drop)
}

async fn deletion_of_nothing_is_not_found(cx: Cx) -> Result<()> {
    cx.delete(&format!("{}/a", cx.widgets()))
        .await?
        .refused(404, "NotFound")
        .map(drop)
}

fn held(name: &str) -> Value {
    let mut body = widget(name, json!({}));
    body["metadata"]["finalizers"] = json!(["contract.fairway.dev/hold"]);
    body
}

async fn finalizers_hold_objects(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.post(&cx.widgets(), held("a")).await?.ok()?;
    let object = cx.delete(&path).await?.ok()?;
    same(&object, "/kind", json!("Widget"))?;
    let object = cx.get(&path).await?.ok()?;
    ensure!(object["metadata"]["deletionTimestamp"].is_string(), "{object}");
    same(&object, "/metadata/deletionGracePeriodSeconds", json!(0))?;
    same(&object, "/metadata/generation", json!(2))?;
    cx.merge(&path, json!({"metadata": {"finalizers": null}}))
        .await?
        .ok()
        .map(drop)
}

async fn the_last_finalizer_releases_the_object(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let mut body = held("a");
    body["metadata"]["finalizers"] = json!(["contract.fairway.dev/one", "contract.fairway.dev/two"]);
    cx.post(&cx.widgets(), body).await?.ok()?;
    cx.delete(&path).await?.ok()?;
    cx.merge(&path, json!({"metadata": {"finalizers": ["contract.fairway.dev/two"]}}))
        .await?
        .ok()?;
    cx.get(&path).await?.ok()?;
    let last = cx.merge(&path, json!({"metadata": {"finalizers": []}})).await?.ok()?;
    same(&last, "/kind", json!("Widget"))?;
    cx.get(&path).await?.refused(404, "NotFound").map(drop)
}

async fn finalizers_cannot_be_added_during_deletion(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.post(&cx.widgets(), held("a")).await?.ok()?;
    cx.delete(&path).await?.ok()?;
    let more = json!({"metadata": {"finalizers": ["contract.fairway.dev/hold", "contract.fairway.dev/late"]}});
    let answer = cx.merge(&path, more).await?.refused(422, "Invalid")?;
    answer.mentioning("metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"contract.fairway.dev/late\"}")?;
    cx.merge(&path, json!({"metadata": {"finalizers": []}}))
        .await?
        .ok()
        .map(drop)
}

async fn deleting_objects_can_change(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.post(&cx.widgets(), held("a")).await?.ok()?;
    cx.delete(&path).await?.ok()?;
    let object = cx.merge(&path, json!({"spec": {"replicas": 1}})).await?.ok()?;
    same(&object, "/spec/replicas", json!(1))?;
    cx.merge(&format!("{path}/status"), json!({"status": {"replicas": 1}}))
        .await?
        .ok()?;
    cx.merge(&path, json!({"metadata": {"finalizers": null}}))
        .await?
        .ok()
        .map(drop)
}

async fn deleting_twice_is_allowed(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.post(&cx.widgets(), held("a")).await?.ok()?;
    let first = cx.delete(&path).await?.ok()?;
    let second = cx.delete(&path).await?.ok()?;
    same(
        &second,
        "/metadata/deletionTimestamp",
        first["metadata"]["deletionTimestamp"].clone(),
    )?;
    cx.merge(&path, json!({"metadata": {"finalizers": null}}))
        .await?
        .ok()
        .map(drop)
}

async fn uid_preconditions_guard(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let object = cx
        .post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    let wrong = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}});
    cx.delete_with(&path, wrong).await?.refused(409, "Conflict")?.mentioning("Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (11111111-2222-3333-4444-555555555555) does not match the UID in record (")?;
    let right =
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": object["metadata"]["uid"]}});
    cx.delete_with(&path, right).await?.ok().map(drop)
}

async fn version_preconditions_guard(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let object = cx
        .post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    cx.merge(&path, json!({"data": {"k": "1"}})).await?.ok()?;
    let stale = json!({"preconditions": {"resourceVersion": object["metadata"]["resourceVersion"]}});
    let answer = cx.delete_with(&path, stale).await?.refused(409, "Conflict")?;
    answer
        .mentioning("Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (")
        .map(drop)
}

async fn collections_are_deleted_by_label(cx: Cx) -> Result<()> {
    for (name, label) in [("a", "go"), ("b", "go"), ("c", "stay")] {
        let mut body = widget(name, json!({}));
        body["metadata"]["labels"] = json!({"what": label});
        cx.post(&cx.widgets(), body).await?.ok()?;
    }
    cx.delete(&format!("{}?labelSelector=what%3Dgo", cx.widgets()))
        .await?
        .ok()?;
    let list = cx.get(&cx.widgets()).await?.ok()?;
    ensure!(crate::cx::names(&list) == ["c"], "{list}");
    Ok(())
}

/// A ConfigMap that belongs to these objects.
fn dependent(name: &str, owners: &[&Value]) -> Value {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true})
        })
        .collect();
    let mut body = config_map(name, json!({}));
    body["metadata"]["ownerReferences"] = json!(references);
    body
}

async fn dependents_go_with_their_owner(cx: Cx) -> Result<()> {
    let owner = cx
        .post(&cx.core("configmaps"), config_map("owner", json!({})))
        .await?
        .ok()?;
    let child = cx
        .post(&cx.core("configmaps"), dependent("child", &[&owner]))
        .await?
        .ok()?;
    cx.post(&cx.core("configmaps"), dependent("grandchild", &[&child]))
        .await?
        .ok()?;
    cx.delete_with(
        &format!("{}/owner", cx.core("configmaps")),
        json!({"propagationPolicy": "Background"}),
    )
    .await?
    .ok()?;
    cx.get(&format!("{}/owner", cx.core("configmaps")))
        .await?
        .refused(404, "NotFound")?;
    cx.until_gone(&format!("{}/child", cx.core("configmaps"))).await?;
    cx.until_gone(&format!("{}/grandchild", cx.core("configmaps"))).await
}

async fn dependents_can_be_orphaned(cx: Cx) -> Result<()> {
    let path = format!("{}/owner", cx.core("configmaps"));
    let owner = cx
        .post(&cx.core("configmaps"), config_map("owner", json!({})))
        .await?
        .ok()?;
    cx.post(&cx.core("configmaps"), dependent("child", &[&owner]))
        .await?
        .ok()?;
    cx.delete_with(&path, json!({"propagationPolicy": "Orphan"}))
        .await?
        .ok()?;
    cx.until_gone(&path).await?;
    let child = cx.get(&format!("{}/child", cx.core("configmaps"))).await?.ok()?;
    ensure!(child["metadata"].get("ownerReferences").is_none(), "{child}");
    Ok(())
}

async fn foreground_deletion_waits_for_dependents(cx: Cx) -> Result<()> {
    let path = format!("{}/owner", cx.core("configmaps"));
    let owner = cx
        .post(&cx.core("configmaps"), config_map("owner", json!({})))
        .await?
        .ok()?;
    let mut child = dependent("child", &[&owner]);
    child["metadata"]["finalizers"] = json!(["contract.fairway.dev/hold"]);
    cx.post(&cx.core("configmaps"), child).await?.ok()?;
    let deleted = cx
        .delete_with(&path, json!({"propagationPolicy": "Foreground"}))
        .await?
        .ok()?;
    same(&deleted, "/metadata/finalizers", json!(["foregroundDeletion"]))?;
    let child = format!("{}/child", cx.core("configmaps"));
    cx.until(&child, "was deleted", |answer| {
        answer.body["metadata"]["deletionTimestamp"].is_string()
    })
    .await?;
    cx.get(&path).await?.ok()?;
    cx.merge(&child, json!({"metadata": {"finalizers": null}}))
        .await?
        .ok()?;
    cx.until_gone(&path).await
}

async fn dependents_of_two_owners_stay(cx: Cx) -> Result<()> {
    let one = cx
        .post(&cx.core("configmaps"), config_map("one", json!({})))
        .await?
        .ok()?;
    let two = cx
        .post(&cx.core("configmaps"), config_map("two", json!({})))
        .await?
        .ok()?;
    cx.post(&cx.core("configmaps"), dependent("child", &[&one, &two]))
        .await?
        .ok()?;
    let child = format!("{}/child", cx.core("configmaps"));
    cx.delete(&format!("{}/one", cx.core("configmaps"))).await?.ok()?;
    let two_only = |body: &Value| {
        body.pointer("/metadata/ownerReferences")
            .and_then(Value::as_array)
            .is_some_and(|list| list.len() == 1)
    };
    let answer = cx
        .until(&child, "lost the gone owner", |answer| two_only(&answer.body))
        .await?;
    same(&answer.body, "/metadata/ownerReferences/0/name", json!("two"))?;
    cx.delete(&format!("{}/two", cx.core("configmaps"))).await?.ok()?;
    cx.until_gone(&child).await
}

async fn dependents_without_an_owner_are_deleted(cx: Cx) -> Result<()> {
    let mut nobody = config_map("nobody", json!({}));
    nobody["metadata"]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    cx.post(&cx.core("configmaps"), dependent("child", &[&nobody]))
        .await?
        .ok()?;
    cx.until_gone(&format!("{}/child", cx.core("configmaps"))).await
}

async fn owners_may_be_of_the_cluster(cx: Cx) -> Result<()> {
    let gadgets = "/apis/contract.fairway.dev/v1/gadgets";
    let owner = cx
        .post(gadgets, crate::fixtures::gadget(&cx.unique, json!({})))
        .await?
        .ok()?;
    cx.post(&cx.core("configmaps"), dependent("child", &[&owner]))
        .await?
        .ok()?;
    cx.delete_with(
        &format!("{gadgets}/{}", cx.unique),
        json!({"propagationPolicy": "Foreground"}),
    )
    .await?
    .ok()?;
    cx.until_gone(&format!("{}/child", cx.core("configmaps"))).await?;
    cx.until_gone(&format!("{gadgets}/{}", cx.unique)).await
}

async fn background_is_the_default_for_custom_kinds(cx: Cx) -> Result<()> {
    let owner = cx.post(&cx.widgets(), widget("owner", json!({}))).await?.ok()?;
    cx.post(&cx.core("configmaps"), dependent("child", &[&owner]))
        .await?
        .ok()?;
    cx.delete(&format!("{}/owner", cx.widgets())).await?.ok()?;
    cx.get(&format!("{}/owner", cx.widgets()))
        .await?
        .refused(404, "NotFound")?;
    cx.until_gone(&format!("{}/child", cx.core("configmaps"))).await
}

/// A namespace beside the case's own, with a ConfigMap and a Widget in it.
async fn filled_namespace(cx: &Cx) -> Result<Cx> {
    let namespace = format!("{}-b", cx.namespace.chars().take(55).collect::<String>());
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    cx.post("/api/v1/namespaces", body).await?.ok()?;
    let inner = Cx {
        namespace,
        ..cx.clone()
    };
    inner
        .post(&inner.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    Ok(inner)
}

async fn namespaces_are_emptied(cx: Cx) -> Result<()> {
    let inner = filled_namespace(&cx).await?;
    inner.post(&inner.widgets(), widget("a", json!({}))).await?.ok()?;
    let path = format!("/api/v1/namespaces/{}", inner.namespace);
    let object = cx.delete(&path).await?.ok()?;
    same(&object, "/status/phase", json!("Terminating"))?;
    cx.until_gone(&path).await?;
    inner
        .get(&format!("{}/a", inner.core("configmaps")))
        .await?
        .refused(404, "NotFound")?;
    inner
        .get(&format!("{}/a", inner.widgets()))
        .await?
        .refused(404, "NotFound")
        .map(drop)
}

async fn terminating_namespaces_refuse_new_objects(cx: Cx) -> Result<()> {
    let inner = filled_namespace(&cx).await?;
    inner.post(&inner.widgets(), held("a")).await?.ok()?;
    cx.delete(&format!("/api/v1/namespaces/{}", inner.namespace))
        .await?
        .ok()?;
    let answer = inner
        .post(&inner.core("configmaps"), config_map("late", json!({})))
        .await?
        .refused(403, "Forbidden")?;
    let message = format!(
        "configmaps \"late\" is forbidden: unable to create new content in namespace {} because it is being terminated",
        inner.namespace
    );
    let status = answer.saying(&message)?.body;
    same(&status, "/details/causes/0/reason", json!("NamespaceTerminating"))?;
    inner
        .merge(
            &format!("{}/a", inner.widgets()),
            json!({"metadata": {"finalizers": null}}),
        )
        .await?
        .ok()?;
    cx.until_gone(&format!("/api/v1/namespaces/{}", inner.namespace)).await
}

async fn namespace_waits_for_finalizers(cx: Cx) -> Result<()> {
    let inner = filled_namespace(&cx).await?;
    inner.post(&inner.widgets(), held("a")).await?.ok()?;
    let path = format!("/api/v1/namespaces/{}", inner.namespace);
    cx.delete(&path).await?.ok()?;
    inner.until_gone(&format!("{}/a", inner.core("configmaps"))).await?;
    let waiting = |body: &Value| {
        let conditions = body
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        conditions
            .iter()
            .any(|condition| condition["type"] == "NamespaceFinalizersRemaining" && condition["status"] == "True")
    };
    cx.until(&path, "reports what it waits for", |answer| waiting(&answer.body))
        .await?;
    let name = text(
        &inner.get(&format!("{}/a", inner.widgets())).await?.ok()?,
        "/metadata/deletionTimestamp",
    )?;
    ensure!(!name.is_empty(), "it is being deleted");
    inner
        .merge(
            &format!("{}/a", inner.widgets()),
            json!({"metadata": {"finalizers": null}}),
        )
        .await?
        .ok()?;
    cx.until_gone(&path).await
}

async fn bad_owner_references_are_refused(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    body["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "", "uid": ""}]);
    let answer = cx.post(&cx.core("configmaps"), body).await?.refused(422, "Invalid")?;
    answer
        .blaming(&["metadata.ownerReferences.name", "metadata.ownerReferences.uid"])
        .map(drop)
}

async fn two_controllers_are_refused(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    let reference =
        |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "controller": true});
    body["metadata"]["ownerReferences"] = json!([reference("x"), reference("y")]);
    let answer = cx.post(&cx.core("configmaps"), body).await?.refused(422, "Invalid")?;
    answer
        .mentioning("Only one reference can have Controller set to true")
        .map(drop)
}

async fn propagation_must_be_known(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    let answer = cx
        .delete_with(
            &format!("{}/a", cx.core("configmaps")),
            json!({"propagationPolicy": "Sideways"}),
        )
        .await?;
    answer
        .refused(422, "Invalid")?
        .mentioning(r#"propagationPolicy: Unsupported value: "Sideways""#)
        .map(drop)
}
