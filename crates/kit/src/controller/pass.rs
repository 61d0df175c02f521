//! One pass over one key.

use std::panic::AssertUnwindSafe;

use fairway_core::effects::{Event, Plan};
use fairway_core::problem::Class;
use futures::FutureExt as _;

use super::{Controller, Executed, Execution, Failure, Runner};
use crate::error::panic_text;
use crate::events;
use crate::queue::Action;

impl<C: Controller> Runner<C> {
    /// One pass, counted. One that panics is logged and comes again with back-off.
    pub(super) async fn reconcile(&self, key: &C::Key) -> Action {
        let _working = self.recorder.working();
        let counted: Vec<_> = self.controller.series(key).iter().map(super::Series::start).collect();
        let outcome = match AssertUnwindSafe(self.pass(key)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => {
                let reason = panic_text(&*panic);
                tracing::error!(controller = C::NAME, %key, reason, "A pass panicked; it is repeated with back-off.");
                Action::Retry
            }
        };
        counted.into_iter().for_each(|working| working.end(outcome));
        outcome
    }

    async fn pass(&self, key: &C::Key) -> Action {
        let now = self.clock.now();
        let Some(slice) = self.controller.gather(key, now) else {
            self.warnings.update(key, Vec::new());
            return Action::Done;
        };
        let mut plan = self.controller.plan(key, slice, now);
        for note in &plan.notes {
            tracing::debug!(controller = C::NAME, %key, note, "Decided.");
        }
        for warning in self.warnings.update(key, std::mem::take(&mut plan.standing)) {
            self.record_event(warning);
        }
        self.controller.planned(key, &plan);
        let mut execution = self.executor.run(&plan.steps).await;
        let steps_done = execution.is_fine();
        self.record(&mut plan, &execution);
        if !plan.deferrable.is_empty() && !execution.cut_short {
            match self.controller.deferral(key, now) {
                Some(left) => plan.look_again(left),
                None => execution.extend(self.executor.step(&plan.deferrable).await),
            }
        }
        execution.log(C::NAME, key);
        self.controller.executed(
            key,
            &Executed {
                plan: &plan,
                execution: &execution,
                steps_done,
                now,
            },
        );
        let best_effort = if steps_done {
            self.executor.step(&plan.best_effort).await
        } else {
            Execution::default()
        };
        best_effort.log(C::NAME, key);
        self.outcome(key, &plan, &execution, &best_effort)
    }

    /// Records the events of a plan: all of them when its steps are done, else those about objects that were written
    /// nevertheless, because no later pass will see their transition again.
    fn record(&self, plan: &mut Plan<C::Facts>, execution: &Execution) {
        let mut events = std::mem::take(&mut plan.events);
        if !execution.is_fine() {
            let is_written = |event: &Event| {
                let mut writes = plan.steps.iter().flatten().filter(|w| *w.target() == event.about);
                let (sent, planned) = (execution.written.iter(), writes.by_ref().count());
                planned > 0
                    && execution.has_written(&event.about)
                    && sent.filter(|target| **target == event.about).count() == planned
            };
            events.retain(is_written);
        }
        for event in events {
            self.record_event(event);
        }
    }

    fn record_event(&self, event: Event) {
        let component = self.controller.component(&event);
        self.recorder.record(stored(event, component));
    }

    /// A repetition after failed writes, no sooner than the server and the limit of repetitions allow. What no answer came
    /// to is repeated as soon as the server is back, see [`crate::queue::Queue::retry_after_outages`].
    fn repeat(&self, execution: &Execution) -> Action {
        if execution.failures.iter().all(Failure::is_unanswered) {
            return Action::Retry;
        }
        Action::RetryAfter(execution.retry_after().max(self.repetitions.reserve()))
    }

    /// When the next pass is due. A user's problem waits for the user; what the server refuses for good waits for whatever
    /// causes the next pass, where nothing depends on it.
    fn outcome(&self, key: &C::Key, plan: &Plan<C::Facts>, execution: &Execution, best_effort: &Execution) -> Action {
        if !execution.is_fine() {
            return self.repeat(execution);
        }
        for problem in &plan.problems {
            let class = problem.class.label();
            match problem.class {
                // A status, or an event on the object concerned, says so where users look.
                Class::User => tracing::debug!(controller = C::NAME, %key, %problem, class, "A user has to act."),
                Class::Expected => tracing::debug!(controller = C::NAME, %key, %problem, class, "Not yet."),
                Class::Unexpected => {
                    tracing::error!(controller = C::NAME, %key, %problem, class, "There is a problem.")
                }
            }
        }
        let repeated = best_effort.failures.iter().any(|failure| !Failure::is_final(failure));
        let again = match plan.problems.iter().map(|problem| problem.class).max() {
            Some(Class::Unexpected) => Action::RetryAfter(self.longest_wait),
            Some(Class::Expected) => Action::RetryAfter(self.repetitions.reserve()),
            _ if repeated => self.repeat(best_effort),
            _ => return plan.requeue.map_or(Action::Done, Action::After),
        };
        // What the rest of the plan waits for comes no later for a problem in some other part of it.
        if let Some(wait) = plan.requeue {
            self.triggers.add_after(key.clone(), wait);
        }
        again
    }
}

/// The event as the API server stores it.
fn stored(event: Event, component: &'static str) -> events::Event {
    let key = event.about.key();
    events::Event {
        api_version: event.about.resource.api_version(),
        kind: event.about.resource.kind.into_owned(),
        key,
        uid: event.uid,
        warning: event.warning,
        reason: event.reason.to_owned(),
        message: event.note,
        component,
    }
}
