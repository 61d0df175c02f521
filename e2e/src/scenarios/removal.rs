//! What is removed with a placement or a member, and what stays.

use anyhow::{Result, ensure};
use kube::api::DeleteParams;
use serde_json::json;

use super::{WITHIN, available, clean, config_maps, content};
use crate::demo;
use crate::follow::gone;
use crate::manifests::{apply, known};
use crate::world::{World, member_cluster};

/// Everything that was placed goes with the placement, and nothing else does.
pub(super) async fn placement(world: &World) -> Result<()> {
    let (name, namespace) = ("goes", "goes-content");
    content(world, namespace).await?;
    let foreign = format!("{namespace}-foreign");
    let unrelated = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": foreign}});
    apply(&world.member_client("member-1")?, &unrelated).await?;
    apply(&world.hub_client(), &super::placement(name, namespace)).await?;
    available(world, name, 2).await?;
    clean(world, name, namespace).await?;
    let member = world.member_client("member-1")?;
    let namespaces = known(&member, "", "v1", "Namespace", "namespaces", None);
    ensure!(
        namespaces.get_opt(&foreign).await?.is_some(),
        "a namespace that was not placed is gone"
    );
    namespaces.delete(&foreign, &DeleteParams::default()).await?;
    let applied = known(
        &member,
        "placement.kubernetes-fleet.io",
        "v1beta1",
        "AppliedWork",
        "appliedworks",
        None,
    );
    gone(applied, &format!("{name}-work"), WITHIN).await
}

/// A member that leaves keeps what was placed; when it comes back, the placement takes its objects over.
pub(super) async fn member(world: &mut World) -> Result<()> {
    let (name, namespace) = ("stays", "stays-content");
    let hub = world.hub_client();
    content(world, namespace).await?;
    apply(&hub, &super::placement(name, namespace)).await?;
    available(world, name, 2).await?;
    let members = known(
        &hub,
        "cluster.kubernetes-fleet.io",
        "v1beta1",
        "MemberCluster",
        "memberclusters",
        None,
    );
    members.delete("member-2", &DeleteParams::default()).await?;
    gone(members, "member-2", WITHIN).await?;
    available(world, name, 1).await?;
    let kept = config_maps(world, "member-2", namespace)?.get("settings").await?;
    let before = kept.metadata.uid;
    apply(&hub, &member_cluster("member-2", json!({"cluster-name": "member-2"}))).await?;
    demo::joined(world, "member-2").await?;
    available(world, name, 2).await?;
    let after = config_maps(world, "member-2", namespace)?
        .get("settings")
        .await?
        .metadata
        .uid;
    ensure!(
        before == after,
        "the object on member-2 was made anew instead of taken over"
    );
    clean(world, name, namespace).await
}
