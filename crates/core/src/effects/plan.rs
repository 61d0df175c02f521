//! The outcome of planning.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{Target, Write};
use crate::problem::Problem;

/// What a planner decided for one key. `F` are the facts that only its own shell understands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan<F = ()> {
    /// Steps in order; the writes of one step in any order, side by side.
    /// When a write of a step fails, no later step is executed and the pass is repeated with back-off.
    pub steps: Vec<Vec<Write>>,
    /// Writes that only repeat in detail what the steps have said (statuses of parts), side by side once the steps are
    /// done. The shell may leave them to a later pass, which plans them again. A last step that failed does not stop
    /// them, and one of them that fails stops nothing but itself.
    pub deferrable: Vec<Write>,
    /// Writes to objects of users, side by side once all else is done. One that fails holds nothing up; one that is
    /// refused for good is not repeated before something else causes a pass.
    pub best_effort: Vec<Write>,
    /// Events to record once all steps are done.
    pub events: Vec<Event>,
    /// Warnings about what stays wrong with the planner's object until somebody acts. Every pass plans them; the shell
    /// records each once for each generation of the object.
    pub standing: Vec<Standing>,
    /// When the next pass is due if nothing happens before; `None` means never.
    pub requeue: Option<Duration>,
    /// What went wrong. A problem of class expected or unexpected makes the shell repeat the pass with back-off,
    /// after it has executed the steps that were planned nevertheless.
    pub problems: Vec<Problem>,
    /// Remarks for the log and for explanations.
    pub notes: Vec<String>,
    /// What only the planner's own shell understands.
    pub facts: F,
}

/// A core/v1 Event to record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The object it is about.
    pub about: Target,
    /// That object's uid.
    pub uid: String,
    /// Whether it is a warning.
    pub warning: bool,
    /// Its reason.
    pub reason: &'static str,
    /// Its text.
    pub note: String,
}

/// A warning that holds for as long as its cause does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The event to record.
    pub event: Event,
    /// Generation of the object that it is about.
    pub generation: i64,
}

impl Event {
    /// An event about an object as it is stored that something has happened.
    pub fn normal(about: Target, object: &Value, reason: &'static str, note: impl Into<String>) -> Self {
        Self {
            about,
            uid: uid(object).to_owned(),
            warning: false,
            reason,
            note: note.into(),
        }
    }

    /// An event about an object as it is stored that something is wrong.
    pub fn warning(about: Target, object: &Value, reason: &'static str, note: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::normal(about, object, reason, note)
        }
    }
}

fn uid(object: &Value) -> &str {
    object
        .pointer("/metadata/uid")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

impl<F: Default> Default for Plan<F> {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            deferrable: Vec::new(),
            best_effort: Vec::new(),
            events: Vec::new(),
            standing: Vec::new(),
            requeue: None,
            problems: Vec::new(),
            notes: Vec::new(),
            facts: F::default(),
        }
    }
}

impl<F> Plan<F> {
    /// Adds a step unless it is empty.
    pub fn step(&mut self, writes: impl IntoIterator<Item = Write>) {
        let writes: Vec<_> = writes.into_iter().collect();
        if !writes.is_empty() {
            self.steps.push(writes);
        }
    }

    /// All writes in order, best-effort ones aside.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.steps.iter().flatten().chain(&self.deferrable)
    }

    /// Requests another pass after `wait` at the latest.
    pub fn look_again(&mut self, wait: Duration) {
        self.requeue = Some(self.requeue.map_or(wait, |known| known.min(wait)));
    }
}
