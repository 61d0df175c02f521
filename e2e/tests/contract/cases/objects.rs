//! Creating, reading and replacing objects.

use crate::cx::{Answer, Cx, cases, same, text};
use crate::fixtures::{config_map, deployment, plain, widget};
use anyhow::{Result, ensure};
use http::Method;
use serde_json::{Value, json};

cases!("objects":
    create_sets_identity, create_twice_is_refused, read_of_nothing_is_not_found, stale_resource_version_conflicts,
    update_without_resource_version, custom_update_needs_resource_version, update_without_change_keeps_version,
    resource_version_on_create_is_refused, generate_name_makes_names, generate_name_retries_never_collide, name_mismatch_is_refused,
    namespace_mismatch_is_refused, bad_names_are_refused, uid_mismatch_conflicts, missing_namespace_is_not_found,
    missing_name_is_refused, wrong_kind_is_refused, malformed_json_is_refused, unknown_media_type_is_refused,
    unknown_kind_is_not_found, wrong_method_is_refused, update_of_nothing_is_not_found, creation_time_cannot_be_changed,
    generation_counts_specs_only, dry_run_create_leaves_nothing, dry_run_update_and_delete_leave_all, dry_run_needs_all,
    yaml_bodies_are_understood, bad_labels_are_refused, annotations_have_a_limit,
);

async fn create_sets_identity(cx: Cx) -> Result<()> {
    let mut body = widget("a", json!({}));
    body["metadata"]["uid"] = json!("mine");
    body["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    body["metadata"]["generation"] = json!(7);
    let answer = cx.post(&cx.widgets(), body).await?;
    ensure!(answer.code == 201, "created with {}", answer.code);
    let object = answer.ok()?;
    same(&object, "/metadata/namespace", json!(cx.namespace))?;
    same(&object, "/metadata/generation", json!(1))?;
    ensure!(text(&object, "/metadata/uid")?.len() == 36, "the server makes the uid");
    ensure!(
        !text(&object, "/metadata/creationTimestamp")?.starts_with("2001"),
        "the server sets the time"
    );
    ensure!(
        text(&object, "/metadata/resourceVersion")?.parse::<u64>()? > 0,
        "versions are numbers"
    );
    let read = cx.get(&format!("{}/a", cx.widgets())).await?.ok()?;
    ensure!(read == object, "what was answered is what is read");
    Ok(())
}

async fn create_twice_is_refused(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    let answer = cx.post(&cx.core("configmaps"), config_map("a", json!({}))).await?;
    let status = answer
        .refused(409, "AlreadyExists")?
        .saying(r#"configmaps "a" already exists"#)?
        .body;
    same(&status, "/status", json!("Failure"))?;
    same(&status, "/details", json!({"name": "a", "kind": "configmaps"}))?;
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let answer = cx.post(&cx.widgets(), widget("a", json!({}))).await?;
    answer
        .refused(409, "AlreadyExists")?
        .saying(r#"widgets.contract.fairway.dev "a" already exists"#)
        .map(drop)
}

async fn read_of_nothing_is_not_found(cx: Cx) -> Result<()> {
    let status = cx
        .get(&format!("{}/x", cx.core("configmaps")))
        .await?
        .refused(404, "NotFound")?
        .saying(r#"configmaps "x" not found"#)?;
    same(&status.body, "/details", json!({"name": "x", "kind": "configmaps"}))?;
    let status = cx.get(&format!("{}/x", cx.widgets())).await?.refused(404, "NotFound")?;
    same(
        &status.body,
        "/details",
        json!({"name": "x", "group": "contract.fairway.dev", "kind": "widgets"}),
    )
}

async fn stale_resource_version_conflicts(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let first = cx
        .post(&cx.core("configmaps"), config_map("a", json!({"k": "1"})))
        .await?
        .ok()?;
    let mut second = first.clone();
    second["data"]["k"] = json!("2");
    cx.put(&path, &second).await?.ok()?;
    let answer = cx.put(&path, &second).await?.refused(409, "Conflict")?;
    answer
        .saying(r#"Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again"#)
        .map(drop)
}

async fn update_without_resource_version(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({"k": "1"})))
        .await?
        .ok()?;
    let object = cx
        .put(
            &format!("{}/a", cx.core("configmaps")),
            &config_map("a", json!({"k": "2"})),
        )
        .await?
        .ok()?;
    same(&object, "/data/k", json!("2"))
}

async fn custom_update_needs_resource_version(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let answer = cx
        .put(&format!("{}/a", cx.widgets()), &widget("a", json!({"replicas": 1})))
        .await?;
    answer
        .refused(422, "Invalid")?
        .mentioning("metadata.resourceVersion: Invalid value: 0: must be specified for an update")?
        .blaming(&["metadata.resourceVersion"])
        .map(drop)
}

async fn update_without_change_keeps_version(cx: Cx) -> Result<()> {
    let created = cx
        .post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let updated = cx.put(&format!("{}/a", cx.widgets()), &created).await?.ok()?;
    same(
        &updated,
        "/metadata/resourceVersion",
        created["metadata"]["resourceVersion"].clone(),
    )
}

async fn resource_version_on_create_is_refused(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    body["metadata"]["resourceVersion"] = json!("1");
    let answer = cx.post(&cx.core("configmaps"), body).await?;
    answer
        .refused(500, "")?
        .saying("resourceVersion should not be set on objects to be created")
        .map(drop)
}

async fn generate_name_makes_names(cx: Cx) -> Result<()> {
    let mut body = config_map("", json!({}));
    body["metadata"] = json!({"generateName": "pre-"});
    let object = cx.post(&cx.core("configmaps"), body).await?.ok()?;
    let name = text(&object, "/metadata/name")?;
    let suffix = name.strip_prefix("pre-").unwrap_or_default();
    ensure!(
        suffix.len() == 5 && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        "{name}"
    );
    same(&object, "/metadata/generateName", json!("pre-"))
}

async fn generate_name_retries_never_collide(cx: Cx) -> Result<()> {
    let collection = cx.core("configmaps");
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "many-"}});
    let posts: Vec<_> = (0..30).map(|_| cx.post(&collection, body.clone())).collect();
    let answers: Vec<Answer> = futures::future::try_join_all(posts).await?;
    let names: std::collections::BTreeSet<String> = answers
        .into_iter()
        .map(|answer| text(&answer.ok()?, "/metadata/name"))
        .collect::<Result<_>>()?;
    ensure!(names.len() == 30, "{} names", names.len());
    Ok(())
}

