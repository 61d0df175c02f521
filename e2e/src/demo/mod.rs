//! The tutorial's application on a fleet of its own: what `cargo xtask demo` shows.

mod balance;
mod checks;
pub mod migration;
mod samples;
mod show;
mod split;
mod steps;
pub mod traffic;
mod view;

pub use steps::joined;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use control_plane::Kind;
use control_plane::progress::SharedProgress;
use serde::Serialize;
use serde_json::Value;

use balance::Balance;
use samples::Samples;

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
    /// The application behind a DNS name.
    pub balance: Balance,
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
    /// All phases of traffic over both clusters.
    pub traffic: f64,
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
    let samples = Samples::new("multi-cluster-app")?;
    let mut report = Report {
        control_plane: options.kind.to_string(),
        ..Report::default()
    };
    let mut world = World::start(options.setup()).await.context("the hub does not start")?;
    world
        .add_members(&["member-1"])
        .await
        .context("member-1 does not start")?;
    steps::join(&world, &samples, "member-1").await?;
    report.timings.fleet_ready = begun.elapsed().as_secs_f64();
    steps::apply_application(&world, &samples).await?;
    report.timings.first_cluster_available = steps::place(&world, &samples).await?;
    let client = balance::expose(&world, &samples, &mut report).await?;
    world
        .add_members(&["member-2"])
        .await
        .context("member-2 does not start")?;
    report.timings.second_cluster_available = steps::spread(&world, &samples).await?;
    checks::fill(&world, &mut report).await?;
    let spread = Instant::now();
    balance::balance(&world, &samples, &client, &mut report).await?;
    report.timings.traffic = spread.elapsed().as_secs_f64();
    report.timings.total = begun.elapsed().as_secs_f64();
    report.ok = report.wrong.is_empty();
    Ok((world, report))
}

/// Prints what kubectl would show of the fleet, and how long things took.
pub async fn show(world: &World, report: &Report) -> Result<()> {
    show::all(world, report).await
}

impl Options {
    /// A fleet whose agents use a traffic manager.
    fn setup(&self) -> Setup {
        Setup {
            folder: self.folder.clone(),
            progress: self.progress.clone(),
            traffic: true,
            ..Setup::new(self.kind)
        }
    }
}

impl Report {
    /// The plot of the report, as SVG.
    pub fn svg(&self) -> String {
        balance::svg(&self.balance)
    }
}
