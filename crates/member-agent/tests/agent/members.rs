//! Joining, heartbeats, leaving and coming back.

use super::world::*;
use apiserver::{Action, ApiError, Matcher, Verb};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_member_joins_and_describes_itself() {
    let mut world = World::without_agent().await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
        "status": {"capacity": {"cpu": "4", "memory": "16Gi"}, "allocatable": {"cpu": "4", "memory": "16Gi"}}});
    create(&world.member, "/api/v1/nodes", &node).await.unwrap();
    world.start_agent();
    world.joined("True InternalMemberClusterJoined").await;
    let status = world.membership().await["status"].clone();
    let agent = &status["agentStatus"][0];
    assert_eq!(agent["type"], "MemberAgent");
    assert_eq!(
        condition(&agent["conditions"], "Healthy"),
        "True InternalMemberClusterHealthy"
    );
    assert!(agent["lastReceivedHeartbeat"].is_string());
    assert_eq!(status["properties"]["kubernetes-fleet.io/node-count"]["value"], "1");
    assert_eq!(
        status["properties"]["k8s.io/cluster-certificate-authority-data"]["value"],
        "pem"
    );
    assert!(
        status["properties"]["k8s.io/k8s-version"]["value"]
            .as_str()
            .is_some_and(|version| version.starts_with('v'))
    );
    assert_eq!(
        status["resourceUsage"]["available"],
        json!({"cpu": "4", "memory": "16Gi"})
    );
    eventually("the hub has the events", || async {
        let events = get(&world.hub, &format!("/api/v1/namespaces/{NAMESPACE}/events"))
            .await
            .unwrap();
        let mut reasons: Vec<_> = events["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["reason"].as_str().unwrap().to_owned())
            .collect();
        reasons.sort();
        reasons == ["InternalMemberClusterHealthy", "InternalMemberClusterJoined"]
    })
    .await;
    world.stop_agent().await;
}

#[tokio::test]
async fn leaving_takes_nothing_away_and_coming_back_adopts_it() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    world.want("Leave").await;
    world.joined("False InternalMemberClusterLeft").await;
    let work = world.work("w").await.unwrap();
    assert_eq!(work["metadata"].get("finalizers"), None, "the hub can remove its Works");
    world.delete_work("w").await;
    always("the object stays", Duration::from_millis(500), || async {
        world.config("a").await.as_deref() == Some("1")
    })
    .await;
    assert!(get(&world.member, &format!("{APPLIED_WORKS}/w")).await.is_ok());
    world.want("Join").await;
    world.joined("True").await;
    world
        .create_work("w", spec(&[config_map("a", "2")], json!({"whenToTakeOver": "Never"})))
        .await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(world.config("a").await.as_deref(), Some("2"), "it is still ours");
}

#[tokio::test]
async fn nothing_is_applied_before_the_hub_wants_it() {
    let mut world = World::without_agent().await;
    world.want("Leave").await;
    world.start_agent();
    world.joined("False").await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    always("nothing is placed", Duration::from_millis(300), || async {
        world.config("a").await.is_none()
    })
    .await;
    world.want("Join").await;
    world.wait_for_config("a", Some("1")).await;
}

#[tokio::test]
async fn a_pass_that_takes_long_does_not_hold_up_heartbeats() {
    let world = World::start().await;
    let slow = Matcher::resource("configmaps").verbs(&[Verb::Create]);
    let fault = world.member.faults().add(slow, Action::Delay(Duration::from_secs(60)));
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    eventually("the pass hangs", || async { world.member.faults().hits(fault) > 0 }).await;
    let period = json!({"spec": {"heartbeatPeriodSeconds": 1}});
    let path = format!("/apis/cluster.kubernetes-fleet.io/v1beta1/namespaces/{NAMESPACE}/internalmemberclusters/m");
    patch(&world.hub, &path, &period).await.unwrap();
    eventually("a heartbeat follows the new period", || async {
        let membership = world.membership().await;
        let joined = &membership["status"]["agentStatus"][0]["conditions"][1];
        joined["observedGeneration"] == membership["metadata"]["generation"]
    })
    .await;
}

#[tokio::test]
async fn heartbeats_survive_other_writers_of_the_status() {
    let mut world = World::without_agent().await;
    let path = format!("/apis/cluster.kubernetes-fleet.io/v1beta1/namespaces/{NAMESPACE}/internalmemberclusters/m");
    let other = json!({"status": {"agentStatus": [{"type": "ServiceExportImportAgent"}]}});
    patch(&world.hub, &format!("{path}/status"), &other).await.unwrap();
    let conflict = Action::Error(ApiError::modified(
        "cluster.kubernetes-fleet.io",
        "internalmemberclusters",
        "m",
    ));
    let matcher = Matcher::resource("internalmemberclusters").verbs(&[Verb::Patch]);
    let fault = world.hub.faults().add_times(matcher, conflict, 2);
    world.start_agent();
    eventually("both agents are in the status", || async {
        let agents = world.membership().await["status"]["agentStatus"].clone();
        agents[0]["type"] == "ServiceExportImportAgent" && agents[1]["type"] == "MemberAgent"
    })
    .await;
    assert_eq!(world.hub.faults().hits(fault), 2);
}
