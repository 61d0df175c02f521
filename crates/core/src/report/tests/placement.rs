//! Placement statuses: entries, aggregation, placeholders, external rollout, transitions.

use super::*;

/// What a status is computed from, owned.
pub(super) struct Case {
    pub placement: Placement,
    pub policy: PolicySnapshot,
    pub snapshots: Vec<Arc<ResourceSnapshot>>,
    pub bindings: Vec<Arc<Binding>>,
}

impl Case {
    pub fn new(placement: Placement, clusters: &[&str], bindings: Vec<Binding>) -> Self {
        Self {
            placement,
            policy: policy(clusters.iter().map(|c| decision(c, true)).collect()),
            snapshots: vec![resources(0), resources(1)],
            bindings: bindings.into_iter().map(Arc::new).collect(),
        }
    }

    fn input(&self) -> Input<'_> {
        Input {
            placement: &self.placement,
            policy: &self.policy,
            selected: &[],
            latest: (!self.placement.is_external()).then(|| &*self.snapshots[1]),
            snapshots: &self.snapshots,
            unreadable: &NONE_UNREADABLE,
            bindings: &self.bindings,
            now: now(),
        }
    }

    pub fn status(&self) -> PlacementStatus {
        placement_status(&self.input()).unwrap()
    }
}

fn replaced(mut conditions: Vec<Value>, kind: &str, new: Option<Value>) -> Vec<Value> {
    conditions.retain(|c| c["type"] != kind || new.is_some());
    for condition in &mut conditions {
        if condition["type"] == kind {
            *condition = new.clone().unwrap();
        }
    }
    conditions
}

#[test]
fn scheduling_is_pending_until_it_is_about_this_generation() {
    let stale: [&dyn Fn(&mut PolicySnapshot); 4] = [
        &|p| p.status.conditions.clear(),
        &|p| p.status.conditions[0].observed_generation = 0,
        &|p| p.status.conditions[0].status = api::ConditionStatus::Unknown,
        &|p| p.status.observed_crp_generation = 2,
    ];
    for (number, change) in stale.into_iter().enumerate() {
        let mut case = Case::new(placement(json!({})), &["m1"], vec![bound("m1", 1, all_well())]);
        case.placement = with_status(&case.placement, case.status());
        change(&mut case.policy);
        let status = case.status();
        assert_eq!(status.conditions[0].reason, "SchedulePending", "{number}");
        assert_eq!(
            (status.placement_statuses.len(), status.conditions.len()),
            (0, 6),
            "others are left untouched"
        );
        assert_eq!(status.observed_resource_index, "1");
        assert!(!is_complete(&case.placement, &status));
    }
}

#[test]
fn entries_follow_the_binding_of_their_cluster() {
    let blocked = vec![fresh("RolloutStarted", "False", "RolloutNotStartedYet")];
    let stale = vec![condition("RolloutStarted", "False", "RolloutNotStartedYet", 2)];
    let mut old_policy = bound("m1", 1, all_well());
    old_policy.spec.scheduling_policy_snapshot_name = "crp-9".to_owned();
    let mut deleting = bound("m1", 1, all_well());
    deleting.meta.deleted = Some(now());
    let unknown = "RolloutStarted=Unknown/RolloutStartedUnknown";
    let cases = [
        ("no binding", vec![], unknown, ""),
        ("binding of an older policy", vec![old_policy], unknown, ""),
        ("deleting binding", vec![deleting], unknown, ""),
        (
            "older resources, blocked",
            vec![bound("m1", 0, blocked)],
            "RolloutStarted=False/RolloutNotStartedYet",
            "1",
        ),
        (
            "older resources, condition stale",
            vec![bound("m1", 0, stale)],
            unknown,
            "1",
        ),
        (
            "older resources, all well",
            vec![bound("m1", 0, all_well())],
            unknown,
            "1",
        ),
    ];
    for (name, bindings, wanted, index) in cases {
        let status = Case::new(placement(json!({})), &["m1"], bindings).status();
        let entry = &status.placement_statuses[0];
        assert_eq!(words(&entry.conditions), ["Scheduled=True/Scheduled", wanted], "{name}");
        assert_eq!(entry.conditions[0].message, "decision about m1");
        assert_eq!(entry.observed_resource_index, index, "{name}");
        assert!(entry.conditions.iter().all(|c| c.observed_generation == 3));
    }
}

