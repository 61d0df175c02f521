//! Joining, heartbeats, leaving and coming back.

use super::world::*;
use apiserver::{Action, ApiError, Matcher, Verb};
use member_agent::args::{AzureSettings, Election, Settings};
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
    assert_eq!(
        status["properties"]["k8s.io/cluster-entrypoint"]["value"],
        "https://member:6443"
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

#[tokio::test]
async fn the_azure_provider_counts_machines_and_says_how_it_does() {
    let mut world = World::without_agent().await;
    for (name, size) in [
        ("n1", "Standard_B2ats_v2"),
        ("n2", "Standard_B2ats_v2"),
        ("n3", "Standard_M16ms"),
    ] {
        let node = json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"beta.kubernetes.io/instance-type": size}},
            "status": {"capacity": {"cpu": "4", "memory": "16Gi"}, "allocatable": {"cpu": "4", "memory": "16Gi"}}});
        create(&world.member, "/api/v1/nodes", &node).await.unwrap();
    }
    world.start_agent_with(Settings {
        // Prices would be fetched over the network.
        azure: Some(AzureSettings {
            region: String::new(),
            costs: false,
            available: false,
        }),
        collect_namespaces: true,
        ..Settings::default()
    });
    world.joined("True").await;
    let status = world.membership().await["status"].clone();
    let names: Vec<_> = status["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        [
            "k8s.io/cluster-certificate-authority-data",
            "k8s.io/k8s-version",
            "kubernetes-fleet.io/node-count",
            "kubernetes.azure.com/vm-sizes/Standard_B2ats_v2/count",
            "kubernetes.azure.com/vm-sizes/Standard_M16ms/count",
        ]
    );
    let count = &status["properties"]["kubernetes.azure.com/vm-sizes/Standard_B2ats_v2/count"]["value"];
    assert_eq!(count, "2");
    assert_eq!(
        (
            &status["resourceUsage"]["capacity"]["cpu"],
            status["resourceUsage"].get("available")
        ),
        (&json!("12"), None)
    );
    let kinds: Vec<_> = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["type"].clone())
        .collect();
    assert_eq!(
        kinds,
        [
            "ClusterPropertyProviderStarted",
            "ClusterPropertyCollectionSucceeded",
            "NamespaceCollectionSucceeded"
        ]
    );
}

#[tokio::test]
async fn leaving_waits_for_passes_in_hand() {
    let world = World::start().await;
    let slow = Matcher::resource("configmaps").verbs(&[Verb::Create]);
    let fault = world.member.faults().add(slow, Action::Delay(Duration::from_secs(1)));
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    eventually("the pass has begun", || async { world.member.faults().hits(fault) > 0 }).await;
    world.want("Leave").await;
    world.joined("False InternalMemberClusterLeft").await;
    let work = world.work("w").await.unwrap();
    assert_eq!(
        condition(&work["status"]["conditions"], "Applied"),
        "True AllManifestsApplied",
        "the pass was over before the member had left"
    );
    always("no finalizer comes back", Duration::from_millis(300), || async {
        world.work("w").await.unwrap()["metadata"].get("finalizers").is_none()
    })
    .await;
}

#[tokio::test]
async fn the_agent_waits_for_the_definition_of_its_own_kind() {
    let mut world = World::without_agent().await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let path = format!("{definitions}/appliedworks.placement.kubernetes-fleet.io");
    let mut definition = get(&world.member, &path).await.unwrap();
    delete(&world.member, &path).await.unwrap();
    eventually("AppliedWorks are not served", || async {
        get(&world.member, APPLIED_WORKS).await.is_err()
    })
    .await;
    world.start_agent();
    always("the member has not joined", Duration::from_millis(300), || async {
        world.membership().await.get("status").is_none()
    })
    .await;
    definition["metadata"] = json!({"name": definition["metadata"]["name"]});
    create(&world.member, definitions, &definition).await.unwrap();
    world.joined("True").await;
}

#[tokio::test]
async fn both_leases_are_held_until_the_last_pass_is_over() {
    let mut world = World::without_agent().await;
    world.start_agent_with(Settings {
        election: Some(Election {
            namespace: "kube-system".to_owned(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_millis(100),
        }),
        ..Settings::default()
    });
    world.joined("True").await;
    let holders = || async {
        let mut holders = Vec::new();
        for part in ["hub", "member"] {
            let name = format!("136224848560.{part}.fleet.azure.com");
            let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}");
            let lease = get(&world.member, &path).await.unwrap();
            holders.push(lease["spec"]["holderIdentity"].as_str().unwrap().to_owned());
        }
        holders
    };
    assert!(holders().await.iter().all(|holder| !holder.is_empty()));
    let slow = Matcher::resource("configmaps").verbs(&[Verb::Create]);
    let fault = world.member.faults().add(slow, Action::Delay(Duration::from_secs(1)));
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    eventually("the pass has begun", || async { world.member.faults().hits(fault) > 0 }).await;
    world.ask_to_end();
    eventually("a lease is given back", || async {
        holders().await.iter().any(String::is_empty)
    })
    .await;
    assert_eq!(
        world.config("a").await.as_deref(),
        Some("1"),
        "the pass was over before"
    );
    eventually("both leases are given back", || async {
        holders().await.iter().all(String::is_empty)
    })
    .await;
    world.stop_agent().await;
}
