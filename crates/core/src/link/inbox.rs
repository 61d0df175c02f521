//! What the receiver of a topic knows of its sender: which changes are carried out, the number up to which everything
//! is, and the course of a full sync. Networking 16.4 and 16.5.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::digest::digest;
use super::{SyncEnd, Topic};

/// A second full sync must confirm a large removal at least this long after the first one.
pub const CONFIRM_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Removals up to this number never need a confirmation.
const SMALL_REMOVAL: usize = 3;
/// Removed keys of which it is remembered that nothing should be recorded of them.
const REMOVED: usize = 256;

/// Uid and generation of a record: both stay the same for as long as nobody changes what it says.
pub type Version = (String, i64);

/// What is known of one sender of a topic, kept across its streams.
#[derive(Debug)]
pub struct Inbox<T: Topic> {
    /// A full sync of this sender came to its end and was carried out.
    synced: bool,
    /// All changes up to this number are settled; `None` until the first change of the session came.
    applied: Option<u64>,
    done: BTreeSet<u64>,
    /// The last change that was refused.
    refused: u64,
    newest: BTreeMap<T::Key, u64>,
    sync: Option<Sync<T>>,
    guard: Option<Guard<T>>,
    records: BTreeMap<T::Key, Version>,
    removed: Removed<T>,
}

#[derive(Debug)]
struct Sync<T: Topic> {
    id: String,
    received: BTreeMap<T::Key, T::State>,
}

/// A large removal that waits for a second sync to say the same.
#[derive(Debug)]
struct Guard<T: Topic> {
    since: Timestamp,
    removals: BTreeSet<T::Key>,
}

/// The keys that were removed last. A write that was thought lost may still arrive after its removal; long after that
/// it no longer can, so old ones are forgotten.
#[derive(Debug)]
struct Removed<T: Topic> {
    keys: BTreeSet<T::Key>,
    order: VecDeque<T::Key>,
}

/// What is to be done at the end of a full sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncResult<K> {
    /// What is recorded of these keys was not mentioned: it is to be deleted.
    Remove(BTreeSet<K>),
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

impl<T: Topic> Default for Inbox<T> {
    fn default() -> Self {
        Self {
            synced: false,
            applied: None,
            done: BTreeSet::new(),
            refused: 0,
            newest: BTreeMap::new(),
            sync: None,
            guard: None,
            records: BTreeMap::new(),
            removed: Removed::default(),
        }
    }
}

impl<T: Topic> Inbox<T> {
    /// The sender has connected; `returning` says that it is the process of the session before, and that it
    /// knows this receiver. Returns the first number that is not settled when the session continues, and `None` when everything is
    /// to be sent again.
    ///
    /// It continues only when nothing is open that the sender might not know of: its full sync was carried out, and it
    /// has seen every refusal (those are sent before the acknowledgement that passes them).
    pub fn connected(&mut self, returning: bool, last_acked: u64) -> Option<u64> {
        self.sync = None;
        self.done.clear();
        if returning
            && self.synced
            && self.refused <= last_acked
            && let Some(applied) = self.applied
        {
            return Some(applied + 1);
        }
        self.synced = false;
        self.applied = None;
        self.refused = 0;
        self.newest.clear();
        self.forget_records();
        None
    }

    /// A change arrived. Returns whether it is to be carried out: an older change of a key never overwrites a newer one.
    pub fn received(&mut self, seq: u64, key: &T::Key) -> bool {
        self.arrived(seq);
        self.records.remove(key);
        self.removed.take(key);
        let newest = self.newest.entry(key.clone()).or_insert(0);
        let fresh = seq >= *newest;
        *newest = (*newest).max(seq);
        fresh
    }

    /// A change arrived that cannot be read. Its number counts, or no later one could be acknowledged.
    pub fn arrived(&mut self, seq: u64) {
        self.applied.get_or_insert(seq.saturating_sub(1));
    }