#[test]
fn the_walk_stops_at_the_first_condition_that_is_not_true() {
    let unknown = [
        ("RolloutStarted", "RolloutStartedUnknown"),
        ("Overridden", "OverriddenPending"),
        ("WorkSynchronized", "WorkSynchronizedUnknown"),
        ("Applied", "ApplyPending"),
        ("Available", "ResourceAvailableUnknown"),
    ];
    for (position, (kind, reason)) in unknown.into_iter().enumerate() {
        for broken in [
            None,
            Some(condition(kind, "True", "R", 2)),
            Some(fresh(kind, "Unknown", "R")),
        ] {
            let binding = bound("m1", 1, replaced(all_well(), kind, broken));
            let status = Case::new(placement(json!({})), &["m1"], vec![binding]).status();
            let entry = words(&status.placement_statuses[0].conditions);
            assert_eq!(entry.len(), position + 2, "{kind}: {entry:?}");
            assert_eq!(entry.last(), Some(&format!("{kind}=Unknown/{reason}")));
        }
        let binding = bound("m1", 1, replaced(all_well(), kind, Some(fresh(kind, "False", "Why"))));
        let status = Case::new(placement(json!({})), &["m1"], vec![binding]).status();
        let entry = &status.placement_statuses[0].conditions;
        assert_eq!(words(entry).last(), Some(&format!("{kind}=False/Why")));
        assert_eq!(
            entry.last().map(|c| c.message.as_str()),
            Some(format!("message of {kind}").as_str())
        );
    }
}

#[test]
fn side_data_belongs_to_the_conditions_reached() {
    let lists = |mut binding: Binding| {
        let works = [work(
            "one",
            vec![fresh("Applied", "False", "R")],
            vec![manifest("a", &[("Applied", "False")], "drift diff")],
        )];
        let result = crate::render::RenderResult::Synchronized {
            changed: false,
            works: vec!["one".to_owned()],
        };
        let full = binding_status(&binding, &result, &works, now());
        binding.status.failed_placements = full.failed_placements;
        binding.status.diffed_placements = full.diffed_placements;
        binding.status.drifted_placements = full.drifted_placements;
        binding.spec.cluster_resource_override_snapshots = vec!["c-0".to_owned()];
        binding
    };
    let not = |kind: &str| replaced(all_well(), kind, Some(fresh(kind, "False", "R")));
    let diff = |status| {
        let mut conditions = all_well();
        conditions.truncate(3);
        conditions.push(fresh("DiffReported", status, "R"));
        conditions
    };
    // Counts: overrides, failed, diffed, drifted.
    let cases = [
        (placement(json!({})), not("RolloutStarted"), [0, 0, 0, 0]),
        (placement(json!({})), not("Overridden"), [1, 0, 0, 0]),
        (placement(json!({})), not("Applied"), [1, 1, 1, 1]),
        (placement(json!({})), not("Available"), [1, 1, 1, 1]),
        (placement(json!({})), all_well(), [1, 0, 0, 1]),
        (report_diff(), diff("True"), [1, 0, 1, 0]),
        (report_diff(), diff("False"), [1, 0, 0, 0]),
    ];
    for (placement, conditions, wanted) in cases {
        let shown = format!("{conditions:?}");
        let status = Case::new(placement, &["m1"], vec![lists(bound("m1", 1, conditions))]).status();
        let entry = &status.placement_statuses[0];
        let counts = [
            entry.applicable_cluster_resource_overrides.len(),
            entry.failed_placements.len(),
            entry.diffed_placements.len(),
            entry.drifted_placements.len(),
        ];
        assert_eq!(counts, wanted, "{shown}");
    }
}