async fn name_mismatch_is_refused(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    let answer = cx
        .put(&format!("{}/a", cx.core("configmaps")), &config_map("b", json!({})))
        .await?;
    answer
        .refused(400, "BadRequest")?
        .saying("the name of the object (b) does not match the name on the URL (a)")
        .map(drop)
}

async fn namespace_mismatch_is_refused(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    body["metadata"]["namespace"] = json!("other");
    let answer = cx.post(&cx.core("configmaps"), body).await?;
    answer
        .refused(400, "BadRequest")?
        .saying("the namespace of the provided object does not match the namespace sent on the request")
        .map(drop)
}

async fn bad_names_are_refused(cx: Cx) -> Result<()> {
    for (collection, body) in [
        (cx.core("configmaps"), config_map("Bad_Name", json!({}))),
        (cx.widgets(), widget("Bad_Name", json!({}))),
    ] {
        let answer = cx
            .post(&collection, body)
            .await?
            .refused(422, "Invalid")?
            .blaming(&["metadata.name"])?;
        answer.mentioning("metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character")?;
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a.b"}});
    let answer = cx
        .post("/api/v1/namespaces", namespace)
        .await?
        .refused(422, "Invalid")?;
    answer
        .mentioning("metadata.name: Invalid value: \"a.b\": must not contain dots")
        .map(drop)
}

async fn uid_mismatch_conflicts(cx: Cx) -> Result<()> {
    let mut object = cx
        .post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    object["metadata"]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    let answer = cx.put(&format!("{}/a", cx.core("configmaps")), &object).await?;
    answer
        .refused(409, "Conflict")?
        .mentioning(
            "Precondition failed: UID in precondition: 11111111-2222-3333-4444-555555555555, UID in object meta: ",
        )
        .map(drop)
}

async fn missing_namespace_is_not_found(cx: Cx) -> Result<()> {
    let answer = cx
        .post(
            "/api/v1/namespaces/nowhere-to-be/configmaps",
            config_map("a", json!({})),
        )
        .await?;
    answer
        .refused(404, "NotFound")?
        .saying(r#"namespaces "nowhere-to-be" not found"#)?;
    let list = cx.get("/api/v1/namespaces/nowhere-to-be/configmaps").await?.ok()?;
    same(&list, "/items", json!([]))
}

async fn missing_name_is_refused(cx: Cx) -> Result<()> {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}});
    let answer = cx.post(&cx.core("configmaps"), body).await?.refused(422, "Invalid")?;
    answer.mentioning("name or generateName is required").map(drop)
}

