//! API servers that go back in time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{CONFIG_MAP, Case, check};
use crate::manifests::apply;
use crate::world::World;

/// Objects that let the hub's resource versions grow between the backup and its return.
const LATER_OBJECTS: usize = 150;

/// How soon a change arrives on a hub that has just come back.
const SOON: Duration = Duration::from_secs(15);

/// The hub is restored from an older state while the agents run. What was placed meanwhile is taken back, and a change
/// arrives within seconds, without a restart of any agent.
pub(super) async fn restored(world: &mut World) -> Result<()> {
    // A hub that is away for longer than the lease would end the agent, and its restart would hide the fault.
    world.crash_hub_agent().await?;
    world.add_hub_flags(&["--leader-lease-duration=300s", "--leader-renew-deadline=280s"]);
    world.start_hub_agent().await?;
    let case = Case::begin(world, "r-j3").await?;
    case.apply(CONFIG_MAP, "c", json!({"data": {"k": "1"}})).await?;
    case.place(Value::Null).await?;
    case.has(&[("Available", "True")]).await?;
    let backup = world.hub_mut().backup().await?;
    let case = Case { world, name: "r-j3" };
    case.apply(CONFIG_MAP, "c", json!({"data": {"k": "lost"}})).await?;
    holds(&case, "lost").await?;
    for number in 0..LATER_OBJECTS {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("later-{number}"), "namespace": "default"},
        });
        apply(&world.hub_client(), &object).await?;
    }
    world.hub_mut().restore(&backup).await?;
    let begun = Instant::now();
    let case = Case { world, name: "r-j3" };
    holds(&case, "1").await?;
    ensure!(begun.elapsed() < SOON, "going back took {:?}", begun.elapsed());
    let begun = Instant::now();
    case.apply(CONFIG_MAP, "c", json!({"data": {"k": "2"}})).await?;
    holds(&case, "2").await?;
    ensure!(begun.elapsed() < SOON, "the change took {:?}", begun.elapsed());
    case.has(&[("Available", "True")]).await?;
    case.end().await
}

/// Waits until the placed ConfigMap has a value on the member.
async fn holds(case: &Case<'_>, value: &str) -> Result<()> {
    let is = |object: &DynamicObject| check(object, object.data["data"]["k"] == value, ());
    case.on_member(CONFIG_MAP, "c", is).await
}
