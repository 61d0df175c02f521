//! Waits for what the hub says of TrafficManagerProfiles and TrafficManagerBackends.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::client::{Client, Resolver};
use crate::follow::{Seen, conditions, until};
use crate::manifests::known;
use crate::table;
use crate::traffic_manager::ZONE;
use crate::world::World;

/// A healthy fleet takes a fraction of a second; a loaded machine may take longer.
const WITHIN: Duration = Duration::from_secs(60);
const GROUP: &str = "networking.fleet.azure.com";
/// The version that the tutorials use.
const VERSION: &str = "v1alpha1";

/// The application's profile and backends, in one namespace of the hub.
pub struct Traffic<'a> {
    world: &'a World,
    namespace: &'static str,
}

/// What a backend is waited for to say.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Whether all exports are accepted.
    pub accepted: bool,
    /// Cluster and weight of each endpoint, by cluster.
    pub endpoints: &'a [(&'a str, i64)],
}

impl<'a> Traffic<'a> {
    /// Those of a namespace.
    pub fn new(world: &'a World, namespace: &'static str) -> Self {
        Self { world, namespace }
    }

    /// Waits until the profile is programmed as it was last written, and returns a client of its name.
    pub async fn programmed(&self, profile: &str, port: u16) -> Result<Client> {
        let profiles = self.api("TrafficManagerProfile", "trafficmanagerprofiles");
        let name = until(profiles, profile, WITHIN, |object| {
            let Some(object) = object else {
                return Seen::Waiting("it does not exist".to_owned());
            };
            let name = object.data.pointer("/status/dnsName").and_then(Value::as_str);
            match (holds(object, "Programmed", "True"), name) {
                (true, Some(name)) => Seen::Done(name.to_owned()),
                _ => Seen::Waiting(format!("{:?}", conditions(&object.data))),
            }
        })
        .await
        .with_context(|| self.with_logs(&format!("the profile {profile} is not programmed")))?;
        let resolver = Resolver::new(self.world.traffic_manager()?.dns());
        Ok(Client::new(resolver, &name, port))
    }

    /// Waits until a backend says what is wanted, and returns it.
    pub async fn judged(&self, backend: &str, wanted: Wanted<'_>) -> Result<Value> {
        let status = if wanted.accepted { "True" } else { "False" };
        until(self.backends(), backend, WITHIN, |object| {
            let Some(object) = object else {
                return Seen::Waiting("it does not exist".to_owned());
            };
            let found = endpoints(&object.data);
            let same = found.iter().map(|(cluster, weight)| (cluster.as_str(), *weight));
            if holds(object, "Accepted", status) && same.eq(wanted.endpoints.iter().copied()) {
                let value = serde_json::to_value(object);
                return Seen::Done(value.unwrap_or_default());
            }
            let waiting = format!("{:?} with the endpoints {found:?}", conditions(&object.data));
            Seen::Waiting(waiting)
        })
        .await
        .with_context(|| self.with_logs(&format!("the backend {backend} does not become {wanted:?}")))
    }

    /// The backends.
    pub fn backends(&self) -> Api<DynamicObject> {
        self.api("TrafficManagerBackend", "trafficmanagerbackends")
    }

    /// What `kubectl get tmp` prints.
    pub async fn profile_table(&self) -> Result<String> {
        let namespace = self.namespace;
        let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/trafficmanagerprofiles");
        table::render(&self.world.hub_client(), &path).await
    }

    /// The name that the tutorial shows for a profile, in the zone of the traffic manager.
    pub fn dns_name(&self, profile: &str) -> String {
        format!("{}-{profile}.{ZONE}", self.namespace)
    }

    fn api(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        let client = self.world.hub_client();
        known(&client, GROUP, VERSION, kind, plural, Some(self.namespace))
    }

    fn with_logs(&self, what: &str) -> String {
        let hub = self.world.hub_agent().map(|agent| agent.last_lines(15));
        let manager = self
            .world
            .traffic_manager()
            .map(|manager| manager.agent().last_lines(5));
        let text = |lines: Result<String>| lines.unwrap_or_else(|error| error.to_string());
        format!("{what}; {}\n{}\n", text(hub), text(manager))
    }
}

/// What `kubectl get -o yaml` prints of an object.
pub fn yaml(object: &Value) -> String {
    let mut shown = object.clone();
    if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    api::yaml::to_string(&shown)
}

/// The message of a condition.
pub fn message(object: &Value, kind: &str) -> String {
    let all = conditions(object);
    let found = all.into_iter().find(|(known, ..)| known == kind);
    found.map(|(.., message)| message).unwrap_or_default()
}

/// Cluster and weight of each endpoint of a backend, by cluster.
fn endpoints(backend: &Value) -> Vec<(String, i64)> {
    let all = backend.pointer("/status/endpoints").and_then(Value::as_array);
    let endpoint = |one: &Value| {
        let cluster = one.pointer("/from/cluster").and_then(Value::as_str).unwrap_or_default();
        (cluster.to_owned(), one["weight"].as_i64().unwrap_or(-1))
    };
    let mut found: Vec<(String, i64)> = all.into_iter().flatten().map(endpoint).collect();
    found.sort();
    found
}

/// Whether a condition is there for the present generation.
fn holds(object: &DynamicObject, kind: &str, status: &str) -> bool {
    let list = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let generation = json!(object.metadata.generation);
    list.into_iter()
        .flatten()
        .any(|c| c["type"] == kind && c["status"] == status && c["observedGeneration"] == generation)
}
