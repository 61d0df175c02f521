//! Overrides of both kinds: their snapshots (hub-behaviour 6.2).

use std::sync::Arc;
use std::time::Instant;

use fairway_core::overrides::references::{self, Surroundings};
use fairway_core::overrides::snapshots;
use kit::client::Bucket;
use kit::events::Recorder;
use kit::queue::Outcome;

use super::standing::StandingWarnings;
use super::{event, label, repeat, report};
use crate::execute::{Caller, Executor};
use crate::metrics::{HubMetrics, controllers};
use crate::resources::Resources;
use crate::store::{GatheredOverride, Store};
use crate::wake::{OverrideKey, Wake};

/// Works on overrides.
pub struct OverrideController {
    /// What is known.
    pub store: Arc<Store>,
    /// Sends the writes.
    pub executor: Executor,
    /// Who is to be worked on.
    pub wake: Arc<Wake>,
    /// Counts.
    pub metrics: Arc<HubMetrics>,
    /// Limits repetitions.
    pub repetitions: Bucket,
    /// Records events.
    pub recorder: Recorder,
    /// What is known of selectable resources.
    pub resources: Arc<Resources>,
    /// Warnings that hold.
    pub warnings: StandingWarnings<OverrideKey>,
}

/// Component of the events.
const COMPONENT: &str = "override-controller";

impl OverrideController {
    /// One pass over one override.
    pub async fn reconcile(&self, key: OverrideKey) -> Outcome {
        let start = Instant::now();
        let controller = if key.namespace.is_some() {
            controllers::OVERRIDE
        } else {
            controllers::CLUSTER_OVERRIDE
        };
        self.metrics.begin(controller);
        let outcome = self.pass(&key).await;
        self.metrics.end(controller, label(outcome), start.elapsed());
        outcome
    }

    /// Records what the override says in vain.
    fn warn(&self, key: &OverrideKey, found: &GatheredOverride) {
        let surroundings = Surroundings {
            has_cluster_placement: found.has_cluster_placement,
            placement_namespaces: &found.placement_namespaces,
            resources: &*self.resources,
        };
        let standing = references::standing(&found.over, &surroundings);
        for warning in self.warnings.update(key, standing) {
            self.recorder.record(event(warning, COMPONENT));
        }
    }

    async fn pass(&self, key: &OverrideKey) -> Outcome {
        let Some(found) = self.store.gather_override(key) else {
            self.warnings.update(key, Vec::new());
            return Outcome::Done;
        };
        self.warn(key, &found);
        let plan = snapshots::plan(&found.over, &found.snapshots, &found.in_use);
        if let Some(problem) = plan.problems.first() {
            tracing::error!(over = %key, %problem, class = problem.class.label(), "An override has a problem.");
            return Outcome::RetryAfter(self.repetitions.reserve());
        }
        let execution = self.executor.run(&plan.steps, Caller::Other).await;
        if execution.others_wrote {
            self.wake.overrides.add(key.clone());
        }
        if execution.class().is_some() {
            report("override", key, &execution);
            return repeat(&execution, &self.repetitions);
        }
        Outcome::Done
    }
}
