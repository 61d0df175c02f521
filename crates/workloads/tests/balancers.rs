//! Load balancers that answer: their addresses follow the readiness of the Pods behind them.

// Helpers of tests may fail like tests.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use apiserver::ApiServer;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use workloads::{Options, Simulator};

const DEADLINE: Duration = Duration::from_secs(60);
/// High enough for every user, below what the system gives outgoing connections.
const PORT: u16 = 18_080;

/// A /24 network on loopback for a test and process, so that runs side by side do not meet.
fn network(test: u8) -> [u8; 3] {
    let [.., high, low] = std::process::id().to_be_bytes();
    [127, 64 + (high ^ test) % 128, low]
}

fn options(test: u8, name: &str) -> Options {
    Options {
        nodes: 1,
        controllers: true,
        load_balancer_network: network(test),
        serve_as: Some(name.to_owned()),
        ..Options::default()
    }
}

/// What an address answers, or why it does not.
async fn get(address: &str) -> Result<String, std::io::Error> {
    let mut stream = TcpStream::connect((address, PORT)).await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned());
    Ok(body.unwrap_or_default())
}

/// Polls until an address answers with `wanted`, or refuses connections.
async fn eventually(address: &str, wanted: Option<&str>) {
    let begun = Instant::now();
    loop {
        let answer = get(address).await;
        if answer.as_deref().ok() == wanted {
            return;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "{address} answers {answer:?} and not {wanted:?}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

async fn create_deployment(client: &Client, image: &str) -> Api<Deployment> {
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    });
    let deployment = serde_json::from_value(deployment).expect("a deployment");
    let api: Api<Deployment> = Api::namespaced(client.clone(), "default");
    api.create(&PostParams::default(), &deployment)
        .await
        .expect("is created");
    api
}

/// Creates a Service and waits for its address.
async fn create_service(client: &Client, name: &str) -> (Api<Service>, String) {
    let service = json!({
        "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": PORT}]},
    });
    let service: Service = serde_json::from_value(service).expect("a service");
    let api: Api<Service> = Api::namespaced(client.clone(), "default");
    api.create(&PostParams::default(), &service).await.expect("is created");
    let begun = Instant::now();
    loop {
        let found = serde_json::to_value(api.get(name).await.expect("is there")).expect("JSON");
        if let Some(address) = found["status"]["loadBalancer"]["ingress"][0]["ip"].as_str() {
            return (api, address.to_owned());
        }
        assert!(begun.elapsed() < DEADLINE, "{name} gets no address");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_load_balancer_answers_while_one_of_its_pods_is_ready() {
    let server = ApiServer::builder().seed(1).build().expect("a server");
    let client = server.client();
    let simulator = Simulator::start(client.clone(), options(1, "member-1"))
        .await
        .expect("starts");
    let (services, address) = create_service(&client, "web").await;
    assert!(get(&address).await.is_err(), "no Pod is there");
    let deployments = create_deployment(&client, "nginx").await;
    eventually(&address, Some("member-1")).await;

    simulator.set_node_ready("node-1", false).await.expect("is switched");
    eventually(&address, None).await;
    simulator.set_node_ready("node-1", true).await.expect("is switched");
    eventually(&address, Some("member-1")).await;

    deployments
        .delete("web", &DeleteParams::default())
        .await
        .expect("is deleted");
    eventually(&address, None).await;
    create_deployment(&client, "fail:nginx").await;
    let begun = Instant::now();
    loop {
        let status = deployments
            .get("web")
            .await
            .expect("is there")
            .status
            .unwrap_or_default();
        if status.replicas == Some(1) && status.unavailable_replicas == Some(1) {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "{status:?}");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(get(&address).await.is_err(), "its Pod never becomes ready");
    deployments
        .delete("web", &DeleteParams::default())
        .await
        .expect("is deleted");
    create_deployment(&client, "nginx").await;
    eventually(&address, Some("member-1")).await;

    services
        .delete("web", &DeleteParams::default())
        .await
        .expect("is deleted");
    eventually(&address, None).await;
    simulator.stop().await;
}

#[tokio::test]
async fn each_service_of_each_cluster_has_an_address_of_its_own_and_all_end_with_the_simulator() {
    let mut addresses = BTreeSet::new();
    let mut simulators = Vec::new();
    for (number, name) in [(2, "member-1"), (3, "member-2")] {
        let server = ApiServer::builder().seed(1).build().expect("a server");
        let client = server.client();
        let simulator = Simulator::start(client.clone(), options(number, name))
            .await
            .expect("starts");
        create_deployment(&client, "nginx").await;
        for service in ["web", "other"] {
            let (_, address) = create_service(&client, service).await;
            eventually(&address, Some(name)).await;
            assert!(addresses.insert(address.clone()), "{address} is given twice");
        }
        simulators.push((server, simulator));
    }
    for (_, simulator) in simulators {
        simulator.stop().await;
    }
    for address in &addresses {
        eventually(address, None).await;
    }
}
