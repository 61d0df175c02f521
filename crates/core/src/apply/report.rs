//! The status of a Work after a pass (member-behaviour 6.1 to 6.6).

use std::collections::{BTreeMap, VecDeque};

use api::condition;
use api::placement::v1beta1::{
    BackReportedStatus, DiffDetails, DriftDetails, ManifestCondition, WorkResourceIdentifier, WorkStatus,
};
use api::text::conditions::work as types;
use api::text::reasons::{manifest as manifest_reasons, work as reasons};
use api::{Condition, ConditionStatus, Time};
use jiff::SignedDuration;
use serde_json::json;

use super::availability::Availability;
use super::history::Contest;
use super::identity::Identity;
use super::outcome::{ManifestResult, ResultType};
use super::trim::trim;
use super::work::Work;

/// How old an observation time gets before it is written anew although nothing else has changed.
const OBSERVATION_AGE: SignedDuration = SignedDuration::from_secs(60);

/// How the pass ended for one manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which manifest.
    pub identifier: WorkResourceIdentifier,
    /// What became of it.
    pub outcome: ManifestResult,
}

/// What the status of a Work depends on, beside the entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Generation of the Work that was processed.
    pub generation: i64,
    /// Whether nothing is applied, only compared.
    pub only_reports: bool,
    /// Whether the status of placed objects is reported back.
    pub mirror: bool,
    /// Size of the Work without its status, in bytes of JSON.
    pub size: usize,
}

impl Subject {
    /// The facts of a Work.
    pub fn of(work: &Work) -> Self {
        Self {
            generation: work.generation,
            only_reports: work.strategy.only_reports(),
            mirror: work.mirror,
            size: work.size,
        }
    }
}

/// The new status, and whether it has to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The whole status.
    pub status: WorkStatus,
    /// False when the stored status says the same and no observation time has to move.
    pub must_write: bool,
}

/// Builds the status out of the one before and the ends of all manifests, in the order of the Work. `now` in whole seconds.
pub fn report(subject: &Subject, old: &WorkStatus, entries: &[Entry], now: &Time) -> Report {
    let mut known = known_entries(old);
    let manifest_conditions = entries
        .iter()
        .map(|entry| {
            let carried = carry_over(&mut known, entry);
            manifest_condition(subject, carried, entry, now)
        })
        .collect();
    let mut status = WorkStatus {
        conditions: work_conditions(subject, old, entries, now),
        manifest_conditions,
    };
    trim(subject.size, subject.generation, &mut status, now);
    keep_recent_times(&mut status, old, now);
    let must_write = status != *old;
    Report { status, must_write }
}

/// Leaves observation times alone that are all that has changed of what was observed, until they are a minute old.
fn keep_recent_times(status: &mut WorkStatus, old: &WorkStatus, now: &Time) {
    let is_recent = |time: &Time| now.0.duration_since(time.0) < OBSERVATION_AGE;
    for (new, old) in status.manifest_conditions.iter_mut().zip(&old.manifest_conditions) {
        if let (Some(new), Some(old)) = (&mut new.drift_details, &old.drift_details) {
            keep_time(new, old, |details| &mut details.observation_time, is_recent);
        }
        if let (Some(new), Some(old)) = (&mut new.diff_details, &old.diff_details) {
            keep_time(new, old, |details| &mut details.observation_time, is_recent);
        }
        if let (Some(new), Some(old)) = (&mut new.back_reported_status, &old.back_reported_status) {
            keep_time(new, old, |details| &mut details.observation_time, is_recent);
        }
    }
}

fn keep_time<T: Clone + PartialEq>(
    new: &mut T,
    old: &T,
    time: fn(&mut T) -> &mut Time,
    is_recent: impl Fn(&Time) -> bool,
) {
    let mut same = old.clone();
    let before = time(&mut same).clone();
    *time(&mut same) = time(new).clone();
    if same == *new && is_recent(&before) {
        *time(new) = before;
    }
}

type Known<'a> = BTreeMap<Identity, VecDeque<&'a ManifestCondition>>;

/// Stored entries by identity; duplicates in their order.
fn known_entries(old: &WorkStatus) -> Known<'_> {
    let mut known = Known::new();
    for entry in &old.manifest_conditions {
        if let Some(identity) = Identity::of(&entry.identifier) {
            known.entry(identity).or_default().push_back(entry);
        }
    }
    known
}

/// The stored entry that this one continues; none where the manifest could not be read or has no name.
fn carry_over(known: &mut Known<'_>, entry: &Entry) -> ManifestCondition {
    let fresh = || ManifestCondition {
        identifier: entry.identifier.clone(),
        ..ManifestCondition::default()
    };
    let old = Identity::of(&entry.identifier).and_then(|identity| known.get_mut(&identity)?.pop_front());
    if matches!(
        entry.outcome.result,
        ResultType::DecodingErred | ResultType::FoundGenerateName
    ) {
        // Only the times of an unchanged condition are kept; everything else of it is new.
        let same = |c: &&Condition| match c.type_.as_str() {
            types::APPLIED => c.reason == entry.outcome.result.reason(),
            types::DIFF_REPORTED => c.reason == manifest_reasons::FAILED_TO_REPORT_DIFF,
            _ => false,
        };
        let conditions = old
            .into_iter()
            .flat_map(|old| &old.conditions)
            .filter(same)
            .cloned()
            .collect();
        return ManifestCondition { conditions, ..fresh() };
    }
    old.map_or_else(fresh, |old| ManifestCondition {
        identifier: entry.identifier.clone(),
        ..old.clone()
    })
}

