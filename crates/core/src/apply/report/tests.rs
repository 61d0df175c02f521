use super::*;
use crate::apply::availability::Availability::{Available, NotTrackable, NotYet, Skipped};
use crate::apply::outcome::Live;
use crate::apply::trim::SIZE_LIMIT;
use ResultType::*;
use api::placement::v1beta1::PatchDetail;
use serde_json::Value;

fn time(second: u32) -> Time {
    let (minute, second) = (second / 60, second % 60);
    serde_json::from_value(json!(format!("2025-01-01T00:{minute:02}:{second:02}Z"))).unwrap()
}

fn subject(kind: &str) -> Subject {
    Subject {
        generation: 3,
        only_reports: kind == "report",
        mirror: kind == "mirror",
        size: 1000,
    }
}

fn entry(name: &str, result: ResultType, availability: Availability) -> Entry {
    let mut outcome = ManifestResult::new(result, if result == Applied { "" } else { "because" });
    outcome.availability = availability;
    outcome.live = Some(Live {
        generation: 2,
        uid: "u".into(),
        ..Live::default()
    });
    let identifier = WorkResourceIdentifier {
        version: "v1".into(),
        kind: "ConfigMap".into(),
        resource: "configmaps".into(),
        name: name.into(),
        ..WorkResourceIdentifier::default()
    };
    Entry { identifier, outcome }
}

fn with_diffs(mut entry: Entry, count: usize) -> Entry {
    let detail = |n| PatchDetail {
        path: format!("/p{n}"),
        value_in_hub: "h".into(),
        value_in_member: "m".into(),
    };
    entry.outcome.diffs = (0..count).map(detail).collect();
    entry
}

fn words(conditions: &[Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|c| format!("{}={} {} @{}", c.type_, c.status, c.reason, c.observed_generation))
        .collect()
}

#[test]
fn work_conditions_by_rule() {
    let rows: Vec<(&str, Vec<Entry>, Vec<&str>, &str)> = vec![
        (
            "",
            vec![],
            vec![
                "Applied=True AllManifestsApplied @3",
                "Available=True AllManifestsAvailable @3",
            ],
            "",
        ),
        (
            "",
            vec![
                entry("a", Applied, Available),
                entry("b", AppliedWithFailedDriftDetection, Available),
            ],
            vec![
                "Applied=True AllManifestsApplied @3",
                "Available=True AllManifestsAvailable @3",
            ],
            "",
        ),
        (
            "",
            vec![entry("a", Applied, Available), entry("b", Applied, NotTrackable)],
            vec![
                "Applied=True AllManifestsApplied @3",
                "Available=True WorkNotTrackable @3",
            ],
            "",
        ),
        (
            "",
            vec![entry("a", Applied, Available), entry("b", Applied, NotYet)],
            vec![
                "Applied=True AllManifestsApplied @3",
                "Available=False SomeManifestsAreNotAvailable @3",
            ],
            "Some manifests are not available (1 of 2 manifests are available)",
        ),
        (
            "",
            vec![entry("a", Applied, Available), entry("b", ManifestApplyFailed, Skipped)],
            vec!["Applied=False SomeManifestsAreNotApplied @3"],
            "Failed to apply all manifests (1 of 2 manifests are applied)",
        ),
        (
            "report",
            vec![
                entry("a", NoDiffFound, Skipped),
                with_diffs(entry("b", FoundDiff, Skipped), 1),
            ],
            vec!["DiffReported=True AllManifestsDiffReported @3"],
            "",
        ),
        (
            "report",
            vec![with_diffs(entry("b", FoundDiffInDegradedMode, Skipped), 1)],
            vec!["DiffReported=False SomeManifestsHaveNotReportedDiff @3"],
            "Failed to report diff on all manifests (0 of 1 manifests have reported diff)",
        ),
    ];
    for (kind, entries, wanted, message) in rows {
        let got = report(&subject(kind), &WorkStatus::default(), &entries, &time(0)).status;
        assert_eq!(words(&got.conditions), wanted);
        assert!(
            message.is_empty() || got.conditions.last().is_some_and(|c| c.message == message),
            "{got:?}"
        );
    }
}

