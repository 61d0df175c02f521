//! Unions, values that are equal in meaning, and fields that are given up.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Case, DEPLOYMENT, Kind, check, kind, stays};
use crate::world::World;

const ENVELOPE: Kind = kind(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ResourceEnvelope",
    "resourceenvelopes",
);
const OVERRIDE: Kind = kind(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ResourceOverride",
    "resourceoverrides",
);

/// A Deployment's strategy becomes Recreate by server-side apply, although the API server has filled in the parameters
/// of a rolling update.
pub(super) async fn union(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-g3").await?;
    let envelope = |strategy: Value| {
        let mut object = deployment("r-g3", "web", json!({"replicas": 1}));
        if !strategy.is_null() {
            object["spec"]["strategy"] = strategy;
        }
        json!({"data": {"d.yaml": object}})
    };
    case.apply(ENVELOPE, "e", envelope(Value::Null)).await?;
    case.place(json!({"type": "ServerSideApply"})).await?;
    case.on_member(DEPLOYMENT, "web", |object| {
        check(object, object.data["spec"]["strategy"]["type"] == "RollingUpdate", ())
    })
    .await?;
    case.apply(ENVELOPE, "e", envelope(json!({"type": "Recreate"}))).await?;
    case.on_member(DEPLOYMENT, "web", |object| {
        check(
            object,
            object.data["spec"]["strategy"] == json!({"type": "Recreate"}),
            (),
        )
    })
    .await?;
    case.has(&[("Applied", "True"), ("Available", "True")]).await?;
    case.end().await
}

/// Quantities, empty lists and encodings that mean the same are no drift under full comparison.
pub(super) async fn equal_values(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-g6").await?;
    let mut object = deployment("r-g6", "q", json!({}));
    let spec = &mut object["spec"]["template"]["spec"];
    spec["tolerations"] = Value::Null;
    spec["containers"][0]["env"] = json!([]);
    spec["containers"][0]["resources"] = json!({
        "requests": {"cpu": "1000m", "memory": "1024Mi"},
        "limits": {"cpu": 1.5, "memory": 1_073_741_824},
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "r-g6"},
        "stringData": {"plain": "x"}, "data": {"wrapped": "aGVsbG8g\nd29ybGQ=\n"},
    });
    case.apply(ENVELOPE, "e", json!({"data": {"d": object, "s": secret}}))
        .await?;
    case.place(json!({"comparisonOption": "FullComparison"})).await?;
    case.on_member(super::SECRET, "s", |object| {
        check(object, object.data["data"]["wrapped"] == "aGVsbG8gd29ybGQ=", ())
    })
    .await?;
    case.has(&[("Applied", "True"), ("Available", "True")]).await?;
    // Passes that compare come with the Deployment's way to being available; what they found is in the status now.
    let drifts = case.status(|status| Ok(drifts(status))).await?;
    let wrong: Vec<&String> = drifts
        .iter()
        .filter(|path| {
            ["/resources", "/env", "/tolerations", "/stringData", "/data"]
                .iter()
                .any(|part| path.contains(part))
        })
        .collect();
    ensure!(wrong.is_empty(), "equal values are drifts: {wrong:?}");
    case.end().await
}

fn drifts(status: &Value) -> Vec<String> {
    let drifted = status
        .pointer("/placementStatuses/0/driftedPlacements")
        .and_then(Value::as_array);
    let observed = drifted
        .into_iter()
        .flatten()
        .filter_map(|one| one["observedDrifts"].as_array());
    observed.flatten().map(|drift| drift.to_string()).collect()
}

/// An override takes the replica count out of the manifest: the live value stays.
pub(super) async fn given_up_replicas(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-g7").await?;
    let spec = deployment("r-g7", "web", json!({"replicas": 7}))["spec"].clone();
    case.apply(DEPLOYMENT, "web", json!({"spec": spec})).await?;
    case.place(Value::Null).await?;
    let seven = |object: &kube::api::DynamicObject| check(object, object.data["spec"]["replicas"] == 7, ());
    case.on_member(DEPLOYMENT, "web", seven).await?;
    case.has(&[("Available", "True")]).await?;
    let rule = json!({
        "clusterSelector": {"clusterSelectorTerms": []},
        "jsonPatchOverrides": [{"op": "remove", "path": "/spec/replicas"}],
    });
    case.apply(
        OVERRIDE,
        "r-g7",
        json!({"spec": {
            "placement": {"name": "r-g7"},
            "resourceSelectors": [{"group": "apps", "version": "v1", "kind": "Deployment", "name": "web"}],
            "policy": {"overrideRules": [rule]},
        }}),
    )
    .await?;
    case.status(|status| {
        let applied = status.pointer("/placementStatuses/0/applicableResourceOverrides");
        match applied.and_then(Value::as_array).is_some_and(|all| !all.is_empty()) {
            true => Ok(()),
            false => Err("the override is not used yet".to_owned()),
        }
    })
    .await?;
    case.has(&[("Overridden", "True"), ("Applied", "True"), ("Available", "True")])
        .await?;
    stays(
        case.member(DEPLOYMENT)?,
        "web",
        std::time::Duration::from_secs(5),
        seven,
    )
    .await?;
    case.end().await
}

fn deployment(namespace: &str, name: &str, mut spec: Value) -> Value {
    spec["selector"] = json!({"matchLabels": {"app": name}});
    spec["template"] = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}]},
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    })
}
