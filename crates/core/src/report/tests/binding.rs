//! The table of hub-behaviour 7.4, row by row.

use super::*;
use crate::problem::Problem;
use crate::render::RenderResult;

fn synced(changed: bool, works: &[Arc<Work>]) -> RenderResult {
    RenderResult::Synchronized {
        changed,
        works: works.iter().map(|w| w.meta.name.clone()).collect(),
    }
}

fn started() -> Binding {
    bound("m1", 0, vec![fresh("RolloutStarted", "True", "RolloutStarted")])
}

const UP_TO_WORKS: [&str; 3] = [
    "RolloutStarted=True/RolloutStarted",
    "Overridden=True/NoOverrideSpecified",
    "WorkSynchronized=True/AllWorkSynced",
];

fn after_works(rest: &[&str]) -> Vec<String> {
    UP_TO_WORKS.iter().chain(rest).map(|s| (*s).to_owned()).collect()
}

#[test]
fn failures_before_the_works() {
    let cases = [
        (
            RenderResult::NotOverridden(Problem::user("Bad override.")),
            vec![
                "RolloutStarted=True/RolloutStarted",
                "Overridden=False/OverriddenFailed",
            ],
        ),
        (
            RenderResult::NotSynchronized(Problem::user("Bad envelope.")),
            vec![
                "RolloutStarted=True/RolloutStarted",
                "Overridden=True/NoOverrideSpecified",
                "WorkSynchronized=False/SyncWorkFailed",
            ],
        ),
    ];
    for (result, wanted) in cases {
        // What was said before about later steps goes away.
        let binding = bound("m1", 0, all_well());
        let status = binding_status(&binding, &result, &[], now());
        assert_eq!(words(&status.conditions), wanted);
        let last = status.conditions.last().unwrap();
        assert!(last.message.starts_with("Bad "), "{}", last.message);
        assert_eq!(last.observed_generation, 3);
    }
    let idle = started();
    assert_eq!(binding_status(&idle, &RenderResult::Idle, &[], now()), idle.status);
}

#[test]
fn overridden_tells_whether_there_are_overrides() {
    let mut binding = started();
    binding.spec.cluster_resource_override_snapshots = vec!["c-0".to_owned()];
    let status = binding_status(&binding, &synced(true, &[]), &[], now());
    assert_eq!(words(&status.conditions)[1], "Overridden=True/OverriddenSucceeded");
    assert_eq!(
        status.conditions[1].message,
        "Successfully applied the override rules on the resources"
    );
    assert_eq!(
        status.conditions[2].message,
        "All of the works are synchronized to the latest"
    );
}

/// One row: name, conditions of two Works, wanted conditions, wanted numbers of failed, diffed and drifted entries.
type Row = (&'static str, [Vec<Value>; 2], Vec<&'static str>, [usize; 3]);

fn rows_of_apply() -> Vec<Row> {
    let applied = |status| fresh("Applied", status, "R");
    let available = |status, reason| fresh("Available", status, reason);
    let good = || vec![applied("True"), available("True", "AllManifestsAvailable")];
    let untrackable = |reason| vec![applied("True"), available("True", reason)];
    vec![
        (
            "all good",
            [good(), good()],
            vec![
                "Applied=True/AllWorkHaveBeenApplied",
                "Available=True/AllWorkAreAvailable",
            ],
            [0, 0, 2],
        ),
        (
            "untrackable",
            [good(), untrackable("WorkNotTrackable")],
            vec![
                "Applied=True/AllWorkHaveBeenApplied",
                "Available=True/NotAllWorkAreAvailabilityTrackable",
            ],
            [0, 0, 2],
        ),
        (
            "untrackable by its old name",
            [good(), untrackable("SomeManifestsAreNotAvailabilityTrackable")],
            vec![
                "Applied=True/AllWorkHaveBeenApplied",
                "Available=True/NotAllWorkAreAvailabilityTrackable",
            ],
            [0, 0, 2],
        ),
        (
            "none has ever answered",
            [vec![], vec![]],
            vec!["Applied=False/ApplyInProgress"],
            [0, 0, 0],
        ),
        (
            "one has not answered",
            [good(), vec![]],
            vec!["Applied=False/ApplyInProgress"],
            [0, 0, 0],
        ),
        (
            "one answered an earlier generation",
            [
                good(),
                vec![
                    condition("Applied", "True", "R", 2),
                    condition("Available", "True", "R", 2),
                ],
            ],
            vec!["Applied=False/ApplyInProgress"],
            [0, 0, 0],
        ),
        (
            "one does not know",
            [good(), vec![applied("Unknown")]],
            vec!["Applied=False/NotAllWorkHaveBeenApplied"],
            [0, 0, 0],
        ),
        (
            "one failed",
            [good(), vec![applied("False")]],
            vec!["Applied=False/NotAllWorkHaveBeenApplied"],
            [1, 2, 2],
        ),
        (
            "one failed and one does not know",
            [vec![applied("False")], vec![applied("Unknown")]],
            vec!["Applied=False/NotAllWorkHaveBeenApplied"],
            [0, 0, 0],
        ),
        (
            "availability incomplete",
            [good(), vec![applied("True")]],
            vec![
                "Applied=True/AllWorkHaveBeenApplied",
                "Available=False/NotAllWorkAreAvailable",
            ],
            [0, 0, 2],
        ),
        (
            "one not available",
            [
                good(),
                vec![applied("True"), available("False", "SomeManifestsAreNotAvailable")],
            ],
            vec![
                "Applied=True/AllWorkHaveBeenApplied",
                "Available=False/NotAllWorkAreAvailable",
            ],
            [1, 0, 2],
        ),
    ]
}

