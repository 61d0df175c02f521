//! A hub, a member and an agent between them.

use std::future::Future;
use std::time::Duration;

use apiserver::{ApiServer, User};
use fairway_core::apply;
use http::Method;
use jiff::Timestamp;
use kit::Error;
use kit::clock::Clock;
use kit::rest::{Call, media};
use member_agent::args::Settings;
use member_agent::{Address, Clients, run_with};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How the agent calls itself in the servers' counts.
pub const AGENT: &str = "agent";
/// The user that the agent is to both servers.
pub const USER: &str = "member-agent";
/// The member's namespace on the hub.
pub const NAMESPACE: &str = "fleet-member-m";

pub const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub const APPLIED_WORKS: &str = "/apis/placement.kubernetes-fleet.io/v1beta1/appliedworks";
const WORKS: &str = "/apis/placement.kubernetes-fleet.io/v1beta1/namespaces/fleet-member-m/works";
const MEMBERSHIPS: &str = "/apis/cluster.kubernetes-fleet.io/v1beta1/namespaces/fleet-member-m/internalmemberclusters";

pub struct World {
    pub hub: ApiServer,
    pub member: ApiServer,
    agent: Option<(JoinHandle<Result<(), String>>, CancellationToken)>,
}

impl World {
    /// Both servers with their definitions, a member that is wanted, and the agent at work.
    pub async fn start() -> Self {
        let mut world = Self::without_agent().await;
        world.start_agent();
        world.joined("True").await;
        world
    }

    pub async fn without_agent() -> Self {
        let server = || ApiServer::builder().build().unwrap();
        let world = Self {
            hub: server(),
            member: server(),
            agent: None,
        };
        for (server, names) in [
            (
                &world.hub,
                &[
                    "placement.kubernetes-fleet.io_works",
                    "cluster.kubernetes-fleet.io_internalmemberclusters",
                ][..],
            ),
            (&world.member, &["placement.kubernetes-fleet.io_appliedworks"][..]),
        ] {
            for name in names {
                let path = format!("{}/../../deploy/crds/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
                let crd = api::yaml::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
                create(server, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd)
                    .await
                    .unwrap();
            }
        }
        create(
            &world.hub,
            "/api/v1/namespaces",
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        )
        .await
        .unwrap();
        eventually("the hub serves our kinds", || async {
            get(&world.hub, MEMBERSHIPS).await.is_ok() && get(&world.hub, WORKS).await.is_ok()
        })
        .await;
        eventually("the member serves AppliedWorks", || async {
            get(&world.member, APPLIED_WORKS).await.is_ok()
        })
        .await;
        world.want("Join").await;
        world
    }

    /// What the hub wants of the member.
    pub async fn want(&self, state: &str) {
        let spec = json!({"state": state, "heartbeatPeriodSeconds": 600});
        let object = json!({"apiVersion": "cluster.kubernetes-fleet.io/v1beta1", "kind": "InternalMemberCluster",
            "metadata": {"name": "m", "namespace": NAMESPACE}, "spec": spec});
        if create(&self.hub, MEMBERSHIPS, &object).await.is_err() {
            patch(&self.hub, &format!("{MEMBERSHIPS}/m"), &json!({"spec": spec}))
                .await
                .unwrap();
        }
    }

    /// Asks for heartbeats with this period in seconds.
    pub async fn want_heartbeats(&self, seconds: u64) {
        let spec = json!({"spec": {"heartbeatPeriodSeconds": seconds}});
        patch(&self.hub, &format!("{MEMBERSHIPS}/m"), &spec).await.unwrap();
    }

    pub fn start_agent(&mut self) {
        self.start_agent_with(Settings::default());
    }

    /// Starts the agent with these settings, but with short waits between passes.
    pub fn start_agent_with(&mut self, settings: Settings) {
        let user = User::new(USER, &["system:masters"]);
        let client = |server: &ApiServer| kit::client::in_process(server.client_for(user.clone(), AGENT));
        let clients = Clients {
            hub: client(&self.hub),
            member: client(&self.member),
            member_address: Address {
                authority: Some(Ok("pem".to_owned())),
                entry_point: Some("https://member:6443".to_owned()),
            },
            clock: Clock::paused_at(Timestamp::now()),
        };
        let short = Duration::from_millis(300);
        let requeue = apply::Settings {
            fixed_delay: short,
            initial_slow_delay: short,
            ..apply::Settings::default()
        };
        let settings = Settings { requeue, ..settings };
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move { run_with(clients, "m", settings, None, token).await });
        self.agent = Some((task, stop));
    }

