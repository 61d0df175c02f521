//! What the selected clusters amount to (hub-behaviour 8.5, 8.6).

use api::ConditionStatus;
use api::condition;
use api::placement::v1beta1::PerClusterPlacementStatus;
use api::text::conditions::PlacementCondition;
use api::text::messages;
use api::text::reasons::placement as reasons;

use super::draft::Conditions;

/// Sets the expected conditions in order up to the first that is not True everywhere; the rest is removed.
pub(super) fn conditions(
    expected: &[PlacementCondition],
    clusters: &[PerClusterPlacementStatus],
    draft: &mut Conditions<'_>,
) {
    let mut set = Vec::new();
    for kind in expected {
        set.push(*kind);
        let count = |status| {
            clusters
                .iter()
                .filter(|entry| status_of(entry, *kind) == status)
                .count()
        };
        let (unknown, failed) = (count(ConditionStatus::Unknown), count(ConditionStatus::False));
        if unknown > 0 {
            draft.set(
                *kind,
                ConditionStatus::Unknown,
                pending_reason(*kind),
                &pending_message(*kind, unknown),
            );
            break;
        }
        if failed > 0 {
            draft.set(
                *kind,
                ConditionStatus::False,
                failure_reason(*kind),
                &failure_message(*kind, failed),
            );
            break;
        }
        let (reason, message) = success(*kind, clusters);
        draft.set(*kind, ConditionStatus::True, reason, &message);
    }
    draft.keep_up_to(&set);
}

/// An entry that lacks the condition does not count.
fn status_of(entry: &PerClusterPlacementStatus, kind: PlacementCondition) -> ConditionStatus {
    condition::find(&entry.conditions, kind.per_cluster()).map_or(ConditionStatus::Unknown, |c| c.status)
}

fn success(kind: PlacementCondition, clusters: &[PerClusterPlacementStatus]) -> (&'static str, String) {
    let count = clusters.len();
    let overridden = clusters.iter().any(|entry| {
        !entry.applicable_resource_overrides.is_empty() || !entry.applicable_cluster_resource_overrides.is_empty()
    });
    match kind {
        PlacementCondition::RolloutStarted => (reasons::ROLLOUT_STARTED, messages::rollout_started(count)),
        PlacementCondition::Overridden if overridden => (reasons::OVERRIDDEN_SUCCEEDED, messages::overridden(count)),
        PlacementCondition::Overridden => (reasons::NO_OVERRIDE_SPECIFIED, messages::NO_OVERRIDE.to_owned()),
        PlacementCondition::WorkSynchronized => (reasons::WORK_SYNCHRONIZED, messages::work_synchronized(count)),
        PlacementCondition::Applied => (reasons::APPLY_SUCCEEDED, messages::applied(count)),
        PlacementCondition::DiffReported => (
            reasons::DIFF_REPORTING_COMPLETED,
            format!("Differences of the selected resources are reported in {count} cluster(s)"),
        ),
        PlacementCondition::Available | PlacementCondition::Scheduled | PlacementCondition::StatusSynced => {
            (reasons::RESOURCE_AVAILABLE, messages::available(count))
        }
    }
}

fn failure_reason(kind: PlacementCondition) -> &'static str {
    match kind {
        PlacementCondition::RolloutStarted => reasons::ROLLOUT_NOT_STARTED_YET,
        PlacementCondition::Overridden => reasons::OVERRIDDEN_FAILED,
        PlacementCondition::WorkSynchronized => reasons::WORK_NOT_SYNCHRONIZED_YET,
        PlacementCondition::Applied => reasons::APPLY_FAILED,
        PlacementCondition::DiffReported => reasons::DIFF_REPORTING_INCOMPLETE_OR_FAILED,
        PlacementCondition::Available | PlacementCondition::Scheduled | PlacementCondition::StatusSynced => {
            reasons::RESOURCE_NOT_AVAILABLE_YET
        }
    }
}

fn failure_message(kind: PlacementCondition, count: usize) -> String {
    match kind {
        PlacementCondition::RolloutStarted => format!("The rollout is held back in {count} cluster(s)"),
        PlacementCondition::Overridden => format!("Failed to override resources in {count} cluster(s)"),
        PlacementCondition::WorkSynchronized => {
            format!("There are {count} cluster(s) which have not finished creating or updating work(s) yet")
        }
        PlacementCondition::Applied => {
            format!("Failed to apply resources to {count} cluster(s), please check the `failedPlacements` status")
        }
        PlacementCondition::DiffReported => format!("Differences are not reported completely in {count} cluster(s)"),
        PlacementCondition::Available | PlacementCondition::Scheduled | PlacementCondition::StatusSynced => {
            format!("The selected resources in {count} cluster(s) are still not available yet")
        }
    }
}

fn pending_reason(kind: PlacementCondition) -> &'static str {
    match kind {
        PlacementCondition::RolloutStarted => reasons::ROLLOUT_STARTED_UNKNOWN,
        PlacementCondition::Overridden => reasons::OVERRIDDEN_PENDING,
        PlacementCondition::WorkSynchronized => reasons::WORK_SYNCHRONIZED_UNKNOWN,
        PlacementCondition::Applied => reasons::APPLY_PENDING,
        PlacementCondition::DiffReported => reasons::DIFF_REPORTING_PENDING,
        PlacementCondition::Available | PlacementCondition::Scheduled | PlacementCondition::StatusSynced => {
            reasons::RESOURCE_AVAILABLE_UNKNOWN
        }
    }
}

fn pending_message(kind: PlacementCondition, count: usize) -> String {
    let what = match kind {
        PlacementCondition::RolloutStarted => "whether the rollout has started",
        PlacementCondition::Overridden => "whether overrides apply",
        PlacementCondition::WorkSynchronized => "whether the works are synchronized",
        PlacementCondition::Applied => "whether the resources are applied",
        PlacementCondition::DiffReported => "how the resources differ",
        PlacementCondition::Available | PlacementCondition::Scheduled | PlacementCondition::StatusSynced => {
            "whether the resources are available"
        }
    };
    format!("It is not known yet in {count} cluster(s) {what}")
}
