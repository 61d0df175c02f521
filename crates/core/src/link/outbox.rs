//! What the sender of a topic still has to bring to its receiver: the newest state of each key that waits unsent, what
//! was sent and is not acknowledged, and the course of a full sync. Networking 16.5.
//!
//! The outbox is bounded by the number of keys, not by the number of changes: while a key waits, only its newest state
//! is kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::digest::digest;
use super::{Change, NackCode, SyncEnd, Topic};

/// The sender's side of a topic, between sessions and during one.
#[derive(Debug)]
pub struct Outbox<T: Topic> {
    /// What the receiver should know: a full sync sends exactly this.
    desired: BTreeMap<T::Key, T::State>,
    waiting: BTreeMap<T::Key, Change<T>>,
    order: VecDeque<T::Key>,
    unacked: BTreeMap<u64, (T::Key, Change<T>)>,
    /// Refused for now by the receiver; back in line when [`Outbox::release`] is called.
    held: BTreeMap<T::Key, Change<T>>,
    /// Keys that exist and whose state is not known yet: a full sync leaves their records alone.
    kept: BTreeSet<T::Key>,
    /// Removals that the receiver has acknowledged and that nothing followed.
    removed: BTreeSet<T::Key>,
    resend: VecDeque<u64>,
    last_seq: u64,
    last_acked: u64,
    /// Changes that were replaced before they were sent.
    coalesced: u64,
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
    /// The receiver has no state: everything is sent again under this sync id.
    FullSync {
        /// Fresh id of the sync.
        sync_id: String,
    },
    /// The receiver has no state, and everything is sent again later ([`Outbox::start_sync`]), because many senders are in
    /// this position at once. What has changed and is not acknowledged goes out now.
    ChangesFirst,
    /// The receiver still holds the session and has carried out everything before this sequence number.
    Continue {
        /// First sequence number that the receiver has not carried out.
        next_seq: u64,
    },
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time is on its way; boxing would only cost"
)]
pub enum Outgoing<T: Topic> {
    /// A full sync starts.
    SyncBegin {
        /// Id of the sync.
        sync_id: String,
    },
    /// A change of a key.
    Change {
        /// Its sequence number.
        seq: u64,
        /// The sync it belongs to, if one runs.
        sync_id: Option<String>,
        /// The key.
        key: T::Key,
        /// What changed.
        change: Change<T>,
    },
    /// The full sync is complete.
    SyncEnd(SyncEnd<T>),
}

/// What a refusal by the receiver means for the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It waits for [`Outbox::release`] and is then sent again unchanged.
    Held,
    /// It is given up until its input changes.
    Final,
    /// Something newer about the key is under way: the refusal says nothing any more.
    Outdated,
}

impl<T: Topic> Default for Outbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Topic> Outbox<T> {
    /// An empty outbox.
    pub fn new() -> Self {
        Self {
            desired: BTreeMap::new(),
            waiting: BTreeMap::new(),
            order: VecDeque::new(),
            unacked: BTreeMap::new(),
            held: BTreeMap::new(),
            kept: BTreeSet::new(),
            removed: BTreeSet::new(),
            resend: VecDeque::new(),
            last_seq: 0,
            last_acked: 0,
            coalesced: 0,
            session: None,
        }
    }

    /// The state of the key is this now. Returns whether there is something to send.
    pub fn set(&mut self, key: T::Key, state: T::State) -> bool {
        self.kept.remove(&key);
        self.removed.remove(&key);
        if self.desired.get(&key) == Some(&state) {
            return false;
        }
        self.desired.insert(key.clone(), state.clone());
        self.enqueue(key, Change::Set(state));
        true
    }

    /// The key is gone.
    pub fn remove(&mut self, key: T::Key, removal: T::Removal) {
        self.kept.remove(&key);
        self.removed.remove(&key);
        self.desired.remove(&key);
        self.enqueue(key, Change::Remove(removal));
    }

    /// The key exists and its state is not known now. What the receiver knows of it stays, also after a full sync.
    pub fn keep(&mut self, key: T::Key) {
        if !self.desired.contains_key(&key) && !self.is_removing(&key) {
            self.kept.insert(key);
        }
    }

    /// There is nothing to keep of a key any more.
    pub fn forget(&mut self, key: &T::Key) {
        self.kept.remove(key);
        self.removed.remove(key);
    }

    /// A session is open; `window` is the most changes that may be unacknowledged. Returns the keys whose removal turns
    /// out to be done.
    pub fn connected(&mut self, resume: Resume, window: usize) -> Vec<T::Key> {
        let window = window.max(1);
        self.resend.clear();
        match resume {
            Resume::Continue { next_seq } => {
                let removed = self.settle(next_seq.saturating_sub(1));
                self.resend = self.unacked.keys().copied().collect();
                self.session = Some(Session { window, sync: None });
                removed
            }
            Resume::ChangesFirst => {
                self.release();
                // Backwards: of two changes of a key only the newest counts.
                for (key, change) in std::mem::take(&mut self.unacked).into_values().rev() {
                    if !self.waiting.contains_key(&key) {
                        self.enqueue(key, change);
                    }
                }
                self.session = Some(Session { window, sync: None });
                Vec::new()
            }
            Resume::FullSync { sync_id } => {
                self.session = Some(Session { window, sync: None });
                self.start_sync(sync_id);
                Vec::new()
            }
        }
    }

