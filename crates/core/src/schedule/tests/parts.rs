//! Eligibility, taints, topology spread, and the list of decisions.

use std::collections::BTreeSet;

use super::super::filter::{Filtered, Scored};
use super::super::topology::{Spread, Violation};
use super::super::{decisions, taints};
use super::*;

#[test]
fn eligibility_in_order() {
    let cases = [
        (json!({}), json!({}), true),
        (json!({"deletionTimestamp": NOW}), json!({}), false),
        (json!({}), json!({"agentStatus": []}), false),
        (
            json!({}),
            json!({"agentStatus": [agent("2026-01-01T00:04:59Z", "True", "True", NOW)]}),
            false,
        ),
        (
            json!({}),
            json!({"agentStatus": [agent("2026-01-01T00:05:00Z", "True", "True", NOW)]}),
            true,
        ),
        (
            json!({}),
            json!({"agentStatus": [agent(NOW, "Unknown", "True", NOW)]}),
            false,
        ),
        (
            json!({}),
            json!({"agentStatus": [agent(NOW, "True", "False", "2026-01-01T00:04:59Z")]}),
            false,
        ),
        (
            json!({}),
            json!({"agentStatus": [agent(NOW, "True", "False", "2026-01-01T00:05:00Z")]}),
            true,
        ),
        (json!({}), json!({"agentStatus": [{"type": "SomeOtherAgent"}]}), false),
    ];
    for (meta, status, expected) in cases {
        let mut object = json!({"metadata": {"name": "m"}, "spec": {}, "status": {"agentStatus": [agent(NOW, "True", "True", NOW)]}});
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .extend(meta.as_object().unwrap().clone());
        object["status"]
            .as_object_mut()
            .unwrap()
            .extend(status.as_object().unwrap().clone());
        let member = Member::from_value(object).unwrap();
        assert_eq!(eligible(&member, now()).is_ok(), expected, "{meta} {status}");
    }
}

fn agent(heartbeat: &str, joined: &str, healthy: &str, since: &str) -> Value {
    let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "reason": "R", "message": "", "lastTransitionTime": since});
    json!({"type": "MemberAgent", "lastReceivedHeartbeat": heartbeat,
           "conditions": [condition("Joined", joined), condition("Healthy", healthy)]})
}

#[test]
fn tolerations_cover_taints() {
    let taint = json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]);
    let member = member_with("m", json!({}), taint, json!({}));
    let cases = [
        (json!([]), false),
        (json!([{"key": "k", "value": "v"}]), true),
        (json!([{"key": "k", "operator": "Equal", "value": "w"}]), false),
        (json!([{"key": "k", "operator": "Exists"}]), true),
        (json!([{"operator": "Exists"}]), true),
        (json!([{"key": "x", "operator": "Exists"}]), false),
        (json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]), true),
    ];
    for (tolerations, tolerated) in cases {
        let tolerations: Vec<api::placement::v1beta1::Toleration> = serde_json::from_value(tolerations).unwrap();
        assert_eq!(
            taints::untolerated(&member.taints, &tolerations).is_none(),
            tolerated,
            "{tolerations:?}"
        );
    }
}

fn names(clusters: &[&str]) -> BTreeSet<String> {
    clusters.iter().map(|name| (*name).to_owned()).collect()
}

/// Picked clusters, the judged member, and the answer of a hard and of a soft constraint.
type Spreading = (&'static [&'static str], usize, Result<i64, Violation>, i64);

