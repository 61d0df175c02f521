//! Why snapshots cannot be taken although the selection is known: one that exists cannot be read, or the API server refuses
//! a new one. Placements report that, and everything that the stored snapshots suffice for goes on.

use std::time::Duration;

use api::{kinds, names};

use super::world::World;
use super::writes;
use crate::effects::{Target, Tracked, Versioned, Write};
use crate::objects::{PolicySnapshot, ResourceSnapshot};

/// After which time a snapshot that was refused is tried again.
pub(super) const REFUSED: Duration = Duration::from_secs(30);

/// Names a snapshot that exists, was never readable, and may be the newest: one more would repeat its name, or be taken
/// for newer than it is. An older one is not needed for new snapshots.
pub(super) fn unreadable(world: &World<'_>) -> Option<String> {
    let placement = &world.slice.key.name;
    let policies = world.slice.policy_snapshots.iter();
    let policies: Vec<_> = policies.map(|s| (s.meta.name.as_str(), s.index())).collect();
    let resources = world.slice.resource_snapshots.iter();
    let resources: Vec<_> = resources.map(|s| (s.meta.name.as_str(), s.index())).collect();
    let is_needed = |target: &&Target| {
        let (known, index) = if is_of_policy(target) {
            (&policies, names::policy_snapshot_index(placement, &target.name))
        } else if world.placement.is_external() {
            return false;
        } else {
            (&resources, names::resource_snapshot_index(placement, &target.name))
        };
        let highest = known.iter().filter_map(|(_, index)| *index).max();
        index >= highest && !known.iter().any(|(name, _)| *name == target.name)
    };
    let found = world.slice.unreadable_snapshots.iter().find(is_needed)?;
    Some(format!(
        "The {} {:?} exists and cannot be read; the log of the hub agent says why. Correct or delete it.",
        found.resource.kind, found.name
    ))
}

/// Says which of the new snapshots the API server has refused before, and why.
pub(super) fn refused(
    world: &World<'_>,
    policies: &[Tracked<PolicySnapshot>],
    resources: &[Tracked<ResourceSnapshot>],
) -> Option<String> {
    if world.slice.refused.is_empty() {
        return None;
    }
    let owner = writes::Owner {
        key: world.slice.key,
        uid: &world.placement.meta.uid,
    };
    let policies = policies.iter().filter(|s| is_new(s));
    let policies = policies.filter_map(|s| writes::policy_snapshot(owner, s));
    let resources = resources.iter().filter(|s| is_new(s));
    let mut creates = policies.chain(resources.filter_map(|s| writes::resource_snapshot(owner, s)));
    creates.find_map(|create: Write| {
        let target = create.target();
        let (fingerprint, words) = world.slice.refused.get(target)?;
        (*fingerprint == create.fingerprint()).then(|| {
            format!(
                "The API server refuses the {} {:?}: {words}",
                target.resource.kind, target.name
            )
        })
    })
}

fn is_new<T: Versioned>(snapshot: &Tracked<T>) -> bool {
    snapshot.before().is_none()
}

fn is_of_policy(target: &Target) -> bool {
    [
        kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
        kinds::SCHEDULING_POLICY_SNAPSHOT,
    ]
    .contains(&target.resource)
}
