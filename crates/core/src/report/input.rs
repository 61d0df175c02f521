//! What a placement's status is made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::placement::v1beta1::ResourceIdentifier;
use jiff::Timestamp;

use crate::objects::{Binding, Manifest, Placement, PolicySnapshot, ResourceSnapshot};

/// What a placement's status is made from, all as the earlier stages leave it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The placement.
    pub placement: &'a Placement,
    /// The policy snapshot with the scheduler's decisions.
    pub policy: &'a PolicySnapshot,
    /// What is selected now; while a new snapshot is delayed, what the latest one holds.
    pub selected: &'a [ResourceIdentifier],
    /// The latest master snapshot; `None` for a placement that is rolled out by somebody else.
    pub latest: Option<&'a ResourceSnapshot>,
    /// All resource snapshots of the placement.
    pub snapshots: &'a [Arc<ResourceSnapshot>],
    /// All bindings of the placement with the statuses that they will have.
    pub bindings: &'a [Arc<Binding>],
    /// Names of its bindings that cannot be read, by cluster.
    pub unreadable: &'a BTreeMap<String, String>,
    /// The time of the pass.
    pub now: Timestamp,
}

/// The identifiers of a selection, in its order.
pub fn identifiers<'a>(manifests: impl IntoIterator<Item = &'a Arc<Manifest>>) -> Vec<ResourceIdentifier> {
    let identify = |manifest: &Arc<Manifest>| {
        let id = &manifest.id;
        ResourceIdentifier {
            group: id.group.clone(),
            version: id.version.clone(),
            kind: id.kind.clone(),
            name: id.name.clone(),
            namespace: id.namespace.clone(),
            envelope: None,
        }
    };
    manifests.into_iter().map(identify).collect()
}
