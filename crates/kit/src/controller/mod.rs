//! Controllers: a queue of keys, what is known about each, a pure plan, and its execution.
//!
//! A [`Controller`] says what it gathers about a key and what it plans. The [`Runner`] does the rest, the same for all:
//! it takes keys from the queue, executes the plan's steps, folds answers into the indexes, keeps echoes of its own
//! writes away from the queue, records events, counts, decides when to come again, and survives a pass that panics.

mod echo;
mod execute;
mod indexes;
mod metrics;
mod pass;
mod standing;
mod triggers;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::effects::{Event, Plan};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use echo::{EchoFilter, InFlight};
pub use execute::{Execution, Executor, Failure};
pub use indexes::{Fold, Indexes};
pub use metrics::{Reconciles, Series, Working};
pub use standing::StandingWarnings;
pub use triggers::Triggers;

use crate::client::{Bucket, RateLimit};
use crate::clock::Clock;
use crate::events::Recorder;
use crate::queue;
use crate::writer::Writer;

/// What is particular to a controller.
pub trait Controller: Send + Sync + 'static {
    /// Names what a pass is about.
    type Key: Ord + Clone + Display + Send + Sync + 'static;
    /// What is known about a key.
    type Slice: Send;
    /// What its plans hold beyond what every plan has.
    type Facts: Send + Sync;

    /// What it works on, for the log.
    const NAME: &'static str;
    /// The component that its events come from, unless [`Controller::component`] names another one.
    const COMPONENT: &'static str = Self::NAME;

    /// The series that count a pass over the key.
    fn series(&self, key: &Self::Key) -> Vec<Series>;

    /// Collects what is known about a key. `None` when there is nothing to do about it.
    fn gather(&self, key: &Self::Key, now: Timestamp) -> Option<Self::Slice>;

    /// Decides what to do.
    fn plan(&self, key: &Self::Key, slice: Self::Slice, now: Timestamp) -> Plan<Self::Facts>;

    /// The component that an event comes from, for a controller that does the work of several.
    fn component(&self, _event: &Event) -> &'static str {
        Self::COMPONENT
    }

    /// Called with each plan before anything is written.
    fn planned(&self, _key: &Self::Key, _plan: &Plan<Self::Facts>) {}

    /// How much longer the plan's deferrable writes are put off; `None` when it is their turn. A later pass plans them
    /// again.
    fn deferral(&self, _key: &Self::Key, _now: Timestamp) -> Option<Duration> {
        None
    }

    /// Called with each plan and its result.
    fn executed(&self, _key: &Self::Key, _done: &Executed<'_, Self::Facts>) {}
}

/// A plan and what came of it.
pub struct Executed<'a, F> {
    /// What was planned.
    pub plan: &'a Plan<F>,
    /// What came of its writes, best-effort ones aside.
    pub execution: &'a Execution,
    /// Whether all its steps are done; deferrable writes may have failed nevertheless.
    pub steps_done: bool,
    /// The time of the pass.
    pub now: Timestamp,
}

/// What controllers of a process share.
#[derive(Clone)]
pub struct Environment {
    /// Sends writes.
    pub writer: Writer,
    /// Take answers in.
    pub indexes: Arc<Indexes>,
    /// Records events.
    pub recorder: Recorder,
    /// The clock.
    pub clock: Clock,
    /// Wait before a pass is repeated that met a broken invariant.
    pub longest_wait: Duration,
    /// Limit of repetitions of each controller.
    pub repetitions: RateLimit,
}

impl Environment {
    /// The same with writes under the name of another field manager.
    #[must_use]
    pub fn managed_by(&self, manager: &'static str) -> Self {
        Self {
            writer: self.writer.managed_by(manager),
            ..self.clone()
        }
    }
}

/// Runs a controller.
pub struct Runner<C: Controller> {
    controller: C,
    triggers: Triggers<C::Key>,
    executor: Executor,
    recorder: Recorder,
    clock: Clock,
    longest_wait: Duration,
    repetitions: Bucket,
    warnings: StandingWarnings<C::Key>,
}

impl<C: Controller> Runner<C> {
    /// Runs a controller on the keys of these triggers.
    pub fn new(controller: C, triggers: Triggers<C::Key>, environment: &Environment) -> Arc<Self> {
        let Environment {
            writer,
            indexes,
            recorder,
            clock,
            longest_wait,
            repetitions,
        } = environment.clone();
        Arc::new(Self {
            executor: Executor::new(writer, indexes, Arc::clone(triggers.echoes())),
            controller,
            triggers,
            recorder,
            clock,
            longest_wait,
            repetitions: Bucket::new(repetitions),
            warnings: StandingWarnings::default(),
        })
    }

    /// Works on keys, `workers` at once, until `stop`; then finishes what is running and returns.
    pub async fn run(self: Arc<Self>, workers: usize, stop: CancellationToken) {
        let handle = |key| {
            let runner = Arc::clone(&self);
            async move { runner.reconcile(&key).await }
        };
        queue::work(self.triggers.queue(), workers, &stop, handle).await;
    }
}
