//! Tables and metadata-only representations.

use crate::cx::{Cx, cases, same};
use crate::fixtures::{config_map, deployment, widget};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

cases!("tables":
    columns_of_definitions_are_printed, kinds_without_columns_print_name_and_age, built_in_kinds_have_columns, one_object_is_a_table_too,
    rows_may_hold_the_object, rows_hold_metadata_by_default, lists_of_metadata_only, one_object_as_metadata_only, unknown_forms_fall_back,
);

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

fn columns(table: &Value) -> Vec<&str> {
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    columns.filter_map(|column| column["name"].as_str()).collect()
}

async fn columns_of_definitions_are_printed(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 2})))
        .await?
        .ok()?;
    let patch =
        json!({"status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]}});
    cx.merge(&format!("{}/a/status", cx.widgets()), patch).await?.ok()?;
    let table = cx.get_as(&cx.widgets(), TABLE).await?.ok()?;
    same(&table, "/kind", json!("Table"))?;
    same(&table, "/apiVersion", json!("meta.k8s.io/v1"))?;
    ensure!(
        columns(&table) == ["Name", "Size", "Replicas", "Ready", "Age"],
        "{:?}",
        columns(&table)
    );
    let cells = table["rows"][0]["cells"].as_array().cloned().unwrap_or_default();
    ensure!(
        cells[..4] == [json!("a"), json!("small"), json!(2), json!("True")],
        "{cells:?}"
    );
    ensure!(cells[4].as_str().is_some_and(|age| age.ends_with('s')), "{cells:?}");
    same(&table, "/columnDefinitions/3/priority", json!(1))?;
    same(&table, "/columnDefinitions/4/type", json!("date"))
}

async fn kinds_without_columns_print_name_and_age(cx: Cx) -> Result<()> {
    cx.post(&cx.plains(), crate::fixtures::plain("a", json!({})))
        .await?
        .ok()?;
    let table = cx.get_as(&cx.plains(), TABLE).await?.ok()?;
    ensure!(columns(&table) == ["Name", "Age"], "{:?}", columns(&table));
    Ok(())
}

async fn built_in_kinds_have_columns(cx: Cx) -> Result<()> {
    cx.post(&cx.core("configmaps"), config_map("a", json!({"x": "1", "y": "2"})))
        .await?
        .ok()?;
    let table = cx.get_as(&format!("{}/a", cx.core("configmaps")), TABLE).await?.ok()?;
    ensure!(columns(&table) == ["Name", "Data", "Age"], "{:?}", columns(&table));
    same(&table, "/rows/0/cells/1", json!(2))?;
    let mut body = deployment("a");
    body["spec"]["paused"] = json!(true);
    cx.post(&cx.apps("deployments"), body).await?.ok()?;
    let table = cx.get_as(&cx.apps("deployments"), TABLE).await?.ok()?;
    ensure!(
        columns(&table)
            == [
                "Name",
                "Ready",
                "Up-to-date",
                "Available",
                "Age",
                "Containers",
                "Images",
                "Selector"
            ],
        "{:?}",
        columns(&table)
    );
    same(&table, "/rows/0/cells/1", json!("0/1"))?;
    let table = cx
        .get_as(&format!("/api/v1/namespaces/{}", cx.namespace), TABLE)
        .await?
        .ok()?;
    ensure!(columns(&table) == ["Name", "Status", "Age"], "{:?}", columns(&table));
    same(&table, "/rows/0/cells/1", json!("Active"))
}

async fn one_object_is_a_table_too(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let table = cx.get_as(&format!("{}/a", cx.widgets()), TABLE).await?.ok()?;
    ensure!(table["rows"].as_array().is_some_and(|rows| rows.len() == 1), "{table}");
    Ok(())
}

async fn rows_may_hold_the_object(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let table = cx
        .get_as(&format!("{}?includeObject=Object", cx.widgets()), TABLE)
        .await?
        .ok()?;
    same(&table, "/rows/0/object/spec/replicas", json!(1))?;
    let table = cx
        .get_as(&format!("{}?includeObject=None", cx.widgets()), TABLE)
        .await?
        .ok()?;
    ensure!(table["rows"][0]["object"].is_null(), "{table}");
    Ok(())
}

async fn rows_hold_metadata_by_default(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let table = cx.get_as(&cx.widgets(), TABLE).await?.ok()?;
    same(&table, "/rows/0/object/kind", json!("PartialObjectMetadata"))?;
    same(&table, "/rows/0/object/metadata/name", json!("a"))?;
    ensure!(table["rows"][0]["object"].get("spec").is_none(), "{table}");
    Ok(())
}

async fn lists_of_metadata_only(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let list = cx.get_as(&cx.widgets(), METADATA_LIST).await?.ok()?;
    same(&list, "/kind", json!("PartialObjectMetadataList"))?;
    same(&list, "/items/0/metadata/name", json!("a"))?;
    ensure!(
        list["items"][0].get("spec").is_none() && list["metadata"]["resourceVersion"].is_string(),
        "{list}"
    );
    Ok(())
}

async fn one_object_as_metadata_only(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({"replicas": 1})))
        .await?
        .ok()?;
    let object = cx.get_as(&format!("{}/a", cx.widgets()), METADATA).await?.ok()?;
    same(&object, "/kind", json!("PartialObjectMetadata"))?;
    same(&object, "/apiVersion", json!("meta.k8s.io/v1"))?;
    ensure!(object.get("spec").is_none(), "{object}");
    Ok(())
}

async fn unknown_forms_fall_back(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let list = cx
        .get_as(
            &cx.widgets(),
            "application/json;as=Poem;v=v1;g=meta.k8s.io,application/json",
        )
        .await?
        .ok()?;
    same(&list, "/kind", json!("WidgetList"))?;
    let answer = cx.get_as(&cx.widgets(), "text/html").await?;
    ensure!(answer.code == 406, "answered {}", answer.code);
    Ok(())
}
