//! Names that do not fit, and references that can never match.

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use super::{CONFIG_MAP, Case, Kind, MEMBER, MEMBER_CLUSTER, PLACEMENT, kind, placement, warned};
use crate::follow::{Seen, conditions, gone, until};
use crate::manifests::apply;
use crate::scenarios::WITHIN;
use crate::world::World;

const OVERRIDE: Kind = kind(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ResourceOverride",
    "resourceoverrides",
);
const NAMESPACED_PLACEMENT: Kind = kind(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ResourcePlacement",
    "resourceplacements",
);

/// Placements and members whose names do not fit are refused, or say so in a False condition and a Warning event.
pub(super) async fn too_long(world: &World) -> Result<()> {
    let hub = world.hub_client();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "r-c2"}});
    apply(&hub, &namespace).await?;
    let dotted = "aaaaaaaaaaaaaaaaaaaaaaaaa.b-very-long-name-up-to-63-chars-zzzzz".to_owned();
    for name in [dotted, "z".repeat(64)] {
        reported(&hub, PLACEMENT, &name, &placement(&name, "r-c2", Value::Null)).await?;
    }
    for name in ["dc1.east".to_owned(), "m".repeat(63)] {
        let member = json!({
            "apiVersion": "cluster.kubernetes-fleet.io/v1beta1", "kind": "MemberCluster", "metadata": {"name": name},
            "spec": {"identity": {"kind": "ServiceAccount", "name": "x", "namespace": "fleet-system", "apiGroup": ""}},
        });
        reported(&hub, MEMBER_CLUSTER, &name, &member).await?;
    }
    super::NAMESPACE
        .on(&hub, None)
        .delete("r-c2", &DeleteParams::default())
        .await?;
    Ok(())
}

/// Creates an object that does not fit. It fits all the same if the name is usable: then it is simply served.
async fn reported(hub: &kube::Client, kind: Kind, name: &str, object: &Value) -> Result<()> {
    let Ok(_) = apply(hub, object).await else {
        // Refused when it is created: the earliest point of all.
        return Ok(());
    };
    let api = kind.on(hub, None);
    let look = |object: Option<&DynamicObject>| {
        let all = object.map(|object| conditions(&object.data)).unwrap_or_default();
        match all.iter().find(|(_, status, ..)| status == "False") {
            Some((.., message)) if !message.is_empty() => Seen::Done(message.clone()),
            _ => Seen::Waiting(format!("{all:?}")),
        }
    };
    let message = until(api.clone(), name, WITHIN, look)
        .await
        .with_context(|| format!("no condition of {} {name} says what is wrong", kind.kind))?;
    warned(hub, kind.kind, name, |text| !text.is_empty()).await?;
    ensure!(
        message.ends_with('.') || message.len() > 20,
        "not a sentence: {message}"
    );
    api.delete(name, &DeleteParams::default()).await?;
    gone(api, name, WITHIN).await
}

/// An override names a placement of the cluster scope that does not exist, while a namespaced one of that name does.
pub(super) async fn other_scope(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-e4").await?;
    case.apply(CONFIG_MAP, "c", json!({"data": {"k": "1"}})).await?;
    let rollout =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%", "unavailablePeriodSeconds": 1}});
    case.apply(
        NAMESPACED_PLACEMENT,
        "p",
        json!({"spec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "c"}],
            "policy": {"placementType": "PickFixed", "clusterNames": [MEMBER]},
            "strategy": rollout,
        }}),
    )
    .await?;
    let rule = json!({
        "clusterSelector": {"clusterSelectorTerms": []},
        "jsonPatchOverrides": [{"op": "replace", "path": "/data/k", "value": "x"}],
    });
    case.apply(
        OVERRIDE,
        "o",
        json!({"spec": {
            "placement": {"name": "p"},
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "c"}],
            "policy": {"overrideRules": [rule]},
        }}),
    )
    .await?;
    let text = warned(&world.hub_client(), "ResourceOverride", "o", |text| text.contains("p")).await?;
    ensure!(text.contains("Cluster"), "the event does not name the scope: {text}");
    let placements = case.hub(NAMESPACED_PLACEMENT);
    placements.delete("p", &DeleteParams::default()).await?;
    gone(placements, "p", WITHIN).await?;
    let namespaces = super::NAMESPACE.on(&world.hub_client(), None);
    namespaces.delete("r-e4", &DeleteParams::default()).await?;
    gone(namespaces, "r-e4", WITHIN).await
}
