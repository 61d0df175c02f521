//! The demo and the scenarios on both kinds of control plane, with the real agent binaries.
//!
//! `cargo xtask test` builds the agents first and names their folder in `FAIRWAY_AGENTS`.

use std::sync::Arc;

use anyhow::{Result, ensure};
use control_plane::Kind;
use control_plane::progress::Lines;
use e2e::{demo, scenarios};

/// One fleet at a time: two of them on two cores would only measure each other.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Runs the tutorial and then all scenarios, on the same fleet.
async fn demo_and_scenarios(kind: Kind) -> Result<()> {
    let _turn = TURN.lock().await;
    kit::install_crypto();
    let options = demo::Options {
        kind,
        folder: None,
        progress: Arc::new(Lines::new()),
    };
    let (mut world, report) = demo::run(&options).await?;
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
