//! How long a placement takes from its creation until it is Available on every member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use control_plane::Kind;
use futures::{StreamExt, pin_mut};
use kube::api::{Api, DynamicObject, PostParams};
use kube::runtime::watcher::{Config, Event, watcher};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{fleet, percentile, usage_table};
use crate::manifests::{apply, known};
use crate::requests::{Request, Requests};
use crate::table::align;
use crate::world::World;

const WITHIN: Duration = Duration::from_secs(60);
/// The hub agent has seen new content long before; this only keeps the figures free of the set-up's own load.
const SETTLE: Duration = Duration::from_secs(2);

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Kind of the control planes.
    pub kind: Kind,
    /// Number of members.
    pub members: usize,
    /// Placements one after the other.
    pub one_by_one: usize,
    /// Placements at once.
    pub at_once: usize,
}

/// When each object of a kind was first seen Available, by name.
#[derive(Default)]
struct Seen {
    at: Mutex<BTreeMap<String, Instant>>,
    changed: Notify,
}

/// Measures and prints a table.
pub async fn first_placement(plan: &Plan) -> Result<()> {
    let world = fleet(plan.kind, plan.members).await?;
    let total = plan.one_by_one + plan.at_once;
    for number in 0..total {
        content(&world, number).await?;
    }
    let (seen, details) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let members = plan.members;
    let watches = [
        tokio::spawn(follow(placements(&world), Arc::clone(&seen), move |object| {
            is_available(object, members)
        })),
        tokio::spawn(follow(bindings(&world), Arc::clone(&details), |object| {
            has(object, "Available")
        })),
    ];
    tokio::time::sleep(SETTLE).await;
    let before = Requests::of(&world.hub_client()).await?;
    let mut single = Vec::new();
    for number in 0..plan.one_by_one {
        let begun = Instant::now();
        create(&world, number).await?;
        single.push(arrival(&seen, number).await?.duration_since(begun).as_secs_f64());
    }
    let after = Requests::of(&world.hub_client()).await?;
    let burst = burst(&world, &seen, plan).await?;
    let last = Requests::of(&world.hub_client()).await?;
    let all_details = details.number(total * members).await?;
    watches.iter().for_each(tokio::task::JoinHandle::abort);
    let complete = all_details.duration_since(burst.begun).as_secs_f64();
    print_times(plan, &mut single, burst.seconds, complete);
    print_requests(plan, &after.since(&before), &last.since(&after));
    print!("\n{}", usage_table(&world)?);
    world.stop().await;
    Ok(())
}

/// The placements at once.
struct Burst {
    begun: Instant,
    /// Until the last was Available.
    seconds: f64,
}

/// Creates the rest at once and waits until the last is Available.
async fn burst(world: &World, seen: &Seen, plan: &Plan) -> Result<Burst> {
    let begun = Instant::now();
    let numbers: Vec<usize> = (plan.one_by_one..plan.one_by_one + plan.at_once).collect();
    futures::future::try_join_all(numbers.iter().map(|number| create(world, *number))).await?;
    let mut last = begun;
    for number in numbers {
        last = last.max(arrival(seen, number).await?);
    }
    let seconds = last.duration_since(begun).as_secs_f64();
    Ok(Burst { begun, seconds })
}

fn name(number: usize) -> String {
    format!("bench-{number:03}")
}

async fn content(world: &World, number: usize) -> Result<()> {
    let (hub, name) = (world.hub_client(), name(number));
    apply(
        &hub,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
    )
    .await?;
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": name, "name": "settings"}, "data": {"key": "value"},
    });
    apply(&hub, &config).await.map(|_| ())
}

fn placements(world: &World) -> Api<DynamicObject> {
    api(world, "ClusterResourcePlacement", "clusterresourceplacements")
}

fn bindings(world: &World) -> Api<DynamicObject> {
    api(world, "ClusterResourceBinding", "clusterresourcebindings")
}

fn api(world: &World, kind: &str, plural: &str) -> Api<DynamicObject> {
    known(
        &world.hub_client(),
        "placement.kubernetes-fleet.io",
        "v1beta1",
        kind,
        plural,
        None,
    )
}

