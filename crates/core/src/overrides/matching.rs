//! Which overrides concern a placement at all (hub-behaviour 6.3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::reading::Reading as _;
use crate::envelope;
use crate::objects::{Manifest, ObjectId, OverrideSnapshot, PlacementKey};

/// The latest override snapshots that select something of a resource snapshot.
#[derive(Debug, Clone, Default)]
pub struct Matched<'a> {
    /// Snapshots of ClusterResourceOverrides.
    pub cluster: Vec<&'a OverrideSnapshot>,
    /// Snapshots of ResourceOverrides.
    pub namespaced: Vec<&'a OverrideSnapshot>,
}

impl Matched<'_> {
    /// Whether no override concerns the placement.
    pub fn is_empty(&self) -> bool {
        self.cluster.is_empty() && self.namespaced.is_empty()
    }
}

/// Finds the overrides that concern a placement.
///
/// `manifests` are the objects of the whole group of resource snapshots, envelopes included as they are.
pub fn matched<'a>(
    key: &PlacementKey,
    manifests: &[Arc<Manifest>],
    overrides: &'a [Arc<OverrideSnapshot>],
) -> Matched<'a> {
    let mut found = Matched::default();
    let latest = latest(overrides);
    if latest.is_empty() {
        return found;
    }
    let candidates = Candidates::of(manifests);
    for snapshot in latest {
        if !concerns(snapshot, key) || !candidates.hit_by(snapshot) {
            continue;
        }
        if snapshot.is_cluster() {
            found.cluster.push(snapshot);
        } else {
            found.namespaced.push(snapshot);
        }
    }
    found
}

/// The newest of the snapshots that are labelled latest, per override. For a moment there can be two: a new snapshot
/// is made before the old one loses its label, so that an override is never without one.
fn latest(overrides: &[Arc<OverrideSnapshot>]) -> Vec<&OverrideSnapshot> {
    let mut newest: BTreeMap<_, &OverrideSnapshot> = BTreeMap::new();
    for snapshot in overrides.iter().filter(|s| s.is_latest() && !s.meta.is_deleting()) {
        let key = (
            snapshot.is_cluster(),
            snapshot.meta.namespace.as_deref(),
            snapshot.parent(),
        );
        let known = newest.entry(key).or_insert(snapshot);
        if known.index() < snapshot.index() {
            *known = snapshot;
        }
    }
    newest.into_values().collect()
}

/// Whether the override is meant for this placement; one without `placement` is meant for all.
fn concerns(snapshot: &OverrideSnapshot, key: &PlacementKey) -> bool {
    snapshot.placement().is_none_or(|meant| meant == *key)
}

/// The objects that overrides may select.
#[derive(Default)]
struct Candidates {
    cluster: BTreeSet<ObjectId>,
    namespaced: BTreeSet<ObjectId>,
}

impl Candidates {
    fn of(manifests: &[Arc<Manifest>]) -> Self {
        let mut candidates = Self::default();
        for manifest in manifests {
            match envelope::open(manifest) {
                Some(envelope) => envelope.content.iter().for_each(|wrapped| candidates.add(&wrapped.id)),
                None => candidates.add(&manifest.id),
            }
        }
        candidates
    }

    fn add(&mut self, id: &ObjectId) {
        self.cluster.insert(cluster_target(id));
        if !id.namespace.is_empty() {
            self.namespaced.insert(id.clone());
        }
    }

    fn hit_by(&self, snapshot: &OverrideSnapshot) -> bool {
        let pool = if snapshot.is_cluster() {
            &self.cluster
        } else {
            &self.namespaced
        };
        pool.iter().any(|id| snapshot.selects(id))
    }
}

/// What a ClusterResourceOverride has to select to reach an object: the object itself, or its Namespace.
fn cluster_target(id: &ObjectId) -> ObjectId {
    if id.namespace.is_empty() {
        return id.clone();
    }
    ObjectId {
        version: "v1".to_owned(),
        kind: "Namespace".to_owned(),
        name: id.namespace.clone(),
        ..ObjectId::default()
    }
}

/// Whether an override reaches an object.
pub(super) fn reaches(snapshot: &OverrideSnapshot, id: &ObjectId) -> bool {
    if snapshot.is_cluster() {
        snapshot.selects(&cluster_target(id))
    } else {
        snapshot.selects(id)
    }
}
