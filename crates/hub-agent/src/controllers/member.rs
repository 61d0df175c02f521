//! MemberClusters: what a member needs on the hub, and what it reports (hub-behaviour 1).

use std::sync::Arc;
use std::time::Instant;

use fairway_core::members::{self, Counter, Seen, Settings};
use kit::client::Bucket;
use kit::clock::Clock;
use kit::events::Recorder;
use kit::queue::Outcome;

use super::standing::StandingWarnings;
use super::{event, label, repeat, report, settled};
use crate::execute::{Caller, Executor};
use crate::metrics::{HubMetrics, controllers};
use crate::store::Store;
use crate::wake::Wake;

/// Component of the events.
const COMPONENT: &str = "mcv1beta1";

/// Works on members.
pub struct MemberController {
    /// What is known.
    pub store: Arc<Store>,
    /// Sends the writes.
    pub executor: Executor,
    /// Who is to be worked on.
    pub wake: Arc<Wake>,
    /// Switches.
    pub settings: Settings,
    /// Records events.
    pub recorder: Recorder,
    /// Counts.
    pub metrics: Arc<HubMetrics>,
    /// Tells the time.
    pub clock: Clock,
    /// Limits repetitions.
    pub repetitions: Bucket,
    /// Warnings that hold.
    pub warnings: StandingWarnings<String>,
}

impl MemberController {
    /// One pass over one member.
    pub async fn reconcile(&self, name: String) -> Outcome {
        let start = Instant::now();
        self.metrics.begin(controllers::MEMBER);
        let outcome = self.pass(&name).await;
        self.metrics.end(controllers::MEMBER, label(outcome), start.elapsed());
        outcome
    }

    async fn pass(&self, name: &str) -> Outcome {
        let Some(found) = self.store.gather_member(name) else {
            self.warnings.update(&name.to_owned(), Vec::new());
            return Outcome::Done;
        };
        let seen = Seen {
            member: &found.member.value,
            namespace: found.namespace.as_deref(),
            role: found.role.as_deref(),
            role_binding: found.role_binding.as_deref(),
            internal: found.internal.as_deref(),
            held_works: &found.held_works,
        };
        let plan = members::plan(&seen, &self.settings, self.clock.now());
        let execution = self.executor.run(&plan.steps, Caller::Other).await;
        if execution.others_wrote {
            self.wake.members.add(name.to_owned());
        }
        if execution.class().is_some() {
            report("MemberCluster", &name, &execution);
            return repeat(&execution, &self.repetitions);
        }
        plan.events
            .into_iter()
            .for_each(|e| self.recorder.record(event(e, COMPONENT)));
        self.warnings
            .update(&name.to_owned(), plan.standing)
            .into_iter()
            .for_each(|e| self.recorder.record(event(e, COMPONENT)));
        for counter in plan.facts {
            match counter {
                Counter::Join => self.metrics.joined(),
                Counter::Leave => self.metrics.left(),
            }
        }
        match plan.problems.first() {
            Some(problem) => {
                tracing::error!(member = name, %problem, class = problem.class.label(), "A member has a problem.");
                Outcome::RetryAfter(self.repetitions.reserve())
            }
            None => settled(plan.requeue),
        }
    }
}