    /// Ends the agent without any chance to tidy up.
    pub async fn crash_agent(&mut self) {
        let (task, _) = self.agent.take().unwrap();
        task.abort();
        let _ = task.await;
    }

    /// Stops the agent, and does not wait for that.
    pub fn ask_to_end(&self) {
        self.agent.as_ref().unwrap().1.cancel();
    }

    pub async fn stop_agent(&mut self) {
        let (task, stop) = self.agent.take().unwrap();
        stop.cancel();
        task.await.unwrap().unwrap();
    }

    pub async fn membership(&self) -> Value {
        get(&self.hub, &format!("{MEMBERSHIPS}/m")).await.unwrap()
    }

    /// Waits for the condition Joined.
    pub async fn joined(&self, status: &str) {
        eventually(&format!("the member is Joined={status}"), || async {
            let membership = self.membership().await;
            condition(&membership["status"]["agentStatus"][0]["conditions"], "Joined").starts_with(status)
        })
        .await;
    }

    pub async fn create_work(&self, name: &str, spec: Value) {
        let object = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "Work",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        self.create_work_as(&object).await;
    }

    pub async fn create_work_as(&self, object: &Value) {
        create(&self.hub, WORKS, object).await.unwrap();
    }

    /// Replaces the finalizers of a Work, as somebody with all rights may.
    pub async fn change_finalizers(&self, name: &str, finalizers: &[&str]) {
        let body = json!({"metadata": {"finalizers": finalizers}});
        patch(&self.hub, &format!("{WORKS}/{name}"), &body).await.unwrap();
    }

    pub async fn change_work(&self, name: &str, spec: Value) {
        patch(&self.hub, &format!("{WORKS}/{name}"), &json!({"spec": spec}))
            .await
            .unwrap();
    }

    /// Creates or changes a Work as one of `number` Works of a placement at a revision of its resources.
    pub async fn put_part(&self, name: &str, (revision, number): (u32, u32), manifests: &[Value]) {
        let metadata = json!({"name": name, "namespace": NAMESPACE,
        "annotations": {"kubernetes-fleet.io/number-of-works": number.to_string()},
        "labels": {
            "kubernetes-fleet.io/parent-CRP": "crp",
            "kubernetes-fleet.io/parent-resource-binding": "crp-m",
            "kubernetes-fleet.io/parent-resource-snapshot-index": revision.to_string(),
        }});
        let spec = json!({"workload": {"manifests": manifests}});
        if self.work(name).await.is_some() {
            let change = json!({"metadata": metadata, "spec": spec});
            patch(&self.hub, &format!("{WORKS}/{name}"), &change).await.unwrap();
        } else {
            let object = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "Work",
                "metadata": metadata, "spec": spec});
            self.create_work_as(&object).await;
        }
    }

    pub async fn delete_work(&self, name: &str) {
        delete(&self.hub, &format!("{WORKS}/{name}")).await.unwrap();
    }

    pub async fn work(&self, name: &str) -> Option<Value> {
        get(&self.hub, &format!("{WORKS}/{name}")).await.ok()
    }

    /// Waits until the AppliedWork lists so many objects, the last thing that is written about a Work.
    pub async fn wait_for_applied(&self, name: &str, objects: usize) {
        eventually(&format!("the AppliedWork {name} lists {objects} objects"), || async {
            let applied_work = self.applied_work(name).await.unwrap_or_default();
            let list = applied_work["status"]["appliedResources"].as_array();
            list.is_some_and(|list| list.len() == objects)
        })
        .await;
    }

    pub async fn applied_work(&self, name: &str) -> Option<Value> {
        get(&self.member, &format!("{APPLIED_WORKS}/{name}")).await.ok()
    }

    /// Waits until the Work's condition is as wanted (`<status> <reason>` or a beginning of it) at its current generation.
    pub async fn wait_for(&self, name: &str, kind: &str, wanted: &str) -> Value {
        eventually(&format!("the Work {name} is {kind}={wanted}"), || async {
            let work = self.work(name).await.unwrap_or_default();
            is_current(&work, kind) && condition(&work["status"]["conditions"], kind).starts_with(wanted)
        })
        .await;
        self.work(name).await.unwrap()
    }

    /// Waits until a manifest's Applied condition has this reason.
    pub async fn wait_for_manifest(&self, name: &str, ordinal: usize, reason: &str) -> Value {
        eventually(&format!("manifest {ordinal} of {name} is {reason}"), || async {
            let work = self.work(name).await.unwrap_or_default();
            let entry = &work["status"]["manifestConditions"][ordinal];
            condition(&entry["conditions"], "Applied").ends_with(&format!(" {reason}"))
        })
        .await;
        self.work(name).await.unwrap()["status"]["manifestConditions"][ordinal].clone()
    }

    /// What the placed ConfigMap holds under the key `k`.
    pub async fn config(&self, name: &str) -> Option<String> {
        let object = get(&self.member, &format!("{CONFIG_MAPS}/{name}")).await.ok()?;
        object.pointer("/data/k").and_then(Value::as_str).map(str::to_owned)
    }

    /// Changes the placed ConfigMap on the member, as somebody else would.
    pub async fn change_config(&self, name: &str, change: Value) {
        let path = format!("{CONFIG_MAPS}/{name}");
        patch(&self.member, &path, &change).await.unwrap();
    }

    pub async fn wait_for_config(&self, name: &str, value: Option<&str>) {
        eventually(&format!("the ConfigMap {name} holds {value:?}"), || async {
            self.config(name).await.as_deref() == value
        })
        .await;
    }
}

