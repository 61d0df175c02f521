//! The controllers: each takes keys from its queue, gathers, lets the pure planner decide, and executes.

pub mod crowd;
pub mod member;
pub mod overrides;
pub mod placement;
pub mod standing;

use std::time::Duration;

use fairway_core::effects::{Event, Target};
use kit::client::Bucket;
use kit::queue::Outcome;

use crate::execute::Execution;
use crate::metrics::ResultLabel;

/// The event as the API server stores it.
fn event(event: Event, component: &'static str) -> kit::events::Event {
    let Event {
        about,
        uid,
        warning,
        reason,
        note,
    } = event;
    let key = about.key();
    let Target { resource, .. } = about;
    kit::events::Event {
        api_version: resource.api_version(),
        kind: resource.kind.into_owned(),
        key,
        uid,
        warning,
        reason: reason.to_owned(),
        message: note,
        component,
    }
}

/// A repetition after failed writes, no sooner than the server and the limit of repetitions allow.
fn repeat(execution: &Execution, repetitions: &Bucket) -> Outcome {
    Outcome::RetryAfter(execution.retry_after().max(repetitions.reserve()))
}

/// The label of an outcome in metrics.
fn label(outcome: Outcome) -> ResultLabel {
    match outcome {
        Outcome::Done => ResultLabel::Success,
        Outcome::After(wait) if wait.is_zero() => ResultLabel::Requeue,
        Outcome::After(_) | Outcome::NotYet(_) => ResultLabel::RequeueAfter,
        Outcome::Retry | Outcome::RetryAfter(_) => ResultLabel::Error,
    }
}

/// Tells the log about failed writes: conflicts are everyday, the rest is not.
fn report(what: &str, key: &dyn std::fmt::Display, execution: &Execution) {
    for failure in &execution.failures {
        let class = failure.error.class();
        let error = &failure.error;
        match class {
            kit::Class::Expected => tracing::debug!(what, %key, %error, class = class.label(), "A write did not fit."),
            kit::Class::Unexpected => {
                tracing::error!(what, %key, %error, class = class.label(), "A write was refused.")
            }
            _ => tracing::warn!(what, %key, %error, class = class.label(), "A write failed."),
        }
    }
}

/// The outcome of a pass that went well.
fn settled(requeue: Option<Duration>) -> Outcome {
    requeue.map_or(Outcome::Done, Outcome::After)
}
