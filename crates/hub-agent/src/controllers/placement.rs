//! Placements of both kinds: gather the slice, let the planner decide, execute its pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_core::effects::Write;
use fairway_core::objects::PlacementKey;
use fairway_core::placement::{Pass, Settings, Slice, plan};
use fairway_core::problem::Class;
use fairway_core::render::Refusals;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use kit::client::Bucket;
use kit::clock::Clock;
use kit::events::Recorder;
use kit::queue::Outcome;
use parking_lot::Mutex;
use rand::Rng as _;

use super::crowd::Crowd;
use super::{event, label, repeat, report, settled};
use crate::execute::{Caller, Execution, Executor, is_final};
use crate::metrics::{HubMetrics, controllers};
use crate::resources::Resources;
use crate::store::Store;
use crate::wake::Wake;

/// Component of the events.
const COMPONENT: &str = "placement-controller";

/// How long a write that the API server refused is not tried again.
const REFUSED: Duration = Duration::from_secs(30);

/// Statuses of originals that are written at the same time.
const REPORTS_AT_ONCE: usize = 16;

/// Works on placements.
pub struct PlacementController {
    /// What is known of the fleet's objects.
    pub store: Arc<Store>,
    /// What is known of selectable resources.
    pub resources: Arc<Resources>,
    /// Sends the writes.
    pub executor: Executor,
    /// Who is to be worked on.
    pub wake: Arc<Wake>,
    /// What the planner decides by.
    pub settings: Settings,
    /// Longest wait before a repetition.
    pub longest_wait: Duration,
    /// Records events.
    pub recorder: Recorder,
    /// Counts.
    pub metrics: Arc<HubMetrics>,
    /// Tells the time.
    pub clock: Clock,
    /// Limits repetitions.
    pub repetitions: Bucket,
    /// What passes hand to the next one.
    pub memory: Mutex<BTreeMap<PlacementKey, Memory>>,
    /// Who is waited for.
    pub crowd: Crowd,
}

/// What a pass over a placement hands to the next one. Losing it costs a write, never correctness.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Since when a status is held back.
    withheld_since: Option<Timestamp>,
    /// Most other placements that users have waited for together with it: the last of a crowd must not lose patience because it thins out.
    crowd: usize,
    /// Writes that the API server refused for good, and when.
    refused: Refusals,
    refused_at: Option<Timestamp>,
}

impl PlacementController {
    /// One pass over one placement.
    pub async fn reconcile(&self, key: PlacementKey) -> Outcome {
        let _working = self.recorder.working();
        // Words that have arrived already are taken in first, so that one pass answers them all.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        let names = controllers::of_pass(&key, self.settings.stages);
        names.iter().for_each(|name| self.metrics.begin(name));
        let outcome = self.pass(&key).await;
        names
            .iter()
            .for_each(|name| self.metrics.end(name, label(outcome), start.elapsed()));
        outcome
    }

    async fn pass(&self, key: &PlacementKey) -> Outcome {
        let now = self.clock.now();
        let before = self.recall(key, now);
        let mut pass = self.decide(key, &before, now);
        for note in &pass.notes {
            tracing::debug!(placement = %key, note, "Decided.");
        }
        let execution = self.execute(key, &mut pass, now).await;
        if execution.sent > 0 {
            tracing::debug!(placement = %key, writes = execution.sent, failed = execution.failures.len(), "Executed.");
        }
        if execution.others_wrote {
            self.wake.placements.add(key.clone());
        }
        self.remember(key, before, &pass, &execution, now);
        if execution.class().is_some() {
            report("placement", key, &execution);
            return repeat(&execution, &self.repetitions);
        }
        self.tell(key, &pass, now);
        let reported = self.report_back(key, &pass.best_effort).await;
        let outcome = match self.judge(key, &pass) {
            Outcome::Done | Outcome::After(_) if !reported => Outcome::RetryAfter(self.repetitions.reserve()),
            outcome => outcome,
        };
        pass.events
            .into_iter()
            .for_each(|e| self.recorder.record(event(e, COMPONENT)));
        outcome
    }

    /// Executes the steps, and the details unless they give way to other placements.
    async fn execute(&self, key: &PlacementKey, pass: &mut Pass, now: Timestamp) -> Execution {
        if !pass.steps.is_empty() || pass.facts.withheld {
            self.crowd.join(key);
        }
        let mut execution = self.executor.run(&pass.steps, Caller::Placement).await;
        if pass.deferrable.is_empty() {
            self.crowd.forget(key);
        } else if !execution.cut_short {
            match self.crowd.give_way(key, now) {
                Some(left) => pass.look_again(left),
                None => {
                    let details = std::slice::from_ref(&pass.deferrable);
                    execution.extend(self.executor.run(details, Caller::Placement).await);
                }
            }
        }
        if !pass.facts.withheld {
            for other in self.crowd.leave(key) {
                self.wake.placements.add(other);
            }
        }
        execution
    }

