//! Agents that are killed between two writes.

use anyhow::{Result, ensure};
use kube::api::ListParams;
use serde_json::json;

use super::{WITHIN, available, clean, config_maps, content, placement};
use crate::follow::{Seen, until};
use crate::manifests::{apply, known};
use crate::world::World;

/// The hub agent is killed as soon as the first Work exists, so some of its objects are written and others are not.
pub(super) async fn hub_agent(world: &mut World) -> Result<()> {
    let (name, namespace) = ("crash-hub", "crash-hub-content");
    content(world, namespace).await?;
    let hub = world.hub_client();
    let works = known(
        &hub,
        "placement.kubernetes-fleet.io",
        "v1beta1",
        "Work",
        "works",
        Some("fleet-member-member-1"),
    );
    let seen = tokio::spawn(until(works, "crash-hub-work", WITHIN, |work| match work {
        Some(_) => Seen::Done(()),
        None => Seen::Waiting("no Work was written".to_owned()),
    }));
    apply(&hub, &placement(name, namespace)).await?;
    seen.await??;
    world.crash_hub_agent().await?;
    world.start_hub_agent().await?;
    available(world, name, 2).await?;
    no_duplicates(world, name).await?;
    clean(world, name, namespace).await
}

/// A restart in the middle must not place anything twice.
async fn no_duplicates(world: &World, name: &str) -> Result<()> {
    let labelled = ListParams::default().labels(&format!("kubernetes-fleet.io/parent-CRP={name}"));
    for (kind, plural, expected) in [
        ("ClusterResourceBinding", "clusterresourcebindings", 2),
        ("Work", "works", 2),
        ("ClusterResourceSnapshot", "clusterresourcesnapshots", 1),
        ("ClusterSchedulingPolicySnapshot", "clusterschedulingpolicysnapshots", 1),
    ] {
        let all = known(
            &world.hub_client(),
            "placement.kubernetes-fleet.io",
            "v1beta1",
            kind,
            plural,
            None,
        );
        let found = all.list(&labelled).await?.items.len();
        ensure!(
            found == expected,
            "there are {found} objects of kind {kind} instead of {expected}"
        );
    }
    Ok(())
}

/// The member agent is killed as soon as the object is on the member; its status was not written then.
pub(super) async fn member_agent(world: &mut World) -> Result<()> {
    let (name, namespace) = ("crash-member", "crash-member-content");
    content(world, namespace).await?;
    let placed = tokio::spawn(until(
        config_maps(world, "member-1", namespace)?,
        "settings",
        WITHIN,
        |object| match object {
            Some(_) => Seen::Done(()),
            None => Seen::Waiting("the ConfigMap was not placed".to_owned()),
        },
    ));
    apply(&world.hub_client(), &placement(name, namespace)).await?;
    placed.await??;
    world.crash_member_agent("member-1").await?;
    world.start_member_agent("member-1")?;
    available(world, name, 2).await?;
    let object = config_maps(world, "member-1", namespace)?.get("settings").await?;
    ensure!(
        object.data["data"] == json!({"key": "value"}),
        "the ConfigMap on member-1 is {:?}",
        object.data
    );
    clean(world, name, namespace).await
}