#[test]
fn spread_counts_domains_over_all_members() {
    let members: Vec<_> = [("a", "1"), ("b", "1"), ("c", "2"), ("d", "3")]
        .map(|(name, zone)| member(name, json!({"zone": zone})))
        .into();
    let constraint = |skew: Value, action: &str| {
        let constraints = json!([{"maxSkew": skew, "topologyKey": "zone", "whenUnsatisfiable": action}]);
        serde_json::from_value::<Vec<_>>(constraints).unwrap()
    };
    let violation = || {
        Err(Violation {
            key: "zone".to_owned(),
            max_skew: 1,
        })
    };
    let cases: [Spreading; 6] = [
        (&[], 0, Ok(-1), -1),
        (&["a"], 1, violation(), -1000),
        (&["a"], 2, Ok(0), 0),
        (&["a", "c"], 3, Ok(1), 1),
        (&["a", "c"], 2, violation(), -1000),
        (&["a", "c", "d"], 1, Ok(-1), -1),
    ];
    for (picked, judged, hard, soft) in cases {
        for (action, expected) in [("DoNotSchedule", hard), ("ScheduleAnyway", Ok(soft))] {
            let constraints = constraint(json!(null), action);
            let spread = Spread::new(&constraints, &members, &names(picked));
            assert_eq!(spread.judge(&members[judged]), expected, "{picked:?} {judged} {action}");
        }
    }
    let unlabelled = member("x", json!({}));
    let constraints = constraint(json!(1), "DoNotSchedule");
    assert_eq!(
        Spread::new(&constraints, &members, &names(&["a"])).judge(&unlabelled),
        Ok(0)
    );
}

#[test]
fn a_single_domain_takes_any_number() {
    let members: Vec<_> = ["a", "b", "c"].map(|name| member(name, json!({"zone": "1"}))).into();
    let constraints = json!([{"topologyKey": "zone", "maxSkew": 1}]);
    let case = Case::new(
        json!({"placementType": "PickN", "numberOfClusters": 3, "topologySpreadConstraints": constraints}),
        members,
        vec![],
    );
    let outcome = case.run();
    assert_eq!(short(&outcome), ["+c", "+b", "+a"]);
    assert!(outcome.decisions.unwrap().fulfilled);
}

#[test]
fn a_domain_without_eligible_members_limits_the_others() {
    let mut members: Vec<_> = ["a", "b", "c"].map(|name| member(name, json!({"zone": "1"}))).into();
    members.push(member_with(
        "d",
        json!({"zone": "2"}),
        json!([{"key": "k", "effect": "NoSchedule"}]),
        json!({}),
    ));
    let constraints = json!([{"topologyKey": "zone", "maxSkew": 1}]);
    let case = Case::new(
        json!({"placementType": "PickN", "numberOfClusters": 3, "topologySpreadConstraints": constraints}),
        members,
        vec![],
    );
    let outcome = case.run();
    assert_eq!(short(&outcome), ["+c"]);
    let decisions = outcome.decisions.unwrap();
    assert!(!decisions.fulfilled);
    let reasons: Vec<_> = decisions
        .decisions
        .iter()
        .map(|d| (d.cluster_name.as_str(), d.selected))
        .collect();
    assert_eq!(reasons, [("c", true), ("a", false), ("b", false), ("d", false)]);
    assert!(
        decisions.decisions[1]
            .reason
            .starts_with("ClusterUnschedulable, violates the topology spread")
    );
}

#[test]
fn unselected_clusters_share_twenty_entries() {
    let scored: Vec<_> = (0..5)
        .map(|i| Scored {
            cluster: format!("s{i}"),
            affinity: 1,
            topology: 2,
            obsolete: 1,
        })
        .collect();
    let filtered: Vec<_> = (0..30)
        .map(|i| Filtered {
            cluster: format!("f{i:02}"),
            filter: Filter::Taints,
            reason: "ClusterUnschedulable, no".to_owned(),
        })
        .collect();
    // A listed cluster that is filtered as well takes no room.
    let list = decisions::list(vec![decisions::picked_by_name("f00")], &scored, &filtered);
    assert_eq!(list.len(), 21);
    assert_eq!(
        list[1].reason,
        "Cluster \"s0\" does not score high enough (affinity score: 1, topology spread score: 2)"
    );
    assert_eq!(list[1].cluster_score.as_ref().unwrap().topology_spread_score, Some(2));
    assert_eq!(list[6].cluster_name, "f01");
    assert_eq!(list[20].cluster_name, "f15");
    let many = (0..1100).map(|i| decisions::picked_by_name(&i.to_string())).collect();
    assert_eq!(decisions::list(many, &scored, &filtered).len(), 1000);
}