    /// Writes the statuses of originals. `false` when one of them is worth another try.
    async fn report_back(&self, key: &PlacementKey, reports: &[Write]) -> bool {
        let mut waiting = reports.iter();
        let mut running = FuturesUnordered::new();
        let mut all_done = true;
        loop {
            while running.len() < REPORTS_AT_ONCE
                && let Some(report) = waiting.next()
            {
                running.push(self.executor.write(report));
            }
            match running.next().await {
                None => return all_done,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    let class = error.class().label();
                    tracing::warn!(placement = %key, %error, class, "A status could not be reported back.");
                    // What the server refuses for good waits for whatever causes the next pass.
                    all_done &= is_final(&error);
                }
            }
        }
    }

    fn decide(&self, key: &PlacementKey, before: &Memory, now: Timestamp) -> Pass {
        let found = self.store.gather(key);
        let slice = Slice {
            key,
            placement: found.placement,
            members: &found.members,
            policy_snapshots: found.policy_snapshots,
            resource_snapshots: found.resource_snapshots,
            bindings: found.bindings,
            unreadable_bindings: &found.unreadable_bindings,
            works: found.works,
            holders: &found.holders,
            overrides: &found.overrides,
            resources: &*self.resources,
            status_copy: found.status_copy,
            withheld_since: before.withheld_since,
            others_awaited: before.crowd,
            refused: &before.refused,
        };
        let start = Instant::now();
        self.metrics.scheduling(1);
        let pass = plan(&slice, &self.settings, now, rand::rng().random());
        self.metrics.scheduling(-1);
        if let Some(fact) = pass.facts.scheduling {
            self.metrics.scheduled(
                fact.failed,
                pass.requeue.is_some_and(|wait| wait.is_zero()),
                start.elapsed(),
            );
        }
        pass
    }

    fn recall(&self, key: &PlacementKey, now: Timestamp) -> Memory {
        let mut memory = self.memory.lock().get(key).cloned().unwrap_or_default();
        let is_old = |at: Timestamp| Duration::try_from(now.duration_since(at)).is_ok_and(|passed| passed >= REFUSED);
        if memory.refused_at.is_some_and(is_old) {
            memory.refused.clear();
            memory.refused_at = None;
        }
        memory.crowd = memory.crowd.max(self.crowd.others(key));
        memory
    }

    fn remember(&self, key: &PlacementKey, mut memory: Memory, pass: &Pass, execution: &Execution, now: Timestamp) {
        memory.withheld_since = pass.facts.withheld.then(|| memory.withheld_since.unwrap_or(now));
        if !pass.facts.withheld {
            memory.crowd = 0;
        }
        for target in &execution.written {
            memory.refused.remove(target);
        }
        for failure in execution.failures.iter().filter(|failure| failure.is_final()) {
            memory
                .refused
                .insert(failure.target.clone(), (failure.fingerprint, failure.error.to_string()));
            memory.refused_at = Some(now);
        }
        let mut all = self.memory.lock();
        if memory.withheld_since.is_none() && memory.refused.is_empty() {
            all.remove(key);
        } else {
            all.insert(key.clone(), memory);
        }
    }

    fn tell(&self, key: &PlacementKey, pass: &Pass, now: Timestamp) {
        if let Some(fact) = &pass.facts.placement {
            self.metrics.placement(key, fact, now);
        }
        if pass.facts.forget_placement {
            self.metrics.forget_placement(key);
        }
    }

    /// When to look again. A user's problem waits for the user.
    fn judge(&self, key: &PlacementKey, pass: &Pass) -> Outcome {
        for problem in &pass.problems {
            let class = problem.class.label();
            match problem.class {
                // The placement's status, or an event on the object concerned, says so where users look.
                Class::User => tracing::debug!(placement = %key, %problem, class, "A user has to act."),
                Class::Expected => tracing::debug!(placement = %key, %problem, class, "Not yet."),
                Class::Unexpected => tracing::error!(placement = %key, %problem, class, "A placement has a problem."),
            }
        }
        let wait = match pass.problems.iter().map(|problem| problem.class).max() {
            Some(Class::Unexpected) => self.longest_wait,
            Some(Class::Expected) => self.repetitions.reserve(),
            Some(Class::User) | None => return settled(pass.requeue),
        };
        // What the rest of the pass waits for comes no later for a problem in some other part of it.
        if let Some(wait) = pass.requeue {
            self.wake.placements.add_after(key.clone(), wait);
        }
        Outcome::RetryAfter(wait)
    }
}
