use super::*;

fn now() -> Time {
    serde_json::from_value(json!("2025-01-01T00:00:30Z")).unwrap()
}

fn membership(status: Value) -> Membership {
    Membership::decode(&json!({
        "metadata": {"name": "m", "namespace": "fleet-member-m", "uid": "u", "resourceVersion": "7", "generation": 2},
        "spec": {"state": "Join", "heartbeatPeriodSeconds": 15}, "status": status
    }))
}

/// The status after the patch.
fn patched(membership: &Membership, update: &Update) -> Value {
    merge::merge_patch(&membership.status, &update.patch["status"])
}

fn findings() -> Findings {
    Findings {
        properties: Some(vec![Property::new("kubernetes-fleet.io/node-count", "3".to_owned())]),
        ..Findings::default()
    }
}

#[test]
fn reading_clamps_the_period_and_keeps_odd_words() {
    let read = |spec: Value| Membership::decode(&json!({"spec": spec}));
    assert_eq!(membership(Value::Null).period, Duration::from_secs(15));
    assert_eq!(read(json!({"state": "Leave"})).period, Duration::from_secs(60));
    assert_eq!(
        read(json!({"heartbeatPeriodSeconds": 0})).period,
        Duration::from_secs(1)
    );
    assert_eq!(
        read(json!({"heartbeatPeriodSeconds": 9999})).period,
        Duration::from_secs(600)
    );
    assert_eq!(read(json!({"state": "Dance"})).wanted, Wanted::Other("Dance".into()));
}

#[test]
fn the_first_heartbeat_joins() {
    let before = membership(Value::Null);
    let update = joined(&before, &[], &findings(), &now());
    assert_eq!(
        patched(&before, &update),
        json!({
            "agentStatus": [{
                "type": "MemberAgent", "lastReceivedHeartbeat": "2025-01-01T00:00:30Z",
                "conditions": [
                    {"type": "Healthy", "status": "True", "reason": "InternalMemberClusterHealthy", "message": "",
                        "observedGeneration": 2, "lastTransitionTime": "2025-01-01T00:00:30Z"},
                    {"type": "Joined", "status": "True", "reason": "InternalMemberClusterJoined", "message": "",
                        "observedGeneration": 2, "lastTransitionTime": "2025-01-01T00:00:30Z"}
                ]
            }],
            "properties": {"kubernetes-fleet.io/node-count": {"value": "3", "observationTime": "2025-01-01T00:00:30Z"}}
        })
    );
    assert_eq!(update.patch["metadata"], json!({"resourceVersion": "7", "uid": "u"}));
    let notices: Vec<_> = update.notices.iter().map(|n| (n.reason, n.warning)).collect();
    assert_eq!(
        notices,
        [
            ("InternalMemberClusterHealthy", false),
            ("InternalMemberClusterJoined", false)
        ]
    );
    assert!(update.is_transition);
}

