//! Schemas of custom kinds at work.

use crate::cx::{Cx, GROUP, cases, same};
use crate::fixtures::{plain, widget};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

cases!("schemas":
    types_are_checked, enums_are_checked, numbers_have_bounds, texts_have_length_and_pattern, lists_have_sizes,
    required_fields_are_missed, formats_are_checked, several_errors_come_together, defaults_are_set, nulls_are_replaced_by_defaults,
    unknown_fields_are_pruned, open_parts_keep_everything, int_or_string_takes_both, duplicate_entries_are_refused, rules_are_checked,
    rules_on_the_object, transition_rules_need_an_old_value, unchanged_errors_are_accepted, errors_keep_rules_from_running,
    kinds_without_rules_say_nothing_of_them,
    strict_requests_refuse_unknown_fields, warnings_name_unknown_fields, embedded_objects_say_what_they_are,
);

/// Checks that a Widget with this spec is refused for this one reason.
async fn refused(cx: &Cx, spec: Value, field: &str, body: &str) -> Result<()> {
    let answer = cx
        .post(&cx.widgets(), widget("bad", spec))
        .await?
        .refused(422, "Invalid")?;
    answer
        .saying(&format!(
            r#"Widget.contract.fairway.dev "bad" is invalid: {field}: {body}"#
        ))
        .map(drop)
}

/// Those that keep rules from running say so.
const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

