//! The shell on the embedded API server, with a traffic manager that counts calls, in virtual time.

use std::collections::BTreeMap;
use std::path::Path;

use api::networking::traffic_names::EndpointName;
use apiserver::ApiServer;
use async_trait::async_trait;
use azure::{Endpoint, EndpointHint, EndpointHints, Error, Profile, ProfileRef, TrafficManager, Turn};
use jiff::Timestamp;
use kit::client::{Bucket, RateLimit};
use kit::clock::Clock;
use kit::controller::{Indexes, Reconciles};
use kit::events;
use kit::metrics::Metrics;
use kit::resource::ObjectKey;
use kit::writer::{Patch, Writer};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::queues::Queues;

mod silence;

const NAMESPACE: &str = "app";

/// Holds profiles, takes its time, and counts calls.
#[derive(Debug, Default)]
struct Fake {
    profiles: Mutex<BTreeMap<String, Map<String, Value>>>,
    /// Calls by name, for writes of endpoints with the service and the cluster.
    calls: Mutex<BTreeMap<String, usize>>,
    /// Hints that were taken, by the cluster of the endpoint.
    hints: Mutex<Vec<String>>,
    /// Limits writes of endpoints.
    bucket: Option<Bucket>,
}

impl Fake {
    async fn called(&self, call: String) {
        *self.calls.lock().entry(call).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    fn take(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut *self.calls.lock())
    }

    /// Weights of all endpoints, by service and cluster.
    fn weights(&self) -> BTreeMap<String, i64> {
        let profiles = self.profiles.lock();
        let all = profiles.values().flat_map(|profile| {
            profile["properties"]["endpoints"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        });
        all.map(|endpoint| {
            let weight = endpoint["properties"]["weight"].as_i64().unwrap();
            (short(endpoint["name"].as_str().unwrap()), weight)
        })
        .collect()
    }
}

fn short(name: &str) -> String {
    let name = EndpointName::parse(name).unwrap();
    format!("{}/{}", name.service, name.cluster)
}

fn list(profile: &mut Map<String, Value>) -> &mut Vec<Value> {
    let endpoints = &mut profile["properties"]["endpoints"];
    if endpoints.is_null() {
        *endpoints = json!([]);
    }
    endpoints.as_array_mut().unwrap()
}

#[async_trait]
impl TrafficManager for Fake {
    async fn profile(&self, profile: &ProfileRef) -> Result<Profile, Error> {
        self.called("read".to_owned()).await;
        let found = self.profiles.lock().get(&profile.name).cloned();
        let missing = || Error::refused("read a profile", 404, "ResourceNotFound", "There is none.");
        found.map(Profile::from).ok_or_else(missing)
    }

    async fn put_profile(&self, profile: &ProfileRef, body: &Profile) -> Result<Profile, Error> {
        self.called("write".to_owned()).await;
        let mut stored = body.json().clone();
        stored.insert("id".to_owned(), json!(format!("/{}", profile.name)));
        let label = stored["properties"]["dnsConfig"]["relativeName"]
            .as_str()
            .unwrap()
            .to_owned();
        stored["properties"]["dnsConfig"]["fqdn"] = json!(format!("{label}.example"));
        list(&mut stored);
        self.profiles.lock().insert(profile.name.clone(), stored.clone());
        Ok(Profile::from(stored))
    }

    async fn delete_profile(&self, profile: &ProfileRef) -> Result<(), Error> {
        self.called("delete".to_owned()).await;
        self.profiles.lock().remove(&profile.name);
        Ok(())
    }

    async fn turn(&self) -> Result<Turn, Error> {
        if let Some(bucket) = &self.bucket {
            bucket.take().await;
        }
        Ok(Turn::taken())
    }

    async fn put_endpoint(
        &self,
        _turn: Turn,
        profile: &ProfileRef,
        name: &str,
        body: &Endpoint,
    ) -> Result<Endpoint, Error> {
        self.called(format!("put {}", short(name))).await;
        let mut endpoint = body.json().clone();
        endpoint.insert("id".to_owned(), json!(format!("/{}/{name}", profile.name)));
        let mut profiles = self.profiles.lock();
        let all = list(profiles.get_mut(&profile.name).unwrap());
        all.retain(|other| other["name"] != endpoint["name"]);
        all.push(Value::Object(endpoint.clone()));
        Ok(Endpoint::from(endpoint))
    }

