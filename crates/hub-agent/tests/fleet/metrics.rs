//! What a dashboard reads at `/metrics` after a life of placements and members (hub-behaviour 11.1).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use api::kinds;
use jiff::Timestamp;
use kit::{ObjectKey, Resource};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{MEMBER, OVERRIDE, PLACEMENT, World, has_condition, is_available};

const IN_NAMESPACE: Resource = kinds::RESOURCE_PLACEMENT;

const PLACEMENT_STATUS: &str = "fleet_workload_placement_status_last_timestamp_seconds";

/// Controllers with series that begin with `fleet_workload`.
const OWN_QUEUES: [&str; 3] = [
    "cluster-resource-placement-controller-v1beta1",
    "resource-placement-controller",
    "resource-change-controller",
];

/// All others that have had something to do in the test.
const OTHERS: [&str; 19] = [
    "membercluster-controller",
    "cluster-resource-placement-rollout-controller",
    "resource-placement-rollout-controller",
    "cluster-resource-binding-work-generator",
    "resource-binding-work-generator",
    "clusterresourceoverride-controller",
    "clusterresourceplacement-watcher",
    "resourceplacement-watcher",
    "clusterschedulingpolicysnapshot-watcher",
    "schedulingpolicysnapshot-watcher",
    "cluster-resource-binding-watcher",
    "resource-binding-watcher",
    "clusterresourceplacementstatus-watcher",
    "clusterresourceplacement-scheduler-watcher",
    "resourceplacement-scheduler-watcher",
    "clusterschedulingpolicysnapshot-scheduler-watcher",
    "schedulingpolicysnapshot-scheduler-watcher",
    "clusterresourcebinding-scheduler-watcher",
    "membercluster-scheduler-watcher",
];

/// Values by name and labels, as written.
type Page = BTreeMap<String, f64>;

async fn scrape(port: u16) -> Page {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let lines = answer.lines().filter(|line| !line.starts_with('#'));
    let values = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    });
    values.collect()
}

