//! Nothing that depends on the record leaves before the record is stored.

use std::collections::VecDeque;
use std::time::Duration;

use crate::machine::event::Action;
use crate::record::Record;
use crate::time::Time;

/// How long a record that could not be stored waits before it is stored again.
const RETRY: Duration = Duration::from_secs(1);

/// How many actions wait at most: a few rounds of messages of the largest fleets.
const HELD: usize = 512;

/// Actions that wait for a record.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    stored: u64,
    in_flight: Option<u64>,
    retry: Option<Time>,
    held: VecDeque<(u64, Action)>,
}

impl Outbox {
    pub(super) fn new(stored: u64) -> Self {
        Self {
            stored,
            ..Self::default()
        }
    }

    /// Whether everything up to `writes` is stored.
    pub(super) const fn has_stored(&self, writes: u64) -> bool {
        self.stored >= writes
    }

    /// Takes an action that may be seen outside once `writes` is stored.
    pub(super) fn push(&mut self, writes: u64, action: Action) {
        if self.held.len() == HELD {
            // Messages may be lost at any time; what is to be done here may not.
            let oldest = self
                .held
                .iter()
                .position(|(_, held)| matches!(held, Action::Send { .. }));
            self.held.remove(oldest.unwrap_or(0));
        }
        self.held.push_back((writes, action));
    }

    /// Forgets that the payload was to be applied.
    pub(super) fn cancel_application(&mut self) {
        self.held
            .retain(|(_, held)| !matches!(held, Action::ApplyPayload { .. }));
    }

    pub(super) fn on_stored(&mut self, writes: u64) {
        self.stored = self.stored.max(writes);
        self.in_flight = None;
        self.retry = None;
    }

    pub(super) fn on_failed(&mut self, now: Time) {
        self.in_flight = None;
        self.retry = Some(now + RETRY);
    }

    /// What may be done now: actions whose record is stored, and the record itself where it has changed.
    pub(super) fn flush(&mut self, record: &Record, now: Time) -> Vec<Action> {
        let mut out = Vec::new();
        while self.held.front().is_some_and(|(writes, _)| *writes <= self.stored) {
            out.extend(self.held.pop_front().map(|(_, action)| action));
        }
        let may_retry = self.retry.is_none_or(|retry| retry <= now);
        if record.writes > self.stored && self.in_flight.is_none() && may_retry {
            self.in_flight = Some(record.writes);
            self.retry = None;
            out.push(Action::Persist(Box::new(record.clone())));
        }
        out
    }

    pub(super) fn deadline(&self) -> Time {
        self.retry.unwrap_or(Time::NEVER)
    }
}
