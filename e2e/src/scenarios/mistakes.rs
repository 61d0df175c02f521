//! Mistakes of users: the object's status or the API server's answer says what is wrong, and other objects are not affected.

use anyhow::{Result, bail, ensure};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::{WITHIN, available, clean, content, placement, placements};
use crate::follow::{Seen, conditions, gone, until};
use crate::manifests::{apply, known};
use crate::world::World;

/// A patch that fails on member-1 only: its condition says why, and member-2 gets the resources.
pub(super) async fn bad_override(world: &mut World) -> Result<()> {
    let (name, namespace) = ("bad-override", "bad-override-content");
    let hub = world.hub_client();
    content(world, namespace).await?;
    let over = json!({
        "apiVersion": "placement.kubernetes-fleet.io/v1alpha1",
        "kind": "ResourceOverride",
        "metadata": {"namespace": namespace, "name": "broken"},
        "spec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "settings"}],
            "policy": {"overrideRules": [{
                "clusterSelector": {"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"cluster-name": "member-1"}}}]},
                "jsonPatchOverrides": [{"op": "replace", "path": "/data/absent/deeper", "value": "x"}],
            }]},
        },
    });
    apply(&hub, &over).await?;
    apply(&hub, &placement(name, namespace)).await?;
    until(placements(world), name, WITHIN, |object| {
        let status = object
            .and_then(|object| object.data.get("status"))
            .cloned()
            .unwrap_or_default();
        let on = |cluster: &str, kind: &str| {
            let entries = status["placementStatuses"].as_array().cloned().unwrap_or_default();
            let entry = entries
                .into_iter()
                .find(|entry| entry["clusterName"] == cluster)
                .unwrap_or_default();
            conditions(&entry).into_iter().find(|(found, ..)| found == kind)
        };
        match (on("member-1", "Overridden"), on("member-2", "Available")) {
            (Some((_, failed, reason, message)), Some((_, fine, ..)))
                if failed == "False"
                    && reason == "OverriddenFailed"
                    && fine == "True"
                    && message.contains("broken-0") =>
            {
                Seen::Done(())
            }
            seen => Seen::Waiting(format!("{seen:?}")),
        }
    })
    .await?;
    let overrides = known(
        &hub,
        "placement.kubernetes-fleet.io",
        "v1beta1",
        "ResourceOverride",
        "resourceoverrides",
        Some(namespace),
    );
    overrides.delete("broken", &DeleteParams::default()).await?;
    gone(overrides, "broken", WITHIN).await?;
    available(world, name, 2).await?;
    clean(world, name, namespace).await
}

/// Each is refused at once, by the API server, with a message that names the field.
pub(super) async fn bad_manifests(world: &World) -> Result<()> {
    let hub = world.hub_client();
    let spoilt = |change: fn(&mut Value)| {
        let mut object = placement("bad-manifest", "anything");
        change(&mut object);
        object
    };
    let cases: [(&str, Value); 5] = [
        (
            "spec.policy.placementType",
            spoilt(|o| o["spec"]["policy"]["placementType"] = json!("PickSome")),
        ),
        (
            "spec.resourceSelectors",
            spoilt(|o| o["spec"]["resourceSelectors"] = json!([])),
        ),
        (
            "numberOfClusters",
            spoilt(|o| o["spec"]["policy"]["placementType"] = json!("PickN")),
        ),
        (
            "spec.strategy.rollingUpdate.maxSurge",
            spoilt(|o| o["spec"]["strategy"]["rollingUpdate"]["maxSurge"] = json!("many")),
        ),
        (
            "spec.revisionHistoryLimit",
            spoilt(|o| o["spec"]["revisionHistoryLimit"] = json!(0)),
        ),
    ];
    for (field, object) in cases {
        match apply(&hub, &object).await {
            Ok(_) => bail!("a placement with a bad {field} is accepted"),
            Err(error) => ensure!(
                format!("{error:#}").contains(field),
                "the refusal does not name {field}: {error:#}"
            ),
        }
    }
    Ok(())
}

/// A reserved namespace cannot be placed; the placement says so in its Scheduled condition.
pub(super) async fn bad_selector(world: &World) -> Result<()> {
    let name = "bad-selector";
    apply(&world.hub_client(), &placement(name, "kube-system")).await?;
    until(placements(world), name, WITHIN, |object| {
        let all = object.map(|object| conditions(&object.data)).unwrap_or_default();
        match all
            .iter()
            .find(|(_, _, reason, _)| reason == "InvalidResourceSelectors")
        {
            Some((kind, status, _, message)) if kind == "ClusterResourcePlacementScheduled" && status == "False" => {
                match message.contains("kube-system") {
                    true => Seen::Done(()),
                    false => Seen::Waiting(format!("the message does not name the namespace: {message}")),
                }
            }
            _ => Seen::Waiting(format!("{all:?}")),
        }
    })
    .await?;
    placements(world).delete(name, &DeleteParams::default()).await?;
    gone(placements(world), name, WITHIN).await
}