pub fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"k": value}})
}

/// A Work's spec.
pub fn spec(manifests: &[Value], strategy: Value) -> Value {
    json!({"workload": {"manifests": manifests}, "applyStrategy": strategy})
}

pub fn condition(list: &Value, kind: &str) -> String {
    let found = list.as_array().into_iter().flatten().find(|c| c["type"] == kind);
    found.map_or_else(String::new, |c| {
        format!("{} {}", c["status"].as_str().unwrap(), c["reason"].as_str().unwrap())
    })
}

fn is_current(work: &Value, kind: &str) -> bool {
    let list = work["status"]["conditions"].as_array().cloned().unwrap_or_default();
    list.iter()
        .any(|c| c["type"] == kind && c["observedGeneration"] == work["metadata"]["generation"])
}

/// Waits until it holds; fails after ten seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Checks that it holds all the time for a while.
pub async fn always<F: Future<Output = bool>>(what: &str, time: Duration, holds: impl Fn() -> F) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(holds().await, "it is no longer true that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn send(
    server: &ApiServer,
    method: Method,
    path: &str,
    body: Option<(&'static str, &Value)>,
) -> Result<Value, Error> {
    let mut call = Call::new(method, path, path);
    if let Some((media, body)) = body {
        call = call.body(media, body.to_string().into_bytes());
    }
    call.json(&server.client()).await
}

pub async fn get(server: &ApiServer, path: &str) -> Result<Value, Error> {
    send(server, Method::GET, path, None).await
}

pub async fn create(server: &ApiServer, path: &str, object: &Value) -> Result<Value, Error> {
    send(server, Method::POST, path, Some((media::JSON, object))).await
}

pub async fn patch(server: &ApiServer, path: &str, body: &Value) -> Result<Value, Error> {
    send(server, Method::PATCH, path, Some((media::MERGE_PATCH, body))).await
}

pub async fn delete(server: &ApiServer, path: &str) -> Result<Value, Error> {
    send(server, Method::DELETE, path, None).await
}

/// Requests of the agent that change something, as `<verb> <resource>[/<subresource>]`; events aside, which come late.
pub fn writes(server: &ApiServer) -> Vec<String> {
    let mut all = Vec::new();
    for (labels, agent, count) in server.metrics().counts() {
        if agent == AGENT && labels.is_write() && labels.resource != "events" {
            let part = if labels.subresource.is_empty() {
                String::new()
            } else {
                format!("/{}", labels.subresource)
            };
            all.extend(std::iter::repeat_n(
                format!("{} {}{part}", labels.verb, labels.resource),
                usize::try_from(count).unwrap(),
            ));
        }
    }
    all.sort();
    all
}
