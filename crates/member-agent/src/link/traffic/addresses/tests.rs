//! When lists are fetched, and what becomes of them, under tokio's paused time and with a cloud that is made up.

use std::collections::VecDeque;

use azure::PublicIpAddresses;
use kit::clock::Clock;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::super::cloud::CloudConfigFile;
use super::*;

/// Answers lists in the given order, and the last one again and again; remembers what was listed and when.
#[derive(Debug)]
struct Fake {
    answers: Mutex<VecDeque<Vec<azure::PublicIp>>>,
    takes: Duration,
    lists: Mutex<Vec<(String, Instant)>>,
}

#[tonic::async_trait]
impl PublicIpAddresses for Fake {
    async fn list(&self, group: &str) -> Result<Arc<[azure::PublicIp]>, azure::Error> {
        self.lists.lock().push((group.to_owned(), Instant::now()));
        tokio::time::sleep(self.takes).await;
        let mut answers = self.answers.lock();
        let next = match answers.len() {
            0 | 1 => answers.front().cloned().unwrap_or_default(),
            _ => answers.pop_front().unwrap_or_default(),
        };
        Ok(next.into())
    }
}

/// Addresses that are looked up, and the exports that look.
struct World {
    fake: Arc<Fake>,
    addresses: Arc<Addresses>,
    queue: Queue<ExportKey>,
    begun: Instant,
    clock: Clock,
    _tasks: Vec<JoinHandle<()>>,
}

impl World {
    fn start(takes: Duration, answers: &[Vec<azure::PublicIp>]) -> Self {
        let fake = Arc::new(Fake {
            answers: Mutex::new(answers.iter().cloned().collect()),
            takes,
            lists: Mutex::default(),
        });
        let cloud = Cloud::new(CloudConfigFile::default());
        cloud.set(State::Found {
            addresses: Arc::clone(&fake) as _,
            group: "rg".to_owned(),
        });
        let queue = Queue::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(1)));
        let addresses = Arc::new(Addresses::new(cloud, "m".to_owned(), queue.clone()));
        let listing = tokio::spawn(Arc::clone(&addresses).list_all(CancellationToken::new()));
        Self {
            fake,
            addresses,
            queue,
            begun: Instant::now(),
            clock: Clock::paused_at(Timestamp::UNIX_EPOCH),
            _tasks: vec![listing],
        }
    }

    fn look(&self, name: &str, service: &ServiceView) -> PublicIp {
        self.addresses.look_up(&key(name), service, self.clock.now())
    }

    /// Waits until an export comes back.
    async fn comes_back(&self) -> String {
        let task = self.queue.next().await.unwrap();
        let name = task.key().name.clone();
        task.done(Action::Done);
        name
    }

    /// What was listed, and after how many seconds.
    fn lists(&self) -> Vec<(String, u64)> {
        let lists = self.fake.lists.lock();
        lists
            .iter()
            .map(|(group, at)| (group.clone(), (*at - self.begun).as_secs()))
            .collect()
    }
}

fn key(name: &str) -> ExportKey {
    ExportKey {
        namespace: "app".to_owned(),
        name: name.to_owned(),
    }
}

fn service(version: u32, ip: &str, annotations: Value) -> ServiceView {
    ServiceView::from_value(&json!({
        "metadata": {"namespace": "app", "name": "web", "uid": "s", "resourceVersion": version.to_string(),
            "annotations": annotations},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": ip}]}},
    }))
}

