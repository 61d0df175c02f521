//! Objects that move between the Works of one placement.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{CONFIG_MAP, Case, DEPLOYMENT, POD, SERVICE, check};
use crate::world::World;

/// Somebody enlarges a ConfigMap, so that the snapshot is split at another place: what moves to another Work keeps its
/// identity on the member.
pub(super) async fn split(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-b3x").await?;
    let padded = |size: usize| json!({"data": {"v": "y".repeat(size)}});
    case.apply(CONFIG_MAP, "pad1", padded(400_000)).await?;
    case.apply(CONFIG_MAP, "pad2", padded(100_000)).await?;
    case.apply(DEPLOYMENT, "web", deployment()).await?;
    let ports = json!({"spec": {"selector": {"app": "web"}, "ports": [{"name": "80", "port": 80, "protocol": "TCP"}]}});
    case.apply(SERVICE, "web", ports).await?;
    case.place(Value::Null).await?;
    case.has(&[("Available", "True")]).await?;
    let before = identities(&case).await?;
    ensure!(
        before.len() == 4,
        "two objects, the ConfigMap and a Pod are there: {before:?}"
    );
    let index = case
        .status(|status| Ok(status["observedResourceIndex"].clone()))
        .await?;
    case.apply(CONFIG_MAP, "pad2", padded(600_000)).await?;
    case.on_member(CONFIG_MAP, "pad2", |object| {
        let length = object
            .data
            .pointer("/data/v")
            .and_then(Value::as_str)
            .map_or(0, str::len);
        check(object, length == 600_000, ()).map_err(|_| format!("its length is {length}"))
    })
    .await?;
    case.status(|status| match status["observedResourceIndex"] != index {
        true => Ok(()),
        false => Err(format!("the resources are those of index {index}")),
    })
    .await?;
    case.has(&[("Applied", "True"), ("Available", "True")]).await?;
    let after = identities(&case).await?;
    ensure!(before == after, "objects were made anew: {before:?} became {after:?}");
    case.end().await
}

fn deployment() -> Value {
    json!({"spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}]},
        },
    }})
}

/// The uid of each object, by kind and name; of the Pods too.
async fn identities(case: &Case<'_>) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (kind, name) in [(CONFIG_MAP, "pad2"), (SERVICE, "web"), (DEPLOYMENT, "web")] {
        let object = case.member(kind)?.get(name).await?;
        found.insert(format!("{} {name}", kind.kind), object.metadata.uid.unwrap_or_default());
    }
    for pod in case.member(POD)?.list(&ListParams::default()).await? {
        let name = pod.metadata.name.unwrap_or_default();
        found.insert(format!("Pod {name}"), pod.metadata.uid.unwrap_or_default());
    }
    Ok(found)
}