/// Reads the page until it is as wanted.
/// The first page of the kind that counts the same passes as the page before it: series are gathered one after the other,
/// so on a page that is made during a pass they may disagree.
async fn until(port: u16, what: &str, wanted: impl Fn(&Page) -> bool) -> Page {
    let start = Instant::now();
    let mut last = Vec::new();
    loop {
        let page = scrape(port).await;
        let passes = passes(&page);
        if wanted(&page) && passes == last {
            return page;
        }
        last = passes;
        assert!(start.elapsed() < Duration::from_secs(60), "not {what}: {page:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn placement_series(page: &Page, name: &str) -> BTreeSet<String> {
    let named = format!("name=\"{name}\"");
    let all = page
        .keys()
        .filter(|s| s.starts_with(PLACEMENT_STATUS) && s.contains(&named));
    all.cloned().collect()
}

fn passes(page: &Page) -> Vec<f64> {
    let all = page.iter().filter(|(series, _)| series.contains("reconcile_total"));
    all.map(|(_, value)| *value).collect()
}

fn at_rest(page: &Page) -> bool {
    let mut active = page.iter().filter(|(series, _)| series.contains("_active_workers"));
    active.all(|(_, value)| *value == 0.0)
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A fleet with a placement of each scope, both available, one with a wrong selector, and an override.
async fn lively(port: u16) -> World {
    let mut world = World::new().await;
    let (metrics, election) = (format!("--metrics-bind-address=127.0.0.1:{port}"), "--leader-elect");
    world.start(&[&metrics, election]);
    world.join(&["m1", "m2"]).await;
    world.application("app").await;
    let (placements, in_namespace) = (world.follow(PLACEMENT), world.follow(IN_NAMESPACE));
    let over = json!({
        "metadata": {"name": "over"},
        "spec": {
            "clusterResourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "none"}],
            "policy": {"overrideRules": [{"clusterSelector": {"clusterSelectorTerms": []}, "overrideType": "Delete"}]},
        },
    });
    world.create(&OVERRIDE, None, &over).await;
    let selector = |kind: &str, name: &str| json!([{"group": "", "version": "v1", "kind": kind, "name": name}]);
    let shown = json!({
        "metadata": {"name": "crp"},
        "spec": {"resourceSelectors": selector("Namespace", "app"), "statusReportingScope": "NamespaceAccessible"},
    });
    world.create(&PLACEMENT, None, &shown).await;
    let wrong = json!({"metadata": {"name": "wrong"}, "spec": {"resourceSelectors": selector("ConfigMap", "config")}});
    world.create(&PLACEMENT, None, &wrong).await;
    let rp = json!({"metadata": {"name": "rp"}, "spec": {"resourceSelectors": selector("ConfigMap", "config")}});
    world.create(&IN_NAMESPACE, Some("app"), &rp).await;
    placements
        .until(&ObjectKey::cluster("crp"), "available", is_available)
        .await;
    let is_complete = |p: &serde_json::Value| has_condition(p, "ResourcePlacementAvailable", "True");
    in_namespace
        .until(&ObjectKey::namespaced("app", "rp"), "available", is_complete)
        .await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_of_the_contract_tells_what_happened() {
    let port = free_port();
    let mut world = lively(port).await;
    let completed = |namespace: &str, name: &str| {
        format!(
            "{PLACEMENT_STATUS}{{conditionType=\"Completed\",generation=\"1\",name=\"{name}\",\
             namespace=\"{namespace}\",reason=\"Completed\",status=\"True\"}}"
        )
    };
    let page = until(port, "complete", |page| {
        at_rest(page) && page.contains_key(&completed("", "crp")) && page.contains_key(&completed("app", "rp"))
    })
    .await;
    let wrong = format!(
        "{PLACEMENT_STATUS}{{conditionType=\"ClusterResourcePlacementScheduled\",generation=\"1\",name=\"wrong\",\
         namespace=\"\",reason=\"InvalidResourceSelectors\",status=\"False\"}}"
    );
    assert_eq!(placement_series(&page, "wrong"), BTreeSet::from([wrong.clone()]));
    let age = Timestamp::now().as_second() as f64 - page[&wrong];
    assert!((-5.0..120.0).contains(&age), "{age}");
    assert_eq!(page["join_result_counter{result=\"success\"}"], 2.0);
    assert_eq!(page["scheduling_active_workers"], 0.0);
    let cycles = "scheduling_cycle_duration_milliseconds_count{is_failed=\"false\",needs_requeue=\"false\"}";
    assert!(page[cycles] >= 2.0);

    for key in [ObjectKey::cluster("crp"), ObjectKey::cluster("wrong")] {
        world.delete(&PLACEMENT, &key).await;
    }
    world.delete(&IN_NAMESPACE, &ObjectKey::namespaced("app", "rp")).await;
    let members = world.follow(MEMBER);
    world.delete(&MEMBER, &ObjectKey::cluster("m2")).await;
    members.until_all("one left", |all| all.len() == 1).await;
    let copy = world.follow(Resource::namespaced(
        "placement.kubernetes-fleet.io",
        "v1beta1",
        "ClusterResourcePlacementStatus",
        "clusterresourceplacementstatuses",
    ));
    copy.until_all("gone with its placement", <[_]>::is_empty).await;
    let left = "leave_result_counter{result=\"success\"}";
    let page = until(port, "at rest", |page| {
        let forgotten = ["crp", "wrong", "rp"].map(|name| placement_series(page, name).is_empty());
        at_rest(page) && forgotten == [true; 3] && page.get(left) == Some(&1.0)
    })
    .await;
    for (prefix, controllers) in [("fleet_workload", &OWN_QUEUES[..]), ("controller_runtime", &OTHERS[..])] {
        for controller in controllers {
            worked(&page, prefix, controller);
        }
    }
    // Nothing has happened to it, and yet it is there.
    let idle = "controller_runtime_reconcile_total{controller=\"resourceoverride-controller\",result=\"success\"}";
    assert_eq!(page[idle], 0.0);
    world.stop().await;
}

/// Checks that all series of a controller are there, agree with each other, and count work.
fn worked(page: &Page, prefix: &str, controller: &str) {
    let value = |name: &str, more: &str| {
        let series = format!("{prefix}_{name}{{controller=\"{controller}\"{more}}}");
        *page
            .get(&series)
            .unwrap_or_else(|| panic!("{series} is missing in {page:#?}"))
    };
    let results = ["success", "error", "requeue", "requeue_after"];
    let total: f64 = results
        .map(|r| value("reconcile_total", &format!(",result=\"{r}\"")))
        .iter()
        .sum();
    assert!(total >= 1.0, "{controller} has done nothing");
    assert_eq!(value("reconcile_time_seconds_count", ""), total, "{controller}");
    assert_eq!(
        value("reconcile_time_seconds_bucket", ",le=\"+Inf\""),
        total,
        "{controller}"
    );
    let errors = value("reconcile_errors_total", "");
    assert_eq!(errors, value("reconcile_total", ",result=\"error\""), "{controller}");
    assert_eq!(value("active_workers", ""), 0.0, "{controller}");
    assert!(value("max_concurrent_reconciles", "") >= 1.0, "{controller}");
}