async fn refused_before_rules(cx: &Cx, spec: Value, field: &str, body: &str) -> Result<()> {
    let answer = cx
        .post(&cx.widgets(), widget("bad", spec))
        .await?
        .refused(422, "Invalid")?;
    answer
        .saying(&format!(r#"Widget.contract.fairway.dev "bad" is invalid: [{field}: {body}, <nil>: Invalid value: null: {UNCHECKED}]"#))
        .map(drop)
}

async fn types_are_checked(cx: Cx) -> Result<()> {
    let text = r#"Invalid value: "string": spec.low in body must be of type integer: "string""#;
    refused_before_rules(&cx, json!({"low": "1"}), "spec.low", text).await?;
    let text = r#"Invalid value: "integer": spec.labels.a in body must be of type string: "integer""#;
    refused_before_rules(&cx, json!({"labels": {"a": 1}}), "spec.labels.a", text).await?;
    let text = r#"Invalid value: "object": spec.steps in body must be of type array: "object""#;
    refused_before_rules(&cx, json!({"steps": {}}), "spec.steps", text).await
}

async fn enums_are_checked(cx: Cx) -> Result<()> {
    refused_before_rules(
        &cx,
        json!({"size": "huge"}),
        "spec.size",
        r#"Unsupported value: "huge": supported values: "small", "large""#,
    )
    .await
}

async fn numbers_have_bounds(cx: Cx) -> Result<()> {
    refused(
        &cx,
        json!({"steps": [{"do": "x", "for": 0}]}),
        "spec.steps[0].for",
        "Invalid value: 0: spec.steps[0].for in body should be greater than or equal to 1",
    )
    .await?;
    refused(
        &cx,
        json!({"replicas": 11}),
        "spec.replicas",
        "Invalid value: 11: spec.replicas in body should be less than or equal to 10",
    )
    .await
}

async fn texts_have_length_and_pattern(cx: Cx) -> Result<()> {
    refused_before_rules(
        &cx,
        json!({"name": "muchtoolong"}),
        "spec.name",
        "Too long: may not be more than 8 bytes",
    )
    .await?;
    refused(
        &cx,
        json!({"name": "ABC"}),
        "spec.name",
        r#"Invalid value: "ABC": spec.name in body should match '^[a-z]*$'"#,
    )
    .await
}

async fn lists_have_sizes(cx: Cx) -> Result<()> {
    let steps = json!({"steps": [{"do": "a"}, {"do": "b"}, {"do": "c"}]});
    refused_before_rules(&cx, steps, "spec.steps", "Too many: 3: must have at most 2 items").await
}

async fn required_fields_are_missed(cx: Cx) -> Result<()> {
    refused_before_rules(
        &cx,
        json!({"steps": [{"do": "a"}, {"for": 2}]}),
        "spec.steps[1].do",
        "Required value",
    )
    .await
}

async fn formats_are_checked(cx: Cx) -> Result<()> {
    let text = r#"Invalid value: "soon": spec.when in body must be of type date-time: "soon""#;
    refused_before_rules(&cx, json!({"when": "soon"}), "spec.when", text).await?;
    cx.post(&cx.widgets(), widget("good", json!({"when": "2026-01-02T03:04:05Z"})))
        .await?
        .ok()
        .map(drop)
}

async fn several_errors_come_together(cx: Cx) -> Result<()> {
    let answer = cx
        .post(
            &cx.widgets(),
            widget("bad", json!({"replicas": 11, "name": "A", "size": "x"})),
        )
        .await?
        .refused(422, "Invalid")?;
    answer
        .blaming(&["spec.replicas", "spec.name", "spec.size", "<nil>"])
        .map(drop)
}

async fn defaults_are_set(cx: Cx) -> Result<()> {
    let object = cx
        .post(&cx.widgets(), widget("a", json!({"steps": [{"do": "x"}]})))
        .await?
        .ok()?;
    same(
        &object,
        "/spec",
        json!({"size": "small", "steps": [{"do": "x", "for": 1}]}),
    )
}

async fn nulls_are_replaced_by_defaults(cx: Cx) -> Result<()> {
    let object = cx
        .post(
            &cx.widgets(),
            widget("a", json!({"size": null, "note": null, "low": null})),
        )
        .await?
        .ok()?;
    same(&object, "/spec", json!({"size": "small", "note": null}))
}

async fn unknown_fields_are_pruned(cx: Cx) -> Result<()> {
    let mut body = widget(
        "a",
        json!({"nope": 1, "steps": [{"do": "x", "nope": 1}], "labels": {"any": "thing"}}),
    );
    body["nope"] = json!({});
    let object = cx.post(&cx.widgets(), body).await?.ok()?;
    same(
        &object,
        "/spec",
        json!({"size": "small", "steps": [{"do": "x", "for": 1}], "labels": {"any": "thing"}}),
    )?;
    ensure!(object.get("nope").is_none(), "{object}");
    Ok(())
}

async fn open_parts_keep_everything(cx: Cx) -> Result<()> {
    let free = json!({"any": {"thing": [1, {"x": null}]}, "n": 1.5});
    let object = cx.post(&cx.widgets(), widget("a", json!({"free": free}))).await?.ok()?;
    same(&object, "/spec/free", free)
}

async fn int_or_string_takes_both(cx: Cx) -> Result<()> {
    for (name, limit) in [("a", json!(5)), ("b", json!("50%"))] {
        let object = cx
            .post(&cx.widgets(), widget(name, json!({"limit": limit})))
            .await?
            .ok()?;
        same(&object, "/spec/limit", limit)?;
    }
    let answer = cx
        .post(&cx.widgets(), widget("c", json!({"limit": true})))
        .await?
        .refused(422, "Invalid")?;
    answer
        .mentioning(
            r#"spec.limit: Invalid value: "boolean": spec.limit in body must be of type integer,string: "boolean""#,
        )
        .map(drop)
}

async fn duplicate_entries_are_refused(cx: Cx) -> Result<()> {
    refused(
        &cx,
        json!({"ports": [{"port": 1}, {"port": 1}]}),
        "spec.ports[1]",
        r#"Duplicate value: {"port":1}"#,
    )
    .await?;
    refused(
        &cx,
        json!({"tags": ["a", "b", "a"]}),
        "spec.tags[2]",
        r#"Duplicate value: "a""#,
    )
    .await
}

async fn rules_are_checked(cx: Cx) -> Result<()> {
    refused(
        &cx,
        json!({"low": 2, "high": 1}),
        "spec",
        r#"Invalid value: "object": low must not be above high"#,
    )
    .await?;
    cx.post(&cx.widgets(), widget("good", json!({"low": 1, "high": 1})))
        .await?
        .ok()
        .map(drop)
}

async fn rules_on_the_object(cx: Cx) -> Result<()> {
    let name = "x".repeat(41);
    let answer = cx
        .post(&cx.widgets(), widget(&name, json!({})))
        .await?
        .refused(422, "Invalid")?;
    answer.saying(&format!(r#"Widget.contract.fairway.dev "{name}" is invalid: <nil>: Invalid value: "object": metadata.name max length is 40"#)).map(drop)
}

async fn transition_rules_need_an_old_value(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.widgets());
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    cx.merge(&path, json!({"spec": {"fixed": "x"}})).await?.ok()?;
    let answer = cx
        .merge(&path, json!({"spec": {"fixed": "y"}}))
        .await?
        .refused(422, "Invalid")?;
    answer.saying(
        r#"Widget.contract.fairway.dev "a" is invalid: spec.fixed: Invalid value: "string": fixed is immutable"#,
    )?;
    cx.merge(&path, json!({"spec": {"fixed": null}})).await?.ok().map(drop)
}

async fn unchanged_errors_are_accepted(cx: Cx) -> Result<()> {
    // The definition gets stricter than an object that exists already.
    let group = format!("{}.fairway.dev", cx.unique);
    let mut definition = crate::fixtures::definition(
        &group,
        "Thing",
        "Namespaced",
        crate::fixtures::version(
            "v1",
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}),
        ),
    );
    let crd = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}");
    super::definitions::install(&cx, &definition).await?;
    let collection = format!("/apis/{group}/v1/namespaces/{}/things", cx.namespace);
    let thing =
        json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": "t"}, "spec": {"a": "long"}});
    cx.post(&collection, thing).await?.ok()?;
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["a"]["maxLength"] =
        json!(2);
    let spec = json!({"spec": definition["spec"]});
    cx.merge(&crd, spec).await?.ok()?;
    // The new schema is in force once a new object is refused.
    let bad =
        json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": "u"}, "spec": {"a": "long"}});
    for _ in 0..200 {
        if cx.post(&format!("{collection}?dryRun=All"), bad.clone()).await?.code == 422 {
            cx.merge(&format!("{collection}/t"), json!({"spec": {"b": "x"}}))
                .await?
                .ok()?;
            cx.merge(&format!("{collection}/t"), json!({"spec": {"a": "longer"}}))
                .await?
                .refused(422, "Invalid")?;
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    anyhow::bail!("the stricter schema never came into force")
}

async fn errors_keep_rules_from_running(cx: Cx) -> Result<()> {
    let answer = cx
        .post(&cx.widgets(), widget("bad", json!({"low": 2, "high": 1, "size": "x"})))
        .await?
        .refused(422, "Invalid")?;
    let answer = answer.mentioning(UNCHECKED)?;
    ensure!(!answer.text.contains("low must not be above high"), "{}", answer.text);
    Ok(())
}

async fn kinds_without_rules_say_nothing_of_them(cx: Cx) -> Result<()> {
    let text = |field: &str, fault: &str| format!(r#"Plain.contract.fairway.dev "{field}" is invalid: {fault}"#);
    let wrong = r#"spec: Invalid value: "string": spec in body must be of type object: "string""#;
    let answer = cx.post(&cx.plains(), plain("bad", json!("text"))).await?;
    answer.refused(422, "Invalid")?.saying(&text("bad", wrong))?;
    let nameless = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Plain", "metadata": {}});
    let answer = cx.post(&cx.plains(), nameless).await?.refused(422, "Invalid")?;
    let missing = "metadata.name: Required value: name or generateName is required";
    answer.saying(&text("", missing)).map(drop)
}

async fn strict_requests_refuse_unknown_fields(cx: Cx) -> Result<()> {
    let path = format!("{}?fieldValidation=Strict", cx.widgets());
    let answer = cx
        .post(
            &path,
            widget("a", json!({"nope": 1, "steps": [{"do": "x", "more": 1}]})),
        )
        .await?
        .refused(400, "BadRequest")?;
    answer.mentioning(r#"strict decoding error: unknown field "spec.nope", unknown field "spec.steps[0].more""#)?;
    let path = format!("{}?fieldValidation=Strict", cx.core("configmaps"));
    let mut body = crate::fixtures::config_map("a", json!({}));
    body["dta"] = json!({});
    let answer = cx.post(&path, body).await?.refused(400, "BadRequest")?;
    answer
        .mentioning(r#"strict decoding error: unknown field "dta""#)
        .map(drop)
}

async fn warnings_name_unknown_fields(cx: Cx) -> Result<()> {
    let answer = cx
        .post(
            &format!("{}?fieldValidation=Warn", cx.widgets()),
            widget("a", json!({"nope": 1})),
        )
        .await?;
    let warnings = answer.warnings();
    ensure!(warnings == [r#"299 - "unknown field \"spec.nope\"""#], "{warnings:?}");
    answer.ok()?;
    let answer = cx
        .post(
            &format!("{}?fieldValidation=Ignore", cx.widgets()),
            widget("b", json!({"nope": 1})),
        )
        .await?;
    ensure!(answer.warnings().is_empty(), "{:?}", answer.warnings());
    let answer = cx
        .post(
            &format!("{}?fieldValidation=Maybe", cx.widgets()),
            widget("c", json!({})),
        )
        .await?;
    answer.refused(422, "Invalid").map(drop)
}

async fn embedded_objects_say_what_they_are(cx: Cx) -> Result<()> {
    let answer = cx
        .post(
            &cx.widgets(),
            widget(
                "a",
                json!({"embedded": {"kind": "ConfigMap", "metadata": {"name": "x"}}}),
            ),
        )
        .await?
        .refused(422, "Invalid")?;
    answer.mentioning("spec.embedded.apiVersion: Required value")?;
    let embedded = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "labels": {"a": "b"}}, "data": {"k": "v"}});
    let object = cx
        .post(&cx.widgets(), widget("b", json!({"embedded": embedded})))
        .await?
        .ok()?;
    same(&object, "/spec/embedded", embedded)
}
