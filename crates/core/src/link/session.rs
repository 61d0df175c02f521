//! What the hub remembers of one member's session: fencing by epoch, which changes are written, the course of a full
//! sync, and the verdicts that the member has not confirmed. Networking 16.5 and 16.4.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::digest::digest;
use super::{ExportKey, ExportReport, Verdict};

/// A second full sync must confirm a large removal at least this long after the first one.
pub const CONFIRM_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Removals up to this number never need a confirmation.
const SMALL_REMOVAL: usize = 3;

/// The hub's memory of one cluster, kept across its streams for as long as the hub agent runs.
#[derive(Debug, Default)]
pub struct ClusterSession {
    epoch: u64,
    instance: String,
    /// A full sync of this instance came to its end and was carried out.
    synced: bool,
    /// All changes up to this number are settled; `None` until the first change of the session came.
    applied: Option<u64>,
    done: BTreeSet<u64>,
    /// The last change that was refused.
    refused: u64,
    newest: BTreeMap<ExportKey, u64>,
    sync: Option<Sync>,
    guard: Option<Guard>,
    records: BTreeMap<ExportKey, Option<Version>>,
    verdicts: BTreeMap<ExportKey, Given>,
    unsent: BTreeMap<u64, ExportKey>,
    last_verdict: u64,
    /// Verdicts that are not acknowledged.
    open: usize,
}

/// Uid and generation of a record: both stay the same for as long as nobody changes what it says.
pub type Version = (String, i64);

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
    /// The last sequence number whose acknowledgement it got.
    pub last_acked: u64,
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

/// The member's words at the end of a full sync.
#[derive(Clone, Debug, Default)]
pub struct SyncEnd {
    /// Id of the sync.
    pub id: String,
    /// Number of exports reported.
    pub count: u64,
    /// Digest over them.
    pub digest: Vec<u8>,
    /// Exports that the member cannot judge now: their records stay.
    pub kept: BTreeSet<ExportKey>,
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
    ///
    /// A session continues only when nothing is open that the member might not know of: its full sync was carried out,
    /// and it has seen every refusal (those are sent before the acknowledgement that passes them).
    pub fn hello(&mut self, greeting: &Greeting, incarnation: &str) -> Admission {
        if greeting.epoch < self.epoch {
            return Admission::Superseded;
        }
        let same = greeting.epoch == self.epoch && greeting.instance == self.instance;
        self.sync = None;
        self.done.clear();
        self.unsent = self
            .verdicts
            .iter()
            .filter(|(_, given)| !given.acked)
            .map(|(key, given)| (given.seq, key.clone()))
            .collect();
        if same
            && self.synced
            && self.refused <= greeting.last_acked
            && greeting.hub_incarnation == incarnation
            && let Some(applied) = self.applied
        {
            return Admission::Continue { next_seq: applied + 1 };
        }
        self.epoch = greeting.epoch;
        self.instance.clone_from(&greeting.instance);
        self.synced = false;
        self.applied = None;
        self.refused = 0;
        self.newest.clear();
        self.records.clear();
        Admission::FullSync
    }

    /// A change arrived. Returns whether it is to be written: an older change of a key never overwrites a newer one.
    pub fn received(&mut self, seq: u64, key: &ExportKey) -> bool {
        self.arrived(seq);
        self.records.remove(key);
        let newest = self.newest.entry(key.clone()).or_insert(0);
        let fresh = seq >= *newest;
        *newest = (*newest).max(seq);
        fresh
    }

    /// A change arrived that cannot be read. It takes its place among the numbers, or no later one could be acknowledged.
    pub fn arrived(&mut self, seq: u64) {
        self.applied.get_or_insert(seq.saturating_sub(1));
    }

