//! A hub with the agent on it, and members that are played.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::text::reasons;
use apiserver::{ApiServer, User};
use hub_agent::{Clients, Config};
use jiff::Timestamp;
use kit::clock::Clock;
use kit::index::{Change, Index};
use kit::writer::{Deletion, Patch, Writer};
use kit::{ObjectKey, Resource};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const NAMESPACE: Resource = kinds::NAMESPACE;
pub const CONFIG_MAP: Resource = Resource::namespaced("", "v1", "ConfigMap", "configmaps");
pub const PLACEMENT: Resource = kinds::CLUSTER_RESOURCE_PLACEMENT;
pub const BINDING: Resource = kinds::CLUSTER_RESOURCE_BINDING;
pub const POLICY_SNAPSHOT: Resource = kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT;
pub const SNAPSHOT: Resource = kinds::CLUSTER_RESOURCE_SNAPSHOT;
pub const OVERRIDE: Resource = kinds::CLUSTER_RESOURCE_OVERRIDE;
pub const WORK: Resource = kinds::WORK;
pub const MEMBER: Resource = kinds::MEMBER_CLUSTER;
const INTERNAL_MEMBER: Resource = kinds::INTERNAL_MEMBER_CLUSTER;
pub const DEFINITION: Resource = Resource::cluster(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
);

const RBAC: &str = "rbac.authorization.k8s.io";

/// Name of the agent in the server's request counts.
const AGENT: &str = "hub-agent";
/// The agent as a user, for faults.
pub const AGENT_USER: &str = "system:serviceaccount:fleet-system:hub-agent-sa";

pub struct World {
    pub server: ApiServer,
    pub user: Writer,
    /// The client of everybody but the agent.
    client: kube::Client,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    agent: Option<Agent>,
}

/// A hub agent that runs.
pub struct Agent(CancellationToken, JoinHandle<Result<(), hub_agent::Failure>>);

/// Objects of one kind, followed by the test.
pub struct Seen {
    index: Arc<Index<Value>>,
}

impl World {
    /// A hub with the fleet's kinds and the members' agents, but without the hub agent.
    pub async fn new() -> Self {
        kit::telemetry::init(kit::telemetry::Format::Text, 0);
        let server = ApiServer::builder().build().unwrap();
        let client = kit::client::in_process(server.client());
        let user = Writer::new(client.clone(), Duration::from_secs(5));
        let mut world = Self {
            server,
            user,
            client,
            stop: CancellationToken::new(),
            tasks: Vec::new(),
            agent: None,
        };
        world.install().await;
        let (client, stop) = (world.client.clone(), world.stop.clone());
        world.tasks.push(tokio::spawn(play_members(client, stop)));
        world
    }

