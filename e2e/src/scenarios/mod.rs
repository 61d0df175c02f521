//! What must hold when things go wrong: scenarios that run one after the other on a fleet of two members.
//!
//! Each scenario leaves the fleet as it found it, so that the next one starts clean. They run on both kinds of control
//! plane; where they differ the real one is right.

mod costs;
mod crashes;
mod mistakes;
mod removal;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::follow::{Seen, conditions, gone, until};
use crate::manifests::{apply, known};
use crate::world::World;

/// How long anything may take on a loaded machine; a healthy one needs a fraction of a second.
pub const WITHIN: Duration = Duration::from_secs(60);

/// Runs all scenarios on a fleet whose members `member-1` and `member-2` have joined.
pub async fn play(world: &mut World) -> Result<()> {
    scenario("the requests that a placement costs", costs::placing(world)).await?;
    scenario("a fleet at rest", costs::resting(world)).await?;
    scenario(
        "a hub agent that crashes in the middle of a placement",
        crashes::hub_agent(world),
    )
    .await?;
    scenario(
        "a member agent that crashes between apply and status",
        crashes::member_agent(world),
    )
    .await?;
    scenario("an override with a bad patch", mistakes::bad_override(world)).await?;
    scenario("manifests that break the schema", mistakes::bad_manifests(world)).await?;
    scenario("a selector that may not be selected", mistakes::bad_selector(world)).await?;
    scenario("a placement that is deleted", removal::placement(world)).await?;
    scenario("a member that leaves the fleet and comes back", removal::member(world)).await
}

pub(crate) async fn scenario(name: &str, play: impl Future<Output = Result<()>>) -> Result<()> {
    let begun = Instant::now();
    eprintln!("scenario: {name} ...");
    play.await.with_context(|| format!("scenario: {name}"))?;
    eprintln!(
        "scenario: {name}: as it must be, after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Creates a namespace with one ConfigMap on the hub.
async fn content(world: &World, namespace: &str) -> Result<()> {
    let hub = world.hub_client();
    apply(
        &hub,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
    )
    .await?;
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": "settings"}, "data": {"key": "value"},
    });
    apply(&hub, &config).await.map(|_| ())
}

/// A placement of a namespace on every member.
fn placement(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "placement.kubernetes-fleet.io/v1beta1",
        "kind": "ClusterResourcePlacement",
        "metadata": {"name": name},
        "spec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": namespace}],
            "policy": {"placementType": "PickAll"},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%", "unavailablePeriodSeconds": 1}},
        },
    })
}

fn placements(world: &World) -> Api<DynamicObject> {
    let (kind, plural) = ("ClusterResourcePlacement", "clusterresourceplacements");
    known(
        &world.hub_client(),
        "placement.kubernetes-fleet.io",
        "v1beta1",
        kind,
        plural,
        None,
    )
}

fn config_maps(world: &World, member: &str, namespace: &str) -> Result<Api<DynamicObject>> {
    Ok(known(
        &world.member_client(member)?,
        "",
        "v1",
        "ConfigMap",
        "configmaps",
        Some(namespace),
    ))
}

/// Waits until the placement is Available on so many clusters.
async fn available(world: &World, name: &str, clusters: usize) -> Result<DynamicObject> {
    until(placements(world), name, WITHIN, |object| {
        let Some(object) = object else {
            return Seen::Waiting(format!("the placement {name} does not exist"));
        };
        let generation = json!(object.metadata.generation);
        let fresh = object
            .data
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .is_some_and(|all| {
                all.len() == 6
                    && all
                        .iter()
                        .all(|c| c["status"] == "True" && c["observedGeneration"] == generation)
            });
        let placed = object
            .data
            .pointer("/status/placementStatuses")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        match fresh && placed == clusters {
            true => Seen::Done(object.clone()),
            false => Seen::Waiting(format!("on {placed} cluster(s): {:?}", conditions(&object.data))),
        }
    })
    .await
    .with_context(|| format!("the placement {name} does not become Available on {clusters} cluster(s)"))
}

/// Deletes the placement and its namespace and waits until hub and members are clean.
async fn clean(world: &World, name: &str, namespace: &str) -> Result<()> {
    let hub = world.hub_client();
    let all = placements(world);
    if all.get_opt(name).await?.is_some() {
        all.delete(name, &DeleteParams::default()).await?;
    }
    gone(all, name, WITHIN).await?;
    for member in world.member_names() {
        let namespaces = known(&world.member_client(member)?, "", "v1", "Namespace", "namespaces", None);
        gone(namespaces, namespace, WITHIN)
            .await
            .with_context(|| format!("{member} keeps {namespace}"))?;
    }
    let namespaces = known(&hub, "", "v1", "Namespace", "namespaces", None);
    namespaces.delete(namespace, &DeleteParams::default()).await?;
    gone(namespaces, namespace, WITHIN).await
}
