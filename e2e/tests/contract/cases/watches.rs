//! Watches.

use crate::cx::{Cx, cases, same, text};
use crate::fixtures::{config_map, widget};
use crate::watch::Watch;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

cases!("watches":
    watch_follows_a_list, watch_resumes_where_it_stopped, watch_without_version_begins_with_what_is, watch_by_label_sees_moves,
    watch_by_name, watch_list_ends_with_a_bookmark, bookmarks_carry_versions_only, old_versions_are_gone,
    watch_ends_in_time, watch_of_all_namespaces, deleted_objects_carry_their_last_state, watch_sees_status_and_metadata,
    events_come_in_order, watch_as_metadata_only, watch_of_missing_kind_is_not_found,
);

async fn version(cx: &Cx, collection: &str) -> Result<String> {
    text(&cx.get(collection).await?.ok()?, "/metadata/resourceVersion")
}

async fn watch_follows_a_list(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("before", json!({}))).await?.ok()?;
    let from = version(&cx, &cx.widgets()).await?;
    let mut watch = Watch::open(&cx, &cx.widgets(), &format!("resourceVersion={from}")).await?;
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    cx.merge(&format!("{}/a", cx.widgets()), json!({"spec": {"replicas": 1}}))
        .await?
        .ok()?;
    cx.delete(&format!("{}/a", cx.widgets())).await?.ok()?;
    watch.expect(&["ADDED a", "MODIFIED a", "DELETED a"]).await
}

async fn watch_resumes_where_it_stopped(cx: Cx) -> Result<()> {
    let from = version(&cx, &cx.widgets()).await?;
    let first = cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    cx.post(&cx.widgets(), widget("b", json!({}))).await?.ok()?;
    cx.delete(&format!("{}/a", cx.widgets())).await?.ok()?;
    let mut all = Watch::open(&cx, &cx.widgets(), &format!("resourceVersion={from}")).await?;
    all.expect(&["ADDED a", "ADDED b", "DELETED a"]).await?;
    let mut rest = Watch::open(
        &cx,
        &cx.widgets(),
        &format!("resourceVersion={}", text(&first, "/metadata/resourceVersion")?),
    )
    .await?;
    rest.expect(&["ADDED b", "DELETED a"]).await
}

async fn watch_without_version_begins_with_what_is(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    for query in ["", "resourceVersion=0"] {
        let mut watch = Watch::open(&cx, &cx.widgets(), query).await?;
        watch.expect(&["ADDED a"]).await?;
    }
    Ok(())
}

async fn watch_by_label_sees_moves(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let from = version(&cx, &cx.widgets()).await?;
    let mut watch = Watch::open(
        &cx,
        &cx.widgets(),
        &format!("resourceVersion={from}&labelSelector=in%3Dyes"),
    )
    .await?;
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    cx.merge(&path, json!({"metadata": {"labels": {"in": "yes"}}}))
        .await?
        .ok()?;
    cx.merge(&path, json!({"spec": {"replicas": 1}})).await?.ok()?;
    cx.merge(&path, json!({"metadata": {"labels": {"in": "no"}}}))
        .await?
        .ok()?;
    cx.merge(&path, json!({"spec": {"replicas": 2}})).await?.ok()?;
    cx.merge(&path, json!({"metadata": {"labels": {"in": "yes"}}}))
        .await?
        .ok()?;
    watch.expect(&["ADDED a", "MODIFIED a", "DELETED a", "ADDED a"]).await
}

async fn watch_by_name(cx: Cx) -> Result<()> {
    let from = version(&cx, &cx.core("configmaps")).await?;
    let mut watch = Watch::open(
        &cx,
        &cx.core("configmaps"),
        &format!("resourceVersion={from}&fieldSelector=metadata.name%3Db"),
    )
    .await?;
    for name in ["a", "b", "c"] {
        cx.post(&cx.core("configmaps"), config_map(name, json!({})))
            .await?
            .ok()?;
    }
    cx.delete(&format!("{}/b", cx.core("configmaps"))).await?.ok()?;
    watch.expect(&["ADDED b", "DELETED b"]).await
}

const INITIAL: &str = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

async fn watch_list_ends_with_a_bookmark(cx: Cx) -> Result<()> {
    for name in ["a", "b"] {
        cx.post(&cx.widgets(), widget(name, json!({}))).await?.ok()?;
    }
    let mut watch = Watch::open(&cx, &cx.widgets(), INITIAL).await?;
    watch.expect(&["ADDED a", "ADDED b"]).await?;
    let Some((kind, object)) = watch.next().await? else {
        anyhow::bail!("the watch ended")
    };
    ensure!(kind == "BOOKMARK", "{kind}");
    same(
        &object,
        "/metadata/annotations/k8s.io~1initial-events-end",
        json!("true"),
    )?;
    cx.post(&cx.widgets(), widget("c", json!({}))).await?.ok()?;
    watch.expect(&["ADDED c"]).await
}

async fn bookmarks_carry_versions_only(cx: Cx) -> Result<()> {
    let created = cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let mut watch = Watch::open(&cx, &cx.widgets(), INITIAL).await?;
    watch.expect(&["ADDED a"]).await?;
    let Some((_, bookmark)) = watch.next().await? else {
        anyhow::bail!("the watch ended")
    };
    same(&bookmark, "/kind", json!("Widget"))?;
    same(&bookmark, "/apiVersion", json!("contract.fairway.dev/v1"))?;
    ensure!(bookmark["metadata"].get("name").is_none(), "{bookmark}");
    let at: u64 = text(&bookmark, "/metadata/resourceVersion")?.parse()?;
    ensure!(
        at >= text(&created, "/metadata/resourceVersion")?.parse::<u64>()?,
        "{at}"
    );
    Ok(())
}

