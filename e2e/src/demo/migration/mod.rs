//! The tutorial "Migrating application resources to clusters without downtime", while a client makes requests at a
//! steady rate: what `cargo xtask demo migration` shows.

mod report;
mod steps;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub use report::{Report, show};

use super::Options;
use super::samples::Samples;
use super::steps::join;
use super::traffic::Traffic;
use crate::client::Steady;
use crate::world::World;

/// The application's namespace on the hub and on the members.
pub const NAMESPACE: &str = "test-app";
/// Its placement.
pub const PLACEMENT: &str = "crp-availability";
/// Requests a second.
const RATE: u32 = 250;
/// Requests that are made at least.
const REQUESTS: usize = 10_000;
/// For all requests on a loaded machine.
const ALL_WITHIN: Duration = Duration::from_secs(600);

/// The migration, step by step, with the client that it must not disturb.
struct Migration<'a> {
    world: &'a mut World,
    samples: Samples,
    client: Steady,
    /// What was not as the tutorial shows it.
    wrong: Vec<String>,
}

/// Brings a fleet up, runs the application on member-1, and migrates it to member-2. The fleet that it returns is still
/// running.
pub async fn run(options: &Options) -> Result<(World, Report)> {
    let begun = Instant::now();
    let samples = Samples::new("migration")?;
    let mut world = World::start(options.setup()).await.context("the hub does not start")?;
    world
        .add_members(&["member-1"])
        .await
        .context("member-1 does not start")?;
    join(&world, &samples, "member-1").await?;
    let client = steps::deploy(&world, &samples).await?;
    let profiles = Traffic::new(&world, NAMESPACE).profile_table().await?;
    let name = client.name().to_owned();
    let mut migration = Migration {
        world: &mut world,
        samples,
        client: Steady::start(client, RATE),
        wrong: Vec::new(),
    };
    let moments = migration.play().await?;
    let Migration { client, wrong, .. } = migration;
    let record = client.stop().await?;
    let mut report = Report::of(name, RATE, record, &moments, wrong);
    report.control_plane = options.kind.to_string();
    report.profiles = profiles;
    report.seconds = begun.elapsed().as_secs_f64();
    Ok((world, report))
}

impl Migration<'_> {
    /// The tutorial's steps. Between them requests go on, so that each state of the fleet is seen by many of them.
    async fn play(&mut self) -> Result<report::Moments> {
        self.made(0.1).await?;
        self.join_member_2().await?;
        self.made(0.2).await?;
        self.stop_exposing_on_member_2().await?;
        self.place_second_service().await?;
        self.made(0.35).await?;
        let both = self.expose_second_service().await?;
        self.made(0.6).await?;
        let second = self.stop_serving_from_member_1().await?;
        self.made(0.75).await?;
        self.remove_member_1().await?;
        self.made(0.85).await?;
        self.clean_up().await?;
        self.made(1.0).await?;
        Ok(report::Moments { both, second })
    }

    /// Waits until this share of the requests has been made.
    async fn made(&mut self, share: f64) -> Result<()> {
        let count = (REQUESTS as f64 * share).ceil() as usize;
        self.client.made_at_least(count, ALL_WITHIN).await
    }
}