#[test]
fn clusters_are_aggregated_unknown_before_false_before_true() {
    let table = [
        ("RolloutStarted", "RolloutStartedUnknown", "RolloutNotStartedYet"),
        ("Overridden", "OverriddenPending", "OverriddenFailed"),
        ("WorkSynchronized", "WorkSynchronizedUnknown", "WorkNotSynchronizedYet"),
        ("Applied", "ApplyPending", "ApplyFailed"),
        ("Available", "ResourceAvailableUnknown", "ResourceNotAvailableYet"),
    ];
    let aggregated = |placement: Placement, binding: [Vec<Value>; 3]| {
        let bindings = binding
            .into_iter()
            .zip(["m1", "m2", "m3"])
            .map(|(c, name)| bound(name, 1, c))
            .collect();
        Case::new(placement, &["m1", "m2", "m3"], bindings).status().conditions
    };
    for (position, (kind, unknown, failed)) in table.into_iter().enumerate() {
        let missing = || replaced(all_well(), kind, None);
        let broken = || replaced(all_well(), kind, Some(fresh(kind, "False", "R")));
        for (clusters, wanted) in [
            ([missing(), broken(), missing()], format!("Unknown/{unknown}")),
            ([all_well(), broken(), broken()], format!("False/{failed}")),
        ] {
            let conditions = aggregated(placement(json!({})), clusters);
            assert_eq!(conditions.len(), position + 2, "later conditions are absent");
            let last = conditions.last().unwrap();
            assert_eq!(
                words(std::slice::from_ref(last)),
                [format!("ClusterResourcePlacement{kind}={wanted}")]
            );
            assert!(last.message.contains("2 cluster(s)"), "{}", last.message);
        }
    }
    let conditions = aggregated(placement(json!({})), [all_well(), all_well(), all_well()]);
    assert_eq!(
        words(&conditions),
        [
            "ClusterResourcePlacementScheduled=True/SchedulingPolicyFulfilled",
            "ClusterResourcePlacementRolloutStarted=True/RolloutStarted",
            "ClusterResourcePlacementOverridden=True/NoOverrideSpecified",
            "ClusterResourcePlacementWorkSynchronized=True/WorkSynchronized",
            "ClusterResourcePlacementApplied=True/ApplySucceeded",
            "ClusterResourcePlacementAvailable=True/ResourceAvailable",
        ]
    );
}

#[test]
fn report_diff_has_its_own_last_condition() {
    let mut conditions = all_well();
    conditions.truncate(3);
    for (status, wanted) in [
        (Some("True"), "True/DiffReportingCompleted"),
        (Some("False"), "False/DiffReportingIncompleteOrFailed"),
        (None, "Unknown/DiffReportingPending"),
    ] {
        let mut conditions = conditions.clone();
        conditions.extend(status.map(|status| fresh("DiffReported", status, "R")));
        let mut case = Case::new(report_diff(), &["m1"], vec![bound("m1", 1, conditions)]);
        // A placement that was of another type before loses what it no longer has.
        case.placement.status.conditions = serde_json::from_value(json!([
            fresh("ClusterResourcePlacementApplied", "True", "ApplySucceeded"),
            fresh("ClusterResourcePlacementAvailable", "True", "ResourceAvailable"),
        ]))
        .unwrap();
        let status = case.status();
        assert_eq!(status.conditions.len(), 5);
        assert_eq!(
            words(&status.conditions).last(),
            Some(&format!("ClusterResourcePlacementDiffReported={wanted}"))
        );
    }
}

#[test]
fn a_namespaced_placement_has_its_own_prefix() {
    let mut case = Case::new(placement(json!({})), &["m1"], vec![bound("m1", 1, all_well())]);
    case.placement.meta.namespace = Some("app".to_owned());
    assert!(
        case.status()
            .conditions
            .iter()
            .all(|c| c.type_.starts_with("ResourcePlacement"))
    );
}

