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
    /// Exports that exist and could not be judged yet: a full sync asks the hub to leave their records alone.
    kept: BTreeSet<ExportKey>,
    /// Withdrawals that the hub has acknowledged and that nothing followed.
    withdrawn: BTreeSet<ExportKey>,
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
        /// Exports whose records are to stay as they are.
        kept: Vec<ExportKey>,
    },
}

/// What a refusal by the hub means for the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It waits for [`Outbox::release`] and is then sent again unchanged.
    Held,
    /// It is given up until its input changes.
    Final,
    /// Something newer about the export is under way: the refusal tells nothing any more.
    Outdated,
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// The export looks like this now. Returns whether that is news to the hub.
    pub fn report(&mut self, key: ExportKey, report: ExportReport) -> bool {
        self.kept.remove(&key);
        self.withdrawn.remove(&key);
        if self.desired.get(&key) == Some(&report) {
            return false;
        }
        self.desired.insert(key.clone(), report.clone());
        self.enqueue(key, Change::Report(report));
        true
    }

    /// The export is gone.
    pub fn withdraw(&mut self, key: ExportKey, withdrawal: Withdrawal) {
        self.kept.remove(&key);
        self.withdrawn.remove(&key);
        self.desired.remove(&key);
        self.enqueue(key, Change::Withdraw(withdrawal));
    }

    /// The export exists and cannot be judged now. What the hub knows of it stays, also after a full sync.
    pub fn keep(&mut self, key: ExportKey) {
        if !self.desired.contains_key(&key) && !self.is_withdrawing(&key) {
            self.kept.insert(key);
        }
    }

    /// There is nothing to keep of an export after all.
    pub fn forget(&mut self, key: &ExportKey) {
        self.kept.remove(key);
        self.withdrawn.remove(key);
    }

    /// A session is open; `window` is the most changes that may be unacknowledged. Returns the exports whose withdrawal
    /// turns out to be done.
    pub fn connected(&mut self, resume: Resume, window: usize) -> Vec<ExportKey> {
        let window = window.max(1);
        self.resend.clear();
        match resume {
            Resume::Continue { next_seq } => {
                let withdrawn = self.settle(next_seq.saturating_sub(1));
                self.resend = self.unacked.keys().copied().collect();
                self.session = Some(Session { window, sync: None });
                withdrawn
            }
            Resume::FullSync { sync_id } => {
                self.session = Some(Session { window, sync: None });
                self.start_sync(sync_id);
                Vec::new()
            }
        }
    }

    /// The hub asks for everything again (`Resync`).
    pub fn start_sync(&mut self, sync_id: String) {
        self.release();
        let unacked = std::mem::take(&mut self.unacked);
        // Backwards: of two changes of an export only the newest counts.
        for (key, change) in unacked.into_values().rev() {
            // A withdrawal stays explicit: the end of a sync may be held back by the hub's guard.
            if matches!(change, Change::Withdraw(_))
                && !self.desired.contains_key(&key)
                && !self.waiting.contains_key(&key)
            {
                self.enqueue(key, change);
            }
        }
        self.resend.clear();
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
        while let Some(seq) = self.resend.pop_front() {
            if let Some((key, change)) = self.unacked.get(&seq) {
                return Some(Outgoing::Change {
                    seq,
                    sync_id,
                    key: key.clone(),
                    change: change.clone(),
                });
            }
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
                kept: self.kept.iter().cloned().collect(),
            });
        }
        None
    }

    /// The hub has written everything up to `seq`. Returns the exports whose withdrawal is thereby done.
    pub fn ack(&mut self, seq: u64) -> Vec<ExportKey> {
        self.settle(seq)
    }

    /// The hub refuses a change. A withdrawal is never given up: users wait for it to be acknowledged.
    pub fn nack(&mut self, seq: u64, code: NackCode) -> Refused {
        let Some((key, change)) = self.unacked.remove(&seq) else {
            return Refused::Outdated;
        };
        let newer = self.unacked.range(seq..).any(|(_, (known, _))| *known == key);
        if newer || self.waiting.contains_key(&key) {
            return Refused::Outdated;
        }
        if code != NackCode::Unavailable && matches!(change, Change::Report(_)) {
            return Refused::Final;
        }
        self.held.insert(key, change);
        Refused::Held
    }

    /// Whether the hub has acknowledged the withdrawal of the export and nothing was said of it since.
    pub fn is_withdrawn(&self, key: &ExportKey) -> bool {
        self.withdrawn.contains(key)
    }

    /// The record of an export may not be what was reported: it is reported again as it is.
    pub fn repeat(&mut self, key: &ExportKey) {
        if let Some(report) = self.desired.get(key).cloned()
            && !self.is_open(key)
        {
            self.enqueue(key.clone(), Change::Report(report));
        }
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

    /// Whether the hub knows or may know of the export, by us or from before.
    pub fn is_known(&self, key: &ExportKey) -> bool {
        self.desired.contains_key(key) || self.kept.contains(key)
    }

    /// Whether a withdrawal of the export is on its way and not acknowledged, and nothing has followed it.
    pub fn is_withdrawing(&self, key: &ExportKey) -> bool {
        if self.desired.contains_key(key) {
            return false;
        }
        let waits = [self.waiting.get(key), self.held.get(key)].into_iter().flatten();
        let sent = self
            .unacked
            .values()
            .filter(|(known, _)| known == key)
            .map(|(_, change)| change);
        waits.chain(sent).any(|change| matches!(change, Change::Withdraw(_)))
    }

    /// Exports of which a change waits or is not acknowledged.
    pub fn open(&self) -> BTreeSet<&ExportKey> {
        let sent = self.unacked.values().map(|(key, _)| key);
        self.waiting.keys().chain(self.held.keys()).chain(sent).collect()
    }

    /// Number of withdrawals that wait or are not acknowledged.
    pub fn open_withdrawals(&self) -> usize {
        let sent = self.unacked.values().map(|(_, change)| change);
        let all = self.waiting.values().chain(self.held.values()).chain(sent);
        all.filter(|change| matches!(change, Change::Withdraw(_))).count()
    }

    fn settle(&mut self, seq: u64) -> Vec<ExportKey> {
        let open = self.unacked.split_off(&seq.saturating_add(1));
        let done = std::mem::replace(&mut self.unacked, open);
        self.last_acked = self.last_acked.max(seq);
        let mut withdrawn = Vec::new();
        for (key, change) in done.into_values() {
            let settled = matches!(change, Change::Withdraw(_)) && !self.desired.contains_key(&key);
            if settled && !self.is_open(&key) {
                self.withdrawn.insert(key.clone());
                withdrawn.push(key);
            }
        }
        withdrawn
    }

    /// Whether a change of the export waits or is not acknowledged.
    fn is_open(&self, key: &ExportKey) -> bool {
        self.waiting.contains_key(key)
            || self.held.contains_key(key)
            || self.unacked.values().any(|(known, _)| known == key)
    }

    fn enqueue(&mut self, key: ExportKey, change: Change) {
        self.held.remove(&key);
        if self.waiting.insert(key.clone(), change).is_none() {
            self.order.push_back(key);
        }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