    /// A change is settled: carried out, or refused with a message to the sender. Returns the number up to which
    /// everything is, when that moved.
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
        if applied > before {
            // No older change of these keys can come any more, so nothing has to be compared with it.
            for key in &self.removed.keys {
                if self.newest_of(key) <= applied {
                    self.newest.remove(key);
                }
            }
        }
        (applied > before).then_some(applied)
    }

    /// The record of a key was written in this version, or is gone. Until the next change of the key it should stay so.
    pub fn recorded(&mut self, key: &T::Key, version: Option<Version>) {
        match version {
            Some(version) => {
                self.removed.take(key);
                self.records.insert(key.clone(), version);
            }
            None => {
                self.records.remove(key);
                self.removed.put(key);
            }
        }
    }

    /// Whether the record of a key is what this session wrote, as far as it wrote one. Somebody who edits or deletes
    /// records by hand, or a write that was thought lost, makes a difference that only the sender can heal.
    pub fn is_as_written(&self, key: &T::Key, now: Option<&Version>) -> bool {
        match self.records.get(key) {
            Some(written) => now == Some(written),
            None => now.is_none() || !self.removed.keys.contains(key),
        }
    }

    /// A full sync is requested from the sender. Until it has answered the session cannot continue after a break.
    pub fn distrust(&mut self) {
        self.synced = false;
        self.forget_records();
    }

    /// A full sync starts; one that was running is forgotten.
    pub fn sync_begin(&mut self, id: &str) {
        self.synced = false;
        self.sync = Some(Sync {
            id: id.to_owned(),
            received: BTreeMap::new(),
        });
    }

    /// Notes a state for the running sync, whether or not it could be recorded.
    pub fn sync_set(&mut self, key: &T::Key, state: &T::State) {
        if let Some(sync) = &mut self.sync {
            sync.received.insert(key.clone(), state.clone());
        }
    }

    /// Notes a removal for the running sync.
    pub fn sync_remove(&mut self, key: &T::Key) {
        if let Some(sync) = &mut self.sync {
            sync.received.remove(key);
        }
    }

    /// A full sync ends. `recorded` are the keys whose records the receiver manages itself; `confirm_after` is the
    /// least time between the two syncs that a large removal needs, usually [`CONFIRM_AFTER`].
    pub fn sync_end(
        &mut self,
        end: &SyncEnd<T>,
        recorded: &BTreeSet<T::Key>,
        now: Timestamp,
        confirm_after: SignedDuration,
    ) -> SyncResult<T::Key> {
        let Some(sync) = self.sync.take().filter(|sync| sync.id == end.id) else {
            return SyncResult::Mismatch;
        };
        if sync.received.len() as u64 != end.count || digest::<T>(&sync.received).as_slice() != end.digest {
            return SyncResult::Mismatch;
        }
        let removals: BTreeSet<T::Key> = recorded
            .iter()
            .filter(|key| !sync.received.contains_key(key) && !end.kept.contains(key))
            .cloned()
            .collect();
        let large = removals.len() > SMALL_REMOVAL && removals.len() * 2 > recorded.len();
        if !large {
            self.guard = None;
            return SyncResult::Remove(removals);
        }
        let waiting = removals.len();
        let since = match self.guard.take() {
            Some(guard) if guard.removals == removals => guard.since,
            _ => now,
        };
        let confirm_at = since.checked_add(confirm_after).unwrap_or(Timestamp::MAX);
        if since != now && now >= confirm_at {
            return SyncResult::Remove(removals);
        }
        self.guard = Some(Guard { since, removals });
        SyncResult::Held {
            confirm_at,
            removals: waiting,
        }
    }

    /// What was to be done at the end of a full sync is done.
    pub fn sync_done(&mut self) {
        self.synced = true;
    }

    /// Sequence number of the newest change of a key in this session, 0 when there was none.
    pub fn newest_of(&self, key: &T::Key) -> u64 {
        self.newest.get(key).copied().unwrap_or_default()
    }

    fn forget_records(&mut self) {
        self.records.clear();
        self.removed = Removed::default();
    }
}

impl<T: Topic> Default for Removed<T> {
    fn default() -> Self {
        Self {
            keys: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T: Topic> Removed<T> {
    fn put(&mut self, key: &T::Key) {
        if self.keys.insert(key.clone()) {
            self.order.push_back(key.clone());
        }
        while self.order.len() > REMOVED {
            if let Some(oldest) = self.order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }

    fn take(&mut self, key: &T::Key) {
        if self.keys.remove(key) {
            self.order.retain(|known| known != key);
        }
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
