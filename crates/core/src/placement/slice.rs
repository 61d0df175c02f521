//! What a pass decides on: one placement's part of the indexes, and the agent's settings.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::placement::v1beta1::PlacementStatus;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effects::Target;
use crate::objects::{
    Binding, Member, OverrideSnapshot, Placement, PlacementKey, PolicySnapshot, ResourceSnapshot, Work,
};
use crate::render::Refusals;
use crate::select::{ApiLists, NamespaceRule, ResourceView, Rules};
use crate::snapshot;

/// Everything that decisions about one placement may read. Lists may come in any order unless said otherwise.
#[derive(Clone)]
pub struct Slice<'a> {
    /// Key of the placement.
    pub key: &'a PlacementKey,
    /// The placement; `None` when it is gone, so that only what it left behind is cleaned up.
    pub placement: Option<Arc<Placement>>,
    /// All members, deleting ones included, sorted by name.
    pub members: &'a [Arc<Member>],
    /// Policy snapshots whose parent label names the placement (in its namespace).
    pub policy_snapshots: Vec<Arc<PolicySnapshot>>,
    /// Resource snapshots whose parent label names the placement (in its namespace).
    pub resource_snapshots: Vec<Arc<ResourceSnapshot>>,
    /// Policy and resource snapshots that exist, cannot be read as they are now, and have names as this placement's have.
    /// Of one that was readable before, `policy_snapshots` and `resource_snapshots` have that version.
    pub unreadable_snapshots: &'a BTreeSet<Target>,
    /// Bindings whose parent label names the placement (in its namespace).
    pub bindings: Vec<Arc<Binding>>,
    /// Names of bindings (in its namespace) that exist and cannot be read as they are now. Any may be of this placement:
    /// while there are some, no Work counts as left behind. Of one that was readable before, `bindings` has that version.
    pub unreadable_bindings: &'a BTreeSet<String>,
    /// Works of this placement in every member namespace, terminating ones included.
    pub works: Vec<Arc<Work>>,
    /// Works of member namespaces that exist and cannot be read as they are now, and whose names begin like those of this
    /// placement. Of one that was readable before, `works` has that version.
    pub unreadable_works: &'a BTreeSet<Target>,
    /// Namespaces of members whose agent has put its finalizer on a Work, of whatever placement.
    pub members_with_finalizers: &'a BTreeSet<String>,
    /// All override snapshots of both kinds on the hub: matching needs the latest of each, application those that bindings name.
    pub overrides: &'a [Arc<OverrideSnapshot>],
    /// The resources that may be selected.
    pub resources: &'a dyn ResourceView,
    /// The copy of the placement's status in a namespace (`sourceStatus` of its ClusterResourcePlacementStatus), if any.
    pub status_copy: Option<Arc<PlacementStatus>>,
    /// Writes of Works and snapshots that the API server refused for good. The shell records a refusal (invalid, forbidden, too large, a name that is taken)
    /// instead of repeating the pass, and forgets it once a write to the same object succeeds.
    pub refused: &'a Refusals,
    /// Since when earlier passes of this placement have answered [`super::Facts::withheld`] without interruption.
    /// The shell keeps it per key: set to the time of the first such pass, cleared by any pass that does not answer so.
    pub withheld_since: Option<Timestamp>,
    /// How many other placements users have waited for while this one was held back: those that wait for their members, and
    /// those that are being worked on. The more, the longer the members need for each.
    pub others_awaited: usize,
}

/// The agent's flags as far as decisions depend on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Which APIs may be selected.
    pub apis: ApiLists,
    /// Which namespaces may be selected.
    pub namespaces: NamespaceRule,
    /// `--resource-snapshot-creation-minimum-interval`.
    pub snapshot_minimum_interval: Duration,
    /// `--resource-changes-collection-duration`.
    pub snapshot_collection: Duration,
    /// `--enable-workload`: the hub runs workloads itself.
    pub enable_workload: bool,
    /// Stages that run; from `--controllers`.
    pub stages: Stages,
    /// How long a status that only says "waiting for members" may be held back, so that a quick answer of the members
    /// replaces it and costs neither a write nor a round trip; longer while many placements wait, see
    /// [`Settings::grace`]. Zero writes it at once.
    pub progress_grace: Duration,
}

impl Settings {
    /// What a selection may hold.
    pub fn selection(&self) -> Rules<'_> {
        Rules {
            apis: &self.apis,
            namespaces: &self.namespaces,
            enable_workload: self.enable_workload,
        }
    }

    /// When a snapshot of changed content is made.
    pub fn snapshots(&self) -> snapshot::Settings {
        snapshot::Settings {
            collection: self.snapshot_collection,
            minimum_interval: self.snapshot_minimum_interval,
        }
    }

    /// How long a status that only says "waiting for members" is held back while `others` wait as well: the base once more for
    /// each of them, and 50 times the base at most (10 s with the default).
    pub fn grace(&self, others: usize) -> Duration {
        const MAX_TIMES: u32 = 50;
        let times = u32::try_from(others)
            .unwrap_or(u32::MAX)
            .saturating_add(1)
            .min(MAX_TIMES);
        self.progress_grace * times
    }
}

/// Which stages of the planner run (`--controllers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stages {
    /// Selection, snapshots and placement status.
    pub placement: bool,
    /// Scheduling.
    pub schedule: bool,
    /// Rolling update.
    pub rollout: bool,
    /// Works and binding status.
    pub work: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            apis: ApiLists::default(),
            namespaces: NamespaceRule::default(),
            snapshot_minimum_interval: Duration::from_secs(30),
            snapshot_collection: Duration::from_secs(15),
            enable_workload: false,
            stages: Stages::default(),
            progress_grace: Duration::from_millis(200),
        }
    }
}

impl Default for Stages {
    fn default() -> Self {
        Self {
            placement: true,
            schedule: true,
            rollout: true,
            work: true,
        }
    }
}