async fn wrong_kind_is_refused(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    body["kind"] = json!("Secret");
    let answer = cx
        .post(&cx.core("configmaps"), body)
        .await?
        .refused(400, "BadRequest")?;
    answer
        .mentioning("Secret in version \"v1\" cannot be handled as a ConfigMap")
        .map(drop)
}

async fn malformed_json_is_refused(cx: Cx) -> Result<()> {
    let headers = [("content-type", "application/json")];
    let answer = cx
        .call(
            Method::POST,
            &cx.core("configmaps"),
            &headers,
            Some("{\"kind\":".to_owned()),
        )
        .await?;
    answer.refused(400, "BadRequest").map(drop)
}

async fn unknown_media_type_is_refused(cx: Cx) -> Result<()> {
    let headers = [("content-type", "text/plain")];
    let answer = cx
        .call(Method::POST, &cx.core("configmaps"), &headers, Some("hello".to_owned()))
        .await?;
    answer
        .refused(415, "UnsupportedMediaType")?
        .mentioning("the body of the request was in an unknown format - accepted media types include: application/json")
        .map(drop)
}

async fn unknown_kind_is_not_found(cx: Cx) -> Result<()> {
    for path in [
        "/apis/nowhere.fairway.dev/v1/things".to_owned(),
        cx.core("things"),
        format!("/apis/contract.fairway.dev/v9/namespaces/{}/widgets", cx.namespace),
    ] {
        let answer = cx.get(&path).await?;
        ensure!(
            answer.code == 404
                && (answer.text.starts_with("404 page not found") || answer.body["reason"] == "NotFound"),
            "{path}: {} {}",
            answer.code,
            answer.text
        );
    }
    Ok(())
}

async fn wrong_method_is_refused(cx: Cx) -> Result<()> {
    let answer = cx.put(&cx.core("configmaps"), &config_map("a", json!({}))).await?;
    answer
        .refused(405, "MethodNotAllowed")?
        .saying("the server does not allow this method on the requested resource")
        .map(drop)
}

async fn update_of_nothing_is_not_found(cx: Cx) -> Result<()> {
    let mut body = widget("a", json!({}));
    body["metadata"]["resourceVersion"] = json!("1");
    cx.put(&format!("{}/a", cx.widgets()), &body)
        .await?
        .refused(404, "NotFound")
        .map(drop)
}

