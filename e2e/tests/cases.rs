//! The cases of users on both kinds of control plane, with the real agent binaries.
//!
//! `cargo xtask test` builds the agents first and names their folder in `FAIRWAY_AGENTS`.

use anyhow::Result;
use control_plane::Kind;
use e2e::manifests::apply;
use e2e::world::{Setup, World, member_cluster};
use e2e::{cases, demo};
use serde_json::json;

/// One fleet at a time: two of them on two cores would only measure each other.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn all_cases(kind: Kind) -> Result<()> {
    let _turn = TURN.lock().await;
    kit::install_crypto();
    let mut world = World::start(Setup::new(kind)).await?;
    let played = on_one_member(&mut world).await;
    if played.is_err() {
        // The logs go with the fleet.
        for agent in [world.hub_agent(), world.member_agent("member-1")]
            .into_iter()
            .flatten()
        {
            eprintln!("{}: {}", agent.name, agent.last_lines(40));
        }
    }
    world.stop().await;
    played
}

async fn on_one_member(world: &mut World) -> Result<()> {
    world.add_members(&["member-1"]).await?;
    let member = member_cluster("member-1", json!({"cluster-name": "member-1"}));
    apply(&world.hub_client(), &member).await?;
    demo::joined(world, "member-1").await?;
    cases::play(world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_embedded_control_planes() -> Result<()> {
    all_cases(Kind::Embedded).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_real_control_planes() -> Result<()> {
    all_cases(Kind::Real).await
}