#[test]
fn manifest_conditions_by_result() {
    let rows = [
        (
            "",
            Applied,
            Available,
            vec!["Applied=True Applied @2", "Available=True Available @2"],
        ),
        (
            "",
            Applied,
            NotYet,
            vec!["Applied=True Applied @2", "Available=False ManifestNotAvailableYet @2"],
        ),
        ("", Duplicated, Skipped, vec!["Applied=False Duplicated @2"]),
        (
            "",
            FailedToFindObject,
            Skipped,
            vec!["Applied=False FailedToFindObjInMemberCluster @2"],
        ),
        (
            "",
            FoundDriftsInDegradedMode,
            Skipped,
            vec!["Applied=False FoundDriftsInDegradedMode @2"],
        ),
        ("", NoDiffFound, Skipped, vec!["Applied=False ManifestApplyFailed @2"]),
        (
            "report",
            FoundDiffInDegradedMode,
            Skipped,
            vec!["DiffReported=True FoundDiffInDegradedMode @2"],
        ),
        (
            "report",
            DecodingErred,
            Skipped,
            vec!["DiffReported=False FailedToReportDiff @2"],
        ),
        (
            "report",
            FailedToTakeOver,
            Skipped,
            vec!["DiffReported=False FailedToReportDiff @2"],
        ),
    ];
    for (kind, result, availability, wanted) in rows {
        let got = report(
            &subject(kind),
            &WorkStatus::default(),
            &[entry("a", result, availability)],
            &time(0),
        )
        .status;
        assert_eq!(
            words(&got.manifest_conditions[0].conditions),
            wanted,
            "{kind} {result:?}"
        );
    }
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let entries = [
        entry("a", Applied, Available),
        entry("b", Duplicated, Skipped),
        entry("b", Applied, NotTrackable),
    ];
    let first = report(&subject(""), &WorkStatus::default(), &entries, &time(0));
    assert!(first.must_write);
    let second = report(&subject(""), &first.status, &entries, &time(1));
    assert!(!second.must_write, "{:?}", second.status);
    let failing = [entry("a", DecodingErred, Skipped)];
    for kind in ["", "report"] {
        let first = report(&subject(kind), &first.status, &failing, &time(2));
        assert!(
            first.must_write && !report(&subject(kind), &first.status, &failing, &time(3)).must_write,
            "{kind}"
        );
    }
}

#[test]
fn times_move_with_the_status_only() {
    let not_yet = [entry("a", Applied, NotYet)];
    let first = report(&subject(""), &WorkStatus::default(), &not_yet, &time(0)).status;
    let second = report(&subject(""), &first, &[entry("a", Applied, Available)], &time(1)).status;
    let of = |status: &WorkStatus, kind: &str| {
        let find = |list: &[Condition]| api::condition::find(list, kind).map(|c| c.last_transition_time.clone());
        (
            find(&status.conditions).unwrap(),
            find(&status.manifest_conditions[0].conditions).unwrap(),
        )
    };
    assert_eq!(of(&second, "Applied"), (time(0), time(0)));
    assert_eq!(of(&second, "Available"), (time(1), time(1)));
    let failed = report(
        &subject(""),
        &second,
        &[entry("a", ManifestApplyFailed, Skipped)],
        &time(2),
    )
    .status;
    let back = report(&subject(""), &failed, &[entry("a", Applied, Available)], &time(3)).status;
    assert_eq!(of(&back, "Available"), (time(3), time(3)), "it was gone in between");
}

