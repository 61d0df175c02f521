//! Overrides of both kinds: their snapshots (hub-behaviour 6.2).

use std::sync::Arc;
use std::time::Instant;

use fairway_core::overrides::snapshots;
use kit::client::Bucket;
use kit::queue::Outcome;

use super::{label, repeat, report};
use crate::execute::{Caller, Executor};
use crate::metrics::{HubMetrics, controllers};
use crate::store::Store;
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
}

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

    async fn pass(&self, key: &OverrideKey) -> Outcome {
        let Some(found) = self.store.gather_override(key) else {
            return Outcome::Done;
        };
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
