//! What holds for every status.

use proptest::prelude::*;

use super::*;
use crate::problem::Problem;
use crate::render::RenderResult;

fn a_condition(kind: &'static str) -> impl Strategy<Value = Option<Value>> {
    let status = prop_oneof![Just("True"), Just("False"), Just("Unknown")];
    proptest::option::of(
        (status, 2..=3_i64).prop_map(move |(status, generation)| condition(kind, status, "R", generation)),
    )
}

fn a_work(name: &'static str) -> impl Strategy<Value = Arc<Work>> {
    let conditions = (
        a_condition("Applied"),
        a_condition("Available"),
        a_condition("DiffReported"),
    );
    let manifests = proptest::collection::vec((0..200_u32, any::<bool>(), any::<bool>()), 0..120);
    (conditions, manifests).prop_map(move |((a, b, c), manifests)| {
        let entries = manifests.into_iter().map(|(n, failed, drifted)| {
            let status = if failed { "False" } else { "True" };
            manifest(
                &format!("o{n}"),
                &[("Applied", status)],
                if drifted { "drift" } else { "diff" },
            )
        });
        work(name, [a, b, c].into_iter().flatten().collect(), entries.collect())
    })
}

fn an_outcome() -> impl Strategy<Value = RenderResult> {
    prop_oneof![
        Just(RenderResult::Idle),
        Just(RenderResult::NotOverridden(Problem::user("Bad."))),
        Just(RenderResult::NotSynchronized(Problem::expected("Wait."))),
        any::<bool>().prop_map(|changed| RenderResult::Synchronized {
            changed,
            works: vec!["one".to_owned(), "two".to_owned()]
        }),
    ]
}

fn a_binding(cluster: &'static str) -> impl Strategy<Value = Binding> {
    let kinds = [
        "RolloutStarted",
        "Overridden",
        "WorkSynchronized",
        "Applied",
        "Available",
        "DiffReported",
    ];
    let conditions: Vec<_> = kinds.into_iter().map(a_condition).collect();
    (conditions, 0..3_u64, any::<bool>()).prop_map(move |(conditions, index, diff)| {
        let mut binding = bound(cluster, index, conditions.into_iter().flatten().collect());
        if diff {
            binding.spec.apply_strategy = serde_json::from_value(json!({"type": "ReportDiff"})).unwrap();
        }
        binding
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_binding_status_is_a_fixed_point(
        binding in a_binding("m1"), result in an_outcome(), works in (a_work("one"), a_work("two")),
    ) {
        let works = [works.0, works.1];
        let first = binding_status(&binding, &result, &works, now());
        let later = now() + std::time::Duration::from_secs(60);
        let second = binding_status(&Binding { status: first.clone(), ..binding }, &result, &works, later);
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(status_patch(&first, &second), None);
        let names: Vec<_> = first.failed_placements.iter().map(|f| &f.resource.name).collect();
        prop_assert!(names.len() <= 100 && first.drifted_placements.len() <= 100 && first.diffed_placements.len() <= 100);
        prop_assert!(names.is_sorted());
    }

    #[test]
    fn a_placement_status_is_a_fixed_point(
        one in a_binding("m1"), two in a_binding("m2"), external in any::<bool>(), selected in 0..4_usize,
    ) {
        let strategy = if external { "External" } else { "RollingUpdate" };
        let policy_of_n = json!({"placementType": "PickN", "numberOfClusters": 3});
        let before = placement(json!({"strategy": {"type": strategy}, "policy": policy_of_n}));
        let decisions = ["m1", "m2", "m3"].iter().enumerate().map(|(i, c)| decision(c, i < selected)).collect();
        let mut policy = policy(decisions);
        policy.meta.annotations.insert("kubernetes-fleet.io/number-of-clusters".to_owned(), "3".to_owned());
        let snapshots = [resources(0), resources(1)];
        let bindings = [Arc::new(one), Arc::new(two)];
        let compute = |placement: &Placement, at| placement_status(&Input {
            placement, policy: &policy, selected: &[], latest: (!external).then(|| &*snapshots[1]),
            snapshots: &snapshots, bindings: &bindings, unreadable: &NONE_UNREADABLE, now: at,
        }).unwrap();
        let first = compute(&before, now());
        let after = with_status(&before, first.clone());
        let second = compute(&after, now() + std::time::Duration::from_secs(60));
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(status_patch(&first, &second), None);
        prop_assert_eq!(transitions(&after, &second), vec![]);
        prop_assert!(first.conditions.iter().all(|c| c.observed_generation == 3));
        // The last condition is the only one that may be other than True, Scheduled aside.
        let open = first.conditions.iter().skip(1).rev().skip(1).filter(|c| c.status != api::ConditionStatus::True);
        prop_assert_eq!(open.count(), 0);
    }
}
