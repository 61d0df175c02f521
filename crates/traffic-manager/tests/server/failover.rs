//! From an endpoint's death, or a hint about it, to the answers of the DNS server.

use std::net::IpAddr;
use std::time::Duration;

use crate::client::*;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use traffic_manager::faults::{Options, Server};

/// A server on a loopback address of its own that takes connections.
async fn target(address: &str, port: u16) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind((address, port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    (port, task)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Asks until the addresses that come within 40 answers are these.
async fn until_answers(server: &Server, name: &str, wanted: &[&str]) {
    let wanted: Vec<IpAddr> = wanted.iter().map(|text| ip(text)).collect();
    let answers = async {
        let mut changes = server.engine.changes();
        loop {
            let mut seen: Vec<IpAddr> = (0..40).flat_map(|_| lookup(server.dns, name).1).collect();
            seen.sort();
            seen.dedup();
            if seen == wanted {
                return;
            }
            // The zone follows the state at once, but not in the same instant.
            let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answers)
        .await
        .expect("the answers never became those");
}

async fn status(hub: &Hub, endpoint: &str) -> String {
    let reply = hub.call(Method::GET, &endpoint_path("p", endpoint), Value::Null).await;
    reply.body["properties"]["endpointMonitorStatus"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_follow_probes_hints_and_restarts() {
    let directory = Directory::new("failover");
    let server = Server::start(&directory.0, Options::default()).await.unwrap();
    let hub = Hub::new(server.arm).await;
    let name = "app.trafficmanager.net.";
    assert_eq!(lookup(server.dns, name).0, ResponseCode::NXDomain);
    let (port, first) = target("127.0.0.11", 0).await;
    let (_, second) = target("127.0.0.12", port).await;
    let monitor = json!({"protocol": "TCP", "port": port, "intervalInSeconds": 1, "timeoutInSeconds": 1,
        "toleratedNumberOfFailures": 0});
    assert_eq!(hub.put_profile("p", profile_body("app", monitor)).await.status, 201);
    assert_eq!(
        lookup(server.dns, name),
        (ResponseCode::NoError, Vec::new()),
        "a name without endpoints"
    );
    hub.put_endpoint("p", "a", endpoint_body("127.0.0.11", 1)).await;
    hub.put_endpoint("p", "b", endpoint_body("127.0.0.12", 1)).await;
    until_answers(&server, name, &["127.0.0.11", "127.0.0.12"]).await;
    let answer = ask(server.dns, name, RecordType::A);
    assert_eq!(answer.answers[0].ttl, 1, "the profile's time to live");

    second.abort();
    let _ended = second.await;
    until_answers(&server, name, &["127.0.0.11"]).await;
    assert_eq!(status(&hub, "b").await, "Degraded");
    let (_, second) = target("127.0.0.12", port).await;
    until_answers(&server, name, &["127.0.0.11", "127.0.0.12"]).await;

    assert_eq!(hub.hint("p", "a", "Degraded", 600).await.status, 200);
    until_answers(&server, name, &["127.0.0.12"]).await;
    server.stop().await;
    let server = Server::start(&directory.0, Options::default()).await.unwrap();
    let hub = Hub::new(server.arm).await;
    until_answers(&server, name, &["127.0.0.12"]).await;
    assert_eq!(status(&hub, "a").await, "Degraded", "a hint outlives a restart");
    hub.hint("p", "a", "Online", 0).await;
    until_answers(&server, name, &["127.0.0.11", "127.0.0.12"]).await;
    hub.hint("p", "b", "Degraded", 1).await;
    until_answers(&server, name, &["127.0.0.11"]).await;
    until_answers(&server, name, &["127.0.0.11", "127.0.0.12"]).await;

    for task in [first, second] {
        task.abort();
        let _ended = task.await;
    }
    tokio::time::timeout(Duration::from_secs(60), async {
        while status(&hub, "a").await != "Degraded" || status(&hub, "b").await != "Degraded" {}
    })
    .await
    .unwrap();
    until_answers(&server, name, &["127.0.0.11", "127.0.0.12"]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_answers_nothing_until_it_is_written_again() {
    let directory = Directory::new("lost");
    let options = Options {
        recovery_pause: Duration::from_millis(300),
        ..Options::default()
    };
    let server = Server::start(&directory.0, options.clone()).await.unwrap();
    assert!(server.engine.ready().is_ok());
    server.stop().await;
    std::fs::write(directory.0.join("store/state.redb"), "damaged").unwrap();

    let server = Server::start(&directory.0, options.clone()).await.unwrap();
    let name = "app.trafficmanager.net.";
    assert!(server.engine.ready().unwrap_err().contains("store was lost"));
    assert_eq!(
        lookup(server.dns, name).0,
        ResponseCode::Refused,
        "no wrong negative answer"
    );
    server.stop().await;
    let server = Server::start(&directory.0, options).await.unwrap();
    assert_eq!(
        lookup(server.dns, name).0,
        ResponseCode::Refused,
        "nor after another restart"
    );
    let hub = Hub::new(server.arm).await;
    let monitor = json!({"protocol": "TCP", "port": 1});
    assert_eq!(hub.put_profile("p", profile_body("app", monitor)).await.status, 201);
    hub.put_endpoint("p", "a", endpoint_body("192.0.2.1", 1)).await;
    until_answers(&server, name, &["192.0.2.1"]).await;
    assert!(server.engine.ready().is_ok());
    assert!(std::fs::exists(directory.0.join("store/state.redb.damaged-1")).unwrap());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_are_told_the_same_answer_alike() {
    let directories = [Directory::new("one"), Directory::new("two")];
    let mut answers = Vec::new();
    for directory in &directories {
        let server = Server::start(&directory.0, Options::default()).await.unwrap();
        let hub = Hub::new(server.arm).await;
        hub.put_profile("p", profile_body("app", json!({"protocol": "TCP", "port": 1})))
            .await;
        hub.put_endpoint("p", "a", endpoint_body("192.0.2.1", 1)).await;
        let external = json!({"properties": {"target": "lb.example.com", "endpointStatus": "Enabled"}});
        let path = format!("{BASE}/trafficManagerProfiles/q/ExternalEndpoints/x?{TM}");
        hub.put_profile("q", profile_body("alias", json!({"protocol": "TCP", "port": 1})))
            .await;
        assert_eq!(hub.call(Method::PUT, &path, external).await.status, 201);
        let address = json!({"location": "eastus", "properties": {"ipAddress": "198.51.100.1",
            "dnsSettings": {"domainNameLabel": "lb"}}});
        hub.call(Method::PUT, &format!("{BASE}/publicIPAddresses/lb?{PIP}"), address)
            .await;
        until_answers(&server, "lb.eastus.trafficmanager.net.", &["198.51.100.1"]).await;
        let questions = [
            ("app.trafficmanager.net.", RecordType::A),
            ("app.trafficmanager.net.", RecordType::AAAA),
            ("alias.trafficmanager.net.", RecordType::A),
            ("none.trafficmanager.net.", RecordType::A),
            ("trafficmanager.net.", RecordType::SOA),
            ("trafficmanager.net.", RecordType::NS),
            ("lb.eastus.trafficmanager.net.", RecordType::A),
        ];
        let all: Vec<_> = questions
            .into_iter()
            .map(|(name, kind)| {
                let message = ask(server.dns, name, kind);
                (
                    message.metadata.response_code,
                    message.answers,
                    message.authorities,
                    message.additionals,
                )
            })
            .collect();
        assert!(matches!(&all[2].1[0].data, RData::CNAME(name) if name.0.to_ascii() == "lb.example.com."));
        answers.push(all);
        server.stop().await;
    }
    assert_eq!(answers[0], answers[1]);
}
