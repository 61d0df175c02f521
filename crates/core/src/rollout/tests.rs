//! Tests of the budgets and of the classes of bindings.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::objects::Binding;

const NOW: &str = "2026-01-01T01:00:00Z";

/// A binding from a short description: cluster, state, snapshot, and what its conditions say.
fn binding(cluster: &str, state: &str, snapshot: &str, conditions: &[(&str, &str, &str)]) -> Tracked<Binding> {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(type_, status, reason)| {
            json!({"type": type_, "status": status, "reason": reason, "message": "", "observedGeneration": 3,
                   "lastTransitionTime": "2026-01-01T00:59:20Z"})
        })
        .collect();
    let value = json!({
        "metadata": {"name": format!("b-{cluster}"), "generation": 3},
        "spec": {"state": state, "resourceSnapshotName": snapshot, "schedulingPolicySnapshotName": "p",
            "targetCluster": cluster, "clusterDecision": {"clusterName": cluster, "selected": true, "reason": ""},
            "applyStrategy": {"type": "ClientSideApply"}},
        "status": {"conditions": conditions},
    });
    Tracked::stored(Arc::new(Binding::from_value(value).unwrap()))
}

const READY: &[(&str, &str, &str)] = &[
    ("Available", "True", "AllWorkAreAvailable"),
    ("RolloutStarted", "True", "RolloutStarted"),
];
const BROKEN: &[(&str, &str, &str)] = &[("Available", "False", "NotAllWorkAreAvailable")];
const UNTRACKABLE: &[(&str, &str, &str)] = &[("Available", "True", "NotAllWorkAreAvailabilityTrackable")];
const ON_ITS_WAY: &[(&str, &str, &str)] = &[("Applied", "False", "ApplyInProgress")];
const NOT_APPLIED: &[(&str, &str, &str)] = &[("Applied", "False", "NotAllWorkHaveBeenApplied")];
const DIFF_FAILED: &[(&str, &str, &str)] = &[("DiffReported", "False", "NotAllWorkHaveDiffReported")];
const DIFF: &[(&str, &str, &str)] = &[("DiffReported", "True", "AllWorkHaveDiffReported")];

fn deleting(binding: Tracked<Binding>) -> Tracked<Binding> {
    let mut stored = (**binding.get().unwrap()).clone();
    stored.meta.deleted = Some(NOW.parse().unwrap());
    Tracked::stored(Arc::new(stored))
}

fn budget(target: i64, max_unavailable: i64, max_surge: i64) -> Budget {
    Budget {
        target,
        max_unavailable,
        max_surge,
        unavailable_period: Duration::from_secs(60),
    }
}

/// Runs a pass towards snapshot `new`. Answers the clusters that were bound to it, the removed ones, and the wait.
fn run(bindings: &mut [Tracked<Binding>], budget: Budget) -> (Vec<String>, Vec<String>, Option<Duration>) {
    let strategy: ApplyStrategy = serde_json::from_value(json!({"type": "ClientSideApply"})).unwrap();
    let overrides = ('a'..='z').map(|c| (c.to_string(), Picked::default())).collect();
    let before: Vec<Arc<Binding>> = bindings.iter().map(|b| Arc::clone(b.get().unwrap())).collect();
    let input = Input {
        snapshot: "new",
        apply_strategy: &strategy,
        budget,
        overrides: &overrides,
        leaving: &BTreeSet::new(),
        awaited: &BTreeSet::from(["b-w".to_owned()]),
        now: NOW.parse().unwrap(),
    };
    let outcome = roll_out(bindings, &input, Recorder::off());
    let mut moved = Vec::new();
    let mut removed = Vec::new();
    for (before, after) in before.iter().zip(bindings.iter()) {
        match after.get() {
            None => removed.push(before.cluster().to_owned()),
            Some(after) if after.spec != before.spec => {
                assert_eq!(
                    (after.spec.resource_snapshot_name.as_str(), after.state()),
                    ("new", BindingState::Bound)
                );
                assert_eq!(after.meta.generation, 4);
                assert!(after.condition("RolloutStarted").unwrap().is_true_for(4));
                moved.push(after.cluster().to_owned());
            }
            Some(_) => {}
        }
    }
    (moved, removed, outcome.requeue)
}

