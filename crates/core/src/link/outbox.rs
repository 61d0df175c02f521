//! What a member still owes the hub: the newest state of each export that waits unsent, what was sent and is not yet
//! acknowledged, and the course of a full sync. Networking 16.5.
//!
//! The outbox is bounded by the number of exports, not by the number of changes: while a key waits, only its newest
//! state is kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::digest::digest;
use super::{Change, ExportKey, ExportReport, NackCode, Withdrawal};

/// The member's side of the link, between sessions and during one.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What the fleet should know: a full sync reports exactly this.
    desired: BTreeMap<ExportKey, ExportReport>,
    waiting: BTreeMap<ExportKey, Change>,
    order: VecDeque<ExportKey>,
    unacked: BTreeMap<u64, (ExportKey, Change)>,
    /// Refused for now by the hub; back in line when [`Outbox::release`] is called.
    held: BTreeMap<ExportKey, Change>,
    resend: VecDeque<u64>,
    last_seq: u64,
    last_acked: u64,
    session: Option<Session>,
}

#[derive(Debug)]
struct Session {
    window: usize,
    sync: Option<Sync>,
}

#[derive(Debug)]
struct Sync {
    id: String,
    begun: bool,
}

/// How a session continues what was before (networking 16.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The hub knows nothing: everything is reported again under this sync id.
    FullSync {
        /// Fresh id of the sync.
        sync_id: String,
    },
    /// The hub still holds the session and has applied everything before this sequence number.
    Continue {
        /// First sequence number that the hub has not applied.
        next_seq: u64,
    },
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time is on its way; boxing would only cost"
)]
pub enum Outgoing {
    /// A full sync starts.
    SyncBegin {
        /// Id of the sync.
        sync_id: String,
    },
    /// A report or a withdrawal.
    Change {
        /// Its sequence number.
        seq: u64,
        /// The sync it belongs to, if one runs.
        sync_id: Option<String>,
        /// The export.
        key: ExportKey,
        /// What changed.
        change: Change,
    },
    /// The full sync is complete.
    SyncEnd {
        /// Id of the sync.
        sync_id: String,
        /// Number of exports.
        count: u64,
        /// Digest over them, see [`super::digest`].
        digest: [u8; 32],
    },
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// The export looks like this now. Returns whether that is news to the hub.
    pub fn report(&mut self, key: ExportKey, report: ExportReport) -> bool {
        if self.desired.get(&key) == Some(&report) && !self.refused(&key) {
            return false;
        }
        self.desired.insert(key.clone(), report.clone());
        self.enqueue(key, Change::Report(report));
        true
    }

    /// The export is gone.
    pub fn withdraw(&mut self, key: ExportKey, withdrawal: Withdrawal) {
        self.desired.remove(&key);
        self.enqueue(key, Change::Withdraw(withdrawal));
    }

    /// A session is open; `window` is the most changes that may be unacknowledged.
    pub fn connected(&mut self, resume: Resume, window: usize) {
        let window = window.max(1);
        self.resend.clear();
        match resume {
            Resume::Continue { next_seq } => {
                self.settle(next_seq.saturating_sub(1));
                self.resend = self.unacked.keys().copied().collect();
                self.session = Some(Session { window, sync: None });
            }
            Resume::FullSync { sync_id } => {
                self.session = Some(Session { window, sync: None });
                self.start_sync(sync_id);
            }
        }
    }

    /// The hub asks for everything again (`Resync`).
    pub fn start_sync(&mut self, sync_id: String) {
        let unacked = std::mem::take(&mut self.unacked);
        for (key, change) in unacked.into_values() {
            // A withdrawal stays explicit: the end of a sync may be held back by the hub's guard.
            if matches!(change, Change::Withdraw(_))
                && !self.desired.contains_key(&key)
                && !self.waiting.contains_key(&key)
            {
                self.enqueue(key, change);
            }
        }
        self.resend.clear();
        self.held.clear();
        let all: Vec<_> = self
            .desired
            .iter()
            .map(|(key, report)| (key.clone(), report.clone()))
            .collect();
        for (key, report) in all {
            self.enqueue(key, Change::Report(report));
        }
        if let Some(session) = &mut self.session {
            session.sync = Some(Sync {
                id: sync_id,
                begun: false,
            });
        }
    }

