//! The real binary, killed in the middle of writes over and over: what was answered is there afterwards.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::*;
use http::Method;
use rand::Rng as _;
use serde_json::{Value, json};
use traffic_manager::faults::{CLIENT, SECRET, TENANT};

const ROUNDS: usize = 25;

pub fn start(directory: &Path, arm: SocketAddr, dns: SocketAddr) -> Child {
    let path = |name: &str| directory.join(name).display().to_string();
    Command::new(env!("CARGO_BIN_EXE_traffic-manager"))
        .arg(format!("--store={}", path("store")))
        .arg(format!("--clients-file={}", path("clients.json")))
        .arg(format!("--arm-bind-address={arm}"))
        .arg(format!("--dns-bind-addresses={dns}"))
        .args([
            "--arm-plain-http",
            "--zone=tm.example.com",
            "--name-servers=ns1.tm.example.com=127.0.0.1",
        ])
        .args([
            "--throttle-factor=0",
            "--health-probe-bind-address=0",
            "--metrics-bind-address=0",
            "--log-format=text",
        ])
        .stdout(Stdio::null())
        .stderr(
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(directory.join("log"))
                .unwrap(),
        )
        .spawn()
        .unwrap()
}

/// The clients of a binary that is started in a directory.
pub fn write_clients(directory: &Path) {
    let clients = json!({"clients": [{"clientId": CLIENT, "secret": SECRET}]});
    std::fs::write(directory.join("clients.json"), clients.to_string()).unwrap();
}

/// A free address; it may be taken again by nobody else in a test.
pub fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

pub async fn connect(arm: SocketAddr, child: &mut Child, directory: &Path) -> Hub {
    let answering = async {
        loop {
            let form = format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}");
            let path = format!("/{TENANT}/oauth2/v2.0/token");
            if let Ok(reply) = send(arm, Method::POST, &path, None, form.into_bytes()).await {
                return Hub {
                    at: arm,
                    token: reply.body["access_token"].as_str().unwrap().to_owned(),
                };
            }
            if let Some(status) = child.try_wait().unwrap() {
                let log = std::fs::read_to_string(directory.join("log")).unwrap();
                panic!("the traffic manager ended with {status}: {log}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answering).await.unwrap()
}

/// What a client knows: for each profile the last weight that was answered, and the one that was on its way.
#[derive(Default)]
struct Known {
    answered: BTreeMap<String, u64>,
    sent: BTreeMap<String, u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_kill_9() {
    let directory = Directory::new("crash");
    write_clients(&directory.0);
    let (arm, dns) = (free(), free());
    let mut known = Known::default();
    let mut writes = 0_u64;
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let mut child = start(&directory.0, arm, dns);
        let hub = connect(arm, &mut child, &directory.0).await;
        verify(&hub, &mut known, round).await;
        let delay = Duration::from_millis(rand::rng().random_range(0..150));
        let killer = tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            child.kill().unwrap();
            child.wait().unwrap();
        });
        // Writes follow each other until the connection breaks.
        loop {
            writes += 1;
            let name = format!("p{}", writes % 7);
            known.sent.insert(name.clone(), writes);
            let mut body = profile_body(&name, json!({"protocol": "TCP", "port": 1}));
            body["properties"]["dnsConfig"]["ttl"] = json!(writes);
            match hub.attempt(Method::PUT, &profile_path(&name), body).await {
                Ok(reply) => {
                    assert!(matches!(reply.status, 200 | 201), "{reply:?}");
                    known.answered.insert(name, writes);
                }
                Err(_) => {
                    interrupted += 1;
                    break;
                }
            }
        }
        killer.await.unwrap();
    }
    let mut child = start(&directory.0, arm, dns);
    let hub = connect(arm, &mut child, &directory.0).await;
    verify(&hub, &mut known, ROUNDS).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(interrupted, ROUNDS);
    let log = std::fs::read_to_string(directory.0.join("log")).unwrap();
    assert!(!log.contains("damaged"), "{log}");
    assert!(!std::fs::exists(directory.0.join("store/state.redb.damaged-1")).unwrap());
}

/// Each profile holds what was answered last, or what was on its way when the server was killed.
async fn verify(hub: &Hub, known: &mut Known, round: usize) {
    for (name, sent) in &known.sent {
        let reply = hub.call(Method::GET, &profile_path(name), Value::Null).await;
        let stored = reply.body.pointer("/properties/dnsConfig/ttl").and_then(Value::as_u64);
        let answered = known.answered.get(name).copied();
        assert!(
            stored == answered || stored == Some(*sent),
            "round {round}, {name}: {stored:?} is stored, {answered:?} was answered, {sent} was sent"
        );
        if let Some(stored) = stored {
            known.answered.insert(name.clone(), stored);
        }
    }
    known.sent.clone_from(&known.answered);
}