#[test]
fn applied_and_available_by_the_answers_of_the_works() {
    for (name, [one, two], wanted, [failed, diffed, drifted]) in rows_of_apply() {
        // Each Work has a failed, a drifted and a differing manifest; the row says which of them are listed.
        let manifests = |work: &str| {
            vec![
                manifest(&format!("{work}-failed"), &[("Applied", "False")], ""),
                manifest(&format!("{work}-drifted"), &[("Applied", "True")], "drift"),
                manifest(&format!("{work}-diffed"), &[("Applied", "True")], "diff"),
            ]
        };
        let works = [work("one", one, manifests("one")), work("two", two, manifests("two"))];
        let status = binding_status(&started(), &synced(false, &works), &works, now());
        assert_eq!(words(&status.conditions), after_works(&wanted), "{name}");
        let lists = [
            status.failed_placements.len(),
            status.diffed_placements.len(),
            status.drifted_placements.len(),
        ];
        assert_eq!(lists, [failed, diffed, drifted], "{name}");
        if failed == 1 {
            assert_eq!(status.failed_placements[0].resource.name, "two-failed", "{name}");
        }
    }
}

#[test]
fn changed_works_speak_only_when_their_member_has_answered() {
    // What the member said about the Work as it was does not count; the next pass says the same, so nothing is written.
    let works = [work("one", vec![fresh("Applied", "True", "R")], vec![])];
    let changed = binding_status(&started(), &synced(true, &works), &works, now());
    let wanted = after_works(&["Applied=False/ApplyInProgress"]);
    assert_eq!(words(&changed.conditions), wanted);
    let mut later = started();
    later.status = changed.clone();
    let stale = [work("one", vec![condition("Applied", "True", "R", 2)], vec![])];
    let again = binding_status(&later, &synced(false, &stale), &stale, now());
    assert_eq!(again, changed);

    // New Works are in progress, also once only the write-ahead entries are there.
    let new = binding_status(&started(), &synced(true, &[]), &[], now());
    assert_eq!(words(&new.conditions), after_works(&["Applied=False/ApplyInProgress"]));
    later.status = new.clone();
    let ahead = [work("one", vec![], vec![manifest("a", &[("Applied", "False")], "")])];
    let again = binding_status(
        &later,
        &synced(false, &ahead),
        &ahead,
        now() + std::time::Duration::from_secs(9),
    );
    assert_eq!(status_patch(&new, &again), None);
    assert_eq!(again, new);
    for (result, works, awaited) in [
        (synced(true, &[]), &ahead, true),
        (synced(false, &stale), &stale, true),
        (synced(false, &works), &works, false),
        (synced(false, &ahead), &works, false),
        (RenderResult::NotSynchronized(Problem::user("")), &stale, false),
    ] {
        assert_eq!(awaits_member(&started(), &result, works), awaited, "{result:?}");
    }
}

#[test]
fn differences_are_reported_by_the_answers_of_the_works() {
    let mut binding = started();
    binding.spec.apply_strategy = serde_json::from_value(json!({"type": "ReportDiff"})).unwrap();
    let said = |status| vec![fresh("DiffReported", status, "R")];
    let cases = [
        (
            [said("True"), said("True")],
            false,
            "DiffReported=True/AllWorkHaveDiffReported",
            2,
        ),
        (
            [said("True"), said("False")],
            false,
            "DiffReported=False/NotAllWorkHaveDiffReported",
            0,
        ),
        (
            [said("True"), said("Unknown")],
            false,
            "DiffReported=False/NotAllWorkHaveDiffReported",
            0,
        ),
        (
            [said("True"), vec![]],
            false,
            "DiffReported=False/DiffReportInProgress",
            0,
        ),
        (
            [said("True"), said("True")],
            true,
            "DiffReported=False/DiffReportInProgress",
            0,
        ),
        // While the resources were applied nothing was said about differences.
        (
            [vec![fresh("Applied", "True", "R")], vec![]],
            false,
            "DiffReported=False/DiffReportInProgress",
            0,
        ),
    ];
    for ([one, two], changed, wanted, diffed) in cases {
        let entry = |name| vec![manifest(name, &[("DiffReported", "True")], "diff")];
        let works = [work("one", one, entry("a")), work("two", two, entry("b"))];
        let status = binding_status(&binding, &synced(changed, &works), &works, now());
        assert_eq!(words(&status.conditions), after_works(&[wanted]));
        assert_eq!(
            (status.diffed_placements.len(), status.drifted_placements.len()),
            (diffed, 0),
            "{wanted}"
        );
    }
}