fn manifest_condition(subject: &Subject, carried: ManifestCondition, entry: &Entry, now: &Time) -> ManifestCondition {
    let ManifestResult {
        result,
        error,
        live,
        availability,
        ..
    } = &entry.outcome;
    let mut next = carried;
    let generation = live.as_ref().map_or(0, |live| live.generation);
    let mut put = |kind: &str, values: Option<ConditionValues>| match values {
        Some((status, reason, message)) => {
            let condition = Condition::new(kind, status, reason, message, generation, now.clone());
            condition::set(&mut next.conditions, condition);
        }
        None => {
            condition::remove(&mut next.conditions, kind);
        }
    };
    put(types::APPLIED, (!subject.only_reports).then(|| applied(*result, error)));
    put(types::AVAILABLE, available(availability));
    put(types::CONTESTED, entry.outcome.history.contest().map(contested));
    put(
        types::DIFF_REPORTED,
        subject.only_reports.then(|| diff_reported(*result, error)),
    );
    next.drift_details = drift_details(&next, entry, now);
    next.diff_details = diff_details(&next, entry, now);
    next.back_reported_status = back_reported(subject, &next, entry, now);
    next
}

type ConditionValues = (ConditionStatus, &'static str, String);

fn applied(result: ResultType, error: &str) -> ConditionValues {
    match result {
        ResultType::Applied => (
            ConditionStatus::True,
            result.reason(),
            "Manifest has been applied successfully".to_owned(),
        ),
        ResultType::AppliedWithFailedDriftDetection => {
            (ConditionStatus::True, result.reason(), result.reason().to_owned())
        }
        _ if result.is_diff_report() => (
            ConditionStatus::False,
            manifest_reasons::MANIFEST_APPLY_FAILED,
            format!(
                "An unexpected apply result is yielded ({}, error: {error})",
                result.reason()
            ),
        ),
        _ => (
            ConditionStatus::False,
            result.reason(),
            format!("Failed to apply the manifest (error: {error})"),
        ),
    }
}

fn available(availability: &Availability) -> Option<ConditionValues> {
    let values = match availability {
        Availability::Skipped => return None,
        Availability::Available => (
            ConditionStatus::True,
            manifest_reasons::AVAILABLE,
            "Manifest is available".to_owned(),
        ),
        Availability::NotTrackable => (
            ConditionStatus::True,
            manifest_reasons::NOT_TRACKABLE,
            "Manifest's availability is not trackable; Fleet assumes that the applied manifest is available".to_owned(),
        ),
        Availability::NotYet => (
            ConditionStatus::False,
            manifest_reasons::MANIFEST_NOT_AVAILABLE_YET,
            "Manifest is not yet available; Fleet will check again later".to_owned(),
        ),
        Availability::Failed(why) => (
            ConditionStatus::False,
            manifest_reasons::FAILED,
            format!("Failed to track the availability of the applied manifest (error = {why})"),
        ),
    };
    Some(values)
}

fn contested(contest: &Contest) -> ConditionValues {
    let Contest { manager, field } = contest;
    let other = match manager {
        Some(manager) => format!("by the field manager {manager:?}"),
        None => "by somebody who is not on record in the managed fields".to_owned(),
    };
    let message = format!(
        "The field {field} is also written {other}. While this lasts, the manifest is applied again at most once a minute. \
         Leave the field out of the manifest, or keep the other writer from it."
    );
    (ConditionStatus::True, manifest_reasons::ANOTHER_MANAGER_WRITES, message)
}

fn diff_reported(result: ResultType, error: &str) -> ConditionValues {
    let (status, message) = match result {
        ResultType::NoDiffFound => (
            ConditionStatus::True,
            "No diff has been found between the hub cluster and the member cluster".to_owned(),
        ),
        ResultType::FoundDiff => (
            ConditionStatus::True,
            "Diff has been found between the hub cluster and the member cluster".to_owned(),
        ),
        ResultType::FoundDiffInDegradedMode => (
            ConditionStatus::True,
            "Diff has been found in degraded mode: cannot perform partial comparison as the member cluster API server \
             rejected the manifest object (object is invalid)"
                .to_owned(),
        ),
        ResultType::FailedToReportDiff => (
            ConditionStatus::False,
            format!("Failed to report the diff between the hub cluster and the member cluster (error = {error})"),
        ),
        _ => {
            let message = format!(
                "An error blocks the diff reporting process ({}, error: {error})",
                result.reason()
            );
            return (ConditionStatus::False, manifest_reasons::FAILED_TO_REPORT_DIFF, message);
        }
    };
    (status, result.reason(), message)
}

fn drift_details(old: &ManifestCondition, entry: &Entry, now: &Time) -> Option<DriftDetails> {
    let ManifestResult { drifts, live, .. } = &entry.outcome;
    (!drifts.is_empty()).then(|| DriftDetails {
        observation_time: now.clone(),
        observed_in_member_cluster_generation: live.as_ref().map_or(0, |live| live.generation),
        first_drifted_observed_time: old
            .drift_details
            .as_ref()
            .map_or_else(|| now.clone(), |details| details.first_drifted_observed_time.clone()),
        observed_drifts: drifts.clone(),
    })
}

fn diff_details(old: &ManifestCondition, entry: &Entry, now: &Time) -> Option<DiffDetails> {
    let ManifestResult { diffs, live, .. } = &entry.outcome;
    (!diffs.is_empty()).then(|| DiffDetails {
        observation_time: now.clone(),
        observed_in_member_cluster_generation: live.as_ref().map(|live| live.generation),
        first_diffed_observed_time: old
            .diff_details
            .as_ref()
            .map_or_else(|| now.clone(), |details| details.first_diffed_observed_time.clone()),
        observed_diffs: diffs.clone(),
    })
}

/// The object's status as it is; the last copy while the manifest fails; nothing once reporting back is off.
fn back_reported(subject: &Subject, old: &ManifestCondition, entry: &Entry, now: &Time) -> Option<BackReportedStatus> {
    if !subject.mirror {
        return None;
    }
    if !entry.outcome.result.is_applied() {
        return old.back_reported_status.clone();
    }
    let status = entry.outcome.live.as_ref().and_then(|live| live.status.as_ref())?;
    let WorkResourceIdentifier {
        group, version, kind, ..
    } = &entry.identifier;
    let api_version = if group.is_empty() {
        version.clone()
    } else {
        format!("{group}/{version}")
    };
    Some(BackReportedStatus {
        observed_status: json!({"apiVersion": api_version, "kind": kind, "status": status}),
        observation_time: now.clone(),
    })
}

/// The conditions of the Work itself (member-behaviour 6.3).
fn work_conditions(subject: &Subject, old: &WorkStatus, entries: &[Entry], now: &Time) -> Vec<Condition> {
    let total = entries.len();
    let count = |test: fn(&ManifestResult) -> bool| entries.iter().filter(|entry| test(&entry.outcome)).count();
    let applied = count(|outcome| outcome.result.is_applied());
    let tracked = count(|outcome| outcome.availability == Availability::Available);
    let assumed = count(|outcome| outcome.availability == Availability::NotTrackable);
    let reported = count(|outcome| matches!(outcome.result, ResultType::FoundDiff | ResultType::NoDiffFound));
    let all_applied = applied == total;
    let yes = |reason, message: &str| Some((ConditionStatus::True, reason, message.to_owned()));
    let no = |reason, message: String| Some((ConditionStatus::False, reason, message));
    let applied_condition = match (subject.only_reports, all_applied) {
        (true, _) => None,
        (false, true) => yes(
            reasons::ALL_MANIFESTS_APPLIED,
            "All the specified manifests have been applied",
        ),
        (false, false) => no(
            reasons::SOME_MANIFESTS_ARE_NOT_APPLIED,
            format!("Failed to apply all manifests ({applied} of {total} manifests are applied)"),
        ),
    };
    let available_condition = if subject.only_reports || !all_applied {
        None
    } else if tracked == total {
        yes(
            reasons::ALL_MANIFESTS_AVAILABLE,
            "All of the applied manifests are available",
        )
    } else if tracked + assumed == total {
        yes(
            reasons::WORK_NOT_TRACKABLE,
            "Some of the applied manifests cannot be tracked for availability",
        )
    } else {
        let available = tracked + assumed;
        no(
            reasons::SOME_MANIFESTS_ARE_NOT_AVAILABLE,
            format!("Some manifests are not available ({available} of {total} manifests are available)"),
        )
    };
    let diff_condition = match (subject.only_reports, reported == total) {
        (false, _) => None,
        (true, true) => yes(
            reasons::ALL_MANIFESTS_DIFF_REPORTED,
            "All the specified manifests have reported diff",
        ),
        (true, false) => no(
            reasons::SOME_MANIFESTS_HAVE_NOT_REPORTED_DIFF,
            format!("Failed to report diff on all manifests ({reported} of {total} manifests have reported diff)"),
        ),
    };
    let mut conditions = old.conditions.clone();
    let wanted = [
        (types::APPLIED, applied_condition),
        (types::AVAILABLE, available_condition),
        (types::DIFF_REPORTED, diff_condition),
    ];
    for (kind, values) in wanted {
        match values {
            Some((status, reason, message)) => {
                let condition = Condition::new(kind, status, reason, message, subject.generation, now.clone());
                condition::set(&mut conditions, condition);
            }
            None => {
                condition::remove(&mut conditions, kind);
            }
        }
    }
    conditions
}

#[cfg(test)]
mod tests;