#[test]
fn first_sight_of_a_difference_is_kept_until_it_is_gone() {
    let found = [with_diffs(entry("a", FoundDiff, Skipped), 1)];
    let first = report(&subject("report"), &WorkStatus::default(), &found, &time(0)).status;
    let second = report(&subject("report"), &first, &found, &time(60));
    assert!(second.must_write, "the observation time moves");
    let details = second.status.manifest_conditions[0].diff_details.clone().unwrap();
    assert_eq!(
        (details.first_diffed_observed_time, details.observation_time),
        (time(0), time(60))
    );
    assert_eq!(details.observed_in_member_cluster_generation, Some(2));
    let clean = report(
        &subject("report"),
        &second.status,
        &[entry("a", NoDiffFound, Skipped)],
        &time(62),
    )
    .status;
    assert_eq!(clean.manifest_conditions[0].diff_details, None);
    let again = report(&subject("report"), &clean, &found, &time(63)).status;
    assert_eq!(
        again.manifest_conditions[0]
            .diff_details
            .clone()
            .unwrap()
            .first_diffed_observed_time,
        time(63)
    );
}

#[test]
fn observation_times_alone_are_written_once_a_minute() {
    let mut mirrored = entry("m", Applied, Available);
    mirrored.outcome.live.as_mut().unwrap().status = Some(json!({"phase": "Active"}));
    let mut drifted = entry("d", Applied, Available);
    drifted.outcome.drifts = with_diffs(entry("d", FoundDiff, Skipped), 1).outcome.diffs;
    for (kind, found) in [
        ("", drifted.clone()),
        ("report", with_diffs(entry("a", FoundDiff, Skipped), 1)),
        ("mirror", mirrored),
    ] {
        let mut status = WorkStatus::default();
        let mut written = Vec::new();
        for second in 0..200 {
            let next = report(&subject(kind), &status, std::slice::from_ref(&found), &time(second));
            if next.must_write {
                written.push(second);
                status = next.status;
            } else {
                assert_eq!(next.status, status);
            }
        }
        assert_eq!(written, [0, 60, 120, 180], "{kind}");
    }
    // What was observed is written at once, and with its time.
    let first = report(&subject(""), &WorkStatus::default(), &[drifted.clone()], &time(0)).status;
    drifted.outcome.drifts[0].value_in_member = "another".to_owned();
    let next = report(&subject(""), &first, &[drifted], &time(5));
    let details = next.status.manifest_conditions[0].drift_details.clone().unwrap();
    assert!(next.must_write);
    assert_eq!(details.observation_time, time(5));
}

#[test]
fn a_contest_has_a_condition_of_its_own() {
    let contested = crate::apply::history::tests::contested("injector", ".webhooks[name=\"a\"].clientConfig.caBundle");
    let mut fought = entry("a", Applied, Available);
    fought.outcome.history = Box::new(contested);
    let during = report(&subject(""), &WorkStatus::default(), &[fought.clone()], &time(0)).status;
    let find =
        |status: &WorkStatus| api::condition::find(&status.manifest_conditions[0].conditions, "Contested").cloned();
    let condition = find(&during).unwrap();
    assert_eq!(
        (condition.status, condition.reason.as_str()),
        (ConditionStatus::True, "AnotherManagerWrites")
    );
    assert!(
        condition.message.starts_with(
            "The field .webhooks[name=\"a\"].clientConfig.caBundle is also written by the field manager \"injector\"."
        ),
        "{}",
        condition.message
    );
    assert!(
        !report(&subject(""), &during, &[fought], &time(9)).must_write,
        "it lasts without a write"
    );
    let after = report(&subject(""), &during, &[entry("a", Applied, Available)], &time(10));
    assert!(after.must_write && find(&after.status).is_none());
}

