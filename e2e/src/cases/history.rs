//! API servers that go back in time.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use super::{CONFIG_MAP, Case, check};
use crate::world::World;

/// Objects that let the hub's resource versions grow between the copy and its return.
const LATER_OBJECTS: usize = 150;

/// How soon a change arrives on a hub that is a minute old.
const SOON: Duration = Duration::from_secs(15);

/// The hub's etcd is restored from an older state while the agents run. A change afterwards arrives within seconds,
/// without a restart of any agent.
pub(super) async fn restored(world: &mut World) -> Result<()> {
    // A hub that is away for longer than the lease would end the agent, and its restart would hide the fault.
    world.crash_hub_agent().await?;
    world.add_hub_flags(&["--leader-lease-duration=300s", "--leader-renew-deadline=280s"]);
    world.start_hub_agent().await?;
    let case = Case::begin(world, "r-j3").await?;
    case.apply(CONFIG_MAP, "c", json!({"data": {"k": "1"}})).await?;
    case.place(Value::Null).await?;
    case.has(&[("Available", "True")]).await?;
    let copy = world.folder().join("etcd-copy");
    let kept = copy.clone();
    world
        .hub_mut()
        .restart_over_data(move |data| copy_folder(data, &kept))
        .await?;
    for number in 0..LATER_OBJECTS {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("later-{number}"), "namespace": "default"},
        });
        crate::manifests::apply(&world.hub_client(), &object).await?;
    }
    world
        .hub_mut()
        .restart_over_data(move |data| {
            std::fs::remove_dir_all(data).context("the newer data cannot be removed")?;
            copy_folder(&copy, data)
        })
        .await?;
    // The agents are given a minute to notice, as a user who repairs a hub would.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let case = Case { world, name: "r-j3" };
    let begun = Instant::now();
    case.apply(CONFIG_MAP, "c", json!({"data": {"k": "2"}})).await?;
    case.on_member(CONFIG_MAP, "c", |object: &DynamicObject| {
        check(object, object.data["data"]["k"] == "2", ())
    })
    .await?;
    ensure!(begun.elapsed() < SOON, "the change took {:?}", begun.elapsed());
    case.has(&[("Available", "True")]).await?;
    case.placements().delete("r-j3", &DeleteParams::default()).await?;
    crate::follow::gone(case.placements(), "r-j3", crate::scenarios::WITHIN).await
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("{} cannot be made", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            copy_folder(&entry, &target)?;
        } else {
            std::fs::copy(&entry, &target).with_context(|| format!("{} cannot be copied", entry.display()))?;
        }
    }
    Ok(())
}