    /// The session is gone. Nothing is withdrawn; a broken sync is forgotten.
    pub fn disconnected(&mut self) {
        self.session = None;
        self.resend.clear();
        self.release();
    }

    /// The next message that may be sent now, if any.
    pub fn pop(&mut self) -> Option<Outgoing> {
        let session = self.session.as_mut()?;
        if let Some(sync) = session.sync.as_mut().filter(|sync| !sync.begun) {
            sync.begun = true;
            return Some(Outgoing::SyncBegin {
                sync_id: sync.id.clone(),
            });
        }
        let sync_id = session.sync.as_ref().map(|sync| sync.id.clone());
        if let Some(seq) = self.resend.pop_front()
            && let Some((key, change)) = self.unacked.get(&seq)
        {
            return Some(Outgoing::Change {
                seq,
                sync_id,
                key: key.clone(),
                change: change.clone(),
            });
        }
        if self.unacked.len() < session.window
            && let Some(key) = self.order.pop_front()
            && let Some(change) = self.waiting.remove(&key)
        {
            self.last_seq += 1;
            self.unacked.insert(self.last_seq, (key.clone(), change.clone()));
            return Some(Outgoing::Change {
                seq: self.last_seq,
                sync_id,
                key,
                change,
            });
        }
        if self.order.is_empty() && self.held.is_empty() {
            let sync = session.sync.take()?;
            let count = self.desired.len() as u64;
            return Some(Outgoing::SyncEnd {
                sync_id: sync.id,
                count,
                digest: digest(&self.desired),
            });
        }
        None
    }

    /// The hub has written everything up to `seq`. Returns the exports whose withdrawal is thereby done.
    pub fn ack(&mut self, seq: u64) -> Vec<ExportKey> {
        self.settle(seq)
    }

    /// The hub refuses a change. Returns whether it is to be tried again unchanged, after a call of [`Outbox::release`].
    pub fn nack(&mut self, seq: u64, code: NackCode) -> bool {
        let Some((key, change)) = self.unacked.remove(&seq) else {
            return false;
        };
        if code != NackCode::Unavailable {
            return false;
        }
        if !self.waiting.contains_key(&key) {
            self.held.insert(key, change);
        }
        true
    }

    /// Puts what the hub could not write back in line.
    pub fn release(&mut self) {
        for (key, change) in std::mem::take(&mut self.held) {
            if !self.waiting.contains_key(&key) {
                self.enqueue(key, change);
            }
        }
    }

    /// Highest sequence number that the hub acknowledged, for the next `Hello`.
    pub fn last_acked(&self) -> u64 {
        self.last_acked
    }

    /// Number of changes sent and not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.unacked.len()
    }

    /// What a full sync would report.
    pub fn desired(&self) -> &BTreeMap<ExportKey, ExportReport> {
        &self.desired
    }

    /// Whether a withdrawal of the export is on its way and not acknowledged.
    pub fn is_withdrawing(&self, key: &ExportKey) -> bool {
        let waits = [self.waiting.get(key), self.held.get(key)].into_iter().flatten();
        let sent = self
            .unacked
            .values()
            .filter(|(known, _)| known == key)
            .map(|(_, change)| change);
        waits.chain(sent).any(|change| matches!(change, Change::Withdraw(_)))
    }

    /// Exports with a change that the hub has not confirmed, in key order.
    pub fn unsettled(&self) -> BTreeSet<&ExportKey> {
        let sent = self.unacked.values().map(|(key, _)| key);
        self.waiting.keys().chain(self.held.keys()).chain(sent).collect()
    }

    fn settle(&mut self, seq: u64) -> Vec<ExportKey> {
        let open = self.unacked.split_off(&(seq + 1));
        let done = std::mem::replace(&mut self.unacked, open);
        self.last_acked = self.last_acked.max(seq);
        let withdrawn = |(key, change)| matches!(change, Change::Withdraw(_)).then_some(key);
        done.into_values().filter_map(withdrawn).collect()
    }

    fn enqueue(&mut self, key: ExportKey, change: Change) {
        self.held.remove(&key);
        if self.waiting.insert(key.clone(), change).is_none() {
            self.order.push_back(key);
        }
    }

    /// A report that the hub refused for good is sent again when its input changes; an equal one is not news.
    fn refused(&self, key: &ExportKey) -> bool {
        matches!(self.waiting.get(key), Some(Change::Withdraw(_)))
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
