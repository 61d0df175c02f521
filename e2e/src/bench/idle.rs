//! What a fleet does when nothing is to be done.

use std::time::Duration;

use anyhow::Result;
use control_plane::Kind;
use serde_json::json;

use super::{fleet, usage_table};
use crate::manifests::apply;
use crate::requests::Requests;
use crate::world::World;

/// Resources that a healthy fleet writes for ever: leases, and the heartbeats with their copy on the hub.
const HEARTBEATS: [&str; 3] = ["leases", "internalmemberclusters/status", "memberclusters/status"];

/// Writes to each API server, and processor time of each agent, during a time of rest.
#[derive(Debug, Default)]
pub struct Rest {
    /// Per cluster: the writes that are neither heartbeat nor lease.
    pub writes: Vec<(String, Requests)>,
    /// Per agent: thousandths of a core.
    pub millicores: Vec<(String, f64)>,
}

/// Lets a fleet of two members with one placement rest, and prints what it did meanwhile.
pub async fn idle(kind: Kind, time: Duration) -> Result<()> {
    let world = fleet(kind, 2).await?;
    let hub = world.hub_client();
    apply(
        &hub,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rest"}}),
    )
    .await?;
    let rest = watch(&world, time).await?;
    println!("\nduring {time:?} of rest:");
    for (cluster, writes) in &rest.writes {
        println!("{cluster}: {} writes beside heartbeats and leases", writes.total());
        for (request, count) in &writes.0 {
            println!("  {count} x {request}");
        }
    }
    for (agent, millicores) in &rest.millicores {
        println!("{agent}: {millicores:.2} millicores");
    }
    print!("\n{}", usage_table(&world)?);
    world.stop().await;
    Ok(())
}

/// Watches a fleet at rest.
pub async fn watch(world: &World, time: Duration) -> Result<Rest> {
    // What the set-up left to do is done by then.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut clusters = vec![("hub".to_owned(), world.hub_client())];
    for name in world.member_names() {
        clusters.push((name.to_owned(), world.member_client(name)?));
    }
    let mut before = Vec::new();
    for (_, client) in &clusters {
        before.push(Requests::of(client).await?);
    }
    let began = usage(world)?;
    tokio::time::sleep(time).await;
    let ended = usage(world)?;
    let mut rest = Rest::default();
    for ((name, client), before) in clusters.iter().zip(&before) {
        let after = Requests::of(client).await?;
        rest.writes
            .push((name.clone(), after.since(before).writes(&HEARTBEATS)));
    }
    for ((name, from), (_, to)) in began.into_iter().zip(ended) {
        rest.millicores.push((name, (to - from) * 1000.0 / time.as_secs_f64()));
    }
    Ok(rest)
}

fn usage(world: &World) -> Result<Vec<(String, f64)>> {
    let mut all = vec![("hub-agent".to_owned(), world.hub_agent()?.usage()?.cpu_seconds)];
    for name in world.member_names() {
        all.push((
            format!("member-agent {name}"),
            world.member_agent(name)?.usage()?.cpu_seconds,
        ));
    }
    Ok(all)
}
