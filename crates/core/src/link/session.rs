//! What the hub remembers of one member's session: fencing by epoch, which changes are written, the course of a full
//! sync, and the verdicts that the member has not confirmed. Networking 16.5 and 16.4.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::digest::digest;
use super::{ExportKey, ExportReport, Verdict};

/// A second full sync must confirm a large removal at least this long after the first one.
const CONFIRM_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Removals up to this number never need a confirmation.
const SMALL_REMOVAL: usize = 3;

/// The hub's memory of one cluster, kept across its streams for as long as the hub agent runs.
#[derive(Debug, Default)]
pub struct ClusterSession {
    epoch: u64,
    instance: String,
    /// All changes up to this number are written; `None` until the first change of the session came.
    applied: Option<u64>,
    done: BTreeSet<u64>,
    newest: BTreeMap<ExportKey, u64>,
    sync: Option<Sync>,
    guard: Option<Guard>,
    verdicts: BTreeMap<ExportKey, Given>,
    last_verdict: u64,
}

#[derive(Debug)]
struct Sync {
    id: String,
    received: BTreeMap<ExportKey, ExportReport>,
}

/// A large removal that waits for a second sync to say the same.
#[derive(Debug)]
struct Guard {
    since: Timestamp,
    removals: BTreeSet<ExportKey>,
}

/// The newest verdict of an export.
#[derive(Debug)]
struct Given {
    seq: u64,
    verdict: Verdict,
    acked: bool,
}

/// What a member says of itself when it connects.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// Lease transitions of the agent's own lease.
    pub epoch: u64,
    /// Random id of the agent process.
    pub instance: String,
    /// The hub incarnation it knew before, empty when none.
    pub hub_incarnation: String,
}

/// The hub's answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A newer agent of this cluster has spoken: this one must go.
    Superseded,
    /// The session continues after what is written.
    Continue {
        /// First sequence number that is not written.
        next_seq: u64,
    },
    /// Everything is to be reported again.
    FullSync,
}

/// The end of a full sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// These records were not mentioned: they are to be deleted.
    Remove(BTreeSet<ExportKey>),
    /// Too many would go at once: only a second sync, not before this time, may remove them.
    Held {
        /// Earliest time of the confirming sync.
        confirm_at: Timestamp,
        /// How many records wait.
        removals: usize,
    },
    /// Count or digest differ from what was received, or no such sync runs: the sync is forgotten.
    Mismatch,
}

impl ClusterSession {
    /// A member connects. `incarnation` is the hub's own.
    pub fn hello(&mut self, greeting: &Greeting, incarnation: &str) -> Admission {
        if greeting.epoch < self.epoch {
            return Admission::Superseded;
        }
        let same = greeting.epoch == self.epoch && greeting.instance == self.instance;
        self.sync = None;
        if same
            && greeting.hub_incarnation == incarnation
            && let Some(applied) = self.applied
        {
            self.done.clear();
            return Admission::Continue { next_seq: applied + 1 };
        }
        self.epoch = greeting.epoch;
        self.instance.clone_from(&greeting.instance);
        self.applied = None;
        self.done.clear();
        self.newest.clear();
        Admission::FullSync
    }

    /// A change arrived. Returns whether it is to be written: an older change of a key never overwrites a newer one.
    pub fn received(&mut self, seq: u64, key: &ExportKey) -> bool {
        self.applied.get_or_insert(seq.saturating_sub(1));
        let newest = self.newest.entry(key.clone()).or_insert(0);
        let fresh = seq >= *newest;
        *newest = (*newest).max(seq);
        fresh
    }

    /// A change is settled, written or refused. Returns the number up to which everything is, when that moved.
    pub fn settled(&mut self, seq: u64) -> Option<u64> {
        let before = self.applied?;
        if seq > before {
            self.done.insert(seq);
        }
        let mut applied = before;
        while self.done.remove(&(applied + 1)) {
            applied += 1;
        }
        self.applied = Some(applied);
        (applied > before).then_some(applied)
    }

