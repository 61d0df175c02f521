//! Overrides of both kinds: their snapshots (hub-behaviour 6.2).

use std::sync::Arc;

use fairway_core::effects::Plan;
use fairway_core::overrides::references::{self, Surroundings};
use fairway_core::overrides::snapshots;
use jiff::Timestamp;
use kit::controller::{Controller, Series};

use crate::metrics::{HubMetrics, controllers};
use crate::queues::OverrideKey;
use crate::resources::Resources;
use crate::store::{GatheredOverride, Store};

/// Works on overrides.
pub struct OverrideController {
    /// What is known of the fleet's objects.
    pub store: Arc<Store>,
    /// What is known of selectable resources.
    pub resources: Arc<Resources>,
    /// Counts.
    pub metrics: Arc<HubMetrics>,
}

impl Controller for OverrideController {
    type Key = OverrideKey;
    type Slice = GatheredOverride;
    type Facts = ();

    const NAME: &'static str = "override";
    const COMPONENT: &'static str = "override-controller";

    fn series(&self, key: &OverrideKey) -> Vec<Series> {
        let name = if key.namespace.is_some() {
            controllers::OVERRIDE
        } else {
            controllers::CLUSTER_OVERRIDE
        };
        vec![self.metrics.series(name)]
    }

    fn gather(&self, key: &OverrideKey, _now: Timestamp) -> Option<GatheredOverride> {
        self.store.gather_override(key)
    }

    fn plan(&self, _key: &OverrideKey, found: GatheredOverride, _now: Timestamp) -> Plan {
        let surroundings = Surroundings {
            has_cluster_placement: found.has_cluster_placement,
            placement_namespaces: &found.placement_namespaces,
            resources: &*self.resources,
        };
        let mut plan = snapshots::plan(&found.over, &found.snapshots, &found.in_use);
        plan.standing = references::standing(&found.over, &surroundings);
        plan
    }
}
