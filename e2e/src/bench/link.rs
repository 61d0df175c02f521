//! The members' sessions with one hub agent: memory, latency, and how a whole fleet comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use control_plane::Kind;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::percentile;
use crate::agents::Usage;
use crate::bare::NAMESPACE;
use crate::manifests::apply;
use crate::requests::Requests;
use crate::simulated_members::{SimulatedMember, SimulatedMembers};
use crate::world::{Setup, World, member_cluster};

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Sessions {
    /// Kind of the hub's control plane.
    pub kind: Kind,
    /// Number of members.
    pub members: usize,
    /// Exports of each.
    pub exports: usize,
}

/// Members that join at a time.
pub(super) const JOINS: usize = 16;
/// Changes whose way to the hub is timed.
const CHANGES: usize = 200;
/// How long any step may take.
const WITHIN: Duration = Duration::from_secs(600);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// Opens all sessions, times changes, and restarts the hub agent.
pub async fn sessions(plan: Sessions) -> Result<()> {
    let mut world = World::start(Setup::new(plan.kind)).await?;
    let mut fleet = SimulatedMembers::default();
    let names: Vec<String> = (1..=plan.members).map(|number| format!("m{number:04}")).collect();
    let mut tokens = Vec::new();
    for some in names.chunks(JOINS) {
        tokens.extend(try_join_all(some.iter().map(|name| join(&world, name))).await?);
    }
    let joined = world.hub_agent()?.usage()?;
    println!("\n{} members have joined; hub agent {}", plan.members, show(joined));

    let began = Instant::now();
    for (name, token) in names.iter().zip(&tokens) {
        fleet.add(&world.link(), name, token.path(), plan.exports)?;
    }
    fleet.until_accepted(plan.exports, WITHIN).await?;
    let open = world.hub_agent()?.usage()?;
    println!(
        "{} sessions opened and {} exports recorded and judged within {:.1} s; hub agent {}",
        plan.members,
        plan.members * plan.exports,
        began.elapsed().as_secs_f64(),
        show(open)
    );
    let grown = (open.resident.saturating_sub(joined.resident)) as f64 / 1024.0;
    println!(
        "{:.1} KiB of the hub agent per session with its exports",
        grown / plan.members as f64
    );

    let mut waits = time_changes(&world, &fleet).await?;
    waits.sort_by(f64::total_cmp);
    println!(
        "a change is recorded on the hub after p50 {:.0} ms, p90 {:.0} ms, at most {:.0} ms",
        percentile(&waits, 50),
        percentile(&waits, 90),
        percentile(&waits, 100)
    );

    // A change is complete once its record is judged: what is written later must be due to the crash.
    for one in fleet.members().iter().take(CHANGES) {
        until("the last changes are judged", async || is_judged(&world, one).await).await?;
    }
    let before = Requests::of(&world.hub_client()).await?;
    world.crash_hub_agent().await?;
    let began = Instant::now();
    world.start_hub_agent().await?;
    let wanted = plan.members as f64;
    let mut opened = 0.0;
    until("every member has synced", async || {
        let sessions = metric(&world, "fleet_member_link_sessions").await.unwrap_or_default();
        if sessions >= wanted && opened == 0.0 {
            opened = began.elapsed().as_secs_f64();
        }
        let synced = r#"fleet_member_link_syncs_total{result="applied"}"#;
        metric(&world, synced).await.unwrap_or_default() >= wanted
    })
    .await?;
    let writes = Requests::of(&world.hub_client()).await?.since(&before).writes(&[]);
    let writes = writes
        .0
        .iter()
        .filter(|(request, _)| request.resource.starts_with("internalserviceexports"));
    println!(
        "after a crash of the hub agent every session was open within {opened:.1} s of its start and every member had \
         synced within {:.1} s, with {} writes to records; hub agent {}",
        began.elapsed().as_secs_f64(),
        writes.map(|(_, count)| count).sum::<u64>(),
        show(world.hub_agent()?.usage()?)
    );
    fleet.end().await;
    world.stop().await;
    Ok(())
}

pub(super) async fn join(world: &World, name: &str) -> Result<control_plane::TokenFile> {
    apply(&world.hub_client(), &member_cluster(name, json!({}))).await?;
    let token = world.member_token(name).await?;
    let binding = format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/fleet-member-{name}/rolebindings/{}",
        api::names::member_role_binding(name)
    );
    until(&format!("{name} has its rights"), async || {
        get(world, &binding).await.is_ok()
    })
    .await?;
    Ok(token)
}

/// Milliseconds from changed Services to their records, one after the other.
async fn time_changes(world: &World, fleet: &SimulatedMembers) -> Result<Vec<f64>> {
    let some = fleet.members().iter().cycle().take(CHANGES).enumerate();
    stream::iter(some)
        .then(|(number, one)| time_change(world, one, 1000 + number))
        .try_collect()
        .await
}

/// Where the record of the export is that changes.
fn record_path(one: &SimulatedMember) -> String {
    format!(
        "/apis/networking.fleet.azure.com/v1alpha1/namespaces/fleet-member-{}/internalserviceexports/{NAMESPACE}-{}",
        one.name,
        one.export(0)
    )
}

/// Whether the hub has judged the record as it is.
async fn is_judged(world: &World, one: &SimulatedMember) -> bool {
    let Ok(record) = get(world, &record_path(one)).await else {
        return false;
    };
    let judged = record.pointer("/status/conditions/0/observedGeneration");
    judged.is_some() && judged == record.pointer("/metadata/generation")
}

async fn time_change(world: &World, one: &SimulatedMember, port: usize) -> Result<f64> {
    let (name, path) = (one.export(0), record_path(one));
    let port = u16::try_from(port)?;
    let began = Instant::now();
    one.bare.set_port(&name, port);
    loop {
        let record = get(world, &path).await?;
        if record.pointer("/spec/ports/0/port") == Some(&json!(port)) {
            return Ok(began.elapsed().as_secs_f64() * 1000.0);
        }
        ensure!(began.elapsed() < WITHIN, "the change of {name} never arrived");
    }
}

async fn get(world: &World, path: &str) -> Result<Value> {
    let request = http::Request::get(path).body(Vec::new())?;
    Ok(world.hub_client().request(request).await?)
}

/// The value of a series of the hub agent.
async fn metric(world: &World, series: &str) -> Result<f64> {
    let text = world.hub_agent()?.metrics().await?;
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    let value = line.context("there is no such series")?.trim();
    Ok(value.parse()?)
}

async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !check().await {
        ensure!(began.elapsed() < WITHIN, "not within {WITHIN:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn show(usage: Usage) -> String {
    let mebibytes = usage.resident as f64 / (1024.0 * 1024.0);
    format!("{mebibytes:.1} MiB, {:.1} s of processor time", usage.cpu_seconds)
}
