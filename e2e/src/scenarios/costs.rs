//! The number of requests that a placement costs, and that a fleet at rest makes, from the API servers' own metrics.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{available, clean, content, placement};
use crate::bench;
use crate::manifests::apply;
use crate::requests::{Request, Requests};
use crate::world::World;

/// Writes of the hub agent per cluster and per placement that users may expect at the most.
const PER_CLUSTER: u64 = 4;
const PER_PLACEMENT: u64 = 10;
/// Long enough for everything that repeats within a minute or less.
const REST: Duration = Duration::from_secs(40);

/// From its creation until it is Available a placement costs few writes, and no agent lists anything.
pub(super) async fn placing(world: &World) -> Result<()> {
    let (name, namespace) = ("costs", "costs-content");
    let hub = world.hub_client();
    content(world, namespace).await?;
    // What the content itself set off on the hub (a service account and its like) is done by then.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = Requests::of(&hub).await?;
    apply(&hub, &placement(name, namespace)).await?;
    available(world, name, 2).await?;
    let grown = Requests::of(&hub).await?.since(&before);
    let writes: Vec<(&Request, u64)> = grown
        .0
        .iter()
        .map(|(r, n)| (r, *n))
        .filter(|(r, _)| is_by_hub_agent(r))
        .collect();
    let total: u64 = writes.iter().map(|(_, count)| count).sum();
    let limit = 2 * PER_CLUSTER + PER_PLACEMENT;
    ensure!(
        total <= limit,
        "the hub agent made {total} writes, more than {limit}: {writes:?}"
    );
    ensure!(
        total >= 2 * 2 + 4,
        "only {total} writes were counted, so the counting is wrong: {grown:?}"
    );
    eprintln!("scenario: {total} writes of the hub agent for 2 clusters (at most {limit})");
    let lists = grown.of_verb("LIST");
    // The wait above lists the one placement that it follows.
    let own = Request {
        verb: "LIST".to_owned(),
        resource: "clusterresourceplacements".to_owned(),
    };
    let own = lists.0.get(&own).copied().unwrap_or_default();
    ensure!(
        own <= 1 && lists.total() == own,
        "somebody lists instead of watching: {lists:?}"
    );
    clean(world, name, namespace).await
}

/// Whether a request is a write of the hub agent: not the test's own, not a member's, not a heartbeat.
fn is_by_hub_agent(request: &Request) -> bool {
    let written = matches!(request.verb.as_str(), "POST" | "PUT" | "PATCH" | "DELETE");
    let by_members = match request.resource.as_str() {
        "works" => request.verb != "POST",
        "works/status" | "internalmemberclusters/status" => true,
        _ => false,
    };
    let ordinary = matches!(request.resource.as_str(), "leases" | "memberclusters/status");
    // Reviews are questions and change nothing.
    let asks = request.resource.ends_with("reviews");
    written && !by_members && !ordinary && !asks
}

/// A fleet with nothing to do writes heartbeats and leases, and nothing else.
pub(super) async fn resting(world: &World) -> Result<()> {
    let rest = bench::watch(world, REST).await?;
    for (cluster, writes) in &rest.writes {
        ensure!(writes.total() == 0, "{cluster} was written to at rest: {:?}", writes.0);
    }
    Ok(())
}
