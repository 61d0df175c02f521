//! A hub: what it knows of the member's session, and the records, which outlive it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fairway_core::link::fence::Fence;
use fairway_core::link::inbox::{CONFIRM_AFTER, Inbox, SyncResult, Version};
use fairway_core::link::outbox::Outgoing;
use fairway_core::link::{Change, NackCode, SyncEnd};
use fairway_core::services::{ExportChange, ExportKey, ExportReport, Exports};
use jiff::Timestamp;

/// Writes at a time.
const WRITES: usize = 4;

/// A message on its way to the hub, with what its sender exported when it was sent.
pub struct Up {
    pub message: Outgoing<Exports>,
    pub exported: BTreeSet<ExportKey>,
}

/// A message on its way to the member.
#[derive(Debug)]
pub enum Down {
    Ack(u64),
    Nack(u64, NackCode),
    Resync,
}

/// A record on the hub's API server.
#[derive(Clone)]
pub struct Record {
    pub report: ExportReport,
    version: Version,
    /// Number of the agent and of its change that it comes from.
    by: (u32, u64),
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// Nothing is written.
    Failed,
    /// It is written, but the hub agent gets no answer.
    Lost,
}

/// The hub's end of a stream.
pub struct Stream {
    pub agent: u32,
    /// What the member has sent and the hub has not read.
    pub up: VecDeque<Up>,
    pub down: VecDeque<Down>,
    writing: Vec<Write>,
    resync_at: Option<i64>,
}

struct Write {
    seq: u64,
    key: ExportKey,
    change: ExportChange,
    fresh: bool,
}

#[derive(Default)]
pub struct Hub {
    pub fence: Fence,
    pub inbox: Inbox<Exports>,
    pub records: BTreeMap<ExportKey, Record>,
    /// The stream that is the member's session.
    pub stream: Option<Stream>,
    /// Writes to records.
    pub writes: u32,
    /// Records that somebody else touched since the hub last wrote them.
    pub tampered: BTreeSet<ExportKey>,
    pub now: i64,
    created: u32,
}

/// The hub refuses reports without ports.
pub fn is_bad(report: &ExportReport) -> bool {
    report.ports.is_empty()
}

impl Stream {
    pub fn new(agent: u32) -> Self {
        Self {
            agent,
            up: VecDeque::new(),
            down: VecDeque::new(),
            writing: Vec::new(),
            resync_at: None,
        }
    }

    /// Whether the hub has something to do with it, now or later.
    pub fn is_busy(&self) -> bool {
        !(self.up.is_empty() && self.down.is_empty() && self.writing.is_empty() && self.resync_at.is_none())
    }

    pub fn waits_until(&self) -> Option<i64> {
        self.resync_at
    }
}

impl Hub {
    /// Reads the next message of the stream, if there is room for it.
    pub fn read(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let Some(Up { message, .. }) = stream.up.front() else {
            return;
        };
        let room = stream.writing.len() < WRITES;
        match message {
            Outgoing::Change { key, .. } if !room || stream.writing.iter().any(|write| write.key == *key) => return,
            // The end of a sync waits for its writes.
            Outgoing::SyncEnd { .. } if !stream.writing.is_empty() => return,
            _ => {}
        }
        let Some(Up { message, exported }) = stream.up.pop_front() else {
            return;
        };
        match message {
            Outgoing::SyncBegin { sync_id } => self.inbox.sync_begin(&sync_id),
            Outgoing::Change {
                seq,
                sync_id,
                key,
                change,
            } => {
                match &change {
                    Change::Set(report) if sync_id.is_some() => self.inbox.sync_set(&key, report),
                    Change::Set(_) => {}
                    Change::Remove(_) => self.inbox.sync_remove(&key),
                }
                let fresh = self.inbox.received(seq, &key);
                stream.writing.push(Write {
                    seq,
                    key,
                    change,
                    fresh,
                });
            }
            Outgoing::SyncEnd(end) => self.end_sync(&end, &exported),
        }
    }