#[test]
fn unfilled_slots_have_placeholders() {
    let pick_n = |_: i64| json!({"policy": {"placementType": "PickN", "numberOfClusters": 99}});
    let fixed = |names: &[&str]| json!({"policy": {"placementType": "PickFixed", "clusterNames": names}});
    let cases = [
        ("one missing", pick_n(2), Some(2), 1),
        ("more missing than decisions", pick_n(9), Some(9), 3),
        ("more selected than wanted", pick_n(0), Some(0), 0),
        ("fixed", fixed(&["m1", "x", "y"]), None, 2),
        ("all", json!({"policy": {"placementType": "PickAll"}}), None, 0),
    ];
    for (name, spec, n, wanted) in cases {
        let mut case = Case::new(placement(spec), &["m1"], vec![bound("m1", 1, all_well())]);
        let decisions = ["m1", "a", "b", "c"].map(|c| decision(c, c == "m1"));
        case.policy = policy(decisions.into());
        if let Some(n) = n {
            case.policy
                .meta
                .annotations
                .insert("kubernetes-fleet.io/number-of-clusters".to_owned(), i64::to_string(&n));
        }
        let status = case.status();
        assert_eq!(status.placement_statuses.len(), 1 + wanted, "{name}");
        for (entry, cluster) in status.placement_statuses.iter().skip(1).zip(["a", "b", "c"]) {
            assert_eq!(
                (entry.cluster_name.as_str(), words(&entry.conditions)),
                ("", vec!["Scheduled=False/ScheduleFailed".to_owned()])
            );
            assert_eq!(entry.conditions[0].message, format!("decision about {cluster}"));
        }
        assert_eq!(
            words(&status.conditions).len(),
            6,
            "placeholders take no part in the aggregation"
        );
    }
}

#[test]
fn without_a_cluster_only_scheduled_is_left() {
    let mut case = Case::new(placement(json!({})), &["m1"], vec![bound("m1", 1, all_well())]);
    case.placement = with_status(&case.placement, case.status());
    case.policy = policy(vec![]);
    let status = case.status();
    assert_eq!(
        words(&status.conditions),
        ["ClusterResourcePlacementScheduled=True/SchedulingPolicyFulfilled"]
    );
    assert_eq!(
        (status.placement_statuses.len(), status.observed_resource_index.as_str()),
        (0, "1")
    );
}

#[test]
fn external_rollout_shows_what_clusters_agree_on() {
    let undecided = "ClusterResourcePlacementRolloutStarted=Unknown/RolloutControlledByExternalController";
    let available = "ClusterResourcePlacementAvailable=True/ResourceAvailable";
    let on = |cluster: &str, index: u64, conditions: Vec<Value>| bound(cluster, index, conditions);
    let empty = |cluster: &str| {
        let mut binding = bound(cluster, 0, vec![]);
        binding.spec.resource_snapshot_name.clear();
        binding
    };
    let cases = [
        (
            "agree",
            vec![on("m1", 0, all_well()), on("m2", 0, all_well())],
            "0",
            vec!["app-0"],
            available,
        ),
        (
            "differ",
            vec![on("m1", 0, all_well()), on("m2", 1, all_well())],
            "",
            vec![],
            undecided,
        ),
        ("none has any", vec![empty("m1"), empty("m2")], "", vec![], undecided),
        (
            "one has none",
            vec![on("m1", 0, all_well()), empty("m2")],
            "",
            vec![],
            undecided,
        ),
        (
            "one is silent",
            vec![on("m1", 1, all_well()), on("m2", 1, vec![])],
            "1",
            vec!["app-1"],
            undecided,
        ),
        (
            "snapshot gone",
            vec![on("m1", 7, all_well()), on("m2", 7, all_well())],
            "",
            vec![],
            undecided,
        ),
    ];
    for (name, bindings, index, selected, wanted) in cases {
        let status = Case::new(external(), &["m1", "m2"], bindings).status();
        assert_eq!(status.observed_resource_index, index, "{name}");
        let resources: Vec<_> = status.selected_resources.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(resources, selected, "{name}");
        assert_eq!(
            words(&status.conditions).last().map(String::as_str),
            Some(wanted),
            "{name}"
        );
    }
    let indices = Case::new(
        external(),
        &["m1", "m2"],
        vec![on("m1", 0, all_well()), on("m2", 1, all_well())],
    )
    .status();
    let indices: Vec<_> = indices
        .placement_statuses
        .iter()
        .map(|e| e.observed_resource_index.as_str())
        .collect();
    assert_eq!(indices, ["0", "1"]);

    let mut case = Case::new(external(), &["m1"], vec![on("m1", 0, all_well())]);
    let mut headless = ResourceSnapshot::clone(&case.snapshots[0]);
    headless.meta.annotations.clear();
    case.snapshots[0] = Arc::new(headless);
    assert_eq!(placement_status(&case.input()).unwrap_err().class.label(), "unexpected");
}

