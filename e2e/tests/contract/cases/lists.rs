//! Lists: selectors, pages, versions.

use crate::cx::{Cx, cases, names, same, text};
use crate::fixtures::{config_map, widget};
use anyhow::{Result, ensure};
use serde_json::json;

cases!("lists":
    lists_say_what_they_are, label_selectors_choose, field_selectors_choose, unknown_field_labels_are_refused,
    malformed_selectors_are_refused, pages_cover_everything_once, pages_show_one_moment, bad_continue_tokens_are_refused,
    all_namespaces_are_listed, cached_lists_are_served, versions_grow, future_versions_are_refused, limit_larger_than_list,
);

async fn fill(cx: &Cx, count: usize) -> Result<()> {
    for i in 0..count {
        let mut body = config_map(&format!("c{i:02}"), json!({}));
        body["metadata"]["labels"] =
            json!({"suite": "yes", "n": i.to_string(), "parity": if i % 2 == 0 { "even" } else { "odd" }});
        cx.post(&cx.core("configmaps"), body).await?.ok()?;
    }
    Ok(())
}

async fn lists_say_what_they_are(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let list = cx.get(&cx.widgets()).await?.ok()?;
    same(&list, "/kind", json!("WidgetList"))?;
    same(&list, "/apiVersion", json!("contract.fairway.dev/v1"))?;
    same(&list, "/items/0/kind", json!("Widget"))?;
    ensure!(
        text(&list, "/metadata/resourceVersion")?.parse::<u64>()? > 0,
        "lists have a version"
    );
    fill(&cx, 1).await?;
    let list = cx
        .get(&format!("{}?labelSelector=suite", cx.core("configmaps")))
        .await?
        .ok()?;
    same(&list, "/kind", json!("ConfigMapList"))?;
    ensure!(
        list["items"][0].get("kind").is_none(),
        "items of built-in lists do not repeat their kind"
    );
    Ok(())
}

async fn label_selectors_choose(cx: Cx) -> Result<()> {
    fill(&cx, 4).await?;
    let cases = [
        ("n=1", vec!["c01"]),
        ("n==1", vec!["c01"]),
        ("suite,n!=1", vec!["c00", "c02", "c03"]),
        ("n in (0,3)", vec!["c00", "c03"]),
        ("suite,n notin (0,3)", vec!["c01", "c02"]),
        ("suite=yes,parity=odd", vec!["c01", "c03"]),
        ("suite,!missing", vec!["c00", "c01", "c02", "c03"]),
        ("missing", vec![]),
        ("n>2", vec!["c03"]),
    ];
    for (selector, wanted) in cases {
        let encoded = selector
            .replace(' ', "%20")
            .replace('=', "%3D")
            .replace('!', "%21")
            .replace('>', "%3E");
        let list = cx
            .get(&format!("{}?labelSelector={encoded}", cx.core("configmaps")))
            .await?
            .ok()?;
        ensure!(names(&list) == wanted, "{selector}: {:?}", names(&list));
    }
    Ok(())
}

async fn field_selectors_choose(cx: Cx) -> Result<()> {
    fill(&cx, 3).await?;
    for (selector, wanted) in [
        ("metadata.name=c01", vec!["c01"]),
        ("metadata.name!=c01,metadata.name!=kube-root-ca.crt", vec!["c00", "c02"]),
    ] {
        let list = cx
            .get(&format!(
                "{}?fieldSelector={}",
                cx.core("configmaps"),
                selector.replace('!', "%21")
            ))
            .await?
            .ok()?;
        ensure!(names(&list) == wanted, "{selector}: {:?}", names(&list));
    }
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let list = cx
        .get(&format!(
            "/apis/contract.fairway.dev/v1/widgets?fieldSelector=metadata.namespace={}",
            cx.namespace
        ))
        .await?
        .ok()?;
    ensure!(names(&list) == ["a"], "{list}");
    Ok(())
}

