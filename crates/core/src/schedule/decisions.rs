//! Decisions and the order in which they are listed (hub-behaviour 4.13).

use std::collections::BTreeSet;

use api::placement::v1beta1::{ClusterDecision, ClusterScore};
use api::text::messages;

use super::filter::{Filtered, Scored};

/// Longest list of decisions.
const MAX_DECISIONS: usize = 1000;
/// Most entries about clusters that were not selected.
const MAX_UNSELECTED: usize = 20;

/// A cluster picked by PickAll or PickN.
pub(super) fn picked_by_score(scored: &Scored) -> ClusterDecision {
    let (affinity, spread) = scores(scored);
    ClusterDecision {
        cluster_name: scored.cluster.clone(),
        selected: true,
        cluster_score: Some(ClusterScore {
            affinity_score: Some(affinity),
            topology_spread_score: Some(spread),
        }),
        reason: messages::picked_by_score(&scored.cluster, affinity, spread),
    }
}

/// A cluster picked by its name.
pub(super) fn picked_by_name(cluster: &str) -> ClusterDecision {
    plain(cluster, true, messages::picked(cluster))
}

/// A cluster named by PickFixed that cannot be used.
pub(super) fn not_eligible(cluster: &str, why: &str) -> ClusterDecision {
    plain(cluster, false, messages::not_eligible(cluster, why))
}

/// A cluster named by PickFixed that does not exist.
pub(super) fn not_found(cluster: &str) -> ClusterDecision {
    plain(cluster, false, messages::not_found(cluster))
}

/// Lists the selected clusters, then those that scored too low, then those that were filtered out.
pub(super) fn list(selected: Vec<ClusterDecision>, lower: &[Scored], filtered: &[Filtered]) -> Vec<ClusterDecision> {
    let mut decisions = selected;
    decisions.truncate(MAX_DECISIONS);
    let named: BTreeSet<String> = decisions.iter().map(|d| d.cluster_name.clone()).collect();
    let room = MAX_UNSELECTED.min(MAX_DECISIONS - decisions.len());
    let unselected = lower.iter().map(not_picked).chain(filtered.iter().map(filtered_out));
    decisions.extend(unselected.filter(|d| !named.contains(&d.cluster_name)).take(room));
    decisions
}

fn not_picked(scored: &Scored) -> ClusterDecision {
    let (affinity, spread) = scores(scored);
    ClusterDecision {
        cluster_name: scored.cluster.clone(),
        selected: false,
        cluster_score: Some(ClusterScore {
            affinity_score: Some(affinity),
            topology_spread_score: Some(spread),
        }),
        reason: messages::not_picked(&scored.cluster, affinity, spread),
    }
}

fn filtered_out(filtered: &Filtered) -> ClusterDecision {
    plain(&filtered.cluster, false, filtered.reason.clone())
}

fn plain(cluster: &str, selected: bool, reason: String) -> ClusterDecision {
    ClusterDecision {
        cluster_name: cluster.to_owned(),
        selected,
        cluster_score: None,
        reason,
    }
}

/// Scores as they are stored: 32 bits wide.
fn scores(scored: &Scored) -> (i32, i32) {
    let narrow = |score: i64| i32::try_from(score).unwrap_or(if score < 0 { i32::MIN } else { i32::MAX });
    (narrow(scored.affinity), narrow(scored.topology))
}