#[test]
fn later_heartbeats_are_quiet_and_leave_others_alone() {
    let first = membership(
        json!({"agentStatus": [{"type": "ServiceExportImportAgent", "extra": 1}], "namespaces": {"a": ""},
        "conditions": [{"type": "NamespaceCollectionSucceeded", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}),
    );
    let status = patched(&first, &joined(&first, &[], &findings(), &now()));
    assert_eq!(
        status["agentStatus"][0],
        json!({"type": "ServiceExportImportAgent", "extra": 1})
    );
    assert!(
        status.get("namespaces").is_none() && status.get("conditions").is_none(),
        "facts of an earlier provider go"
    );
    let second = membership(status);
    let later: Time = serde_json::from_value(json!("2025-01-01T00:01:00Z")).unwrap();
    let update = joined(
        &second,
        &[],
        &Findings {
            properties: None,
            ..findings()
        },
        &later,
    );
    assert!(update.notices.is_empty() && !update.is_transition);
    let status = patched(&second, &update);
    assert_eq!(
        status["agentStatus"][1]["lastReceivedHeartbeat"],
        "2025-01-01T00:01:00Z"
    );
    assert_eq!(
        status["agentStatus"][1]["conditions"][1]["lastTransitionTime"],
        "2025-01-01T00:00:30Z"
    );
    assert_eq!(
        status["properties"]["kubernetes-fleet.io/node-count"]["value"], "3",
        "what was not collected stays"
    );
}

#[test]
fn an_unhealthy_member_still_has_a_heartbeat() {
    let before = membership(Value::Null);
    let update = joined(
        &before,
        &[],
        &Findings {
            unhealthy: Some(503),
            ..findings()
        },
        &now(),
    );
    let status = patched(&before, &update);
    let healthy = &status["agentStatus"][0]["conditions"][0];
    assert_eq!(
        (&healthy["status"], &healthy["message"]),
        (&json!("False"), &json!("health probe failed with status code 503"))
    );
    assert!(update.notices[0].warning);
}

fn provider(started: Result<(), NotStarted>, is_new: bool) -> Findings {
    Findings {
        provider: Some(Provider {
            started,
            is_new,
            costs: None,
        }),
        ..findings()
    }
}

fn lines(status: &Value) -> Vec<String> {
    let text = |condition: &Value, key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    let all = status["conditions"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|c| {
            format!(
                "{} {} {}: {}",
                text(c, "type"),
                text(c, "status"),
                text(c, "reason"),
                text(c, "message")
            )
        })
        .collect()
}

#[test]
fn a_provider_that_does_not_start_is_told_once() {
    let before = membership(Value::Null);
    let failing = |is_new| provider(Err(NotStarted::Failed("no region".into())), is_new);
    let update = joined(&before, &[], &failing(true), &now());
    let status = patched(&before, &update);
    let message = "Failed to start the property provider: no region";
    assert_eq!(
        lines(&status),
        [format!("ClusterPropertyProviderStarted False FailedToStart: {message}")]
    );
    let last = update.notices.last().unwrap();
    assert_eq!(
        (last.reason, last.message.as_str(), last.warning),
        ("FailedToStart", message, true)
    );
    assert!(
        joined(&membership(status), &[], &failing(false), &now())
            .notices
            .is_empty()
    );
    let late = Findings {
        properties: None,
        ..provider(Err(NotStarted::TimedOut), true)
    };
    assert_eq!(
        lines(&patched(&before, &joined(&before, &[], &late, &now()))),
        ["ClusterPropertyProviderStarted False TimedOut: The property provider does not start up in time"]
    );
}

#[test]
fn conditions_of_a_provider_stand_in_their_order() {
    let before = membership(Value::Null);
    let costs = |costs: Result<Costs, String>| {
        let mut all = provider(Ok(()), true);
        all.namespaces = Some(Namespaces::default());
        all.provider.as_mut().unwrap().costs = Some(costs);
        all
    };
    let price = |warning: Option<&str>| {
        Ok(Costs {
            per_core: 1.0,
            per_gigabyte: 1.0,
            warning: warning.map(str::to_owned),
        })
    };
    let update = joined(&before, &[], &costs(price(None)), &now());
    let notices = update.notices.last().unwrap();
    assert_eq!((notices.reason, notices.warning), ("Started", false));
    assert_eq!(
        lines(&patched(&before, &update)),
        [
            "ClusterPropertyProviderStarted True Started: The property provider has started successfully",
            "ClusterPropertyCollectionSucceeded True PropertiesCollected: The property provider has returned the latest \
             cluster properties",
            "AKSClusterCostPropertiesCollectionSucceeded True CostsCalculated: All cost properties have been collected \
             successfully",
            "NamespaceCollectionSucceeded True Succeeded: All namespaces have been collected successfully",
        ]
    );
    for (outcome, wanted) in [
        (
            price(Some("old")),
            "AKSClusterCostPropertiesCollectionSucceeded True CostsCalculationDegraded: Cost properties are collected in a \
             degraded mode with the following warning(s): [old]",
        ),
        (
            Err("odd".to_owned()),
            "AKSClusterCostPropertiesCollectionSucceeded False CostsCalculationFailed: An error has occurred when \
             collecting cost properties: odd",
        ),
    ] {
        assert_eq!(
            lines(&patched(&before, &joined(&before, &[], &costs(outcome), &now())))[2],
            wanted
        );
    }
    let status = patched(&before, &joined(&before, &[], &costs(price(None)), &now()));
    let after = membership(status);
    assert_eq!(
        lines(&patched(&after, &joined(&after, &[], &findings(), &now()))),
        Vec::<String>::new(),
        "without the provider its conditions go"
    );
}

#[test]
fn leaving_speaks_of_nothing_but_leaving() {
    let first = membership(Value::Null);
    let member = membership(patched(&first, &joined(&first, &[], &findings(), &now())));
    let failed = left(&member, &[], Some("no answer"), &now());
    let status = patched(&member, &failed);
    assert_eq!(
        status["agentStatus"][0]["conditions"][1]["reason"],
        "InternalMemberClusterFailedToLeave"
    );
    assert!(!failed.is_transition && !has_left(&membership(status.clone())));
    let gone = left(&membership(status.clone()), &[], None, &now());
    let status = patched(&membership(status), &gone);
    let conditions = &status["agentStatus"][0]["conditions"];
    assert_eq!(
        (&conditions[1]["status"], &conditions[0]["status"]),
        (&json!("False"), &json!("True"))
    );
    assert_eq!(status["properties"]["kubernetes-fleet.io/node-count"]["value"], "3");
    assert!(gone.is_transition && has_left(&membership(status)));
}

#[test]
fn one_agent_speaks_for_those_whose_place_it_takes() {
    let facts = |status: &Value| -> Vec<String> {
        let agents = status["agentStatus"].as_array().unwrap();
        agents
            .iter()
            .map(|agent| {
                let joined = agent["conditions"].as_array().unwrap().iter();
                let joined = joined.clone().find(|one| one["type"] == "Joined").unwrap();
                let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                let heartbeat = text(&agent["lastReceivedHeartbeat"]);
                let [kind, status, reason] = [&agent["type"], &joined["status"], &joined["reason"]].map(text);
                assert_eq!(
                    (&joined["observedGeneration"], &joined["message"]),
                    (&json!(2), &json!(""))
                );
                format!("{kind} {status} {reason} {heartbeat}")
            })
            .collect()
    };
    let first = membership(Value::Null);
    let status = patched(&first, &joined(&first, &NETWORKING_AGENTS, &findings(), &now()));
    let time = "2025-01-01T00:00:30Z";
    let expected = [
        format!("MemberAgent True InternalMemberClusterJoined {time}"),
        format!("MultiClusterServiceAgent True AgentJoined {time}"),
        format!("ServiceExportImportAgent True AgentJoined {time}"),
    ];
    assert_eq!(facts(&status), expected);
    // What could not be left keeps everybody in place.
    let member = membership(status);
    let failed = patched(&member, &left(&member, &NETWORKING_AGENTS, Some("no answer"), &now()));
    assert!(facts_of(&failed, "Joined").ends_with(&["True".to_owned(), "True".to_owned()]));
    let gone = patched(&member, &left(&member, &NETWORKING_AGENTS, None, &now()));
    let expected = [
        format!("MemberAgent False InternalMemberClusterLeft {time}"),
        format!("MultiClusterServiceAgent False AgentLeft {time}"),
        format!("ServiceExportImportAgent False AgentLeft {time}"),
    ];
    assert_eq!(facts(&gone), expected);
}

/// Status of a condition of each agent.
fn facts_of(status: &Value, kind: &str) -> Vec<String> {
    let agents = status["agentStatus"].as_array().unwrap();
    let of = |agent: &Value| {
        let mut all = agent["conditions"].as_array().unwrap().iter();
        all.find(|one| one["type"] == kind).unwrap()["status"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    agents.iter().map(of).collect()
}

#[test]
fn namespaces_are_reported_up_to_a_limit() {
    let owned = |references: Value, deleted: Value| {
        Namespaces::owner_of(&json!({"metadata": {"ownerReferences": references, "deletionTimestamp": deleted}}))
    };
    let ours =
        json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "AppliedWork", "name": "w", "uid": "u"});
    assert_eq!(
        owned(
            json!([{"apiVersion": "v1", "kind": "Pod", "name": "p"}, ours]),
            Value::Null
        )
        .as_deref(),
        Some("w")
    );
    assert_eq!(owned(Value::Null, Value::Null).as_deref(), Some(""));
    assert_eq!(owned(json!([]), json!("2025-01-01T00:00:00Z")), None);

    let with = |count: usize| {
        let all = (0..count).map(|n| (format!("n{n:03}"), String::new()));
        Findings {
            namespaces: Some(Namespaces::of(all)),
            ..findings()
        }
    };
    let before = membership(Value::Null);
    let status = patched(&before, &joined(&before, &[], &with(200), &now()));
    assert_eq!(status["conditions"][0]["reason"], "Succeeded");
    let before = membership(status.clone());
    let after = patched(&before, &joined(&before, &[], &Findings::default(), &now()));
    assert_eq!(
        (&after["namespaces"], &after["conditions"]),
        (&status["namespaces"], &status["conditions"]),
        "what could not be collected this time stays as it was"
    );
    let after = patched(&before, &joined(&before, &[], &findings(), &now()));
    assert_eq!(
        (after.get("namespaces"), after.get("conditions")),
        (None, None),
        "what is no longer collected goes"
    );
    assert_eq!(status["namespaces"].as_object().unwrap().len(), 200);
    let full = membership(status);
    let status = patched(&full, &joined(&full, &[], &with(201), &now()));
    assert_eq!(
        (&status["conditions"][0]["status"], &status["conditions"][0]["reason"]),
        (&json!("False"), &json!("Degraded"))
    );
    assert_eq!(status["namespaces"].as_object().unwrap().len(), 200);
}
