//! Both kinds with simulated workloads: what agents, tests and demo rely on.
//!
//! Needs the programs of a real control plane; the first run on a machine may build them.

// Helpers of tests may fail like tests.
#![allow(clippy::expect_used, clippy::panic)]

use std::fmt::Debug;
use std::process::{Command, Stdio};
use std::time::Duration;

use control_plane::{ControlPlane, EmbeddedHost, Kind, Options, TokenFile, kubeconfig, workloads};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::wait::{Condition, await_condition, conditions::is_deleted};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

async fn plane(kind: Kind, embedded: EmbeddedHost) -> ControlPlane {
    let workloads = Some(workloads::Options::default());
    let options = Options {
        workloads,
        embedded,
        ..Options::default()
    };
    ControlPlane::start(kind, "member-1", options).await.expect("starts")
}

fn own_process() -> EmbeddedHost {
    EmbeddedHost::Process(env!("CARGO_BIN_EXE_fairway-control-plane").into())
}

async fn create<K>(client: &Client, object: Value) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), "shop");
    let object: K = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object).await.expect("is created");
    api
}

async fn wait<K>(what: &str, api: &Api<K>, name: &str, until: impl Condition<K>)
where
    K: Clone + Debug + Send + DeserializeOwned + Resource + 'static,
{
    let waiting = await_condition(api.clone(), name, until);
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"))
        .expect("a watch");
}

fn workload(kind: &str, image: &str, more: Value) -> Value {
    let mut workload = json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": {"app": kind}},
            "template": {"metadata": {"labels": {"app": kind}}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    });
    more.as_object()
        .into_iter()
        .flatten()
        .for_each(|(key, value)| workload["spec"][key] = value.clone());
    workload
}

async fn create_namespace(client: &Client) -> Api<Namespace> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let shop: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).expect("a namespace");
    namespaces
        .create(&PostParams::default(), &shop)
        .await
        .expect("is created");
    namespaces
}

fn available(deployment: Option<&Deployment>, expected: &str) -> bool {
    let status = deployment.and_then(|deployment| deployment.status.as_ref());
    let conditions = status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == "Available" && condition.status == expected)
}

#[tokio::test]
async fn real_workloads_become_healthy_lose_a_node_and_go() {
    healthy_then_lost_then_gone(plane(Kind::Real, EmbeddedHost::InProcess).await).await;
}

#[tokio::test]
async fn embedded_workloads_become_healthy_lose_a_node_and_go() {
    healthy_then_lost_then_gone(plane(Kind::Embedded, EmbeddedHost::InProcess).await).await;
}

#[tokio::test]
async fn embedded_workloads_in_a_process_of_its_own_do_so_too() {
    healthy_then_lost_then_gone(plane(Kind::Embedded, own_process()).await).await;
}

async fn healthy_then_lost_then_gone(plane: ControlPlane) {
    let client = plane.client();
    let namespaces = create_namespace(&client).await;
    let deployments = create::<Deployment>(&client, workload("d", "nginx", json!({"replicas": 2}))).await;
    let sets = create::<StatefulSet>(
        &client,
        workload("s", "nginx", json!({"replicas": 2, "serviceName": "s"})),
    )
    .await;
    let daemons = create::<DaemonSet>(&client, workload("n", "nginx", json!({}))).await;
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "batch"}]}});
    let job = json!({"metadata": {"name": "web"}, "spec": {"completions": 2, "parallelism": 2, "template": template}});
    let jobs = create::<Job>(&client, job).await;
    let balancer = json!({"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "d"}});
    let services = create::<Service>(&client, json!({"metadata": {"name": "web"}, "spec": balancer})).await;

    wait(
        "deployment available",
        &deployments,
        "web",
        |found: Option<&Deployment>| {
            let status = found.and_then(|found| found.status.as_ref());
            available(found, "True") && status.and_then(|status| status.ready_replicas) == Some(2)
        },
    )
    .await;
    wait("stateful set ready", &sets, "web", |found: Option<&StatefulSet>| {
        found.and_then(|found| found.status.as_ref()?.ready_replicas) == Some(2)
    })
    .await;
    wait(
        "daemon set on both nodes",
        &daemons,
        "web",
        |found: Option<&DaemonSet>| found.and_then(|found| found.status.as_ref()?.number_available) == Some(2),
    )
    .await;
    wait("job complete", &jobs, "web", |found: Option<&Job>| {
        found
            .and_then(|found| found.status.as_ref()?.completion_time.as_ref())
            .is_some()
    })
    .await;
    wait("address", &services, "web", |found: Option<&Service>| {
        let ingress = found.and_then(|found| found.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref());
        ingress.is_some_and(|ingress| ingress[0].ip.as_deref().is_some_and(|ip| ip.starts_with("172.18.255.")))
    })
    .await;

    let pods: Api<Pod> = Api::namespaced(client.clone(), "shop");
    let running = pods
        .list(&ListParams::default().labels("app=d"))
        .await
        .expect("lists")
        .items;
    let node_of = |pod: &Pod| {
        pod.spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .expect("is bound")
    };
    assert_ne!(
        node_of(&running[0]),
        node_of(&running[1]),
        "replicas spread over the nodes"
    );
    for node in ["node-1", "node-2"] {
        plane.set_node_ready(node, false).await.expect("is switched");
    }
    wait(
        "deployment unavailable",
        &deployments,
        "web",
        |found: Option<&Deployment>| available(found, "False"),
    )
    .await;
    plane.set_node_ready("node-1", true).await.expect("is switched");
    plane.set_node_ready("node-2", true).await.expect("is switched");
    wait(
        "deployment available again",
        &deployments,
        "web",
        |found: Option<&Deployment>| available(found, "True"),
    )
    .await;

    let shop = namespaces
        .delete("shop", &DeleteParams::default())
        .await
        .expect("is deleted");
    let uid = shop.left().and_then(|shop| shop.uid()).expect("goes slowly");
    wait(
        "namespace gone with all its pods",
        &namespaces,
        "shop",
        is_deleted(&uid),
    )
    .await;
    plane.stop().await;
}

#[tokio::test]
async fn real_failures_show() {
    failures_show(plane(Kind::Real, EmbeddedHost::InProcess).await).await;
}

#[tokio::test]
async fn embedded_failures_show() {
    failures_show(plane(Kind::Embedded, EmbeddedHost::InProcess).await).await;
}

/// A failing image keeps its Deployment unavailable, and a Pod that fits nowhere says so.
async fn failures_show(plane: ControlPlane) {
    let client = plane.client();
    create_namespace(&client).await;
    let deployments = create::<Deployment>(&client, workload("d", "fail:nginx", json!({"replicas": 1}))).await;
    wait("unavailable", &deployments, "web", |found: Option<&Deployment>| {
        available(found, "False")
    })
    .await;
    let requests = json!({"requests": {"cpu": "64"}});
    let spec = json!({"containers": [{"name": "c", "image": "nginx", "resources": requests}]});
    let pods = create::<Pod>(&client, json!({"metadata": {"name": "huge"}, "spec": spec})).await;
    wait("unschedulable", &pods, "huge", |found: Option<&Pod>| {
        let conditions = found.and_then(|found| found.status.as_ref()?.conditions.as_ref());
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.reason.as_deref() == Some("Unschedulable"))
    })
    .await;
    let nodes: Api<Node> = Api::all(client);
    let big = json!({"metadata": {"name": "big"}, "status": {"capacity": {"cpu": "100", "pods": "10"}}});
    let big: Node = serde_json::from_value(big).expect("a node");
    nodes.create(&PostParams::default(), &big).await.expect("is created");
    wait("running on the node that came", &pods, "huge", |found: Option<&Pod>| {
        found.and_then(|found| found.status.as_ref()?.phase.as_deref()) == Some("Running")
    })
    .await;
    plane.stop().await;
}