    fn end_sync(&mut self, end: &SyncEnd<Exports>, exported: &BTreeSet<ExportKey>) {
        let now = Timestamp::from_second(self.now).unwrap();
        let recorded = self.records.keys().cloned().collect();
        match self.inbox.sync_end(end, &recorded, now, CONFIRM_AFTER) {
            SyncResult::Mismatch => self.resync(self.now),
            SyncResult::Held { confirm_at, .. } => self.resync(confirm_at.as_second()),
            SyncResult::Remove(keys) => {
                for key in keys {
                    assert!(!exported.contains(&key), "{key} is exported, and a sync removes it");
                    self.records.remove(&key);
                    self.writes += 1;
                }
                self.inbox.sync_done();
            }
        }
    }

    fn resync(&mut self, at: i64) {
        if let Some(stream) = &mut self.stream {
            stream.resync_at = Some(at);
        }
    }

    /// Asks the member for everything, when that is due.
    pub fn ask(&mut self) {
        let now = self.now;
        if let Some(stream) = &mut self.stream
            && stream.resync_at.is_some_and(|at| at <= now)
        {
            stream.resync_at = None;
            stream.down.push_back(Down::Resync);
            self.inbox.distrust();
        }
    }

    /// One of the writes that are under way comes to its end.
    pub fn finish(&mut self, which: usize, fate: Fate) {
        let Some(stream) = &mut self.stream else { return };
        if stream.writing.is_empty() {
            return;
        }
        let which = which % stream.writing.len();
        let (write, agent) = (stream.writing.remove(which), stream.agent);
        let bad = matches!(&write.change, Change::Set(report) if is_bad(report));
        let refusal = match fate {
            _ if !write.fresh => None,
            Fate::Done if bad => Some(NackCode::InvalidArgument),
            Fate::Done => {
                self.apply(agent, &write);
                None
            }
            Fate::Failed => Some(NackCode::Unavailable),
            Fate::Lost => {
                if !bad {
                    self.apply(agent, &write);
                }
                Some(NackCode::Unavailable)
            }
        };
        let version = self.records.get(&write.key).map(|record| record.version.clone());
        if refusal.is_none() {
            self.inbox.recorded(&write.key, version);
        }
        let ack = self.inbox.settled(write.seq, refusal.is_some());
        if let Some(stream) = &mut self.stream {
            // Refusals come before the acknowledgement that passes them.
            stream.down.extend(refusal.map(|code| Down::Nack(write.seq, code)));
            stream.down.extend(ack.map(Down::Ack));
        }
    }

    fn apply(&mut self, agent: u32, write: &Write) {
        let by = (agent, write.seq);
        let known = self.records.get_mut(&write.key);
        if let Some(known) = &known {
            assert!(known.by <= by, "{}: {by:?} overwrites {:?}", write.key, known.by);
        }
        self.tampered.remove(&write.key);
        match (&write.change, known) {
            (Change::Set(report), Some(known)) if known.report == *report => known.by = by,
            (Change::Set(report), Some(known)) => {
                self.writes += 1;
                known.version.1 += 1;
                (known.report, known.by) = (report.clone(), by);
            }
            (Change::Set(report), None) => {
                self.writes += 1;
                self.created += 1;
                let record = Record {
                    report: report.clone(),
                    version: (format!("u{}", self.created), 1),
                    by,
                };
                self.records.insert(write.key.clone(), record);
            }
            (Change::Remove(_), Some(_)) => {
                self.writes += 1;
                self.records.remove(&write.key);
            }
            (Change::Remove(_), None) => {}
        }
    }

    /// Somebody else edits or deletes a record, which the hub's watch shows.
    pub fn tamper(&mut self, key: &ExportKey, delete: bool) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        record.version.1 += 1;
        record.report.service_type = "Edited".to_owned();
        let version = Some(record.version.clone()).filter(|_| !delete);
        if delete {
            self.records.remove(key);
        }
        self.tampered.insert(key.clone());
        if !self.inbox.is_as_written(key, version.as_ref()) {
            self.inbox.distrust();
            self.resync(self.now);
        }
    }

    /// The hub agent ends, and with it what it knew of the session.
    pub fn forget(&mut self) {
        (self.fence, self.inbox) = (Fence::default(), Inbox::default());
    }

    /// The stream is over for the hub. Writes that were under way come to their end, and nobody gets their answers.
    pub fn close(&mut self) {
        if let Some(stream) = self.stream.take() {
            for write in &stream.writing {
                let bad = matches!(&write.change, Change::Set(report) if is_bad(report));
                if write.fresh && !bad {
                    self.apply(stream.agent, write);
                }
            }
        }
    }
}
