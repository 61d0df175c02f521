//! TrafficManagerProfiles and TrafficManagerBackends, with a traffic manager in the process of the test.

mod faults;
mod hints;
mod life;
mod ranks;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::kinds;
use api::networking::synthetic_address::{self, Ingress, SyntheticAddress};
use api::networking::traffic_names::EndpointName;
use kit::{ObjectKey, Resource};
use serde_json::{Value, json};
use traffic_manager::faults::{CLIENT, Options, SECRET, Server, TENANT};
use traffic_manager::model::Profile;

use crate::world::{Seen, World};

pub const PROFILE: Resource = kinds::TRAFFIC_MANAGER_PROFILE;
pub const BACKEND: Resource = kinds::TRAFFIC_MANAGER_BACKEND;
const RECORD: Resource = kinds::INTERNAL_SERVICE_EXPORT;
/// Namespace of the application.
pub const NAMESPACE: &str = "app";
/// What is waited for comes sooner, unless something is wrong.
const LIMIT: Duration = Duration::from_secs(120);

/// A hub and a traffic manager.
pub struct Traffic {
    pub world: World,
    pub server: Server,
    pub profiles: Seen,
    pub backends: Seen,
    directory: PathBuf,
}

impl Traffic {
    /// Both, with members but without a hub agent.
    pub async fn new(members: &[&str]) -> Self {
        Self::with(members, Options::default()).await
    }

    pub async fn with(members: &[&str], options: Options) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("fairway-hub-traffic-{}-{number}", std::process::id()));
        let server = Server::start(&directory, options).await.unwrap();
        let mut world = World::new().await;
        world.namespace(NAMESPACE).await;
        let (profiles, backends) = (world.follow(PROFILE), world.follow(BACKEND));
        let mut traffic = Self {
            world,
            server,
            profiles,
            backends,
            directory,
        };
        traffic.write_config(SECRET);
        traffic.start();
        traffic.world.join(members).await;
        traffic
    }

    /// Starts a hub agent.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    pub fn start_with(&mut self, flags: &[&str]) {
        let config = format!("--cloud-config={}", self.config().display());
        let fixed = ["--member-link-bind-address=0", config.as_str()];
        self.world.start(&[&fixed[..], flags].concat());
    }

    pub fn config(&self) -> PathBuf {
        self.directory.join("azure.json")
    }

    pub fn write_config(&self, secret: &str) {
        // Limits that no test runs into.
        let config = json!({"resourceManagerEndpoint": self.server.url, "tenantId": TENANT, "subscriptionId": "sub",
            "resourceGroup": "fleet", "location": "global", "aadClientId": CLIENT, "aadClientSecret": secret,
            "cloudProviderRateLimit": false});
        std::fs::write(self.config(), config.to_string()).unwrap();
    }

    /// Creates a profile.
    pub async fn profile(&self, name: &str) {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"resourceGroup": "rg", "monitorConfig": {"protocol": "TCP", "port": 9}}});
        self.world.create(&PROFILE, Some(NAMESPACE), &object).await;
    }

    /// Creates a backend of the profile for a service.
    pub async fn backend(&self, name: &str, profile: &str, service: &str, weight: i64) {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"profile": {"name": profile}, "backend": {"name": service}, "weight": weight}});
        self.world.create(&BACKEND, Some(NAMESPACE), &object).await;
    }

    /// Records that a member exports a service.
    pub async fn export(&self, cluster: &str, service: &str, weight: i64) {
        self.world
            .create(
                &RECORD,
                Some(&format!("fleet-member-{cluster}")),
                &record(cluster, service, weight),
            )
            .await;
    }

    /// Changes what is recorded of an export.
    pub async fn change_export(&self, cluster: &str, service: &str, spec: Value) {
        let key = record_key(cluster, service);
        self.world.patch(&RECORD, &key, json!({ "spec": spec })).await;
    }

    /// Removes the record of an export.
    pub async fn withdraw(&self, cluster: &str, service: &str) {
        self.world.delete(&RECORD, &record_key(cluster, service)).await;
    }

    /// A profile `web` with a backend `web` of weight 100 for the service `web` of the members m1 and m2, all accepted.
    pub async fn settled() -> Self {
        let traffic = Self::new(&["m1", "m2"]).await;
        traffic.export("m1", "web", 1).await;
        traffic.export("m2", "web", 3).await;
        traffic.profile("web").await;
        traffic.backend("web", "web", "web", 100).await;
        traffic.until_endpoints("web", &["m1 25", "m2 75"]).await;
        traffic.until_programmed("web").await;
        traffic
    }

    pub async fn until_programmed(&self, profile: &str) {
        let what = format!("{profile} programmed");
        self.profiles
            .until(&key(profile), &what, |object| {
                status_of(object, "Programmed") == "True/Programmed"
            })
            .await;
    }

    /// Waits until a backend is accepted and its status has these endpoints (cluster and weight), and so has the traffic
    /// manager.
    pub async fn until_endpoints(&self, backend: &str, endpoints: &[&str]) {
        let what = format!("accepted with {endpoints:?}");
        let seen = self
            .backends
            .until(&key(backend), &what, |object| {
                status_of(object, "Accepted") == "True/Accepted" && reported(object) == endpoints
            })
            .await;
        let uid = seen["metadata"]["uid"].as_str().unwrap();
        assert_eq!(self.held(uid), endpoints, "the status says what there is");
    }

    /// Waits until a backend has a status and a reason, and a message that contains a text.
    pub async fn until_backend(&self, backend: &str, status: &str, message: &str) {
        let what = format!("{status} with {message:?}");
        self.backends
            .until(&key(backend), &what, |object| {
                status_of(object, "Accepted") == status && message_of(object, "Accepted").contains(message)
            })
            .await;
    }

    /// As [`Self::until_backend`] for a profile.
    pub async fn until_profile(&self, profile: &str, status: &str, message: &str) {
        let what = format!("{status} with {message:?}");
        self.profiles
            .until(&key(profile), &what, |object| {
                status_of(object, "Programmed") == status && message_of(object, "Programmed").contains(message)
            })
            .await;
    }

    /// The profiles that the traffic manager holds.
    pub fn all_held(&self) -> Vec<Profile> {
        let state = self.server.engine.state();
        state.profiles().map(|(_, profile)| Profile::clone(profile)).collect()
    }

    /// The endpoints of a backend that the traffic manager holds: cluster and weight.
    pub fn held(&self, uid: &str) -> Vec<String> {
        let profiles = self.all_held();
        let all = profiles.iter().flat_map(|profile| &profile.endpoints);
        let mut found: Vec<String> = all
            .filter_map(|endpoint| {
                let name = EndpointName::parse(&endpoint.name)?;
                (name.backend_uid == uid).then(|| format!("{} {}", name.cluster, endpoint.weight))
            })
            .collect();
        found.sort();
        found
    }

    /// Writes that the traffic manager has seen since this was called last: the method and the last part of the path,
    /// for endpoints without the uid.
    pub fn writes(&self) -> Vec<String> {
        let seen = self.server.faults.take_seen();
        let writes = seen.iter().filter(|request| {
            request.path.starts_with("/subscriptions/") && !matches!(request.method.as_str(), "GET" | "HEAD")
        });
        writes
            .map(|request| {
                let last = request.path.rsplit('/').next().unwrap_or_default().replace("%23", "#");
                let what = match EndpointName::parse(&last) {
                    Some(name) => format!("{}/{}", name.service, name.cluster),
                    None => "profile".to_owned(),
                };
                format!("{} {what}", request.method)
            })
            .collect()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        // Left-overs are in the system's directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Waits until something holds.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "it never came about: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced(NAMESPACE, name)
}

