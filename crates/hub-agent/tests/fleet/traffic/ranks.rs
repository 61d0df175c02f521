//! Ranks and regions of endpoints, as users choose them on exports and on backends.

use serde_json::{Value, json};

use super::{BACKEND, PROFILE, RECORD, Traffic, eventually, key, record_key};

const PRIORITY: &str = "networking.fleet.azure.com/endpoint-priority";
const LOCATION: &str = "networking.fleet.azure.com/endpoint-location";

impl Traffic {
    async fn choose(&self, cluster: &str, annotations: Value) {
        let body = json!({"metadata": {"annotations": annotations}});
        self.world.patch(&RECORD, &record_key(cluster, "web"), body).await;
    }

    /// Cluster, rank and region of all endpoints that the traffic manager holds, by cluster.
    fn ranks(&self) -> Vec<String> {
        let profiles = self.all_held();
        let all = profiles.iter().flat_map(|profile| &profile.endpoints);
        let mut ranks: Vec<String> = all
            .map(|endpoint| {
                let cluster = endpoint.name.rsplit('#').next().unwrap_or_default();
                let location = endpoint.location.as_deref().unwrap_or("anywhere");
                format!("{cluster} {} {location}", endpoint.priority)
            })
            .collect();
        ranks.sort();
        ranks
    }

    async fn until_ranks(&self, expected: &[&str]) {
        eventually(&format!("the ranks {expected:?}"), || self.ranks() == expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranks_and_regions_that_users_choose_reach_the_traffic_manager() {
    let mut traffic = Traffic::settled().await;
    let method = json!({"metadata": {"annotations": {"networking.fleet.azure.com/routing-method": "Priority"}}});
    traffic.world.patch(&PROFILE, &key("web"), method).await;

    // Without a call that the traffic manager would refuse.
    let backend = json!({"metadata": {"annotations": {LOCATION: "westeurope"}}});
    traffic.world.patch(&BACKEND, &key("web"), backend).await;
    traffic.choose("m1", json!({PRIORITY: "2", LOCATION: "East US"})).await;
    traffic.choose("m2", json!({PRIORITY: "1"})).await;
    traffic.until_ranks(&["m1 2 East US", "m2 1 westeurope"]).await;
    traffic.until_endpoints("web", &["m1 25", "m2 75"]).await;
    traffic.choose("m1", json!({PRIORITY: "1"})).await;
    traffic.choose("m2", json!({PRIORITY: "2"})).await;
    traffic.until_ranks(&["m1 1 East US", "m2 2 westeurope"]).await;
    traffic.until_endpoints("web", &["m1 25", "m2 75"]).await;

    let wrong = json!({"metadata": {"annotations": {PRIORITY: "first"}}});
    traffic.world.patch(&BACKEND, &key("web"), wrong).await;
    let required = "endpoint-priority is \"first\", but a whole number from 1 to 1000 is required";
    traffic.until_backend("web", "False/Invalid", required).await;
    assert_eq!(
        traffic.ranks(),
        ["m1 1 East US", "m2 2 westeurope"],
        "what is served stays"
    );
    let mended = json!({"metadata": {"annotations": {PRIORITY: null}}});
    traffic.world.patch(&BACKEND, &key("web"), mended).await;
    traffic.until_endpoints("web", &["m1 25", "m2 75"]).await;
    traffic.world.stop().await;
}