    /// A full sync starts; one that was running is forgotten.
    pub fn sync_begin(&mut self, id: &str) {
        self.sync = Some(Sync {
            id: id.to_owned(),
            received: BTreeMap::new(),
        });
    }

    /// Notes a report for the running sync, whether or not it could be written.
    pub fn sync_report(&mut self, key: &ExportKey, report: &ExportReport) {
        if let Some(sync) = &mut self.sync {
            sync.received.insert(key.clone(), report.clone());
        }
    }

    /// Notes a withdrawal for the running sync.
    pub fn sync_withdraw(&mut self, key: &ExportKey) {
        if let Some(sync) = &mut self.sync {
            sync.received.remove(key);
        }
    }

    /// A full sync ends. `recorded` are the records of the cluster that the hub manages itself.
    pub fn sync_end(
        &mut self,
        id: &str,
        count: u64,
        expected: &[u8],
        recorded: &BTreeSet<ExportKey>,
        now: Timestamp,
    ) -> SyncOutcome {
        let Some(sync) = self.sync.take().filter(|sync| sync.id == id) else {
            return SyncOutcome::Mismatch;
        };
        if sync.received.len() as u64 != count || digest(&sync.received) != expected {
            return SyncOutcome::Mismatch;
        }
        let removals: BTreeSet<ExportKey> = recorded
            .iter()
            .filter(|key| !sync.received.contains_key(key))
            .cloned()
            .collect();
        let large = removals.len() > SMALL_REMOVAL && removals.len() * 2 > recorded.len();
        if !large {
            self.guard = None;
            return SyncOutcome::Remove(removals);
        }
        if let Some(guard) = self.guard.take_if(|guard| guard.removals == removals) {
            let confirm_at = guard.since + CONFIRM_AFTER;
            if now >= confirm_at {
                return SyncOutcome::Remove(removals);
            }
            let waiting = removals.len();
            self.guard = Some(guard);
            return SyncOutcome::Held {
                confirm_at,
                removals: waiting,
            };
        }
        let waiting = removals.len();
        self.guard = Some(Guard { since: now, removals });
        SyncOutcome::Held {
            confirm_at: now + CONFIRM_AFTER,
            removals: waiting,
        }
    }

    /// The newest judgement of an export. Returns its number, or `None` when the member was told the same before.
    pub fn verdict(&mut self, key: &ExportKey, verdict: Verdict) -> Option<u64> {
        if self.verdicts.get(key).is_some_and(|given| given.verdict == verdict) {
            return None;
        }
        self.last_verdict += 1;
        self.verdicts.insert(
            key.clone(),
            Given {
                seq: self.last_verdict,
                verdict,
                acked: false,
            },
        );
        Some(self.last_verdict)
    }

    /// The member has shown a verdict to its users.
    pub fn verdict_acked(&mut self, key: &ExportKey, seq: u64) {
        if let Some(given) = self.verdicts.get_mut(key) {
            given.acked |= given.seq <= seq;
        }
    }

    /// Number of verdicts that wait for an acknowledgement.
    pub fn open_count(&self) -> usize {
        self.verdicts.values().filter(|given| !given.acked).count()
    }

    /// The record of an export is gone, and with it every judgement.
    pub fn forget_verdict(&mut self, key: &ExportKey) {
        self.verdicts.remove(key);
    }

    /// Verdicts to send after a connect: those that were never acknowledged, in the order they were given.
    pub fn open_verdicts(&self) -> Vec<(u64, ExportKey, Verdict)> {
        let mut open: Vec<_> = self
            .verdicts
            .iter()
            .filter(|(_, given)| !given.acked)
            .map(|(key, given)| (given.seq, key.clone(), given.verdict.clone()))
            .collect();
        open.sort_by_key(|(seq, _, _)| *seq);
        open
    }

    /// Sequence number of the newest change of an export in this session, 0 when there was none.
    pub fn newest_of(&self, key: &ExportKey) -> u64 {
        self.newest.get(key).copied().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