async fn old_versions_are_gone(cx: Cx) -> Result<()> {
    let answer = cx
        .get(&format!(
            "{}?watch=true&resourceVersion=1&timeoutSeconds=5",
            cx.widgets()
        ))
        .await?;
    let status = if answer.body["type"] == "ERROR" {
        answer.body["object"].clone()
    } else {
        answer.body.clone()
    };
    same(&status, "/code", json!(410))?;
    same(&status, "/reason", json!("Expired"))?;
    ensure!(
        text(&status, "/message")?.starts_with("too old resource version: 1 ("),
        "{status}"
    );
    Ok(())
}

async fn watch_ends_in_time(cx: Cx) -> Result<()> {
    let from = version(&cx, &cx.widgets()).await?;
    let begun = std::time::Instant::now();
    let mut watch = Watch::open(&cx, &cx.widgets(), &format!("resourceVersion={from}&timeoutSeconds=1")).await?;
    let end = watch.next().await?;
    ensure!(end.is_none(), "{end:?}");
    let seconds = begun.elapsed().as_secs_f64();
    ensure!((0.9..15.0).contains(&seconds), "{seconds}");
    Ok(())
}

async fn watch_of_all_namespaces(cx: Cx) -> Result<()> {
    let all = "/apis/contract.fairway.dev/v1/widgets";
    let from = version(&cx, all).await?;
    let mut watch = Watch::open(
        &cx,
        all,
        &format!("resourceVersion={from}&labelSelector=only%3D{}", cx.unique),
    )
    .await?;
    let mut body = widget("a", json!({}));
    body["metadata"]["labels"] = json!({"only": cx.unique});
    cx.post(&cx.widgets(), body).await?.ok()?;
    watch.expect(&["ADDED a"]).await
}

async fn deleted_objects_carry_their_last_state(cx: Cx) -> Result<()> {
    let created = cx
        .post(&cx.widgets(), widget("a", json!({"replicas": 3})))
        .await?
        .ok()?;
    let from = text(&created, "/metadata/resourceVersion")?;
    let mut watch = Watch::open(&cx, &cx.widgets(), &format!("resourceVersion={from}")).await?;
    cx.delete(&format!("{}/a", cx.widgets())).await?.ok()?;
    let Some((kind, object)) = watch.next().await? else {
        anyhow::bail!("the watch ended")
    };
    ensure!(kind == "DELETED", "{kind}");
    same(&object, "/spec/replicas", json!(3))?;
    ensure!(
        text(&object, "/metadata/resourceVersion")?.parse::<u64>()? > from.parse::<u64>()?,
        "deletion has a version of its own"
    );
    Ok(())
}

async fn watch_sees_status_and_metadata(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let mut body = widget("a", json!({}));
    body["metadata"]["finalizers"] = json!(["contract.fairway.dev/hold"]);
    let created = cx.post(&cx.widgets(), body).await?.ok()?;
    let mut watch = Watch::open(
        &cx,
        &cx.widgets(),
        &format!("resourceVersion={}", text(&created, "/metadata/resourceVersion")?),
    )
    .await?;
    cx.merge(&format!("{path}/status"), json!({"status": {"replicas": 1}}))
        .await?
        .ok()?;
    cx.merge(&path, json!({"metadata": {"annotations": {"a": "b"}}}))
        .await?
        .ok()?;
    cx.merge(&path, json!({"metadata": {"annotations": {"a": "b"}}}))
        .await?
        .ok()?;
    cx.delete(&path).await?.ok()?;
    cx.merge(&path, json!({"metadata": {"finalizers": null}})).await?.ok()?;
    watch
        .expect(&["MODIFIED a", "MODIFIED a", "MODIFIED a", "DELETED a"])
        .await
}

async fn events_come_in_order(cx: Cx) -> Result<()> {
    let from = version(&cx, &cx.widgets()).await?;
    let mut watch = Watch::open(&cx, &cx.widgets(), &format!("resourceVersion={from}")).await?;
    let collection = cx.widgets();
    let posts: Vec<_> = (0..20)
        .map(|i| cx.post(&collection, widget(&format!("w{i}"), json!({}))))
        .collect();
    for answer in futures::future::try_join_all(posts).await? {
        answer.ok()?;
    }
    let mut last = 0;
    for _ in 0..20 {
        let Some((_, object)) = watch.next().await? else {
            anyhow::bail!("the watch ended")
        };
        let at: u64 = text(&object, "/metadata/resourceVersion")?.parse()?;
        ensure!(at > last, "{at} after {last}");
        last = at;
    }
    Ok(())
}

async fn watch_as_metadata_only(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 3})))
        .await?
        .ok()?;
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let answer = cx
        .get_as(&format!("{}?watch=true&timeoutSeconds=1", cx.widgets()), accept)
        .await?;
    let event: Value = serde_json::from_str(answer.text.lines().next().unwrap_or_default())?;
    same(&event, "/type", json!("ADDED"))?;
    same(&event, "/object/kind", json!("PartialObjectMetadata"))?;
    same(&event, "/object/metadata/name", json!("a"))?;
    ensure!(event["object"].get("spec").is_none(), "{event}");
    Ok(())
}

async fn watch_of_missing_kind_is_not_found(cx: Cx) -> Result<()> {
    let answer = cx.get("/apis/contract.fairway.dev/v1/nothings?watch=true").await?;
    ensure!(answer.code == 404, "answered {}", answer.code);
    Ok(())
}
