//! The demos and the scenarios on both kinds of control plane, with the real agent binaries.
//!
//! `cargo xtask test` builds the agents first and names their folder in `FAIRWAY_AGENTS`.

use std::sync::Arc;

use anyhow::{Result, ensure};
use control_plane::Kind;
use control_plane::progress::Lines;
use e2e::manifests::apply;
use e2e::world::{Setup, World, member_cluster};
use e2e::{demo, scenarios};
use futures::future::try_join;
use serde_json::json;

/// One fleet at a time: two of them on two cores would only measure each other.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn options(kind: Kind) -> demo::Options {
    demo::Options {
        kind,
        folder: None,
        progress: Arc::new(Lines::new()),
    }
}

/// Runs the tutorial and then all scenarios, on the same fleet.
async fn demo_and_scenarios(kind: Kind) -> Result<()> {
    let _turn = TURN.lock().await;
    kit::install_crypto();
    let (mut world, report) = demo::run(&options(kind)).await?;
    ensure!(report.ok, "the demo differs from the tutorial: {:#?}", report.wrong);
    scenarios::play(&mut world).await?;
    world.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_embedded_control_planes() -> Result<()> {
    demo_and_scenarios(Kind::Embedded).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_real_control_planes() -> Result<()> {
    demo_and_scenarios(Kind::Real).await
}

/// Runs the migration on a fleet of its own; its client may not see one failed request.
async fn migration(kind: Kind) -> Result<()> {
    let _turn = TURN.lock().await;
    kit::install_crypto();
    let (world, report) = demo::migration::run(&options(kind)).await?;
    eprintln!("{}", report.text());
    ensure!(report.ok, "the migration is not as it should be: {:#?}", report.wrong);
    ensure!(
        report.failed == 0 && report.requests >= 10_000,
        "{} of {} requests failed",
        report.failed,
        report.requests
    );
    world.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn migration_on_embedded_control_planes() -> Result<()> {
    migration(Kind::Embedded).await
}

#[tokio::test(flavor = "multi_thread")]
async fn migration_on_real_control_planes() -> Result<()> {
    migration(Kind::Real).await
}

/// A fleet of its own with one member, up to the member's join. Files that two fleets shared would keep one of them from it.
async fn joined_fleet() -> Result<World> {
    let setup = Setup {
        traffic: true,
        ..Setup::new(Kind::Embedded)
    };
    let mut world = World::start(setup).await?;
    world.add_members(&["member-1"]).await?;
    let member = member_cluster("member-1", json!({}));
    apply(&world.hub_client(), &member).await?;
    demo::joined(&world, "member-1").await?;
    Ok(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_fleets_side_by_side_share_no_files_and_leave_none() -> Result<()> {
    let _turn = TURN.lock().await;
    kit::install_crypto();
    let (mut one, other) = try_join(joined_fleet(), joined_fleet()).await?;
    let folders = [&one, &other].map(|world| world.folder().to_owned());
    ensure!(folders[0] != folders[1], "both are in {folders:?}");
    // A new agent reads its fleet's certificates anew.
    one.crash_member_agent("member-1").await?;
    one.start_member_agent("member-1")?;
    demo::joined(&one, "member-1").await?;
    one.stop().await;
    other.stop().await;
    for folder in folders {
        ensure!(!folder.exists(), "{} is left", folder.display());
    }
    Ok(())
}
