//! Whole cycles: what happens to bindings of every class.

use super::*;
use crate::objects::PolicySnapshot;

fn three() -> Vec<Arc<Member>> {
    ["m1", "m2", "m3"].map(|name| member(name, json!({}))).into()
}

fn pick_n(number: i64) -> Value {
    json!({"placementType": "PickN", "numberOfClusters": number})
}

fn score(affinity: i32, topology: i32) -> Value {
    json!({"affinityScore": affinity, "priorityScore": topology})
}

/// A policy, what exists, and what happens.
type Cycle = (&'static str, Value, Vec<Arc<Binding>>, &'static [&'static str]);

#[test]
fn actions_by_class() {
    let was_bound = json!({"annotations": {"kubernetes-fleet.io/previous-binding-state": "Bound"}});
    let deleting = json!({"deletionTimestamp": NOW});
    let cases: Vec<Cycle> = vec![
        (
            "all",
            json!({"placementType": "PickAll"}),
            vec![],
            &["+m1", "+m2", "+m3"],
        ),
        ("the larger name wins", pick_n(2), vec![], &["+m3", "+m2"]),
        (
            "held clusters stay",
            pick_n(2),
            vec![binding("m1", "Bound", "p")],
            &["+m3"],
        ),
        (
            "obsolete is kept on a tie",
            pick_n(1),
            vec![binding("m1", "Bound", "old")],
            &["~b-m1=Bound"],
        ),
        (
            "obsolete is given up when not picked",
            json!({"placementType": "PickFixed", "clusterNames": ["m2"]}),
            vec![binding("m1", "Scheduled", "old")],
            &["+m2", "-b-m1"],
        ),
        (
            "resurrection restores the state",
            pick_n(3),
            vec![binding_with("m2", "Unscheduled", "old", was_bound, json!(null))],
            &["+m3", "+m1", "~b-m2=Bound"],
        ),
        (
            "deleting is released and the cluster picked again",
            pick_n(1),
            vec![binding_with("m3", "Bound", "p", deleting, json!(null))],
            &["!b-m3", "+m3"],
        ),
        (
            "dangling is given up",
            pick_n(1),
            vec![binding("gone", "Bound", "p")],
            &["-b-gone", "+m3"],
        ),
        ("enough", pick_n(1), vec![binding("m1", "Bound", "p")], &[]),
        (
            "fixed to an empty list",
            json!({"placementType": "PickFixed"}),
            vec![binding("m1", "Bound", "old")],
            &["-b-m1"],
        ),
        (
            "fixed keeps what it has, valid or not",
            json!({"placementType": "PickFixed", "clusterNames": ["m1", "m1", "nowhere"]}),
            vec![binding("m1", "Bound", "p")],
            &[],
        ),
    ];
    for (name, policy, bindings, expected) in cases {
        let outcome = Case::new(policy, three(), bindings).run();
        assert_eq!(short(&outcome), expected, "{name}");
    }
}

#[test]
fn downscaling_takes_scheduled_before_bound_and_low_scores_first() {
    let bindings = vec![
        binding_with("m1", "Bound", "p", json!({}), score(5, 0)),
        binding_with("m2", "Bound", "p", json!({}), json!(null)),
        binding_with("m3", "Scheduled", "p", json!({}), score(1, 1)),
        binding_with("m4", "Scheduled", "p", json!({}), score(9, 0)),
        binding_with("m5", "Scheduled", "p", json!({}), score(9, 0)),
        binding("m6", "Bound", "old"),
    ];
    let members = || (1..=6).map(|i| member(&format!("m{i}"), json!({}))).collect();
    let cases: [(i64, &[&str]); 6] = [
        (4, &["-b-m6", "-b-m4"]),
        (3, &["-b-m6", "-b-m4", "-b-m5"]),
        (2, &["-b-m6", "-b-m4", "-b-m5", "-b-m3"]),
        (1, &["-b-m6", "-b-m4", "-b-m5", "-b-m3", "-b-m2"]),
        (0, &["-b-m6", "-b-m4", "-b-m5", "-b-m3", "-b-m2", "-b-m1"]),
        (5, &["-b-m6"]),
    ];
    for (number, expected) in cases {
        let outcome = Case::new(pick_n(number), members(), bindings.clone()).run();
        assert_eq!(short(&outcome), expected, "{number}");
        let decisions = outcome.decisions.unwrap();
        assert!(decisions.fulfilled);
        assert_eq!(decisions.selected, usize::try_from(number).unwrap());
    }
}

#[test]
fn decisions_of_each_policy() {
    let sick = json!({"agentStatus": []});
    let mut members = three();
    members.push(member_with("sick", json!({}), json!([]), sick));
    let decide = |policy: Value| Case::new(policy, members.clone(), vec![]).run().decisions;
    let fixed = decide(json!({"placementType": "PickFixed", "clusterNames": ["nowhere", "sick", "m1"]})).unwrap();
    assert!(!fixed.fulfilled);
    let found: Vec<_> = fixed
        .decisions
        .iter()
        .map(|d| (d.cluster_name.as_str(), d.selected, d.cluster_score.is_some()))
        .collect();
    assert_eq!(
        found,
        [("m1", true, false), ("sick", false, false), ("nowhere", false, false)]
    );
    assert_eq!(decide(json!({"placementType": "PickFixed"})), None);

    let all = decide(json!({"placementType": "PickAll"})).unwrap();
    assert!(all.fulfilled);
    assert_eq!(all.decisions.len(), 4);
    assert_eq!(all.decisions[0].cluster_score.as_ref().unwrap().affinity_score, Some(0));
    assert!(all.decisions[3].reason.starts_with("ClusterUnschedulable, "));

    let few = decide(pick_n(5)).unwrap();
    assert_eq!((few.fulfilled, few.selected), (false, 3));
    let one = decide(pick_n(1)).unwrap();
    assert_eq!((one.fulfilled, one.selected, one.decisions.len()), (true, 1, 4));
    assert_eq!(one.decisions[1].cluster_name, "m2", "best of the rest first");
}

#[test]
fn namespace_affinity_is_for_namespaced_placements() {
    let collected = json!([{"type": "NamespaceCollectionSucceeded", "status": "False", "reason": "Degraded", "message": "",
        "lastTransitionTime": NOW}]);
    let members = vec![
        member("old-agent", json!({})),
        member_with("silent", json!({}), json!([]), json!({"conditions": collected})),
        member_with(
            "with",
            json!({}),
            json!([]),
            json!({"conditions": collected, "namespaces": {"app": ""}}),
        ),
        member_with(
            "without",
            json!({}),
            json!([]),
            json!({"conditions": collected, "namespaces": {"other": ""}}),
        ),
    ];
    let mut case = Case::new(json!({"placementType": "PickAll"}), members, vec![]);
    assert_eq!(short(&case.run()).len(), 4);
    case.key = PlacementKey::namespaced("app", "web");
    assert_eq!(short(&case.run()), ["+old-agent", "+with"]);
}

#[test]
fn contradictions_abort_the_cycle() {
    let lost = binding("m3", "Unscheduled", "old");
    assert!(schedule(&Case::new(pick_n(1), three(), vec![lost]).input(), Recorder::off()).is_err());
    let mut no_number = Case::new(pick_n(1), three(), vec![]);
    no_number.number = None;
    assert!(schedule(&no_number.input(), Recorder::off()).is_err());
}

#[test]
fn a_placement_scheduled_to_the_full_is_not_looked_at_again() {
    let snapshot = |status: &str, generation: i64| {
        PolicySnapshot::from_value(json!({
            "metadata": {"name": "p", "generation": 1, "annotations": {"kubernetes-fleet.io/CRP-generation": "4"}},
            "spec": {"policyHash": ""},
            "status": {"observedCRPGeneration": generation,
                "conditions": [{"type": "Scheduled", "status": status, "observedGeneration": 1, "reason": "R", "message": "",
                    "lastTransitionTime": NOW}],
                "targetClusters": [{"clusterName": "m1", "selected": true, "reason": ""}]},
        }))
        .unwrap()
    };
    let held = || vec![binding("m1", "Bound", "p")];
    let cases = [
        (pick_n(1), held(), "True", 4, false),
        (pick_n(1), held(), "False", 4, true),
        (pick_n(1), held(), "True", 3, true),
        (pick_n(1), vec![], "True", 4, true),
        (
            pick_n(1),
            vec![binding("m1", "Bound", "p"), binding("m2", "Bound", "old")],
            "True",
            4,
            true,
        ),
        (
            pick_n(1),
            vec![binding("m1", "Bound", "p"), binding("gone", "Bound", "p")],
            "True",
            4,
            true,
        ),
        (
            json!({"placementType": "PickFixed", "clusterNames": ["m1"]}),
            held(),
            "True",
            4,
            false,
        ),
        (json!({"placementType": "PickAll"}), held(), "True", 4, true),
    ];
    for (number, (policy, bindings, status, generation, due)) in cases.into_iter().enumerate() {
        let case = Case::new(policy, three(), bindings);
        assert_eq!(
            is_due(&case.input(), &snapshot(status, generation)),
            due,
            "case {number}"
        );
    }
}
