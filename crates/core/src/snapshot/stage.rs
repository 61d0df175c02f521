//! Snapshots as a stage of a pass: of the policy, and of the selection unless somebody else rolls it out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::trace::Trace;
use super::{PolicyInput, ResourcesInput, group, policy, resources};
use crate::effects::Tracked;
use crate::envelope;
use crate::objects::{Manifest, Placement, PolicySnapshot, ResourceSnapshot};
use crate::problem::Problem;
use crate::trace::Recorder;

/// When a snapshot of changed content is made (hub-behaviour 3.4).
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long changes are collected before a snapshot is made.
    pub collection: Duration,
    /// Least time between two snapshots.
    pub minimum_interval: Duration,
}

/// What the snapshots hold after the stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The selection; while it still waits for a snapshot of its own, what the latest one holds.
    pub manifests: Vec<Arc<Manifest>>,
    /// How long the selection still waits for a snapshot of its own.
    pub wait: Option<Duration>,
}

/// Brings the snapshots of a placement in line with its policy and its selection.
///
/// # Errors
/// An unexpected problem when a stored snapshot cannot be used, or PickN does not say how many clusters it wants.
pub fn take(
    policies: &mut Vec<Tracked<PolicySnapshot>>,
    snapshots: &mut Vec<Tracked<ResourceSnapshot>>,
    placement: &Placement,
    selection: Vec<Arc<Manifest>>,
    (settings, now): (Settings, Timestamp),
    mut trace: Recorder<'_, Trace>,
) -> Result<Held, Problem> {
    let input = PolicyInput {
        placement: &placement.meta,
        policy: placement.spec.policy.as_ref(),
        limit: placement.revision_limit(),
    };
    let current = policy(policies, &input)?;
    trace.record(|trace| trace.policy(&policies[current]));
    if placement.is_external() {
        return Ok(Held {
            manifests: selection,
            wait: None,
        });
    }
    let input = ResourcesInput {
        placement: &placement.meta,
        manifests: &selection,
        envelopes: selection
            .iter()
            .filter(|manifest| envelope::kind_of(manifest).is_some())
            .count(),
        limit: placement.revision_limit(),
        collection: settings.collection,
        minimum_interval: settings.minimum_interval,
        now,
    };
    let result = resources(snapshots, &input)?;
    trace.record(|trace| trace.resources(snapshots, &result));
    let manifests = match result.wait {
        None => selection,
        Some(_) => {
            let group = group(snapshots, result.index);
            group.iter().flat_map(|s| s.manifests.iter().cloned()).collect()
        }
    };
    Ok(Held {
        manifests,
        wait: result.wait,
    })
}