async fn create(world: &World, number: usize) -> Result<()> {
    let name = name(number);
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "placement.kubernetes-fleet.io/v1beta1",
        "kind": "ClusterResourcePlacement",
        "metadata": {"name": name},
        "spec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": name}],
            "policy": {"placementType": "PickAll"},
        },
    }))?;
    placements(world)
        .create(&PostParams::default(), &object)
        .await
        .with_context(|| format!("{name} is refused"))?;
    Ok(())
}

async fn follow(api: Api<DynamicObject>, seen: Arc<Seen>, is_available: impl Fn(&DynamicObject) -> bool) {
    let stream = watcher(api, Config::default());
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        let Ok(Event::Apply(object) | Event::InitApply(object)) = event else {
            continue;
        };
        if is_available(&object) {
            let name = object.metadata.name.unwrap_or_default();
            seen.at.lock().entry(name).or_insert_with(Instant::now);
            seen.changed.notify_waiters();
        }
    }
}

/// Whether a condition is True for the current generation.
fn has(object: &DynamicObject, condition: &str) -> bool {
    let generation = json!(object.metadata.generation);
    let holds = |c: &Value| c["type"] == condition && c["status"] == "True" && c["observedGeneration"] == generation;
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|all| all.iter().any(holds))
}

fn is_available(object: &DynamicObject, members: usize) -> bool {
    let clusters = object
        .data
        .pointer("/status/placementStatuses")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    clusters == members && has(object, "ClusterResourcePlacementAvailable")
}

async fn arrival(seen: &Seen, number: usize) -> Result<Instant> {
    let name = name(number);
    let arrived = seen.until(|at| at.get(&name).copied()).await;
    arrived.with_context(|| format!("{name} is not Available after {WITHIN:?}"))
}

impl Seen {
    /// Waits until so many objects were seen Available, and answers when the last of them was.
    async fn number(&self, count: usize) -> Result<Instant> {
        let complete = |at: &BTreeMap<String, Instant>| at.values().max().copied().filter(|_| at.len() >= count);
        let last = self.until(complete).await;
        last.with_context(|| format!("not all of {count} bindings are Available after {WITHIN:?}"))
    }

    async fn until<T>(&self, found: impl Fn(&BTreeMap<String, Instant>) -> Option<T>) -> Option<T> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = found(&self.at.lock()) {
                    return found;
                }
                changed.await;
            }
        };
        tokio::time::timeout(WITHIN, wait).await.ok()
    }
}

fn print_times(plan: &Plan, single: &mut [f64], burst: f64, complete: f64) {
    single.sort_by(f64::total_cmp);
    let lines = [
        ["measured", "value"].map(str::to_owned).to_vec(),
        vec!["members".to_owned(), plan.members.to_string()],
        vec![
            format!("{} one after the other: p50", plan.one_by_one),
            format!("{:.3} s", percentile(single, 50)),
        ],
        vec!["  p90".to_owned(), format!("{:.3} s", percentile(single, 90))],
        vec!["  max".to_owned(), format!("{:.3} s", percentile(single, 100))],
        vec![
            format!("{} at once: until the last", plan.at_once),
            format!("{burst:.2} s"),
        ],
        vec![
            "  until every binding says so as well".to_owned(),
            format!("{complete:.2} s"),
        ],
    ];
    println!("\n{}", align(&lines));
}

/// Requests of all users until the last placement was Available; what comes later, such as events, is not in it.
fn print_requests(plan: &Plan, single: &Requests, burst: &Requests) {
    println!("requests to the hub per placement, until the last was Available:");
    let mut table = vec![["request", "one by one", "at once"].map(str::to_owned).to_vec()];
    let share = |requests: &Requests, request: &Request, placements: usize| {
        let count = requests.0.get(request).copied().unwrap_or_default();
        format!("{:.2}", count as f64 / placements.max(1) as f64)
    };
    let all: BTreeSet<&Request> = single.0.keys().chain(burst.0.keys()).collect();
    for request in all {
        table.push(vec![
            request.to_string(),
            share(single, request, plan.one_by_one),
            share(burst, request, plan.at_once),
        ]);
    }
    print!("{}", align(&table));
}