#[tokio::test]
async fn real_identities_have_their_users_and_groups() {
    identities_are_who_they_say(plane(Kind::Real, EmbeddedHost::InProcess).await).await;
}

#[tokio::test]
async fn embedded_identities_have_their_users_and_groups() {
    identities_are_who_they_say(plane(Kind::Embedded, own_process()).await).await;
}

/// And they have no rights beyond those that were granted.
async fn identities_are_who_they_say(plane: ControlPlane) {
    let who = |config: std::path::PathBuf| async move {
        let client = kubeconfig::client(&config).await.expect("a client");
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews");
        let request = request
            .body(serde_json::to_vec(&review).expect("text"))
            .expect("a request");
        let answer: Value = client.request(request).await.expect("an answer");
        let maps: Api<ConfigMap> = Api::namespaced(client, "default");
        let refused = maps.list(&ListParams::default()).await.expect_err("is refused");
        assert!(
            matches!(&refused, kube::Error::Api(status) if status.code == 403),
            "{refused}"
        );
        answer["status"]["userInfo"].clone()
    };
    let user = plane
        .user_kubeconfig("ada", &["operators", "auditors"])
        .await
        .expect("a kubeconfig");
    let ada = who(user).await;
    assert_eq!(ada["username"], "ada");
    assert_eq!(ada["groups"], json!(["operators", "auditors", "system:authenticated"]));
    let (config, token) = plane
        .service_account_kubeconfig("fleet-system", "member")
        .await
        .expect("a kubeconfig");
    assert_eq!(
        who(config).await["username"],
        "system:serviceaccount:fleet-system:member"
    );
    let first = std::fs::read_to_string(token.path()).expect("a token");
    let again = TokenFile::create(
        plane.client(),
        "fleet-system",
        "member",
        token.path(),
        Duration::from_secs(600),
    );
    let again = again.await.expect("a second one for the same account");
    assert_ne!(std::fs::read_to_string(again.path()).expect("a token"), first);
    plane.stop().await;
}

#[test]
fn nothing_outlives_a_killed_fleet() {
    let base = std::env::temp_dir().join(format!("fairway-kill-{}", std::process::id()));
    let tool = |command: &str| {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_fairway-control-plane"));
        tool.arg(command).arg("--folder").arg(&base).stdout(Stdio::piped());
        tool
    };
    let up = tool("up")
        .args(["--clusters", "hub", "--nodes", "0"])
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&up.stdout).into_owned();
    assert!(up.status.success() && said.contains("export KUBECONFIG_HUB="), "{said}");
    let data = base.join("default");
    assert!(uses(&data) >= 3, "etcd, API server and controller manager");
    let pid = std::fs::read_to_string(data.join("lock")).expect("the owner");
    assert!(
        Command::new("kill")
            .args(["-KILL", &pid])
            .status()
            .expect("runs")
            .success()
    );
    let begun = std::time::Instant::now();
    while uses(&data) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "processes stay behind");
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = tool("status").output().expect("runs");
    assert!(String::from_utf8_lossy(&status.stdout).contains("No control planes are running"));
    assert!(tool("down").status().expect("runs").success());
    assert!(!data.exists());
    std::fs::remove_dir(&base).expect("is empty");
}

/// How many processes name a folder on their command line.
fn uses(folder: &std::path::Path) -> usize {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("a list").flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(&folder))
        .count()
}
