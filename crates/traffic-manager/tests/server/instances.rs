//! Instances of the real binary that the same hub agent writes to, when one of them is killed or loses its store.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use http::Method;
use serde_json::{Value, json};

use crate::client::*;
use crate::crash::{connect, free, start, write_clients};

/// Time for what has to happen.
const WITHIN: Duration = Duration::from_secs(120);
/// Profiles that the hub agent has, each with three endpoints.
const PROFILES: usize = 12;

/// A binary in a directory of its own.
struct Instance {
    directory: Directory,
    arm: SocketAddr,
    dns: SocketAddr,
    child: Child,
    hub: Hub,
}

impl Instance {
    async fn start(name: &str) -> Self {
        let directory = Directory::new(name);
        write_clients(&directory.0);
        let (arm, dns) = (free(), free());
        let mut child = start(&directory.0, arm, dns);
        let hub = connect(arm, &mut child, &directory.0).await;
        Self {
            directory,
            arm,
            dns,
            child,
            hub,
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn start_again(&mut self) {
        self.child = start(&self.directory.0, self.arm, self.dns);
        self.hub = connect(self.arm, &mut self.child, &self.directory.0).await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.0.join("log")).unwrap()
    }

    fn store(&self, name: &str) -> std::path::PathBuf {
        self.directory.0.join("store").join(name)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A failed test leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One pass of a hub agent: every profile with its endpoints, and without what is gone. An error when the instance ends
/// in between.
async fn pass(hub: &Hub, generation: u32) -> Result<(), String> {
    for number in 0..PROFILES {
        let name = format!("app-{number}");
        if generation > 1 && number == 0 {
            hub.attempt(Method::DELETE, &profile_path(&name), Value::Null).await?;
            continue;
        }
        // A third of the profiles is not answered by weight but by priority.
        let mut body = profile_body(&name, json!({"protocol": "TCP", "port": 1}));
        body["properties"]["dnsConfig"]["ttl"] = json!(generation * 100);
        if number % 3 == 0 {
            body["properties"]["trafficRoutingMethod"] = json!("Priority");
        }
        let endpoints = (1..=3).map(|endpoint| {
            let target = synthetic(&format!("192.0.{generation}.{endpoint}"));
            json!({"name": format!("e{endpoint}"), "type": "azureEndpoints", "properties": {"targetResourceId": target,
                "weight": endpoint * 10, "priority": endpoint, "alwaysServe": "Enabled"}})
        });
        body["properties"]["endpoints"] = endpoints.collect();
        let reply = hub.attempt(Method::PUT, &profile_path(&name), body).await?;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    }
    Ok(())
}

/// Everything that an instance answers: by name and type the result, and all records of many answers.
fn answers(dns: SocketAddr) -> Vec<(ResponseCode, BTreeSet<String>)> {
    let mut all = Vec::new();
    let names = (0..PROFILES).map(|number| format!("app-{number}.tm.example.com."));
    let questions = names.flat_map(|name| [(name.clone(), RecordType::A), (name, RecordType::AAAA)]);
    let origin = [RecordType::SOA, RecordType::NS].map(|kind| ("tm.example.com.".to_owned(), kind));
    for (name, kind) in questions.chain(origin) {
        let mut records = BTreeSet::new();
        let mut code = None;
        // The rarest endpoint has a sixth of the answers: 120 without it come once in three billion times.
        for _ in 0..if kind == RecordType::A { 120 } else { 1 } {
            let message = ask(dns, &name, kind);
            let sections = [message.answers, message.authorities, message.additionals];
            records.extend(sections.iter().flatten().map(|record| format!("{record:?}")));
            assert!(code.is_none_or(|code| code == message.metadata.response_code));
            code = Some(message.metadata.response_code);
        }
        all.push((code.unwrap(), records));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_answer_alike_after_one_was_killed_in_the_middle_of_a_pass() {
    let (mut one, two) = (Instance::start("alike-1").await, Instance::start("alike-2").await);
    for instance in [&one, &two] {
        pass(&instance.hub, 1).await.unwrap();
    }
    let first = answers(one.dns);
    assert_eq!(first, answers(two.dns));
    assert!(
        first[..2 * PROFILES]
            .iter()
            .all(|(code, _)| *code == ResponseCode::NoError)
    );
    assert_eq!(
        (first[0].1.len(), first[2].1.len()),
        (1, 3),
        "by priority one, by weight all"
    );

    let delay = Duration::from_millis(rand::random_range(0..100));
    let writing = tokio::spawn({
        let hub = Hub {
            at: one.arm,
            token: one.hub.token.clone(),
        };
        async move { pass(&hub, 2).await }
    });
    tokio::time::sleep(delay).await;
    one.kill();
    // It may have been faster.
    let _ = writing.await.unwrap();
    one.start_again().await;
    for instance in [&one, &two] {
        pass(&instance.hub, 2).await.unwrap();
    }
    let second = answers(one.dns);
    assert_eq!(second, answers(two.dns), "killed after {delay:?}");
    assert_eq!(second[0].0, ResponseCode::NXDomain);
    assert!(
        second[2..2 * PROFILES]
            .iter()
            .all(|(code, _)| *code == ResponseCode::NoError)
    );
    assert!(!one.log().contains("damaged"), "{}", one.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_reported_and_the_next_pass_brings_everything_back() {
    let mut instance = Instance::start("damaged").await;
    pass(&instance.hub, 1).await.unwrap();
    let before = answers(instance.dns);
    instance.kill();
    let file = instance.store("state.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    // The records themselves are hit, wherever in the file they are.
    let hit = b"app-";
    let places: Vec<usize> = (0..bytes.len() - hit.len())
        .filter(|at| bytes[*at..].starts_with(hit))
        .collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| bytes[*at] ^= 0xFF);
    std::fs::write(&file, bytes).unwrap();

    instance.start_again().await;
    assert!(
        instance.log().contains("The store was damaged and has been set aside."),
        "{}",
        instance.log()
    );
    assert!(instance.store("state.redb.damaged-1").exists());
    let name = "app-1.tm.example.com.";
    assert_eq!(
        lookup(instance.dns, name).0,
        ResponseCode::Refused,
        "a negative answer would be kept"
    );
    let list = format!("{BASE}/trafficManagerProfiles?{TM}");
    let listed = instance.hub.call(Method::GET, &list, Value::Null).await;
    assert_eq!((listed.status, &listed.body["value"]), (200, &json!([])));

    pass(&instance.hub, 1).await.unwrap();
    let answered = async {
        while lookup(instance.dns, name).0 != ResponseCode::NoError {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(WITHIN, answered)
        .await
        .expect("its names are never answered again");
    assert_eq!(answers(instance.dns), before);
    let damaged = |directory: &Path| std::fs::read_dir(directory).unwrap().count();
    let files = damaged(&instance.directory.0.join("store"));
    instance.kill();
    instance.start_again().await;
    assert_eq!(answers(instance.dns), before, "and the new store survives, too");
    assert_eq!(damaged(&instance.directory.0.join("store")), files);
}