    async fn delete_endpoint(&self, profile: &ProfileRef, name: &str) -> Result<(), Error> {
        self.called(format!("drop {}", short(name))).await;
        let mut profiles = self.profiles.lock();
        list(profiles.get_mut(&profile.name).unwrap()).retain(|other| other["name"] != name);
        Ok(())
    }
}

#[async_trait]
impl EndpointHints for Fake {
    async fn hint(&self, hints: &[EndpointHint]) -> Result<Vec<Option<String>>, Error> {
        self.called("hint".to_owned()).await;
        let short = hints.iter().map(|hint| {
            let cluster = hint.endpoint.rsplit('#').next().unwrap_or_default();
            format!("{cluster} {}", if hint.degraded.is_some() { "lost" } else { "there" })
        });
        self.hints.lock().extend(short);
        Ok(vec![None; hints.len()])
    }
}

/// A hub without a hub agent, but with the part that is tested.
struct Hub {
    server: ApiServer,
    clock: Clock,
    queues: Arc<Queues>,
    user: Writer,
    port: Arc<Fake>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Hub {
    async fn new() -> Self {
        Self::with(None).await
    }

    /// With a limit of writes of endpoints.
    async fn with(limit: Option<RateLimit>) -> Self {
        let server = ApiServer::builder().build().unwrap();
        let user = Writer::new(kit::client::in_process(server.client()), Duration::from_secs(5));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
        for kind in [
            "trafficmanagerprofiles",
            "trafficmanagerbackends",
            "internalserviceexports",
        ] {
            let file = folder.join(format!("networking.fleet.azure.com_{kind}.yaml"));
            let definition = api::yaml::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
            let definitions = crate::resources::crds::DEFINITIONS;
            user.create(&definitions, None, &definition).await.unwrap();
        }
        let mut hub = Self {
            server,
            clock: Clock::paused_at(Timestamp::from_second(1_700_000_000).unwrap()),
            queues: Arc::new(Queues::new(BACKOFF)),
            user,
            port: Arc::new(Fake {
                bucket: limit.map(Bucket::new),
                ..Fake::default()
            }),
            stop: CancellationToken::new(),
            tasks: Vec::new(),
        };
        hub.namespace(NAMESPACE).await;
        hub.start();
        hub
    }

    /// Starts the records' controller and the traffic's.
    fn start(&mut self) {
        let (clock, queues) = (self.clock, &self.queues);
        let writer = Writer::new(
            kit::client::in_process(self.server.client_for(apiserver::User::admin(), "hub-agent")),
            Duration::from_secs(5),
        );
        let (recorder, events) = events::channel(writer.clone(), clock);
        let environment = Environment {
            writer,
            indexes: Arc::new(Indexes::default()),
            recorder,
            clock,
            longest_wait: Duration::from_secs(60),
            repetitions: RateLimit { qps: 100.0, burst: 100 },
        };
        let registry = Metrics::new().unwrap();
        let series = Reconciles::register(&registry, "test").unwrap();
        let services = Services::new(&environment, series.of("export"), true);
        let traffic = Traffic {
            environment,
            services: Arc::clone(&services),
            fleet: Arc::new(Store::new(queues, false, clock)),
            membership: queues.membership.subscribe(),
            presence: Arc::clone(&queues.presence),
            silence_limit: Duration::from_secs(2),
            cloud_config: PathBuf::new(),
            metrics: TrafficMetrics::register(&registry).unwrap(),
            series: vec![series.of("trafficmanagerprofile")],
            trouble: Trouble::default(),
        };
        let connected = Connected {
            port: Arc::clone(&self.port) as _,
            hints: Arc::clone(&self.port) as _,
            resource_group: "rg".to_owned(),
        };
        let stop = self.stop.clone();
        self.tasks.push(tokio::spawn(events.run(stop.clone())));
        self.tasks.push(tokio::spawn({
            let stop = stop.clone();
            async move { services.run(stop).await }
        }));
        self.tasks.push(tokio::spawn(traffic.work(connected, stop)));
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }

    async fn namespace(&self, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.user.create(&kinds::NAMESPACE, None, &object).await.unwrap();
    }

    async fn create(&self, resource: &Resource, namespace: &str, name: &str, spec: Value) {
        let object = json!({"apiVersion": resource.api_version(), "kind": resource.kind,
            "metadata": {"name": name, "namespace": namespace}, "spec": spec});
        self.user.create(resource, Some(namespace), &object).await.unwrap();
    }

    async fn export(&self, cluster: &str, service: &str, weight: i64) {
        let spec = json!({
            "ports": [{"port": 80, "protocol": "TCP"}],
            "serviceReference": {
                "clusterId": cluster, "kind": "Service", "namespace": NAMESPACE, "name": service, "generation": 0,
                "resourceVersion": "1", "uid": "u", "namespacedName": format!("{NAMESPACE}/{service}"),
            },
            "type": "LoadBalancer", "isDNSLabelConfigured": true, "weight": weight,
            "publicIPResourceID": format!("/{cluster}/{service}"),
        });
        let namespace = format!("fleet-member-{cluster}");
        let name = format!("{NAMESPACE}-{service}");
        self.create(&kinds::INTERNAL_SERVICE_EXPORT, &namespace, &name, spec)
            .await;
    }

    async fn weigh(&self, cluster: &str, service: &str, weight: i64) {
        let key = ObjectKey::namespaced(&format!("fleet-member-{cluster}"), &format!("{NAMESPACE}-{service}"));
        let body = json!({"spec": {"weight": weight}});
        let record = kinds::INTERNAL_SERVICE_EXPORT;
        self.user.patch(&record, &key, None, Patch::Merge, &body).await.unwrap();
    }

    /// Requests of the part that is tested which write, events aside.
    fn written(&self) -> u64 {
        let ours = |labels: &apiserver::RequestLabels, agent: &str| {
            agent == "hub-agent" && labels.is_write() && labels.resource != "events"
        };
        self.server.metrics().total(ours)
    }

    /// Waits until the endpoints are as wanted.
    async fn until(&self, wanted: &BTreeMap<String, i64>) {
        for _ in 0..600 {
            if self.port.weights() == *wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(self.port.weights(), *wanted);
    }
}

impl Hub {
    /// A profile with a backend for each service, which as many members export with weight 1.
    async fn exported(&self, services: usize, members: usize) -> Vec<Vec<i64>> {
        let profile = json!({"resourceGroup": "rg"});
        self.create(&kinds::TRAFFIC_MANAGER_PROFILE, NAMESPACE, "web", profile)
            .await;
        for member in 0..members {
            self.namespace(&format!("fleet-member-m{member}")).await;
        }
        for service in 0..services {
            let spec = json!({"profile": {"name": "web"}, "backend": {"name": format!("s{service}")}, "weight": 100});
            self.create(&kinds::TRAFFIC_MANAGER_BACKEND, NAMESPACE, &format!("b{service}"), spec)
                .await;
            for member in 0..members {
                self.export(&format!("m{member}"), &format!("s{service}"), 1).await;
            }
        }
        let exports = vec![vec![1; members]; services];
        self.until(&shares(&exports)).await;
        exports
    }

    /// Changes the weights of all exports.
    async fn weigh_all(&self, exports: &mut [Vec<i64>], weight: impl Fn(usize, usize) -> i64) {
        for (service, weights) in exports.iter_mut().enumerate() {
            for (member, stored) in weights.iter_mut().enumerate() {
                *stored = weight(service, member);
                self.weigh(&format!("m{member}"), &format!("s{service}"), *stored).await;
                // One after the other, as members report them.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// The weights of endpoints whose exports have these weights, with backends of weight 100.
fn shares(exports: &[Vec<i64>]) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for (service, weights) in exports.iter().enumerate() {
        for (member, weight) in api::networking::weights::spread(100, weights).into_iter().enumerate() {
            all.insert(format!("s{service}/m{member}"), weight);
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn exports_that_change_together_cost_one_write_for_each_endpoint_and_rest_costs_reads_alone() {
    let (services, members) = (8, 20);
    let hub = Hub::new().await;
    let mut exports = hub.exported(services, members).await;

    hub.port.take();
    let weight = |service, member| 1 + i64::try_from((service * 7 + member * 13) % 50).unwrap();
    hub.weigh_all(&mut exports, weight).await;
    hub.until(&shares(&exports)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut calls = hub.port.take();
    calls.remove("read");
    assert!(
        calls.iter().all(|(call, n)| call.starts_with("put ") && *n == 1),
        "{calls:?}"
    );

    // Nothing is written any more, here or there, and the profile is read every 45 seconds.
    let written = hub.written();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let calls = hub.port.take();
    assert_eq!(calls.keys().collect::<Vec<_>>(), ["read"]);
    assert!((10..=17).contains(&calls["read"]), "{calls:?}");
    assert_eq!(hub.written(), written);
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_is_written_as_it_is_wanted_last() {
    let hub = Hub::with(Some(RateLimit { qps: 5.0, burst: 1 })).await;
    let mut exports = hub.exported(2, 10).await;
    hub.port.take();
    hub.weigh_all(&mut exports, |_, member| 1 + i64::try_from(member).unwrap())
        .await;
    let mut early = BTreeMap::new();
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        early.append(&mut hub.port.take());
        if early.len() >= 5 {
            break;
        }
    }
    assert!((5..8).contains(&early.len()), "{early:?}");
    hub.weigh_all(&mut exports, |_, member| 10 - i64::try_from(member).unwrap())
        .await;
    hub.until(&shares(&exports)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut late = hub.port.take();
    late.remove("read");
    assert!(
        late.iter().all(|(call, n)| call.starts_with("put ") && *n == 1),
        "what waited when exports changed again was not written before: {late:?}"
    );
    hub.stop().await;
}
