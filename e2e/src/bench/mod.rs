//! Benchmarks over a whole fleet. They print tables and never decide whether a test passes.

mod failover;
mod first_placement;
mod idle;
mod link;
mod traffic_exports;

use anyhow::Result;
use control_plane::Kind;
use serde_json::json;

use crate::demo;
use crate::manifests::apply;
use crate::world::{Setup, World, member_cluster};

pub use failover::{Death, Failover, failover};
pub use first_placement::{Plan, first_placement};
pub use idle::{Rest, idle, watch};
pub use link::{Sessions, sessions};
pub use traffic_exports::{TrafficExports, traffic_exports};

/// A fleet of so many joined members.
async fn fleet(kind: Kind, members: usize) -> Result<World> {
    let mut world = World::start(Setup::new(kind)).await?;
    let names: Vec<String> = (1..=members).map(|number| format!("member-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.add_members(&names).await?;
    for name in &names {
        apply(
            &world.hub_client(),
            &member_cluster(name, json!({"cluster-name": name})),
        )
        .await?;
        demo::joined(&world, name).await?;
    }
    Ok(world)
}

/// The value below which so many percent of the sorted values lie.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last * percent).div_ceil(100)).copied().unwrap_or_default()
}

/// Memory and processor time of every agent, as a table.
fn usage_table(world: &World) -> Result<String> {
    let mut lines = vec![["agent", "resident", "processor time"].map(str::to_owned).to_vec()];
    let mut add = |name: String, usage: crate::agents::Usage| {
        let mebibytes = usage.resident as f64 / (1024.0 * 1024.0);
        lines.push(vec![
            name,
            format!("{mebibytes:.1} MiB"),
            format!("{:.2} s", usage.cpu_seconds),
        ]);
    };
    add("hub-agent".to_owned(), world.hub_agent()?.usage()?);
    for name in world.member_names() {
        add(format!("member-agent {name}"), world.member_agent(name)?.usage()?);
    }
    Ok(crate::table::align(&lines))
}