    async fn install(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let definition = api::yaml::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
            self.create(&DEFINITION, None, &definition).await;
        }
        // The agent runs with exactly the rights that its deployment gives to it.
        self.apply("00-namespace.yaml").await;
        self.apply("10-rbac.yaml").await;
    }

    /// Creates what a file of the hub agent's deployment describes.
    async fn apply(&self, file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../deploy/hub-agent")
            .join(file);
        for object in api::yaml::parse_all(&std::fs::read_to_string(path).unwrap()).unwrap() {
            let resource = match object["kind"].as_str().unwrap() {
                "Namespace" => NAMESPACE,
                "ServiceAccount" => Resource::namespaced("", "v1", "ServiceAccount", "serviceaccounts"),
                "ClusterRole" => Resource::cluster(RBAC, "v1", "ClusterRole", "clusterroles"),
                "ClusterRoleBinding" => Resource::cluster(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings"),
                "Role" => Resource::namespaced(RBAC, "v1", "Role", "roles"),
                "RoleBinding" => Resource::namespaced(RBAC, "v1", "RoleBinding", "rolebindings"),
                other => panic!("unexpected {other}"),
            };
            let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
            self.user.create(&resource, namespace, &object).await.unwrap();
        }
    }

    /// Starts the hub agent.
    pub fn start(&mut self, flags: &[&str]) {
        let fixed = [
            "--health-probe-bind-address=0",
            "--metrics-bind-address=0",
            "--resource-snapshot-creation-minimum-interval=0s",
            "--resource-changes-collection-duration=0s",
        ];
        let arguments = fixed.iter().chain(flags).map(|flag| (*flag).to_owned());
        let config = Config::parse(arguments).unwrap();
        let user = User::service_account("fleet-system", "hub-agent-sa", "");
        let clients = Clients {
            clock: Clock::paused_at(Timestamp::now()),
            ..Clients::shared(self.server.client_for(user, AGENT))
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(hub_agent::run(config, clients, stop.clone()));
        self.agent = Some(Agent(stop, task));
    }

    /// Ends the hub agent in the middle of whatever it does.
    pub async fn kill(&mut self) {
        self.detach().kill().await;
    }

    /// Leaves the hub agent to the test, so that another one can be started beside it.
    pub fn detach(&mut self) -> Agent {
        self.agent.take().unwrap()
    }

    /// Ends the hub agent as SIGTERM would.
    pub async fn stop(&mut self) {
        self.ask_to_end();
        self.ended().await.unwrap();
    }

    /// Does what SIGTERM does.
    pub fn ask_to_end(&self) {
        self.agent.as_ref().unwrap().0.cancel();
    }

    /// Waits until the hub agent has ended.
    pub async fn ended(&mut self) -> Result<(), hub_agent::Failure> {
        self.agent.take().unwrap().1.await.unwrap()
    }

    /// Follows all objects of a kind.
    pub fn follow(&mut self, resource: Resource) -> Seen {
        let index = Index::builder(resource, |value| Ok(Some(value))).build();
        let (runner, client, stop) = (Arc::clone(&index), self.client.clone(), self.stop.clone());
        self.tasks
            .push(tokio::spawn(async move { runner.run(client, stop).await }));
        Seen { index }
    }

    /// Creates an object of a kind.
    pub async fn create(&self, resource: &Resource, namespace: Option<&str>, object: &Value) {
        let mut object = object.clone();
        object["apiVersion"] = resource.api_version().into();
        object["kind"] = resource.kind.as_ref().into();
        self.user.create(resource, namespace, &object).await.unwrap();
    }

    pub async fn namespace(&self, name: &str) {
        self.create(&NAMESPACE, None, &json!({"metadata": {"name": name}}))
            .await;
    }

    /// A namespace with one ConfigMap in it.
    pub async fn application(&self, name: &str) {
        self.namespace(name).await;
        self.config_map(name, "config", "1").await;
    }

    pub async fn config_map(&self, namespace: &str, name: &str, value: &str) {
        let object = json!({"metadata": {"name": name, "namespace": namespace}, "data": {"value": value}});
        self.create(&CONFIG_MAP, Some(namespace), &object).await;
    }

    /// Places a namespace on all members.
    pub async fn place(&self, name: &str, namespace: &str) {
        let object = json!({
            "metadata": {"name": name},
            "spec": {
                "resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": namespace}],
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"unavailablePeriodSeconds": 1}},
            },
        });
        self.create(&PLACEMENT, None, &object).await;
    }

    pub async fn patch(&self, resource: &Resource, key: &ObjectKey, body: Value) {
        self.user.patch(resource, key, None, Patch::Merge, &body).await.unwrap();
    }

    pub async fn delete(&self, resource: &Resource, key: &ObjectKey) {
        self.user.delete(resource, key, Deletion::default()).await.unwrap();
    }

    /// Adds members, and waits until they have joined.
    pub async fn join(&mut self, names: &[&str]) {
        let members = self.follow(MEMBER);
        for name in names {
            let identity = json!({"kind": "User", "name": format!("{name}-agent")});
            let object = json!({"metadata": {"name": name, "labels": {"tier": name}}, "spec": {"identity": identity}});
            self.create(&MEMBER, None, &object).await;
        }
        for name in names {
            members
                .until(&ObjectKey::cluster(name), "joined", |m| {
                    has_condition(m, "Joined", "True")
                })
                .await;
        }
    }

    /// Writes of the agent so far, by kind and verb, events aside.
    pub fn writes(&self) -> Vec<(String, u64)> {
        let counts = self.server.metrics().counts();
        let ours = counts
            .into_iter()
            .filter(|(l, agent, _)| agent == AGENT && l.is_write() && l.resource != "events");
        ours.map(|(l, _, n)| (format!("{} {} {} {}", l.verb, l.resource, l.subresource, l.code), n))
            .collect()
    }

    /// Complete lists by the agent so far.
    pub fn lists(&self) -> u64 {
        self.server
            .metrics()
            .total(|labels, agent| agent == AGENT && labels.verb == "LIST")
    }

    pub fn written(&self) -> u64 {
        self.writes().iter().map(|(_, n)| n).sum()
    }
}

impl Agent {
    /// Ends it in the middle of whatever it does.
    pub async fn kill(self) {
        let Self(_, task) = self;
        task.abort();
        let _ = task.await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(Agent(_, task)) = &self.agent {
            task.abort();
        }
    }
}