    /// The receiver requests a full sync.
    pub fn start_sync(&mut self, sync_id: String) {
        self.release();
        let unacked = std::mem::take(&mut self.unacked);
        // Backwards: of two changes of a key only the newest counts.
        for (key, change) in unacked.into_values().rev() {
            // A removal stays explicit: the end of a sync may be held back by the receiver's guard.
            if matches!(change, Change::Remove(_))
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
            .map(|(key, state)| (key.clone(), state.clone()))
            .collect();
        for (key, state) in all {
            self.enqueue(key, Change::Set(state));
        }
        if let Some(session) = &mut self.session {
            session.sync = Some(Sync {
                id: sync_id,
                begun: false,
            });
        }
    }

    /// The session is gone. Nothing is removed for that; a broken sync is forgotten.
    pub fn disconnected(&mut self) {
        self.session = None;
        self.resend.clear();
        self.release();
    }

    /// The next message that may be sent now, if any.
    pub fn pop(&mut self) -> Option<Outgoing<T>> {
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
            return Some(Outgoing::SyncEnd(SyncEnd {
                id: sync.id,
                count,
                digest: digest::<T>(&self.desired).to_vec(),
                kept: self.kept.clone(),
            }));
        }
        None
    }

    /// The receiver has carried out everything up to `seq`. Returns the keys whose removal is thereby done.
    pub fn ack(&mut self, seq: u64) -> Vec<T::Key> {
        self.settle(seq)
    }

    /// The receiver refuses a change. A removal is never given up: users wait for it to be acknowledged.
    pub fn nack(&mut self, seq: u64, code: NackCode) -> Refused {
        let Some((key, change)) = self.unacked.remove(&seq) else {
            return Refused::Outdated;
        };
        let newer = self.unacked.range(seq..).any(|(_, (known, _))| *known == key);
        if newer || self.waiting.contains_key(&key) {
            return Refused::Outdated;
        }
        if code != NackCode::Unavailable && matches!(change, Change::Set(_)) {
            return Refused::Final;
        }
        self.held.insert(key, change);
        Refused::Held
    }

    /// Whether the receiver has acknowledged the removal of the key and nothing followed.
    pub fn is_removed(&self, key: &T::Key) -> bool {
        self.removed.contains(key)
    }

    /// What is recorded of a key may not be its state: that is sent again as it is.
    pub fn repeat(&mut self, key: &T::Key) {
        if let Some(state) = self.desired.get(key).cloned()
            && !self.is_open(key)
        {
            self.enqueue(key.clone(), Change::Set(state));
        }
    }

    /// Puts what the receiver could not carry out back in line.
    pub fn release(&mut self) {
        for (key, change) in std::mem::take(&mut self.held) {
            if !self.waiting.contains_key(&key) {
                self.enqueue(key, change);
            }
        }
    }

    /// Highest sequence number that the receiver acknowledged, for the next greeting.
    pub fn last_acked(&self) -> u64 {
        self.last_acked
    }

    /// The number that was given last; 0 when none was.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Number of changes that were replaced by a later one of their key before they were sent.
    pub fn coalesced(&self) -> u64 {
        self.coalesced
    }

    /// The state of a key cannot be brought to the receiver: until it is another one, what the receiver has recorded of
    /// the key stays, also after a full sync.
    pub fn give_up(&mut self, key: &T::Key) {
        if !self.is_open(key) && self.desired.remove(key).is_some() {
            self.kept.insert(key.clone());
        }
    }

    /// Number of changes sent and not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.unacked.len()
    }

    /// What a full sync would send.
    pub fn desired(&self) -> &BTreeMap<T::Key, T::State> {
        &self.desired
    }

    /// Whether the receiver knows or may know of the key, by us or from before.
    pub fn is_known(&self, key: &T::Key) -> bool {
        self.desired.contains_key(key) || self.kept.contains(key)
    }

    /// Whether a removal of the key is on its way and not acknowledged, and nothing has followed it.
    pub fn is_removing(&self, key: &T::Key) -> bool {
        if self.desired.contains_key(key) {
            return false;
        }
        let waits = [self.waiting.get(key), self.held.get(key)].into_iter().flatten();
        let sent = self
            .unacked
            .values()
            .filter(|(known, _)| known == key)
            .map(|(_, change)| change);
        waits.chain(sent).any(|change| matches!(change, Change::Remove(_)))
    }

    /// Keys of which a change waits or is not acknowledged.
    pub fn open(&self) -> BTreeSet<&T::Key> {
        let sent = self.unacked.values().map(|(key, _)| key);
        self.waiting.keys().chain(self.held.keys()).chain(sent).collect()
    }

    /// Number of removals that wait or are not acknowledged.
    pub fn open_removals(&self) -> usize {
        let sent = self.unacked.values().map(|(_, change)| change);
        let all = self.waiting.values().chain(self.held.values()).chain(sent);
        all.filter(|change| matches!(change, Change::Remove(_))).count()
    }

    fn settle(&mut self, seq: u64) -> Vec<T::Key> {
        let open = self.unacked.split_off(&seq.saturating_add(1));
        let done = std::mem::replace(&mut self.unacked, open);
        self.last_acked = self.last_acked.max(seq);
        let mut removed = Vec::new();
        for (key, change) in done.into_values() {
            let settled = matches!(change, Change::Remove(_)) && !self.desired.contains_key(&key);
            if settled && !self.is_open(&key) {
                self.removed.insert(key.clone());
                removed.push(key);
            }
        }
        removed
    }

    /// Whether a change of the key waits or is not acknowledged.
    fn is_open(&self, key: &T::Key) -> bool {
        self.waiting.contains_key(key)
            || self.held.contains_key(key)
            || self.unacked.values().any(|(known, _)| known == key)
    }

    fn enqueue(&mut self, key: T::Key, change: Change<T>) {
        self.held.remove(&key);
        if self.waiting.insert(key.clone(), change).is_none() {
            self.order.push_back(key);
        } else {
            self.coalesced += 1;
        }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
