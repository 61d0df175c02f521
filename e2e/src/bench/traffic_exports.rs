//! A thousand exports that change at once: until records and endpoints are right, and what it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control_plane::Kind;
use futures::future::try_join_all;
use futures::{StreamExt as _, pin_mut};
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, watcher};
use serde_json::{Value, json};

use super::link::{JOINS, join};
use crate::bare::{Bare, NAMESPACE};
use crate::manifests::{apply, known};
use crate::requests::Requests;
use crate::simulated_members::{SimulatedMember, SimulatedMembers};
use crate::table;
use crate::world::{Setup, World};

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct TrafficExports {
    /// Kind of the hub's control plane.
    pub kind: Kind,
    /// Number of members.
    pub members: usize,
    /// Services that each member exports: each is a profile with a backend and an endpoint for each member.
    pub services: usize,
}

const GROUP: &str = "networking.fleet.azure.com";
/// How long any step may take.
const WITHIN: Duration = Duration::from_secs(600);
/// Weight of each backend, the largest there is: endpoints of many members still differ by their weights.
const WEIGHT: u64 = 1000;

/// Opens all sessions, waits until all endpoints are there, changes the weights of all exports, and waits again.
pub async fn traffic_exports(plan: TrafficExports) -> Result<()> {
    let setup = Setup {
        traffic: true,
        ..Setup::new(plan.kind)
    };
    let world = World::start(setup).await?;
    let names: Vec<String> = (0..plan.members).map(|number| format!("m{number:04}")).collect();
    let mut tokens = Vec::new();
    for some in names.chunks(JOINS) {
        tokens.extend(try_join_all(some.iter().map(|name| join(&world, name))).await?);
    }
    let hub = world.hub_client();
    apply(
        &hub,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
    )
    .await?;
    let mut lines = vec![
        ["", "time", "writes of endpoints", "of profiles", "reads", "hub agent"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let before = Calls::of(&world).await?;
    let began = Instant::now();
    let mut fleet = SimulatedMembers::default();
    for (number, (name, token)) in names.iter().zip(&tokens).enumerate() {
        let bare = Bare::with_load_balancers((0..plan.services).map(service), number);
        fleet.take(SimulatedMember::with_traffic(
            name,
            bare,
            SimulatedMembers::session(&world.link(), name, token.path()),
        )?);
    }
    for number in 0..plan.services {
        expose(&world, &service(number)).await?;
    }
    wait(&world, plan, |_| 1).await?;
    lines.push(line(&world, "from no session to all endpoints", began, before).await?);

    let writes = Requests::of(&hub).await?;
    let before = Calls::of(&world).await?;
    let began = Instant::now();
    for (number, member) in fleet.members().iter().enumerate() {
        (0..plan.services).for_each(|one| member.bare.set_weight(&service(one), changed(number)));
    }
    let recorded = wait(&world, plan, changed).await?;
    let what = format!(
        "{} exports changed; recorded within {recorded:.2} s",
        plan.members * plan.services
    );
    lines.push(line(&world, &what, began, before).await?);
    print!("\n{}", table::align(&lines));
    println!("\nWrites to the hub's API server by the change:");
    for (request, count) in &Requests::of(&hub).await?.since(&writes).writes(&[]).0 {
        println!("{count:6}  {request}");
    }
    fleet.end().await;
    world.stop().await;
    Ok(())
}

/// Weights of exports after the change: every endpoint gets another one.
fn changed(number: usize) -> u64 {
    if number.is_multiple_of(2) { 2 } else { 3 }
}

fn service(number: usize) -> String {
    format!("app-{number}")
}

/// A profile and a backend for a Service that all members export.
async fn expose(world: &World, name: &str) -> Result<()> {
    let group = format!("{GROUP}/v1beta1");
    let metadata = json!({"name": name, "namespace": NAMESPACE});
    let profile = json!({"apiVersion": group, "kind": "TrafficManagerProfile", "metadata": metadata,
        "spec": {"resourceGroup": "fleet"}});
    let backend = json!({"apiVersion": group, "kind": "TrafficManagerBackend", "metadata": metadata,
        "spec": {"profile": {"name": name}, "backend": {"name": name}, "weight": WEIGHT}});
    apply(&world.hub_client(), &profile).await?;
    apply(&world.hub_client(), &backend).await?;
    Ok(())
}

/// Waits until every record has its export's weight, and every backend the endpoints that follow. Returns when the records
/// had, in seconds from the call.
async fn wait(world: &World, plan: TrafficExports, weight: impl Fn(usize) -> u64) -> Result<f64> {
    let began = Instant::now();
    let total: u64 = (0..plan.members).map(&weight).sum();
    let wanted: BTreeMap<String, (u64, u64)> = (0..plan.members)
        .map(|number| {
            let own = weight(number);
            // The formula of networking 7.3: the share of the backend's weight, rounded up.
            (format!("m{number:04}"), (own, (WEIGHT * own).div_ceil(total)))
        })
        .collect();
    let records = known(
        &world.hub_client(),
        GROUP,
        "v1alpha1",
        "InternalServiceExport",
        "internalserviceexports",
        None,
    );
    until_all(records, plan.members * plan.services, |record| {
        let cluster = record
            .pointer("/spec/serviceReference/clusterId")
            .and_then(Value::as_str);
        let found = record.pointer("/spec/weight").and_then(Value::as_u64);
        found.is_some() && cluster.and_then(|cluster| wanted.get(cluster)).map(|(own, _)| *own) == found
    })
    .await
    .context("not all records have the weights of their exports")?;
    let recorded = began.elapsed().as_secs_f64();
    let backends = known(
        &world.hub_client(),
        GROUP,
        "v1beta1",
        "TrafficManagerBackend",
        "trafficmanagerbackends",
        None,
    );
    until_all(backends, plan.services, |backend| {
        let endpoints = backend.pointer("/status/endpoints").and_then(Value::as_array);
        let found: BTreeMap<&str, u64> = endpoints
            .into_iter()
            .flatten()
            .filter_map(|one| {
                Some((
                    one.pointer("/from/cluster")?.as_str()?,
                    one.pointer("/weight")?.as_u64()?,
                ))
            })
            .collect();
        found.len() == wanted.len()
            && found
                .iter()
                .all(|(cluster, weight)| wanted.get(*cluster).is_some_and(|(_, wanted)| wanted == weight))
    })
    .await
    .context("not all backends have the endpoints that follow")?;
    Ok(recorded)
}

/// Follows all objects of a kind until so many are right.
async fn until_all(api: Api<DynamicObject>, count: usize, is_right: impl Fn(&Value) -> bool) -> Result<()> {
    let seen = watcher(api, Config::default()).default_backoff().applied_objects();
    pin_mut!(seen);
    let deadline = tokio::time::Instant::now() + WITHIN;
    let mut right = BTreeSet::new();
    while right.len() < count {
        let object = tokio::time::timeout_at(deadline, seen.next())
            .await
            .with_context(|| format!("{} of {count} within {WITHIN:?}", right.len()))?
            .context("the watch has ended")?;
        // The watch repairs itself.
        let Ok(object) = object else { continue };
        let key = (object.metadata.namespace.clone(), object.metadata.name.clone());
        match is_right(&object.data) {
            true => right.insert(key),
            false => right.remove(&key),
        };
    }
    Ok(())
}

/// Calls to the traffic manager that the hub agent has counted.
struct Calls(BTreeMap<String, u64>);

impl Calls {
    async fn of(world: &World) -> Result<Self> {
        let text = world.hub_agent()?.metrics().await?;
        let mut calls = BTreeMap::new();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("fairway_traffic_manager_calls_total{call=\"") else {
                continue;
            };
            let call = rest.split('"').next().unwrap_or_default().to_owned();
            let count = line
                .rsplit(' ')
                .next()
                .and_then(|count| count.parse::<f64>().ok())
                .unwrap_or_default();
            *calls.entry(call).or_default() += count as u64;
        }
        Ok(Self(calls))
    }

    fn since(&self, before: &Self, call: &str) -> u64 {
        let count = |calls: &Self| calls.0.get(call).copied().unwrap_or_default();
        count(self) - count(before)
    }
}

async fn line(world: &World, what: &str, began: Instant, before: Calls) -> Result<Vec<String>> {
    let took = began.elapsed();
    let now = Calls::of(world).await?;
    ensure!(!now.0.is_empty(), "the hub agent counts no calls");
    let resident = world.hub_agent()?.usage()?.resident as f64 / (1024.0 * 1024.0);
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    Ok(vec![
        what.to_owned(),
        seconds(took),
        now.since(&before, "write_endpoint").to_string(),
        now.since(&before, "write_profile").to_string(),
        now.since(&before, "read_profile").to_string(),
        format!("{resident:.1} MiB"),
    ])
}
