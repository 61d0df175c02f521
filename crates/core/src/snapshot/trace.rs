//! What became of the snapshots.

use serde::Serialize;

use super::ResourcesResult;
use super::group::latest_master;
use crate::effects::Tracked;
use crate::objects::{PolicySnapshot, ResourceSnapshot};

/// What became of the snapshots of a placement.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// Name of the current policy snapshot.
    pub policy_snapshot: Option<String>,
    /// Whether it is new: the policy differs from that of the snapshots before.
    pub policy_is_new: bool,
    /// Name of the latest master resource snapshot.
    pub resource_snapshot: Option<String>,
    /// Whether it is new: the selection differs from what the snapshots before hold.
    pub resources_are_new: bool,
    /// How many milliseconds changed resources still wait for a snapshot of their own.
    pub waits_milliseconds: Option<u128>,
}

impl Trace {
    pub(super) fn policy(&mut self, current: &Tracked<PolicySnapshot>) {
        self.policy_snapshot = current.get().map(|s| s.meta.name.clone());
        self.policy_is_new = current.before().is_none();
    }

    pub(super) fn resources(&mut self, snapshots: &[Tracked<ResourceSnapshot>], result: &ResourcesResult) {
        let master = latest_master(snapshots).map(|s| s.meta.name.clone());
        self.resources_are_new = snapshots
            .iter()
            .any(|s| s.before().is_none() && s.get().map(|s| &s.meta.name) == master.as_ref());
        self.resource_snapshot = master;
        self.waits_milliseconds = result.wait.map(|wait| wait.as_millis());
    }
}