fn record_key(cluster: &str, service: &str) -> ObjectKey {
    ObjectKey::namespaced(&format!("fleet-member-{cluster}"), &format!("{NAMESPACE}-{service}"))
}

/// An export of a load balancer on an address of its own.
fn record(cluster: &str, service: &str, weight: i64) -> Value {
    let number = |text: &str| {
        text.bytes()
            .fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte))
    };
    let address = synthetic_address::format(&SyntheticAddress {
        cluster: cluster.to_owned(),
        ingress: Ingress::Ip(Ipv4Addr::new(127, 1, number(cluster), number(service)).into()),
    });
    json!({
        "metadata": {"name": format!("{NAMESPACE}-{service}")},
        "spec": {
            "ports": [{"port": 80, "protocol": "TCP"}],
            "serviceReference": {
                "clusterId": cluster, "apiVersion": "v1", "kind": "Service", "namespace": NAMESPACE, "name": service,
                "resourceVersion": "1", "generation": 0, "uid": format!("{cluster}-{service}"),
                "namespacedName": format!("{NAMESPACE}/{service}"),
            },
            "type": "LoadBalancer", "isInternalLoadBalancer": false, "isDNSLabelConfigured": true,
            "publicIPResourceID": address, "weight": weight,
        },
    })
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let generation = &object["metadata"]["generation"];
    all.iter()
        .find(|one| one["type"] == kind && one["observedGeneration"] == *generation)
}

/// Status and reason of a condition that is about the present generation.
pub fn status_of(object: &Value, kind: &str) -> String {
    let Some(one) = condition(object, kind) else {
        return String::new();
    };
    let text = |key: &str| one[key].as_str().unwrap_or_default();
    format!("{}/{}", text("status"), text("reason"))
}

fn message_of<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind)
        .and_then(|one| one["message"].as_str())
        .unwrap_or_default()
}

/// The endpoints in a backend's status: cluster and weight.
pub fn reported(backend: &Value) -> Vec<String> {
    let all = backend.pointer("/status/endpoints").and_then(Value::as_array);
    let one = |endpoint: &Value| {
        let cluster = endpoint["from"]["cluster"].as_str().unwrap_or_default();
        format!("{cluster} {}", endpoint["weight"])
    };
    all.into_iter().flatten().map(one).collect()
}
