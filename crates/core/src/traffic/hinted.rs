//! Hints as plain data, and which of them hold.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::time::later;

/// How long a hint lasts.
pub(super) const LASTS: Duration = Duration::from_secs(60);
/// Hints that were neither repeated nor taken back for so long have ended.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_secs(120);
/// Waits after a failure: the first, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What the traffic manager is to know of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hint {
    /// Id of the endpoint, as the traffic manager has named it.
    pub endpoint: String,
    /// Why it serves nothing; `None` takes an earlier hint back.
    pub cause: Option<Cause>,
    /// How long the hint lasts.
    pub lasts: Duration,
}

/// Why an endpoint serves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The exported Service has no endpoint that is ready.
    NotReady,
    /// The member's session has ended, and nothing has arrived from it since.
    MemberLost,
}

/// The hints that hold. Losing it costs a hint, or leaves one to end by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Hinted {
    /// By the id of their endpoint.
    pub(super) held: BTreeMap<String, Held>,
    failures: u32,
    /// Nothing is sent before.
    again: Option<Timestamp>,
}

/// A hint that holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) cause: Cause,
    /// When it was sent last.
    pub(super) at: Timestamp,
}

impl Cause {
    /// The cause in a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotReady => "The exported Service has no endpoint that is ready.",
            Self::MemberLost => "The session of the member cluster has ended, and no sign of life has come since.",
        }
    }
}

impl Hinted {
    /// When the next hints may be sent, where some have failed.
    pub(super) fn again(&self) -> Option<Timestamp> {
        self.again
    }

    /// Records that hints were taken, or that none was. One that the traffic manager refused, because it has no such
    /// endpoint, counts as taken: it comes again when it would be repeated.
    pub(super) fn record(&mut self, sent: &[Hint], taken: bool, now: Timestamp) {
        if !taken {
            self.failures = self.failures.saturating_add(1);
            let doubled = BACK_OFF.0.saturating_mul(1 << (self.failures - 1).min(10));
            self.again = Some(later(now, doubled.min(BACK_OFF.1)));
            return;
        }
        (self.failures, self.again) = (0, None);
        for hint in sent {
            match hint.cause {
                Some(cause) => drop(self.held.insert(hint.endpoint.clone(), Held { cause, at: now })),
                None => drop(self.held.remove(&hint.endpoint)),
            }
        }
        // Of endpoints that are gone.
        self.held
            .retain(|_, held| now.duration_since(held.at) < FORGOTTEN_AFTER);
    }
}