async fn creation_time_cannot_be_changed(cx: Cx) -> Result<()> {
    let created = cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let mut changed = created.clone();
    changed["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    changed["metadata"]["generation"] = json!(9);
    changed["metadata"]["labels"] = json!({"a": "b"});
    let updated = cx.put(&format!("{}/a", cx.widgets()), &changed).await?.ok()?;
    same(
        &updated,
        "/metadata/creationTimestamp",
        created["metadata"]["creationTimestamp"].clone(),
    )?;
    same(&updated, "/metadata/generation", json!(1))
}

async fn generation_counts_specs_only(cx: Cx) -> Result<()> {
    let cases: [(String, Value, Value); 3] = [
        (cx.widgets(), widget("a", json!({})), json!({"spec": {"replicas": 2}})),
        (cx.plains(), plain("a", json!({})), json!({"spec": {"x": 2}})),
        (
            cx.apps("deployments"),
            deployment("a"),
            json!({"spec": {"paused": true}}),
        ),
    ];
    for (collection, body, change) in cases {
        let path = format!("{collection}/a");
        cx.post(&collection, body).await?.ok()?;
        let labelled = cx
            .merge(&path, json!({"metadata": {"labels": {"a": "b"}}}))
            .await?
            .ok()?;
        same(&labelled, "/metadata/generation", json!(1))?;
        let changed = cx.merge(&path, change).await?.ok()?;
        same(&changed, "/metadata/generation", json!(2))?;
    }
    // Annotations count for deployments, and only for them.
    for (collection, generation) in [(cx.plains(), 2), (cx.apps("deployments"), 3)] {
        let object = cx
            .merge(
                &format!("{collection}/a"),
                json!({"metadata": {"annotations": {"c": "d"}}}),
            )
            .await?
            .ok()?;
        same(&object, "/metadata/generation", json!(generation))?;
    }
    let map = cx
        .post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    ensure!(
        map["metadata"].get("generation").is_none(),
        "config maps have no generation"
    );
    Ok(())
}

async fn dry_run_create_leaves_nothing(cx: Cx) -> Result<()> {
    let answer = cx
        .post(&format!("{}?dryRun=All", cx.widgets()), widget("a", json!({})))
        .await?;
    ensure!(answer.code == 201, "answered {}", answer.code);
    let object = answer.ok()?;
    same(&object, "/spec/size", json!("small"))?;
    ensure!(
        object["metadata"].get("resourceVersion").is_none() && object["metadata"]["uid"].is_string(),
        "{object}"
    );
    cx.get(&format!("{}/a", cx.widgets())).await?.refused(404, "NotFound")?;
    let bad = cx
        .post(
            &format!("{}?dryRun=All", cx.widgets()),
            widget("a", json!({"size": "huge"})),
        )
        .await?;
    bad.refused(422, "Invalid").map(drop)
}

async fn dry_run_update_and_delete_leave_all(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    let created = cx
        .post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let patched = cx
        .merge(&format!("{path}?dryRun=All"), json!({"spec": {"replicas": 2}}))
        .await?
        .ok()?;
    same(&patched, "/spec/replicas", json!(2))?;
    let mut replaced = created.clone();
    replaced["spec"]["replicas"] = json!(3);
    same(
        &cx.put(&format!("{path}?dryRun=All"), &replaced).await?.ok()?,
        "/spec/replicas",
        json!(3),
    )?;
    cx.delete(&format!("{path}?dryRun=All")).await?.ok()?;
    let read = cx.get(&path).await?.ok()?;
    ensure!(read == created, "nothing has changed");
    Ok(())
}

async fn dry_run_needs_all(cx: Cx) -> Result<()> {
    let answer = cx
        .post(&format!("{}?dryRun=Some", cx.widgets()), widget("a", json!({})))
        .await?;
    answer
        .refused(422, "Invalid")?
        .mentioning(
            r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All""#,
        )
        .map(drop)
}

async fn yaml_bodies_are_understood(cx: Cx) -> Result<()> {
    let headers = [("content-type", "application/yaml")];
    let body = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: \"1\"\n";
    let object = cx
        .call(Method::POST, &cx.core("configmaps"), &headers, Some(body.to_owned()))
        .await?
        .ok()?;
    same(&object, "/data/k", json!("1"))
}

async fn bad_labels_are_refused(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    body["metadata"]["labels"] = json!({"good": "not good", "/bad": "x"});
    let answer = cx.post(&cx.core("configmaps"), body).await?.refused(422, "Invalid")?;
    answer.blaming(&["metadata.labels", "metadata.labels"]).map(drop)
}

async fn annotations_have_a_limit(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({}));
    body["metadata"]["annotations"] = json!({"big": "x".repeat(262_144)});
    let answer = cx.post(&cx.core("configmaps"), body).await?.refused(422, "Invalid")?;
    answer
        .mentioning("metadata.annotations: Too long: may not be more than 262144 bytes")
        .map(drop)
}
