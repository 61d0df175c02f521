//! Faults that stop themselves and nothing else.

use anyhow::Result;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::{CONFIG_MAP, Case, Kind, check, kind};
use crate::follow::{conditions, gone};
use crate::scenarios::WITHIN;
use crate::world::World;

const ENVELOPE: Kind = kind(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ResourceEnvelope",
    "resourceenvelopes",
);

/// A placement that only reports differences: one that cannot be computed, because the object is immutable, does not
/// keep it from following the hub again.
pub(super) async fn failed_report(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-g4").await?;
    frozen(&case, "1").await?;
    case.place(Value::Null).await?;
    case.on_member(CONFIG_MAP, "frozen", |object| {
        check(object, object.data["data"]["k"] == "1", ())
    })
    .await?;
    case.place(json!({"type": "ReportDiff"})).await?;
    case.has(&[("DiffReported", "True")]).await?;
    frozen(&case, "2").await?;
    case.has(&[("DiffReported", "False")]).await?;
    frozen(&case, "1").await?;
    case.has(&[("RolloutStarted", "True"), ("DiffReported", "True")])
        .await?;
    case.status(|status| {
        let differences = status
            .pointer("/placementStatuses/0/diffedPlacements")
            .and_then(Value::as_array);
        match differences.is_none_or(Vec::is_empty) {
            true => Ok(()),
            false => Err(format!("differences: {differences:?}")),
        }
    })
    .await?;
    // What only reports differences leaves its objects where they are.
    case.place(Value::Null).await?;
    case.has(&[("Applied", "True")]).await?;
    case.end().await
}

/// Replaces an immutable ConfigMap on the hub.
async fn frozen(case: &Case<'_>, value: &str) -> Result<()> {
    let api = case.hub(CONFIG_MAP);
    if api.get_opt("frozen").await?.is_some() {
        api.delete("frozen", &DeleteParams::default()).await?;
        gone(api, "frozen", WITHIN).await?;
    }
    case.apply(CONFIG_MAP, "frozen", json!({"immutable": true, "data": {"k": value}}))
        .await
}

/// An envelope with a manifest that may not be there is reported; the one beside it is rolled out.
pub(super) async fn bad_envelope(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-f1").await?;
    let good = |value: &str| {
        json!({"data": {"x.yaml": {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "r-f1"}, "data": {"k": value},
        }}})
    };
    case.apply(ENVELOPE, "good", good("1")).await?;
    case.place(Value::Null).await?;
    case.on_member(CONFIG_MAP, "c", |object| {
        check(object, object.data["data"]["k"] == "1", ())
    })
    .await?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}});
    case.apply(ENVELOPE, "bad", json!({"data": {"x.yaml": namespace}}))
        .await?;
    case.status(|status| {
        let on_member = status.pointer("/placementStatuses/0").cloned().unwrap_or_default();
        let all = conditions(&on_member);
        let named = all.iter().any(|(kind, status, reason, message)| {
            kind == "WorkSynchronized" && status == "False" && reason == "SyncWorkFailed" && message.contains("bad")
        });
        match named {
            true => Ok(()),
            false => Err(format!("{all:?}")),
        }
    })
    .await?;
    case.apply(ENVELOPE, "good", good("2")).await?;
    case.on_member(CONFIG_MAP, "c", |object| {
        check(object, object.data["data"]["k"] == "2", ())
    })
    .await?;
    case.end().await
}
