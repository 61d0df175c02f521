//! Fast degradation: hints to a traffic manager that takes them.

use serde_json::json;
use traffic_manager::faults::{Fault, Rule};

use super::{PROFILE, RECORD, Traffic, eventually, key, record_key};

impl Traffic {
    /// Asks for fast degradation.
    async fn opt_in(&self) {
        let annotations = json!({"networking.fleet.azure.com/fast-degradation": "true"});
        let body = json!({"metadata": {"annotations": annotations}});
        self.world.patch(&PROFILE, &key("web"), body).await;
    }

    /// Reports whether the Service of a member has a ready endpoint.
    async fn report_ready(&self, cluster: &str, ready: bool) {
        let annotations = json!({"networking.fleet.azure.com/service-ready": ready.to_string()});
        let body = json!({"metadata": {"annotations": annotations}});
        self.world.patch(&RECORD, &record_key(cluster, "web"), body).await;
    }

    /// Clusters whose endpoints a hint degrades, by name: endpoints are written side by side.
    fn degraded(&self) -> Vec<String> {
        let profiles = self.all_held();
        let all = profiles.iter().flat_map(|profile| &profile.endpoints);
        let mut degraded: Vec<String> = all
            .filter_map(|endpoint| {
                let cluster = endpoint.name.rsplit('#').next().unwrap_or_default();
                endpoint.hint.as_ref().map(|_| cluster.to_owned())
            })
            .collect();
        degraded.sort();
        degraded
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_ready_endpoints_is_degraded_and_restored_by_hints() {
    let traffic = Traffic::settled().await;
    traffic.report_ready("m1", false).await;
    traffic.opt_in().await;
    eventually("m1 is degraded", || traffic.degraded() == ["m1"]).await;
    traffic.report_ready("m2", false).await;
    eventually("both are degraded", || traffic.degraded() == ["m1", "m2"]).await;
    traffic.report_ready("m1", true).await;
    eventually("m1 is restored", || traffic.degraded() == ["m2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_that_fail_are_sent_again() {
    let traffic = Traffic::settled().await;
    traffic.opt_in().await;
    let broken = Rule::new(Fault::Refuse(500, "InternalServerError", None)).path("/fairway/v1/hints");
    traffic.server.faults.add(broken.times(3));
    traffic.report_ready("m1", false).await;
    eventually("m1 is degraded", || traffic.degraded() == ["m1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traffic_manager_without_hints_is_asked_once() {
    let traffic = Traffic::settled().await;
    traffic.opt_in().await;
    let absent = Rule::new(Fault::Refuse(404, "NotFound", None)).path("/fairway/v1/hints");
    traffic.server.faults.add(absent);
    traffic.server.faults.take_seen();
    traffic.report_ready("m1", false).await;
    let hints = std::cell::Cell::new(0);
    let count = || {
        let seen = traffic.server.faults.take_seen();
        let found = seen.iter().filter(|request| request.path == "/fairway/v1/hints");
        hints.set(hints.get() + found.count());
        hints.get()
    };
    eventually("it is asked", || count() == 1).await;
    // Further causes, and a change that shows that all has been seen.
    traffic.report_ready("m2", false).await;
    traffic.change_export("m2", "web", json!({"weight": 1})).await;
    traffic.until_endpoints("web", &["m1 50", "m2 50"]).await;
    assert_eq!(count(), 1);
}
