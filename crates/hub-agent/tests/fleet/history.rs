//! A hub whose storage is restored from an older state while the agent runs.

use std::sync::Arc;
use std::time::Duration;

use apiserver::{Action, Matcher};
use kit::ObjectKey;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{CONFIG_MAP, PLACEMENT, SNAPSHOT, WORK, World, is_available};

/// How soon everything is as it must be.
const SOON: Duration = Duration::from_secs(15);

fn holds(work: &Value, value: &str) -> bool {
    let manifests = work.pointer("/spec/workload/manifests").and_then(Value::as_array);
    manifests.is_some_and(|all| all.iter().any(|m| m.pointer("/data/value") == Some(&json!(value))))
}

/// The number of the latest snapshot. The agent may have made some while only a part of what it knows had gone back.
fn latest(snapshots: &[Arc<Value>]) -> Option<Value> {
    let mut labels = snapshots.iter().map(|snapshot| &snapshot["metadata"]["labels"]);
    let latest = labels.find(|labels| labels["kubernetes-fleet.io/is-latest-snapshot"] == "true")?;
    latest.get("kubernetes-fleet.io/resource-index").cloned()
}

#[tokio::test(start_paused = true)]
async fn changes_arrive_after_the_hub_has_gone_back_in_time() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1"]).await;
    world.application("app").await;
    let (placements, works, snapshots) = (world.follow(PLACEMENT), world.follow(WORK), world.follow(SNAPSHOT));
    // The test notices what it follows as late as any agent, unless it follows what changes most.
    let config_maps = world.follow(CONFIG_MAP);
    let (crp, config) = (ObjectKey::cluster("crp"), ObjectKey::namespaced("app", "config"));
    world.place("crp", "app").await;
    placements.until(&crp, "available", is_available).await;
    let backup = world.server.backup();
    world.patch(&CONFIG_MAP, &config, json!({"data": {"value": "2"}})).await;
    works
        .until_all("changed", |all| all.iter().any(|work| holds(work, "2")))
        .await;
    for n in 0..150 {
        world.config_map("default", &format!("other-{n}"), "1").await;
    }
    config_maps.until_all("there", |all| all.len() > 150).await;

    // It is stopped for two seconds, and comes back as it was.
    let down = world.server.faults().add(Matcher::any(), Action::HangUp);
    world.server.faults().drop_watches(Matcher::any());
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.server.restore(&backup);
    world.server.faults().remove(down);
    let back = Instant::now();
    works
        .until_all("as before", |all| all.iter().any(|work| holds(work, "1")))
        .await;
    placements.until(&crp, "available as before", is_available).await;

    world.patch(&CONFIG_MAP, &config, json!({"data": {"value": "3"}})).await;
    works
        .until_all("changed again", |all| all.iter().any(|work| holds(work, "3")))
        .await;
    placements
        .until(&crp, "available with the change", |placement| {
            let index = placement.pointer("/status/observedResourceIndex");
            is_available(placement) && index == latest(&snapshots.all()).as_ref()
        })
        .await;
    assert!(back.elapsed() < SOON, "{:?}", back.elapsed());
    world.stop().await;
}