impl Seen {
    /// One object as it is now.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.index.get(key)
    }

    pub fn all(&self) -> Vec<Arc<Value>> {
        self.index.all()
    }

    /// Waits until an object is as wanted.
    pub async fn until(&self, key: &ObjectKey, what: &str, wanted: impl Fn(&Value) -> bool) -> Arc<Value> {
        let found = self.wait(|| self.index.get(key).filter(|object| wanted(object))).await;
        found.unwrap_or_else(|| panic!("{key} is not {what}: {:#?}", self.index.get(key)))
    }

    /// Waits until the objects of the kind are as wanted.
    pub async fn until_all(&self, what: &str, wanted: impl Fn(&[Arc<Value>]) -> bool) {
        let found = self.wait(|| wanted(&self.index.all()).then_some(())).await;
        assert!(found.is_some(), "not {what}: {:#?}", self.index.all());
    }

    async fn wait<T>(&self, look: impl Fn() -> Option<T>) -> Option<T> {
        let mut changes = self.index.revision();
        let search = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look().filter(|_| self.index.is_synced()) {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(120), search).await.ok()
    }
}

pub fn has_condition(object: &Value, kind: &str, status: &str) -> bool {
    let generation = object.pointer("/metadata/generation");
    object
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .is_some_and(|all| {
            all.iter()
                .any(|c| c["type"] == kind && c["status"] == status && c.get("observedGeneration") == generation)
        })
}

pub fn is_available(placement: &Value) -> bool {
    has_condition(placement, "ClusterResourcePlacementAvailable", "True")
}

/// Plays all member agents: joins and leaves as the hub demands, applies every Work at once, cleans up at its end. The agent of
/// the member `silent` never answers for a Work.
async fn play_members(client: kube::Client, stop: CancellationToken) {
    let (sender, mut received) = mpsc::unbounded_channel();
    let watch = |resource: Resource| {
        let sender = sender.clone();
        Index::builder(resource, |value| Ok(Some(value)))
            .on_change(move |change: &Change<Value>| {
                if let Some(object) = &change.new {
                    let _ = sender.send(Arc::clone(object));
                }
            })
            .build()
    };
    let [works, members] = [watch(WORK), watch(INTERNAL_MEMBER)];
    let writer = Writer::new(client.clone(), Duration::from_secs(5));
    tokio::spawn({
        let (client, stop) = (client.clone(), stop.clone());
        async move { tokio::join!(works.run(client.clone(), stop.clone()), members.run(client, stop)) }
    });
    while let Some(Some(object)) = stop.run_until_cancelled(received.recv()).await {
        let writer = writer.clone();
        tokio::spawn(async move {
            let is_silent = object["metadata"]["namespace"] == "fleet-member-silent";
            if object["kind"] == "Work" && is_silent {
            } else if object["kind"] == "Work" {
                play_work(&writer, &object).await
            } else {
                play_member(&writer, &object).await
            }
        });
    }
}

fn condition(object: &Value, kind: &str, status: &str, reason: &str) -> Value {
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    json!({"type": kind, "status": status, "reason": reason, "message": "", "observedGeneration": generation,
        "lastTransitionTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()})
}

async fn play_work(writer: &Writer, work: &Value) {
    let key = ObjectKey::of(work);
    let finalizer = json!([api::text::finalizers::WORK]);
    if work.pointer("/metadata/deletionTimestamp").is_some() {
        let body = json!({"metadata": {"finalizers": null}});
        let _ = writer.patch(&WORK, &key, None, Patch::Merge, &body).await;
        return;
    }
    if work.pointer("/metadata/finalizers").is_none() {
        let _ = writer
            .patch(
                &WORK,
                &key,
                None,
                Patch::Merge,
                &json!({"metadata": {"finalizers": finalizer}}),
            )
            .await;
    }
    if has_condition(work, "Available", "True") {
        return;
    }
    let conditions = [
        condition(work, "Applied", "True", reasons::work::ALL_MANIFESTS_APPLIED),
        condition(work, "Available", "True", reasons::work::ALL_MANIFESTS_AVAILABLE),
    ];
    let _ = writer
        .patch(
            &WORK,
            &key,
            Some("status"),
            Patch::Merge,
            &json!({"status": {"conditions": conditions}}),
        )
        .await;
}

async fn play_member(writer: &Writer, member: &Value) {
    let joined = if member.pointer("/spec/state") == Some(&json!("Leave")) {
        "False"
    } else {
        "True"
    };
    let known = member.pointer("/status/agentStatus/0/conditions/0/status");
    if known == Some(&json!(joined)) {
        return;
    }
    let conditions = [
        condition(member, "Joined", joined, "Played"),
        condition(member, "Healthy", "True", "Played"),
    ];
    let heartbeat = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let agent = json!({"type": "MemberAgent", "conditions": conditions, "lastReceivedHeartbeat": heartbeat});
    let body = json!({"status": {"agentStatus": [agent]}});
    let _ = writer
        .patch(
            &INTERNAL_MEMBER,
            &ObjectKey::of(member),
            Some("status"),
            Patch::Merge,
            &body,
        )
        .await;
}
