//! Values: what was applied in another way before, branches of unions, and fields that somebody else writes as well.

use super::world::*;
use apiserver::{Action, ApiError, Matcher, Verb};
use serde_json::{Value, json};
use std::time::Duration;

fn data(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data})
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(spec: Value) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}]}}}});
    object["spec"]
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    object
}

/// Our entries among the managed fields.
fn own_entries(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    let own = entries.filter(|entry| entry["manager"] == "work-api-agent");
    own.map(|entry| entry["operation"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn removed_keys_go_after_a_change_of_the_strategy() {
    let world = World::start().await;
    let (client, server) = (json!({"type": "ClientSideApply"}), json!({"type": "ServerSideApply"}));
    let path = format!("{CONFIG_MAPS}/a");
    let is = |wanted: Value| {
        let (world, path) = (&world, &path);
        async move {
            eventually(&format!("the object holds {wanted}"), || async {
                get(&world.member, path)
                    .await
                    .is_ok_and(|object| object["data"] == wanted)
            })
            .await;
        }
    };
    world
        .create_work(
            "w",
            spec(&[data("a", json!({"keep": "1", "gone": "1"}))], client.clone()),
        )
        .await;
    is(json!({"keep": "1", "gone": "1"})).await;
    for (strategy, last, operation) in [
        (&server, "1", "Apply"),
        (&client, "2", "Update"),
        (&server, "3", "Apply"),
    ] {
        let wanted = json!({"keep": "1", "last": last, format!("only{last}"): "1"});
        world
            .change_work(
                "w",
                json!({"workload": {"manifests": [data("a", wanted.clone())]}, "applyStrategy": strategy}),
            )
            .await;
        is(wanted).await;
        world.wait_for("w", "Available", "True").await;
        assert_eq!(own_entries(&get(&world.member, &path).await.unwrap()), [operation]);
    }
}

#[tokio::test]
async fn another_branch_takes_the_place_of_what_the_server_filled_in() {
    let world = World::start().await;
    let server = json!({"type": "ServerSideApply"});
    world
        .create_work("w", spec(&[deployment(json!({"replicas": 7}))], server.clone()))
        .await;
    world.wait_for("w", "Applied", "True").await;
    let recreate = deployment(json!({"strategy": {"type": "Recreate"}}));
    world
        .change_work(
            "w",
            json!({"workload": {"manifests": [recreate]}, "applyStrategy": server}),
        )
        .await;
    world.wait_for("w", "Applied", "True").await;
    let object = get(&world.member, &format!("{DEPLOYMENTS}/a")).await.unwrap();
    assert_eq!(object["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(object["spec"]["replicas"], 7, "a replica count that is given up stays");
}

#[tokio::test(start_paused = true)]
async fn a_fight_over_a_field_slows_down_and_names_the_other_writer() {
    let world = World::start().await;
    world
        .create_work("w", spec(&[config_map("a", "ours")], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    world.wait_for_applied("w", 1).await;
    world.member.metrics().reset();
    world.hub.metrics().reset();
    let path = format!("{CONFIG_MAPS}/a");
    let rounds = |seconds: u64| {
        let (world, path) = (&world, &path);
        async move {
            let mut rounds = 0;
            let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
            while tokio::time::Instant::now() < end {
                if world.config("a").await.as_deref() == Some("ours") {
                    patch(&world.member, path, &json!({"data": {"k": "theirs"}}))
                        .await
                        .unwrap();
                    rounds += 1;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            rounds
        }
    };
    let first = rounds(12).await;
    assert!((3..=5).contains(&first), "{first} writes in 12 s");
    let entry = world.work("w").await.unwrap()["status"]["manifestConditions"][0].clone();
    assert_eq!(
        condition(&entry["conditions"], "Contested"),
        "True AnotherManagerWrites"
    );
    assert_eq!(condition(&entry["conditions"], "Applied"), "True Applied");
    let message = entry["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Contested")
        .unwrap()["message"]
        .clone();
    let message = message.as_str().unwrap();
    assert!(
        message.starts_with("The field .data.k is also written by the field manager \"fairway-in-process\"."),
        "{message}"
    );
    rounds(120).await;
    world.hub.metrics().reset();
    let late = rounds(300).await;
    assert!((4..=6).contains(&late), "{late} writes in 300 s");
    let hub = writes(&world.hub)
        .into_iter()
        .filter(|write| write.contains("works"))
        .collect::<Vec<_>>();
    assert_eq!(
        hub,
        Vec::<String>::new(),
        "a fight that lasts is not written again and again"
    );
    // The other one gives in.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(200);
    loop {
        let entry = world.work("w").await.unwrap()["status"]["manifestConditions"][0].clone();
        if condition(&entry["conditions"], "Contested").is_empty() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{entry}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(world.config("a").await.as_deref(), Some("ours"));
}

#[tokio::test(start_paused = true)]
async fn a_fight_over_a_field_slows_down_although_the_status_cannot_be_written() {
    let world = World::start().await;
    world
        .create_work("w", spec(&[config_map("a", "ours")], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    // From now on there is something to report that the hub does not take.
    let statuses = Matcher::resource("works").subresource("status").verbs(&[Verb::Patch]);
    world
        .hub
        .faults()
        .add(statuses, Action::Error(ApiError::internal("broken")));
    world
        .change_work("w", spec(&[config_map("a", "ours"), config_map("b", "1")], Value::Null))
        .await;
    world.wait_for_config("b", Some("1")).await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut rounds = 0;
    let end = tokio::time::Instant::now() + Duration::from_secs(12);
    while tokio::time::Instant::now() < end {
        if world.config("a").await.as_deref() == Some("ours") {
            patch(&world.member, &path, &json!({"data": {"k": "theirs"}}))
                .await
                .unwrap();
            rounds += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!((2..=5).contains(&rounds), "{rounds} writes in 12 s");
}

#[tokio::test(start_paused = true)]
async fn a_lasting_drift_is_written_once_a_minute() {
    let world = World::start().await;
    let strategy = json!({"comparisonOption": "FullComparison"});
    world.create_work("w", spec(&[config_map("a", "1")], strategy)).await;
    world.wait_for("w", "Available", "True").await;
    world.change_config("a", json!({"data": {"theirs": "1"}})).await;
    eventually("the drift is reported", || async {
        world.work("w").await.unwrap()["status"]["manifestConditions"][0]
            .get("driftDetails")
            .is_some()
    })
    .await;
    world.hub.metrics().reset();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let written = writes(&world.hub)
        .into_iter()
        .filter(|write| write.contains("works/status"))
        .count();
    assert!((1..=5).contains(&written), "{written} writes in 300 s");
}

/// Case g2: one number for two protocols.
#[tokio::test]
async fn ports_that_share_a_number_come_to_rest() {
    let world = World::start().await;
    let (tcp, udp) = (
        json!({"name": "tcp", "containerPort": 53}),
        json!({"name": "udp", "containerPort": 53, "protocol": "UDP"}),
    );
    let with_ports = |ports: Value| {
        let mut object = deployment(json!({}));
        object["spec"]["template"]["spec"]["containers"][0]["ports"] = ports;
        object
    };
    let service = |ports: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "default"},
            "spec": {"selector": {"app": "a"}, "ports": ports}})
    };
    let (dns, dns_udp) = (
        json!({"name": "tcp", "port": 53}),
        json!({"name": "udp", "port": 53, "protocol": "UDP"}),
    );
    world
        .create_work(
            "w",
            spec(&[with_ports(json!([tcp])), service(json!([dns]))], Value::Null),
        )
        .await;
    world.wait_for("w", "Applied", "True").await;
    let both = [with_ports(json!([tcp, udp])), service(json!([dns, dns_udp]))];
    world.change_work("w", spec(&both, Value::Null)).await;
    world.wait_for("w", "Applied", "True").await;
    let service_path = "/api/v1/namespaces/default/services/a";
    let protocols = |list: &Value| {
        list.as_array()
            .unwrap()
            .iter()
            .map(|port| port["protocol"].clone())
            .collect::<Vec<_>>()
    };
    let read = || async {
        let deployment = get(&world.member, &format!("{DEPLOYMENTS}/a")).await.unwrap();
        let service = get(&world.member, service_path).await.unwrap();
        assert_eq!(
            protocols(&deployment["spec"]["template"]["spec"]["containers"][0]["ports"]),
            ["TCP", "UDP"]
        );
        assert_eq!(protocols(&service["spec"]["ports"]), ["TCP", "UDP"]);
        (
            deployment["metadata"]["generation"].clone(),
            service["metadata"]["resourceVersion"].clone(),
        )
    };
    let first = read().await;
    assert_eq!(first.0, 2);
    // The Deployment is never available, so that passes are repeated.
    let passes = || {
        let counts = world.member.metrics().counts();
        counts
            .iter()
            .filter(|(labels, agent, _)| *agent == AGENT && labels.resource == "services")
            .map(|(.., count)| count)
            .sum::<u64>()
    };
    let before = passes();
    eventually("some more passes have read the objects", || async {
        passes() > before + 3
    })
    .await;
    assert_eq!(read().await, first);
}

/// Case g6: values in another spelling are no drift, and nothing is written for them.
#[tokio::test]
async fn spelling_is_no_drift() {
    let world = World::start().await;
    let mut object = deployment(json!({}));
    let pod = &mut object["spec"]["template"]["spec"];
    pod["tolerations"] = Value::Null;
    pod["containers"][0]["env"] = json!([]);
    pod["containers"][0]["resources"] = json!({"requests": {"cpu": "1000m", "memory": "1024Mi"},
        "limits": {"cpu": 1.5, "memory": 1_073_741_824}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"},
        "stringData": {"plain": "x"}, "data": {"wrapped": "aGVsbG8g\nd29ybGQ=\n"}});
    for strategy in [
        json!({}),
        json!({"type": "ServerSideApply"}),
        json!({"type": "ReportDiff"}),
    ] {
        let mut strategy = strategy;
        strategy["comparisonOption"] = json!("FullComparison");
        let manifests = spec(&[object.clone(), secret.clone()], strategy.clone());
        match world.work("w").await {
            None => world.create_work("w", manifests).await,
            Some(_) => {
                world
                    .change_work(
                        "w",
                        json!({"workload": manifests["workload"], "applyStrategy": strategy}),
                    )
                    .await
            }
        }
        let done = if strategy["type"] == "ReportDiff" {
            "DiffReported"
        } else {
            "Applied"
        };
        let work = world.wait_for("w", done, "True").await;
        for entry in work["status"]["manifestConditions"].as_array().unwrap() {
            let found = [
                &entry["driftDetails"]["observedDrifts"],
                &entry["diffDetails"]["observedDiffs"],
            ];
            for detail in found.into_iter().filter_map(Value::as_array).flatten() {
                let path = detail["path"].as_str().unwrap();
                let is_spelling = ["resources", "env", "tolerations", "stringData", "/data", "wrapped"]
                    .iter()
                    .any(|word| path.contains(word));
                assert!(!is_spelling, "{strategy} {detail}");
            }
        }
    }
    let read = get(&world.member, "/api/v1/namespaces/default/secrets/s")
        .await
        .unwrap();
    assert_eq!(read["data"], json!({"plain": "eA==", "wrapped": "aGVsbG8gd29ybGQ="}));
}