async fn unknown_field_labels_are_refused(cx: Cx) -> Result<()> {
    let answer = cx
        .get(&format!("{}?fieldSelector=data.k=1", cx.core("configmaps")))
        .await?
        .refused(400, "BadRequest")?;
    answer.mentioning(r#""data.k" is not a known field selector: only "metadata.name", "metadata.namespace""#)?;
    let answer = cx
        .get(&format!("{}?fieldSelector=spec.size=small", cx.widgets()))
        .await?
        .refused(400, "BadRequest")?;
    answer.mentioning("field label not supported: spec.size").map(drop)
}

async fn malformed_selectors_are_refused(cx: Cx) -> Result<()> {
    cx.get(&format!("{}?labelSelector=a%3D%3D%3Db", cx.core("configmaps")))
        .await?
        .refused(400, "BadRequest")
        .map(drop)
}

async fn pages_cover_everything_once(cx: Cx) -> Result<()> {
    fill(&cx, 7).await?;
    let path = format!("{}?labelSelector=suite&limit=3", cx.core("configmaps"));
    let first = cx.get(&path).await?.ok()?;
    ensure!(names(&first) == ["c00", "c01", "c02"], "{:?}", names(&first));
    let second = cx
        .get(&format!("{path}&continue={}", text(&first, "/metadata/continue")?))
        .await?
        .ok()?;
    ensure!(names(&second) == ["c03", "c04", "c05"], "{:?}", names(&second));
    let third = cx
        .get(&format!("{path}&continue={}", text(&second, "/metadata/continue")?))
        .await?
        .ok()?;
    ensure!(
        names(&third) == ["c06"] && third["metadata"]["continue"].as_str().unwrap_or_default().is_empty(),
        "{third}"
    );
    for i in 0..5 {
        cx.post(&cx.widgets(), widget(&format!("w{i}"), json!({})))
            .await?
            .ok()?;
    }
    let page = cx.get(&format!("{}?limit=2", cx.widgets())).await?.ok()?;
    same(&page, "/metadata/remainingItemCount", json!(3))
}

async fn pages_show_one_moment(cx: Cx) -> Result<()> {
    for i in 0..4 {
        cx.post(&cx.widgets(), widget(&format!("w{i}"), json!({})))
            .await?
            .ok()?;
    }
    let first = cx.get(&format!("{}?limit=2", cx.widgets())).await?.ok()?;
    cx.delete(&format!("{}/w3", cx.widgets())).await?.ok()?;
    cx.post(&cx.widgets(), widget("w9", json!({}))).await?.ok()?;
    let token = text(&first, "/metadata/continue")?;
    let second = cx
        .get(&format!("{}?limit=10&continue={token}", cx.widgets()))
        .await?
        .ok()?;
    ensure!(names(&second) == ["w2", "w3"], "{:?}", names(&second));
    same(
        &second,
        "/metadata/resourceVersion",
        first["metadata"]["resourceVersion"].clone(),
    )
}

async fn bad_continue_tokens_are_refused(cx: Cx) -> Result<()> {
    let answer = cx.get(&format!("{}?limit=2&continue=nonsense", cx.widgets())).await?;
    answer
        .refused(400, "BadRequest")?
        .mentioning("continue key is not valid")
        .map(drop)
}

async fn all_namespaces_are_listed(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    body["metadata"]["labels"] = json!({"only": cx.unique});
    cx.post(&cx.core("configmaps"), body).await?.ok()?;
    let list = cx
        .get(&format!("/api/v1/configmaps?labelSelector=only%3D{}", cx.unique))
        .await?
        .ok()?;
    ensure!(names(&list) == ["a"], "{list}");
    same(&list, "/items/0/metadata/namespace", json!(cx.namespace))?;
    let answer = cx.post("/api/v1/configmaps", config_map("b", json!({}))).await?;
    ensure!(answer.code == 405, "answered {}", answer.code);
    Ok(())
}

async fn cached_lists_are_served(cx: Cx) -> Result<()> {
    let created = cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let version = text(&created, "/metadata/resourceVersion")?;
    for query in [
        "resourceVersion=0".to_owned(),
        format!("resourceVersion={version}"),
        format!("resourceVersion={version}&resourceVersionMatch=NotOlderThan"),
    ] {
        let list = cx.get(&format!("{}?{query}", cx.widgets())).await?.ok()?;
        same(&list, "/kind", json!("WidgetList"))?;
    }
    let exact = cx
        .get(&format!(
            "{}?resourceVersion={version}&resourceVersionMatch=Exact",
            cx.widgets()
        ))
        .await?
        .ok()?;
    same(&exact, "/metadata/resourceVersion", json!(version))?;
    let object = cx.get(&format!("{}/a?resourceVersion=0", cx.widgets())).await?;
    ensure!(object.code == 200, "answered {}", object.code);
    Ok(())
}

async fn versions_grow(cx: Cx) -> Result<()> {
    let version = |value: &serde_json::Value| -> Result<u64> { Ok(text(value, "/metadata/resourceVersion")?.parse()?) };
    let before = version(&cx.get(&cx.widgets()).await?.ok()?)?;
    let created = version(&cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?)?;
    let patched = version(
        &cx.merge(&format!("{}/a", cx.widgets()), json!({"spec": {"replicas": 1}}))
            .await?
            .ok()?,
    )?;
    let after = version(&cx.get(&cx.widgets()).await?.ok()?)?;
    ensure!(
        before < created && created < patched && patched <= after,
        "{before} {created} {patched} {after}"
    );
    Ok(())
}

async fn future_versions_are_refused(cx: Cx) -> Result<()> {
    let answer = cx
        .get(&format!("{}?resourceVersion=999999999999", cx.widgets()))
        .await?;
    ensure!(
        answer.code == 504 && answer.text.contains("Too large resource version"),
        "{} {}",
        answer.code,
        answer.text
    );
    let answer = cx.get(&format!("{}?resourceVersion=abc", cx.widgets())).await?;
    ensure!((400..500).contains(&answer.code), "{} {}", answer.code, answer.text);
    Ok(())
}

async fn limit_larger_than_list(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let list = cx.get(&format!("{}?limit=500", cx.widgets())).await?.ok()?;
    ensure!(
        list["metadata"]["continue"].as_str().unwrap_or_default().is_empty() && names(&list) == ["a"],
        "{list}"
    );
    Ok(())
}
