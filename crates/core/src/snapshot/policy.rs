//! The policy snapshot that the scheduler works on (hub-behaviour 4.1).

use api::ByteString;
use api::placement::v1beta1::{PlacementPolicy, PlacementType, SchedulingPolicySnapshotStatus};
use api::text::{annotations, labels};
use api::{hash, names};

use super::{annotate, mark_latest, new_meta};
use crate::effects::Tracked;
use crate::objects::{Meta, PolicySnapshot};
use crate::problem::Problem;

/// What a policy snapshot is made from.
#[derive(Clone, Copy)]
pub struct PolicyInput<'a> {
    /// Metadata of the placement.
    pub placement: &'a Meta,
    /// Its policy.
    pub policy: Option<&'a PlacementPolicy>,
    /// Snapshots to keep.
    pub limit: usize,
}

/// Brings the policy snapshots in line with the policy. Returns the position of the current one in the list.
///
/// # Errors
/// An unexpected problem when a snapshot has no index, or PickN does not say how many clusters it wants.
pub fn policy(snapshots: &mut Vec<Tracked<PolicySnapshot>>, input: &PolicyInput<'_>) -> Result<usize, Problem> {
    let count = match input.policy {
        Some(policy) if policy.placement_type == Some(PlacementType::PickN) => {
            let missing =
                || Problem::user("A policy of type PickN must say in numberOfClusters how many clusters it wants.");
            Some(policy.number_of_clusters.ok_or_else(missing)?.to_string())
        }
        _ => None,
    };
    let hash = hash::policy(input.policy)
        .map_err(|err| Problem::unexpected(format!("The policy cannot be written as JSON: {err}.")))?;
    let order = by_index(snapshots)?;
    let current = match latest(snapshots, &order) {
        Some(latest) if is_same(&snapshots[latest], &hash) => {
            mark_latest(&mut snapshots[latest], true);
            latest
        }
        previous => {
            let index = match order.last() {
                Some((highest, _)) => highest + 1,
                None => 0,
            };
            if let Some(previous) = previous {
                mark_latest(&mut snapshots[previous], false);
            }
            trim(snapshots, &order, input.limit);
            snapshots.push(Tracked::created(new_snapshot(input, index, &hash)));
            snapshots.len() - 1
        }
    };
    for (_, position) in order.iter().filter(|(_, position)| *position != current) {
        // A crash between two writes can leave a second snapshot that calls itself the latest.
        if snapshots[*position].get().is_some_and(|s| s.is_latest()) {
            mark_latest(&mut snapshots[*position], false);
        }
    }
    annotate(
        &mut snapshots[current],
        annotations::PLACEMENT_GENERATION,
        &input.placement.generation.to_string(),
    );
    if let Some(count) = count {
        annotate(&mut snapshots[current], annotations::NUMBER_OF_CLUSTERS, &count);
    }
    Ok(current)
}

/// Position of the current policy snapshot: the labelled one with the highest index.
pub fn current_policy(snapshots: &[Tracked<PolicySnapshot>]) -> Option<usize> {
    let labelled = snapshots.iter().enumerate().filter_map(|(i, s)| Some((i, s.get()?)));
    labelled
        .filter(|(_, s)| s.is_latest())
        .max_by_key(|(_, s)| s.index())
        .map(|(i, _)| i)
}

/// Indices with their positions in the list, ascending.
fn by_index(snapshots: &[Tracked<PolicySnapshot>]) -> Result<Vec<(u64, usize)>, Problem> {
    let mut order = Vec::with_capacity(snapshots.len());
    for (position, snapshot) in snapshots.iter().enumerate() {
        let Some(snapshot) = snapshot.get() else { continue };
        let index = snapshot.index().ok_or_else(|| {
            Problem::unexpected(format!(
                "The policy snapshot {} has no valid index label.",
                snapshot.meta.name
            ))
        })?;
        order.push((index, position));
    }
    order.sort_unstable();
    Ok(order)
}

/// The snapshot labelled latest, or else the one with the highest index. Of several labelled ones the newest counts.
fn latest(snapshots: &[Tracked<PolicySnapshot>], order: &[(u64, usize)]) -> Option<usize> {
    let labelled = order
        .iter()
        .rev()
        .find(|(_, position)| snapshots[*position].get().is_some_and(|s| s.is_latest()));
    labelled.or(order.last()).map(|(_, position)| *position)
}

fn is_same(snapshot: &Tracked<PolicySnapshot>, hash: &str) -> bool {
    snapshot.get().is_some_and(|s| s.policy_hash.0 == hash.as_bytes())
}

/// Deletes the oldest snapshots, so that with the one about to be made `limit` remain.
fn trim(snapshots: &mut [Tracked<PolicySnapshot>], order: &[(u64, usize)], limit: usize) {
    let surplus = (order.len() + 1).saturating_sub(limit.max(1));
    for (_, position) in order.iter().take(surplus) {
        snapshots[*position].delete();
    }
}

fn new_snapshot(input: &PolicyInput<'_>, index: u64, hash: &str) -> PolicySnapshot {
    let mut meta = new_meta(input.placement, names::policy_snapshot(&input.placement.name, index));
    meta.labels
        .insert(labels::IS_LATEST_SNAPSHOT.to_owned(), labels::TRUE.to_owned());
    meta.labels.insert(labels::POLICY_INDEX.to_owned(), index.to_string());
    PolicySnapshot {
        meta,
        policy: input.policy.cloned(),
        policy_hash: ByteString(hash.as_bytes().to_vec()),
        status: SchedulingPolicySnapshotStatus::default(),
    }
}