    /// A change is settled: written, or refused with a word to the member. Returns the number up to which everything is,
    /// when that moved.
    pub fn settled(&mut self, seq: u64, refused: bool) -> Option<u64> {
        let before = self.applied?;
        if refused {
            self.refused = self.refused.max(seq);
        }
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

    /// The record of an export was written in this version, or is gone. Until the next change of the export it should
    /// stay so.
    pub fn recorded(&mut self, key: &ExportKey, version: Option<Version>) {
        self.records.insert(key.clone(), version);
    }

    /// Whether the record of an export is what this session wrote, as far as it wrote one. Somebody who edits or deletes
    /// records by hand, or a write that was thought lost, makes a difference that only the member can heal.
    pub fn is_as_written(&self, key: &ExportKey, now: Option<&Version>) -> bool {
        self.records.get(key).is_none_or(|written| written.as_ref() == now)
    }

    /// Exports with a written record or a verdict.
    pub fn known(&self) -> BTreeSet<&ExportKey> {
        self.records.keys().chain(self.verdicts.keys()).collect()
    }

    /// The member is asked for everything again. Until it has answered the session cannot continue after a break.
    pub fn distrust(&mut self) {
        self.synced = false;
        self.records.clear();
    }

    /// A full sync starts; one that was running is forgotten.
    pub fn sync_begin(&mut self, id: &str) {
        self.synced = false;
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

    /// A full sync ends. `recorded` are the records of the cluster that the hub manages itself; `confirm_after` is the
    /// least time between the two syncs that a large removal needs, usually [`CONFIRM_AFTER`].
    pub fn sync_end(
        &mut self,
        end: &SyncEnd,
        recorded: &BTreeSet<ExportKey>,
        now: Timestamp,
        confirm_after: SignedDuration,
    ) -> SyncOutcome {
        let Some(sync) = self.sync.take().filter(|sync| sync.id == end.id) else {
            return SyncOutcome::Mismatch;
        };
        if sync.received.len() as u64 != end.count || digest(&sync.received).as_slice() != end.digest {
            return SyncOutcome::Mismatch;
        }
        let removals: BTreeSet<ExportKey> = recorded
            .iter()
            .filter(|key| !sync.received.contains_key(key) && !end.kept.contains(key))
            .cloned()
            .collect();
        let large = removals.len() > SMALL_REMOVAL && removals.len() * 2 > recorded.len();
        if !large {
            self.guard = None;
            return SyncOutcome::Remove(removals);
        }
        let waiting = removals.len();
        let since = match self.guard.take() {
            Some(guard) if guard.removals == removals => guard.since,
            _ => now,
        };
        let confirm_at = since.checked_add(confirm_after).unwrap_or(Timestamp::MAX);
        if since != now && now >= confirm_at {
            return SyncOutcome::Remove(removals);
        }
        self.guard = Some(Guard { since, removals });
        SyncOutcome::Held {
            confirm_at,
            removals: waiting,
        }
    }

    /// What the end of a full sync asked for is done.
    pub fn sync_done(&mut self) {
        self.synced = true;
    }

    /// The newest judgement of an export. Returns whether the member is to be told: not when it was told the same.
    pub fn verdict(&mut self, key: &ExportKey, verdict: Verdict) -> bool {
        if self.verdicts.get(key).is_some_and(|given| given.verdict == verdict) {
            return false;
        }
        self.last_verdict += 1;
        let given = Given {
            seq: self.last_verdict,
            verdict,
            acked: false,
        };
        match self.verdicts.insert(key.clone(), given) {
            Some(before) => {
                self.unsent.remove(&before.seq);
                self.open += usize::from(before.acked);
            }
            None => self.open += 1,
        }
        self.unsent.insert(self.last_verdict, key.clone());
        true
    }

    /// The next verdict to send over the present stream, in the order they were given. Those that are not acknowledged
    /// come again after the next connect.
    pub fn next_verdict(&mut self) -> Option<(u64, ExportKey, Verdict)> {
        let (seq, key) = self.unsent.pop_first()?;
        let verdict = self.verdicts.get(&key)?.verdict.clone();
        Some((seq, key, verdict))
    }

    /// The member has shown a verdict to its users.
    pub fn verdict_acked(&mut self, key: &ExportKey, seq: u64) {
        if let Some(given) = self.verdicts.get_mut(key)
            && !given.acked
            && given.seq <= seq
        {
            given.acked = true;
            self.open -= 1;
        }
    }

    /// Number of verdicts that wait for an acknowledgement.
    pub fn open_count(&self) -> usize {
        self.open
    }

    /// The record of an export is gone, and with it every judgement.
    pub fn forget_verdict(&mut self, key: &ExportKey) {
        if let Some(given) = self.verdicts.remove(key) {
            self.unsent.remove(&given.seq);
            self.open -= usize::from(!given.acked);
        }
    }

    /// Sequence number of the newest change of an export in this session, 0 when there was none.
    pub fn newest_of(&self, key: &ExportKey) -> u64 {
        self.newest.get(key).copied().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