fn listed(ip: &str, label: Option<&str>) -> azure::PublicIp {
    azure::PublicIp {
        id: format!("/id/{ip}"),
        address: Some(ip.to_owned()),
        dns_label: label.map(str::to_owned),
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_is_looked_up_in_the_background_and_again_as_the_contract_says() {
    let world = World::start(
        Duration::from_secs(5),
        &[
            vec![],
            vec![listed("1.1.1.1", None)],
            vec![listed("1.1.1.1", Some("web"))],
        ],
    );
    let web = service(1, "1.1.1.1", json!({}));
    assert_eq!(world.look("web", &web).state, PublicIpState::LookupPending);
    assert_eq!(
        world.look("web", &web).state,
        PublicIpState::LookupPending,
        "another look begins no second list"
    );
    let mut seen = Vec::new();
    // Each list, and each time that it is due.
    for _ in 0..6 {
        assert_eq!(world.comes_back().await, "web");
        let facts = world.look("web", &web);
        seen.push((facts.state, facts.dns_label_configured));
    }
    let (missing, bare, good) = (
        (PublicIpState::NotFound, false),
        (PublicIpState::Found, false),
        (PublicIpState::Found, true),
    );
    assert_eq!(
        seen,
        [missing, missing, bare, bare, good, good],
        "what is known stays while it is listed anew"
    );
    // The last one is due and begins.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let waits: Vec<u64> = world.lists().windows(2).map(|pair| pair[1].1 - pair[0].1 - 5).collect();
    assert_eq!(waits.len(), 3, "a list for each time that it is due");
    assert!(waits[..2].iter().all(|wait| (23..=36).contains(wait)), "{waits:?}");
    assert!((479..=720).contains(&waits[2]), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn exports_of_one_resource_group_share_its_lists() {
    let world = World::start(
        Duration::from_secs(1),
        &[vec![listed("1.1.1.1", Some("web")), listed("2.2.2.2", Some("api"))]],
    );
    let (web, api) = (service(1, "1.1.1.1", json!({})), service(1, "2.2.2.2", json!({})));
    world.look("web", &web);
    world.look("api", &api);
    for _ in 0..200 {
        match world.comes_back().await.as_str() {
            "web" => world.look("web", &web),
            _ => world.look("api", &api),
        };
    }
    let lists = world.lists();
    let hours = world.begun.elapsed().as_secs_f64() / 3600.0;
    // One list serves both, so there are no more than for one export.
    let most = hours * 3600.0 / 480.0 + 2.0;
    assert!(lists.len() as f64 <= most, "{} lists in {hours} hours", lists.len());
    assert!(lists.iter().all(|(group, _)| group == "rg"));
}

#[tokio::test(start_paused = true)]
async fn another_version_or_group_of_a_service_is_listed_at_once_and_what_is_gone_is_forgotten() {
    let group = "service.beta.kubernetes.io/azure-load-balancer-resource-group";
    let world = World::start(Duration::from_secs(1), &[vec![listed("1.1.1.1", Some("web"))]]);
    let first = service(1, "1.1.1.1", json!({}));
    world.look("web", &first);
    world.comes_back().await;
    assert_eq!(world.look("web", &first).state, PublicIpState::Found);
    let second = service(2, "1.1.1.1", json!({}));
    let pending = world.look("web", &second);
    assert_eq!(
        (pending.state, pending.ip.as_str()),
        (PublicIpState::LookupPending, "1.1.1.1"),
        "an older list says nothing of it"
    );
    world.comes_back().await;
    assert_eq!(world.look("web", &second).state, PublicIpState::Found);
    let third = service(3, "1.1.1.1", json!({ group: "other" }));
    world.look("web", &third);
    world.comes_back().await;
    assert_eq!(world.look("web", &third).state, PublicIpState::Found);
    let groups: Vec<String> = world.lists().into_iter().map(|(group, _)| group).collect();
    assert_eq!(groups, ["rg", "rg", "other"]);
    world.addresses.forget(&key("web"));
    let known = world.addresses.known.lock();
    assert!(known.lookups.is_empty() && known.groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_lookup_is_not_listed() {
    let world = World::start(Duration::from_secs(1), &[vec![]]);
    let internal = "service.beta.kubernetes.io/azure-load-balancer-internal";
    let private = service(1, "1.1.1.1", json!({ internal: "true" }));
    assert_eq!(world.look("web", &private).state, PublicIpState::NotApplicable);
    let mut waiting = service(1, "1.1.1.1", json!({}));
    waiting.ingress_ips.clear();
    assert_eq!(world.look("web", &waiting).state, PublicIpState::PendingIngress);
    waiting.ingress_hosts.push("lb.example".to_owned());
    assert_eq!(world.look("web", &waiting).state, PublicIpState::NotFound);
    tokio::time::sleep(Duration::from_secs(1000)).await;
    assert!(world.lists().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_be_used_is_the_error_of_every_lookup_until_it_can() {
    let world = World::start(Duration::from_secs(1), &[vec![listed("1.1.1.1", None)]]);
    let found = world.addresses.cloud.state();
    world.addresses.cloud.set(State::Failed(
        "The key location of the cloud config must not be empty.".to_owned(),
    ));
    let web = service(1, "1.1.1.1", json!({}));
    let facts = world.look("web", &web);
    assert_eq!(facts.state, PublicIpState::LookupFailed);
    assert_eq!(
        facts.error.unwrap().to_string(),
        "the cloud of the member cannot be used: The key location of the cloud config must not be empty"
    );
    world.addresses.cloud.set(found);
    assert_eq!(world.look("web", &web).state, PublicIpState::LookupPending);
    world.comes_back().await;
    assert_eq!(world.look("web", &web).state, PublicIpState::Found);
    world.addresses.cloud.set(State::None);
    let facts = world.look("web", &web);
    assert!(facts.resource_id.contains("/resourceGroups/m/"), "{facts:?}");
}