#[test]
fn status_is_reported_back_only_while_asked_for() {
    let mut applied = entry("a", Applied, Available);
    applied.outcome.live.as_mut().unwrap().status = Some(json!({"phase": "Active"}));
    let first = report(&subject("mirror"), &WorkStatus::default(), &[applied.clone()], &time(0)).status;
    let copy = first.manifest_conditions[0].back_reported_status.clone().unwrap();
    assert_eq!(
        copy.observed_status,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "status": {"phase": "Active"}})
    );
    let failed = report(
        &subject("mirror"),
        &first,
        &[entry("a", ManifestApplyFailed, Skipped)],
        &time(1),
    )
    .status;
    assert_eq!(
        failed.manifest_conditions[0].back_reported_status,
        Some(copy),
        "the last copy stays while it fails"
    );
    let off = report(&subject(""), &failed, &[applied], &time(2)).status;
    assert_eq!(off.manifest_conditions[0].back_reported_status, None);
    let anew = report(&subject("mirror"), &failed, &[entry("a", Applied, Available)], &time(3)).status;
    assert_eq!(
        anew.manifest_conditions[0].back_reported_status, None,
        "an object that has no status yet does not have that of its predecessor"
    );
}

#[test]
fn oversized_status_is_cut() {
    let mut big = subject("report");
    let entries = [
        with_diffs(entry("a", FoundDiff, Skipped), 3),
        with_diffs(entry("b", FoundDiff, Skipped), 1),
    ];
    big.size = SIZE_LIMIT;
    let got = report(&big, &WorkStatus::default(), &entries, &time(0)).status;
    assert_eq!(
        words(&got.conditions).last().map(String::as_str),
        Some("StatusTrimmed=True Oversized @3")
    );
    let cut: Vec<Value> = got
        .manifest_conditions
        .iter()
        .map(|m| json!(m.diff_details.as_ref().unwrap().observed_diffs))
        .collect();
    assert_eq!(
        cut[0],
        json!([{"path": "/p0 and 2 more path(s)", "valueInHub": "(omitted)", "valueInMember": "(omitted)"}])
    );
    assert_eq!(cut[1][0]["path"], "/p0");
    let fits = report(&subject("report"), &got, &entries, &time(1)).status;
    assert!(!words(&fits.conditions).iter().any(|c| c.starts_with("StatusTrimmed")));
}

/// Users' scripts match these texts (member-behaviour 6.1).
#[test]
fn messages_of_manifests() {
    let message = |kind: &str, condition: &str, result: ResultType, availability: Availability| {
        let entries = [entry("a", result, availability)];
        let status = report(&subject(kind), &WorkStatus::default(), &entries, &time(0)).status;
        let found = api::condition::find(&status.manifest_conditions[0].conditions, condition);
        found.unwrap().message.clone()
    };
    let failed = Availability::Failed("odd".into());
    let rows = [
        (
            "",
            "Applied",
            Applied,
            Available,
            "Manifest has been applied successfully",
        ),
        (
            "",
            "Applied",
            AppliedWithFailedDriftDetection,
            Available,
            "AppliedWithFailedDriftDetection",
        ),
        (
            "",
            "Applied",
            FoundDrifts,
            Skipped,
            "Failed to apply the manifest (error: because)",
        ),
        (
            "",
            "Applied",
            FoundDiff,
            Skipped,
            "An unexpected apply result is yielded (FoundDiff, error: because)",
        ),
        (
            "",
            "Available",
            Applied,
            NotYet,
            "Manifest is not yet available; Fleet will check again later",
        ),
        (
            "",
            "Available",
            Applied,
            failed,
            "Failed to track the availability of the applied manifest (error = odd)",
        ),
        (
            "report",
            "DiffReported",
            NoDiffFound,
            Skipped,
            "No diff has been found between the hub cluster and the member cluster",
        ),
        (
            "report",
            "DiffReported",
            FailedToReportDiff,
            Skipped,
            "Failed to report the diff between the hub cluster and the member cluster (error = because)",
        ),
        (
            "report",
            "DiffReported",
            Duplicated,
            Skipped,
            "An error blocks the diff reporting process (Duplicated, error: because)",
        ),
    ];
    for (kind, condition, result, availability, wanted) in rows {
        assert_eq!(message(kind, condition, result, availability), wanted);
    }
}