/// A budget, the bindings, and the clusters that move and that are removed.
type Arithmetic = (
    &'static str,
    Budget,
    Vec<Tracked<Binding>>,
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn arithmetic() {
    let bound = |cluster: &str, conditions| binding(cluster, "Bound", "old", conditions);
    let scheduled = |cluster: &str| binding(cluster, "Scheduled", "", &[]);
    let unscheduled = |cluster: &str, conditions| binding(cluster, "Unscheduled", "old", conditions);
    let four = |conditions| ["a", "b", "c", "d"].map(|c| bound(c, conditions)).into();
    let cases: Vec<Arithmetic> = vec![
        ("all ready, one at a time", budget(4, 1, 1), four(READY), &["a"], &[]),
        (
            "one moved and not ready",
            budget(4, 1, 1),
            vec![
                binding("a", "Bound", "new", &[]),
                bound("b", READY),
                bound("c", READY),
                bound("d", READY),
            ],
            &[],
            &[],
        ),
        (
            "failed ones pass the budget",
            budget(4, 1, 1),
            vec![
                bound("a", BROKEN),
                bound("b", READY),
                bound("c", READY),
                bound("d", READY),
            ],
            &["a"],
            &[],
        ),
        (
            "not fully scheduled blocks",
            budget(10, 3, 3),
            ["a", "b", "c", "d", "e", "f", "g"].map(|c| bound(c, READY)).into(),
            &[],
            &[],
        ),
        (
            "other clusters",
            budget(4, 1, 1),
            ["a", "b", "c", "d"]
                .map(|c| unscheduled(c, READY))
                .into_iter()
                .chain(["e", "f", "g", "h"].map(scheduled))
                .collect(),
            &["e"],
            &["a"],
        ),
        (
            "first rollout within surge",
            budget(4, 1, 1),
            ["a", "b", "c", "d"].map(scheduled).into(),
            &["a", "b", "c", "d"],
            &[],
        ),
        (
            "surge counts what can become ready",
            budget(2, 1, 1),
            vec![
                bound("a", READY),
                unscheduled("b", READY),
                unscheduled("c", &[]),
                scheduled("d"),
            ],
            &[],
            &["b"],
        ),
        (
            "a failed cluster takes no surge",
            budget(2, 0, 0),
            vec![unscheduled("b", BROKEN), unscheduled("c", BROKEN), scheduled("d")],
            &["d"],
            &["b", "c"],
        ),
        (
            "one on its way takes surge",
            budget(1, 0, 0),
            vec![binding("a", "Bound", "new", ON_ITS_WAY), scheduled("d")],
            &[],
            &[],
        ),
        (
            "one that has not answered for its update takes surge",
            budget(1, 0, 0),
            vec![scheduled("d"), binding("w", "Bound", "new", NOT_APPLIED)],
            &[],
            &[],
        ),
        (
            "one that failed takes none",
            budget(1, 0, 0),
            vec![scheduled("d"), binding("x", "Bound", "new", NOT_APPLIED)],
            &["d"],
            &[],
        ),
        (
            "removals come before updates",
            budget(2, 1, 0),
            vec![bound("a", READY), unscheduled("b", READY)],
            &[],
            &["b"],
        ),
        (
            "unready leavers wait",
            budget(2, 1, 0),
            vec![bound("a", READY), unscheduled("b", &[])],
            &[],
            &[],
        ),
        (
            "scaled to nothing",
            budget(0, 0, 0),
            vec![unscheduled("a", READY), unscheduled("b", BROKEN)],
            &[],
            &["a", "b"],
        ),
        (
            "difference reports take no surge",
            budget(2, 1, 0),
            vec![
                binding("a", "Bound", "new", DIFF),
                binding("b", "Bound", "new", DIFF),
                scheduled("c"),
            ],
            &["c"],
            &[],
        ),
        (
            "a failed report of differences passes the budget",
            budget(4, 1, 1),
            vec![
                bound("a", DIFF_FAILED),
                bound("b", DIFF),
                bound("c", DIFF_FAILED),
                unscheduled("d", DIFF_FAILED),
            ],
            &["a", "c"],
            &["d"],
        ),
        (
            "leaving ones are already unavailable",
            budget(2, 1, 0),
            vec![bound("a", READY), deleting(unscheduled("b", READY))],
            &[],
            &[],
        ),
        (
            "untrackable inside its period",
            budget(2, 1, 0),
            vec![bound("a", UNTRACKABLE), bound("b", READY)],
            &[],
            &[],
        ),
    ];
    for (name, budget, mut bindings, moved, removed) in cases {
        let (did_move, did_remove, _) = run(&mut bindings, budget);
        assert_eq!(did_move, moved, "{name}");
        assert_eq!(did_remove, removed, "{name}");
    }
}

#[test]
fn what_is_said_about_the_rollout() {
    let mut bindings = vec![
        binding("a", "Bound", "old", READY),
        binding("b", "Bound", "old", READY),
        binding("c", "Bound", "new", READY),
    ];
    run(&mut bindings, budget(3, 1, 1));
    let said: Vec<_> = bindings
        .iter()
        .map(|b| {
            b.get()
                .unwrap()
                .condition("RolloutStarted")
                .map(|c| (c.status.as_str(), c.reason.clone()))
                .unwrap()
        })
        .collect();
    let (yes, no) = (
        ("True", "RolloutStarted".to_owned()),
        ("False", "RolloutNotStartedYet".to_owned()),
    );
    assert_eq!(said, [yes.clone(), no, yes]);
    // A pass without candidates repairs a stale condition and says nothing twice.
    let mut bindings = vec![
        binding(
            "a",
            "Bound",
            "new",
            &[("RolloutStarted", "False", "RolloutNotStartedYet")],
        ),
        binding("b", "Bound", "new", READY),
    ];
    assert_eq!(run(&mut bindings, budget(2, 1, 1)).2, None);
    assert!(
        bindings[0]
            .get()
            .unwrap()
            .condition("RolloutStarted")
            .unwrap()
            .is_true_for(3)
    );
    assert!(Arc::ptr_eq(bindings[1].get().unwrap(), bindings[1].before().unwrap()));
}

#[test]
fn the_next_look_is_when_the_period_of_the_first_untrackable_ends() {
    let mut bindings = vec![
        binding("a", "Bound", "new", UNTRACKABLE),
        binding("b", "Bound", "old", READY),
    ];
    assert_eq!(run(&mut bindings, budget(2, 1, 0)).2, Some(Duration::from_secs(20)));
    let mut bindings = vec![binding("a", "Bound", "new", &[]), binding("b", "Bound", "old", READY)];
    assert_eq!(run(&mut bindings, budget(2, 0, 0)).2, Some(Duration::from_secs(60)));
}

#[test]
fn two_bindings_on_a_cluster_hold_up_only_that_cluster() {
    let mut bindings = vec![
        deleting(binding("a", "Bound", "old", READY)),
        binding("a", "Scheduled", "", &[]),
        binding("b", "Scheduled", "", &[]),
    ];
    let (moved, _, wait) = run(&mut bindings, budget(2, 1, 1));
    assert_eq!(moved, ["b"]);
    assert_eq!(wait, Some(Duration::from_secs(5)));
}

#[test]
fn a_cluster_that_is_not_known_is_left_alone() {
    let mut bindings = vec![binding("Unknown", "Scheduled", "", &[])];
    assert_eq!(run(&mut bindings, budget(1, 0, 0)), (vec![], vec![], None));
}

#[test]
fn what_serves_nobody_is_removed_whatever_the_budget() {
    let mut bindings = vec![
        binding("Unknown", "Unscheduled", "old", READY),
        binding("b", "Unscheduled", "", &[]),
        binding("c", "Unscheduled", "old", READY),
    ];
    assert_eq!(run(&mut bindings, budget(2, 0, 0)).1, ["Unknown", "b"]);
}

#[test]
fn a_member_that_never_answers_gives_its_share_of_the_surge_back_after_the_period() {
    let bindings = || {
        vec![
            binding("a", "Bound", "new", ON_ITS_WAY),
            binding("d", "Scheduled", "", &[]),
        ]
    };
    let period = |seconds| Budget {
        unavailable_period: Duration::from_secs(seconds),
        ..budget(1, 0, 0)
    };
    // It has been silent for 40 s.
    let (moved, _, wait) = run(&mut bindings(), period(60));
    assert_eq!((moved, wait), (vec![], Some(Duration::from_secs(20))));
    let (moved, _, _) = run(&mut bindings(), period(40));
    assert_eq!(moved, ["d"]);
}

#[test]
fn a_vanished_cluster_counts_for_nothing() {
    // What it reported last makes no room for the update of another one.
    let mut bindings = vec![
        binding("Unknown", "Unscheduled", "old", READY),
        binding("a", "Bound", "old", READY),
        binding("b", "Bound", "old", READY),
        binding("c", "Bound", "old", READY),
    ];
    let (moved, removed, _) = run(&mut bindings, budget(3, 1, 0));
    assert_eq!((moved, removed), (vec!["a".to_owned()], vec!["Unknown".to_owned()]));
}

mod budget_properties {
    use super::*;
    use proptest::prelude::*;

    const REPORTS: [&[(&str, &str, &str)]; 8] = [
        READY,
        BROKEN,
        UNTRACKABLE,
        ON_ITS_WAY,
        NOT_APPLIED,
        DIFF,
        DIFF_FAILED,
        &[],
    ];

    /// State, snapshot, report, and whether the cluster is there, leaves the fleet, or is gone.
    type Kind = (u8, bool, usize, u8, bool);

    fn kind() -> impl Strategy<Value = Kind> {
        (
            0..3_u8,
            any::<bool>(),
            0..REPORTS.len(),
            0..4_u8,
            prop::bool::weighted(0.1),
        )
    }

    proptest! {
        /// Whatever a pass moves, removes or has to let go: of the clusters that serve, at least target - maxUnavailable go
        /// on, or all of them if they are fewer. Bindings of vanished clusters are removed without a budget, which is
        /// harmless: they serve nobody, and nothing of another cluster goes in their stead.
        #[test]
        fn max_unavailable_holds_also_while_clusters_vanish(
            kinds in prop::collection::vec(kind(), 0..10),
            target in 0..10_i64,
            max_unavailable in 0..4_i64,
            max_surge in 0..4_i64,
        ) {
            let mut leaving = BTreeSet::new();
            let mut overrides = BTreeMap::new();
            let names: Vec<String> = ('a'..='z').map(String::from).collect();
            let mut bindings = Vec::new();
            for (name, (state, is_new, report, presence, deleted)) in names.iter().zip(&kinds) {
                let state = ["Scheduled", "Bound", "Unscheduled"][usize::from(*state)];
                let snapshot = if *is_new { "new" } else { "old" };
                let report = if state == "Scheduled" { &[][..] } else { REPORTS[*report] };
                let made = binding(name, state, snapshot, report);
                bindings.push(if *deleted { deleting(made) } else { made });
                if *presence > 0 {
                    overrides.insert(name.clone(), Picked::default());
                }
                if *presence == 1 {
                    leaving.insert(name.as_str());
                }
            }
            let strategy: ApplyStrategy = serde_json::from_value(json!({"type": "ClientSideApply"})).unwrap();
            let input = Input {
                snapshot: "new",
                apply_strategy: &strategy,
                budget: budget(target, max_unavailable, max_surge),
                overrides: &overrides,
                leaving: &leaving,
                awaited: &BTreeSet::new(),
                now: NOW.parse().unwrap(),
            };
            let serves = |b: &Binding| {
                !b.meta.is_deleting()
                    && b.state() != BindingState::Scheduled
                    && overrides.contains_key(b.cluster())
                    && !leaving.contains(b.cluster())
                    && [READY, DIFF].iter().any(|good| b.condition(good[0].0).is_some_and(|c| {
                        c.is_true_for(b.meta.generation) && c.reason == good[0].2
                    }))
            };
            let serving = |bindings: &[Tracked<Binding>]| {
                bindings.iter().filter_map(Tracked::get).filter(|b| serves(b)).count()
            };
            let before = serving(&bindings);
            while roll_out(&mut bindings, &input, Recorder::off()).changed {}
            let wanted = before.min(usize::try_from(target - max_unavailable).unwrap_or_default());
            prop_assert!(serving(&bindings) >= wanted, "{before} served before");
            let vanished = bindings.iter().filter_map(Tracked::get).filter(|b| !overrides.contains_key(b.cluster()));
            for binding in vanished {
                prop_assert!(binding.state() != BindingState::Unscheduled || binding.meta.is_deleting());
            }
        }
    }
}

#[test]
fn a_new_apply_strategy_makes_conditions_stale() {
    let mut bindings = vec![
        binding("a", "Bound", "old", READY),
        deleting(binding("b", "Bound", "old", READY)),
    ];
    push_apply_strategy(
        &mut bindings,
        &serde_json::from_value(json!({"type": "ServerSideApply"})).unwrap(),
    );
    let generations: Vec<_> = bindings.iter().map(|b| b.get().unwrap().meta.generation).collect();
    assert_eq!(generations, [4, 3]);
    assert_eq!(super::budget::count_targets(&bindings), 2);
}