#[test]
fn lists_are_sorted_cut_and_name_the_envelope() {
    let entries = |prefix: &str| {
        (0..70)
            .rev()
            .map(|n| {
                manifest(
                    &format!("{prefix}{n:03}"),
                    &[("Applied", "False"), ("Available", "False")],
                    "drift",
                )
            })
            .collect::<Vec<_>>()
    };
    let mut sealed = Work::clone(&work("two", vec![fresh("Applied", "False", "R")], entries("a")));
    for (key, value) in [
        ("envelope-work", "ConfigMap"),
        ("envelope-name", "e"),
        ("envelope-namespace", "app"),
    ] {
        sealed
            .meta
            .labels
            .insert(format!("kubernetes-fleet.io/{key}"), value.to_owned());
    }
    let works = [
        work("one", vec![fresh("Applied", "False", "R")], entries("b")),
        Arc::new(sealed),
    ];
    let status = binding_status(&started(), &synced(false, &works), &works, now());
    let names: Vec<_> = status
        .failed_placements
        .iter()
        .map(|f| f.resource.name.clone())
        .collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!((names.len(), &names), (100, &sorted));
    assert_eq!(status.drifted_placements.len(), 100);
    let first = serde_json::to_value(&status.failed_placements[0]).unwrap();
    assert_eq!(
        first,
        json!({
            "version": "v1", "kind": "A", "name": "a000", "namespace": "app",
            "envelope": {"name": "e", "namespace": "app", "type": "ConfigMap"},
            "condition": fresh("Applied", "False", "R"),
        })
    );
    assert_eq!(
        serde_json::to_value(&status.failed_placements[99])
            .unwrap()
            .get("envelope"),
        None
    );
    let drifted = &status.drifted_placements[0];
    assert_eq!(
        (
            drifted.target_cluster_observed_generation,
            drifted.observed_drifts.len()
        ),
        (7, 1)
    );
}

#[test]
fn a_manifest_fails_by_applied_before_available() {
    let entries = vec![
        manifest("b", &[("Applied", "True"), ("Available", "False")], ""),
        manifest("a", &[("Applied", "False"), ("Available", "False")], ""),
        manifest("c", &[("Applied", "True"), ("Available", "True")], ""),
    ];
    let works = [work(
        "one",
        vec![fresh("Applied", "True", "R"), fresh("Available", "False", "R")],
        entries,
    )];
    let status = binding_status(&started(), &synced(false, &works), &works, now());
    let failed: Vec<_> = status
        .failed_placements
        .iter()
        .map(|f| (f.resource.name.as_str(), f.condition.type_.as_str()))
        .collect();
    assert_eq!(failed, [("a", "Applied"), ("b", "Available")]);
}

#[test]
fn only_the_bindings_own_works_speak() {
    let mut other = Work::clone(&work("one", vec![fresh("Applied", "False", "R")], vec![]));
    other.meta.namespace = Some("fleet-member-m2".to_owned());
    let good = vec![
        fresh("Applied", "True", "R"),
        fresh("Available", "True", "AllManifestsAvailable"),
    ];
    let works = [
        Arc::new(other),
        work("one", good, vec![]),
        work("of-another-binding", vec![], vec![]),
    ];
    let result = RenderResult::Synchronized {
        changed: false,
        works: vec!["one".to_owned()],
    };
    let status = binding_status(&started(), &result, &works, now());
    assert_eq!(words(&status.conditions)[4], "Available=True/AllWorkAreAvailable");
}

#[test]
fn times_stay_while_status_and_generation_stay() {
    let good = vec![
        fresh("Applied", "True", "R"),
        fresh("Available", "True", "WorkNotTrackable"),
    ];
    let works = [work("one", good, vec![])];
    let mut binding = bound("m1", 0, all_well());
    let status = binding_status(&binding, &synced(false, &works), &works, now());
    let time = |conditions: &[api::Condition], kind: &str| {
        api::condition::find(conditions, kind)
            .unwrap()
            .last_transition_time
            .0
            .to_string()
    };
    assert_eq!(
        time(&status.conditions, "Available"),
        BEFORE,
        "another reason is no reason to wait anew"
    );
    // A new generation is: the wait for untrackable resources starts again.
    binding.meta.generation = 4;
    let status = binding_status(&binding, &synced(false, &works), &works, now());
    assert_eq!(time(&status.conditions, "Available"), now().to_string());
    assert_eq!(time(&status.conditions, "RolloutStarted"), BEFORE);
}
