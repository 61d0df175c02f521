//! The tutorial's application on a fleet of its own: what `cargo xtask demo` shows.

mod checks;
mod show;
mod steps;
mod view;

pub use steps::joined;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use control_plane::Kind;
use control_plane::progress::SharedProgress;
use serde::Serialize;
use serde_json::Value;

use crate::agents::Usage;
use crate::world::{Setup, World};

/// Name of the placement in the tutorial's final status.
pub const PLACEMENT: &str = "crp-multi-cluster-app";
/// The application's namespace.
pub const NAMESPACE: &str = "multi-cluster-app";

/// What a run of the demo is asked to do.
#[derive(Clone)]
pub struct Options {
    /// Kind of the control planes.
    pub kind: Kind,
    /// Folder for kubeconfigs and logs; a temporary one when absent.
    pub folder: Option<PathBuf>,
    /// Receives every step.
    pub progress: SharedProgress,
}

/// What a run of the demo found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// `real` or `embedded`.
    pub control_plane: String,
    /// Every condition of the tutorial's status was seen True.
    pub ok: bool,
    /// What was not as the tutorial shows it, first things first.
    pub wrong: Vec<String>,
    /// Durations in seconds.
    pub timings: Timings,
    /// The placement as it was in the end.
    pub placement: Value,
    /// The exports that the hub knows.
    pub exports: Vec<Value>,
    /// Per member: the Service and the Deployment.
    pub members: std::collections::BTreeMap<String, MemberReport>,
    /// Memory and processor time per agent.
    pub agents: std::collections::BTreeMap<String, Usage>,
}

/// Durations of a demo in seconds.
#[derive(Debug, Default, Serialize)]
pub struct Timings {
    /// From the start until hub and first member run and have joined.
    pub fleet_ready: f64,
    /// From the placement's creation until it is Available on member-1.
    pub first_cluster_available: f64,
    /// From the join of member-2 until both clusters are Available with the updated override.
    pub second_cluster_available: f64,
    /// The whole run.
    pub total: f64,
}

/// What a member shows in the end.
#[derive(Debug, Default, Serialize)]
pub struct MemberReport {
    /// The placed Service.
    pub service: Value,
    /// The placed Deployment.
    pub deployment: Value,
    /// The ServiceExport with its conditions.
    pub service_export: Value,
}

/// Brings the fleet up and runs the tutorial. The fleet that it returns is still running.
pub async fn run(options: &Options) -> Result<(World, Report)> {
    let begun = Instant::now();
    let setup = Setup {
        kind: options.kind,
        folder: options.folder.clone(),
        progress: options.progress.clone(),
        hub_flags: Vec::new(),
        member_flags: Vec::new(),
        traffic: false,
    };
    let kind = match options.kind {
        Kind::Real => "real",
        Kind::Embedded => "embedded",
    };
    let mut report = Report {
        control_plane: kind.to_owned(),
        ..Report::default()
    };
    let mut world = World::start(setup).await.context("the hub does not start")?;
    world
        .add_members(&["member-1"])
        .await
        .context("member-1 does not start")?;
    steps::join(&world, "member-1").await?;
    report.timings.fleet_ready = begun.elapsed().as_secs_f64();
    steps::apply_application(&world).await?;
    report.timings.first_cluster_available = steps::place(&world).await?;
    world
        .add_members(&["member-2"])
        .await
        .context("member-2 does not start")?;
    report.timings.second_cluster_available = steps::spread(&world).await?;
    checks::fill(&world, &mut report).await?;
    report.timings.total = begun.elapsed().as_secs_f64();
    report.ok = report.wrong.is_empty();
    Ok((world, report))
}

/// Prints what kubectl would show of the fleet, and how long things took.
pub async fn show(world: &World, report: &Report) -> Result<()> {
    show::all(world, report).await
}
