//! The tutorial's steps, each waited for on a watch.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::samples::Samples;
use super::view::View;
use super::{NAMESPACE, PLACEMENT};
use crate::agents::Agent;
use crate::follow::{Seen, conditions, until};
use crate::manifests::known;
use crate::world::{JOIN_WITHIN, World};

/// A placement on a healthy fleet takes a fraction of a second; a loaded machine may take longer.
const PLACED_WITHIN: Duration = Duration::from_secs(60);

/// Creates a member's MemberCluster and waits until its agent has joined.
pub async fn join(world: &World, samples: &Samples, member: &str) -> Result<()> {
    let number = member.trim_start_matches("member-");
    let file = format!("member-cluster-{number}.yaml");
    samples.apply(&world.hub_client(), &file).await?;
    joined(world, member).await
}

/// Waits until a member has joined.
pub async fn joined(world: &World, member: &str) -> Result<()> {
    let members = known(
        &world.hub_client(),
        "cluster.kubernetes-fleet.io",
        "v1beta1",
        "MemberCluster",
        "memberclusters",
        None,
    );
    until(members, member, JOIN_WITHIN, |object| {
        let all = object.map(|object| conditions(&object.data)).unwrap_or_default();
        match all.iter().find(|(kind, ..)| kind == "Joined") {
            Some((_, status, ..)) if status == "True" => Seen::Done(()),
            other => Seen::Waiting(format!("{member} has not joined: {other:?}")),
        }
    })
    .await
    .with_context(|| {
        let lines = |agent: Result<&Agent>| agent.map_or_else(|err| err.to_string(), |agent| agent.last_lines(10));
        format!(
            "the hub agent's log ends with\n{}\nand that of {member} with\n{}\n",
            lines(world.hub_agent()),
            lines(world.member_agent(member))
        )
    })
}

/// Applies everything of the application but its placement.
pub async fn apply_application(world: &World, samples: &Samples) -> Result<()> {
    for file in [
        "namespace.yaml",
        "nginx-service.yaml",
        "envelop-object.yaml",
        "ro-nginx-service.yaml",
    ] {
        samples.apply(&world.hub_client(), file).await?;
    }
    Ok(())
}

/// Creates the placement and waits until it is Available on member-1. Returns the seconds that took.
pub async fn place(world: &World, samples: &Samples) -> Result<f64> {
    let mut view = View::new(PLACEMENT);
    samples.apply(&world.hub_client(), "crp-multi-cluster-app.yaml").await?;
    available(world, &mut view, &["member-1"], "ro-nginx-service-0").await?;
    Ok(view.finish().as_secs_f64())
}

/// Updates the override and lets member-2 join; waits until both clusters are Available. Returns the seconds.
pub async fn spread(world: &World, samples: &Samples) -> Result<f64> {
    let mut view = View::new(PLACEMENT);
    samples.apply(&world.hub_client(), "ro-nginx-service-2.yaml").await?;
    join(world, samples, "member-2").await?;
    available(world, &mut view, &["member-1", "member-2"], "ro-nginx-service-1").await?;
    Ok(view.finish().as_secs_f64())
}

/// The ClusterResourcePlacements of the hub, in the version that the tutorial uses.
pub fn placements(world: &World) -> Api<DynamicObject> {
    let (kind, plural) = ("ClusterResourcePlacement", "clusterresourceplacements");
    known(
        &world.hub_client(),
        "placement.kubernetes-fleet.io",
        "v1",
        kind,
        plural,
        None,
    )
}

async fn available(world: &World, view: &mut View, clusters: &[&str], snapshot: &str) -> Result<()> {
    until(placements(world), PLACEMENT, PLACED_WITHIN, |object| {
        let Some(object) = object else {
            return Seen::Waiting("the placement does not exist".to_owned());
        };
        let status = object.data.get("status").cloned().unwrap_or(Value::Null);
        view.update(&status);
        let generation = object.metadata.generation.unwrap_or_default();
        match missing(&status, generation, clusters, snapshot) {
            None => Seen::Done(()),
            Some(why) => Seen::Waiting(why),
        }
    })
    .await
    .with_context(|| {
        format!(
            "{PLACEMENT} does not become Available; the logs are in {}",
            world.folder().display()
        )
    })
}

/// What is not yet as it should be: every condition True for this generation, on each cluster with the override.
fn missing(status: &Value, generation: i64, clusters: &[&str], snapshot: &str) -> Option<String> {
    let wanted = json!([{"name": snapshot, "namespace": NAMESPACE}]);
    let entries = status
        .get("placementStatuses")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for cluster in clusters {
        let Some(entry) = entries.iter().find(|entry| entry["clusterName"] == *cluster) else {
            return Some(format!("{cluster} is not selected"));
        };
        if entry.get("applicableResourceOverrides") != Some(&wanted) {
            return Some(format!("{cluster} does not have the override {snapshot}"));
        }
        if let Some(why) = not_true(entry, generation) {
            return Some(format!("on {cluster} {why}"));
        }
    }
    not_true(status, generation)
}

fn not_true(holder: &Value, generation: i64) -> Option<String> {
    let list = holder
        .get("conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let stale = list
        .iter()
        .find(|c| c["status"] != "True" || c["observedGeneration"] != json!(generation));
    match stale {
        Some(condition) => Some(format!(
            "{} is {} ({})",
            condition["type"], condition["status"], condition["message"]
        )),
        None if list.len() < 6 => Some(format!("only {} of 6 conditions are there", list.len())),
        None => None,
    }
}