#[test]
fn wrong_selectors_change_nothing_but_scheduled() {
    let case = Case::new(placement(json!({})), &["m1"], vec![bound("m1", 1, all_well())]);
    let before = with_status(&case.placement, case.status());
    let status = invalid_selectors(&before, "The namespace is reserved.", now());
    assert_eq!(
        words(&status.conditions)[0],
        "ClusterResourcePlacementScheduled=False/InvalidResourceSelectors"
    );
    assert_eq!(status.conditions[0].message, "The namespace is reserved.");
    assert_eq!(status.conditions[1..], before.status.conditions[1..]);
    assert_eq!(status.placement_statuses, before.status.placement_statuses);
    let fact = fact(&before, &status);
    assert_eq!(
        (fact.status.as_str(), fact.reason.as_str()),
        ("False", "InvalidResourceSelectors")
    );
}

#[test]
fn transitions_are_reported_once() {
    let case = Case::new(placement(json!({})), &["m1"], vec![bound("m1", 1, all_well())]);
    let status = case.status();
    let reasons: Vec<_> = transitions(&case.placement, &status).iter().map(|e| e.reason).collect();
    assert_eq!(
        reasons,
        [
            "PlacementRolloutStarted",
            "PlacementOverriddenSucceeded",
            "PlacementWorkSynchronized",
            "PlacementApplied",
            "PlacementAvailable",
            "PlacementRolloutCompleted",
        ]
    );
    let reported = with_status(&case.placement, status.clone());
    assert_eq!(transitions(&reported, &status), []);
    let done = fact(&reported, &status);
    assert_eq!(
        (
            done.generation,
            done.condition.as_str(),
            done.status.as_str(),
            done.reason.as_str()
        ),
        (3, "Completed", "True", "Completed")
    );
    assert!(is_complete(&reported, &status));
}

#[test]
fn the_metric_names_the_first_open_condition() {
    let open = |conditions| {
        let case = Case::new(placement(json!({})), &["m1"], vec![bound("m1", 1, conditions)]);
        let fact = fact(&case.placement, &case.status());
        (fact.condition, fact.status, fact.reason)
    };
    let words = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let applied = replaced(all_well(), "Applied", Some(fresh("Applied", "False", "R")));
    assert_eq!(
        open(applied),
        words("ClusterResourcePlacementApplied", "False", "ApplyFailed")
    );
    let nothing = fact(&placement(json!({})), &PlacementStatus::default());
    assert_eq!(
        (nothing.condition, nothing.status, nothing.reason),
        words("ClusterResourcePlacementScheduled", "nil", "nil")
    );
}

#[test]
fn a_new_generation_reports_its_transitions_again() {
    let mut case = Case::new(placement(json!({})), &["m1"], vec![bound("m1", 1, all_well())]);
    case.placement = with_status(&case.placement, case.status());
    case.placement.meta.generation = 4;
    case.policy.status.observed_crp_generation = 4;
    let status = case.status();
    assert!(status.conditions.iter().all(|c| c.observed_generation == 4));
    assert_eq!(transitions(&case.placement, &status).len(), 6);
}
