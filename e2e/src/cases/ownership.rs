//! Fields that we wrote by one way of applying and give up by another.

use anyhow::{Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{CONFIG_MAP, Case, check};
use crate::world::World;

/// An object grows past the size where the last-applied annotation is left out, and shrinks again; keys are removed on
/// the way.
pub(super) async fn size(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-g1").await?;
    let content = |size: usize, keys: &[&str]| {
        let mut data = json!({"pad": "y".repeat(size)});
        keys.iter().for_each(|key| data[*key] = json!("1"));
        json!({ "data": data })
    };
    let steps: [(usize, &[&str]); 3] = [(1000, &["a", "b"]), (300_000, &["a"]), (1000, &["d"])];
    for (position, (size, keys)) in steps.into_iter().enumerate() {
        case.apply(CONFIG_MAP, "big", content(size, keys)).await?;
        if position == 0 {
            case.place(Value::Null).await?;
        }
        case.on_member(CONFIG_MAP, "big", |object| {
            let mut wanted = keys.to_vec();
            wanted.push("pad");
            let length = object
                .data
                .pointer("/data/pad")
                .and_then(Value::as_str)
                .map_or(0, str::len);
            match keys_of(object) == wanted && length == size {
                true => Ok(()),
                false => Err(format!("keys {:?} and {length} bytes", keys_of(object))),
            }
        })
        .await?;
    }
    case.has(&[("Applied", "True")]).await?;
    case.end().await
}

/// A placement changes from client-side to server-side apply; afterwards a key goes and another comes.
pub(super) async fn migration(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-g12").await?;
    case.apply(CONFIG_MAP, "c", json!({"data": {"keep": "1", "gone": "1"}}))
        .await?;
    case.place(Value::Null).await?;
    case.on_member(CONFIG_MAP, "c", |object| {
        check(object, keys_of(object) == ["gone", "keep"], ())
    })
    .await?;
    case.place(json!({"type": "ServerSideApply"})).await?;
    case.on_member(CONFIG_MAP, "c", |object| {
        check(object, managers(object) == ["work-api-agent/Apply"], ())
    })
    .await?;
    case.apply(CONFIG_MAP, "c", json!({"data": {"keep": "1", "new": "1"}}))
        .await?;
    let after = case
        .on_member(CONFIG_MAP, "c", |object| {
            check(object, keys_of(object) == ["keep", "new"], managers(object))
        })
        .await?;
    ensure!(after == ["work-api-agent/Apply"], "field managers: {after:?}");
    case.has(&[("Applied", "True")]).await?;
    case.end().await
}

fn keys_of(object: &DynamicObject) -> Vec<&str> {
    let data = object.data.get("data").and_then(Value::as_object);
    let mut keys: Vec<&str> = data
        .map(|data| data.keys().map(String::as_str).collect())
        .unwrap_or_default();
    keys.sort_unstable();
    keys
}

fn managers(object: &DynamicObject) -> Vec<String> {
    let entries = object.metadata.managed_fields.as_deref().unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    entries
        .iter()
        .map(|entry| format!("{}/{}", text(&entry.manager), text(&entry.operation)))
        .collect()
}
