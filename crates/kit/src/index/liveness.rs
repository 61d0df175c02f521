//! Whether an index follows its API at this moment.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::metrics::runtime;

/// A watch that is not live for longer than this is reported; the server itself ends watches every few minutes.
const GRACE: Duration = Duration::from_secs(30);

/// How an index follows its API at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Liveness {
    /// It has never been listed completely.
    Unlisted,
    /// The list is complete and the watch is established: what happens arrives.
    Live,
    /// It was listed, and the watch is being established anew: what happened meanwhile is yet to arrive.
    Resuming,
    /// The server refuses to list or watch.
    Refused,
    /// The server does not serve the API.
    NotServed,
}

/// The liveness of an index, since when, and why.
#[derive(Debug, Clone)]
pub struct Status {
    /// How the index follows its API.
    pub liveness: Liveness,
    /// Since when it has been live, or has not been.
    pub since: Instant,
    /// What keeps it from being live; empty where nothing is known.
    pub reason: String,
}

/// Holds the status and shows it in the metrics while the index runs.
pub(super) struct Tracker {
    resource: String,
    status: watch::Sender<Status>,
}

/// A running watch, as the metrics count it.
pub(super) struct Running<'a> {
    tracker: &'a Tracker,
}

impl Status {
    /// Whether what happens arrives.
    pub fn is_live(&self) -> bool {
        self.liveness == Liveness::Live
    }

    /// Whether the server refuses to list or watch.
    pub fn is_refused(&self) -> bool {
        self.liveness == Liveness::Refused
    }

    /// Whether the server refuses to list or watch, so that what is known may be outdated for long.
    pub fn is_blind(&self) -> bool {
        matches!(self.liveness, Liveness::Refused | Liveness::NotServed)
    }

    /// What is wrong with the watch of `resource`, as a sentence. A short gap after the first list is nothing wrong.
    pub(super) fn trouble(&self, resource: &str, is_synced: bool) -> Option<String> {
        let what = match self.liveness {
            Liveness::Live => return None,
            _ if is_synced && self.since.elapsed() < GRACE => return None,
            Liveness::Unlisted => format!("The watch of {resource} is not complete yet"),
            Liveness::Refused => format!("The server refuses to watch {resource}"),
            Liveness::NotServed => format!("The server does not serve {resource}"),
            Liveness::Resuming => format!("The watch of {resource} has been broken for {:?}", rounded(self.since)),
        };
        Some(match self.reason.trim_end_matches('.') {
            "" => format!("{what}."),
            reason => format!("{what}: {reason}."),
        })
    }
}

fn rounded(since: Instant) -> Duration {
    Duration::from_secs(since.elapsed().as_secs())
}

impl Tracker {
    pub(super) fn new(resource: String) -> Self {
        let status = Status {
            liveness: Liveness::Unlisted,
            since: Instant::now(),
            reason: String::new(),
        };
        Self {
            resource,
            status: watch::Sender::new(status),
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn is_live(&self) -> bool {
        self.status.borrow().is_live()
    }

    pub(super) fn changes(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The index begins to run. Only what holds the answer may call [`Self::set`].
    pub(super) fn begin(&self) -> Running<'_> {
        if let Some(runtime) = runtime() {
            runtime.watches.with_label_values(&[&self.resource]).inc();
        }
        Running { tracker: self }
    }

    fn set(&self, liveness: Liveness, reason: String) {
        self.status.send_if_modified(|status| {
            let was_live = status.is_live();
            let is_live = liveness == Liveness::Live;
            if was_live != is_live {
                status.since = Instant::now();
                if let Some(runtime) = runtime() {
                    let gauge = runtime.live.with_label_values(&[&self.resource]);
                    gauge.add(if is_live { 1 } else { -1 });
                }
            }
            let changed = status.liveness != liveness || status.reason != reason;
            status.liveness = liveness;
            status.reason = reason;
            changed
        });
    }
}

impl Running<'_> {
    /// Notes how the index follows its API now.
    pub(super) fn set(&self, liveness: Liveness, reason: impl Into<String>) {
        self.tracker.set(liveness, reason.into());
    }

    /// The watch is established.
    pub(super) fn live(&self) {
        if !self.tracker.is_live() {
            self.set(Liveness::Live, "");
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.tracker.is_live() {
            self.set(Liveness::Resuming, "nobody follows it any more");
        }
        if let Some(runtime) = runtime() {
            runtime.watches.with_label_values(&[&self.tracker.resource]).dec();
        }
    }
}
