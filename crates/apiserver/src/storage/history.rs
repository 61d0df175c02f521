//! A bounded list of the latest events, from which watches resume and old states are rebuilt.

use super::{StoreError, Stored};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Created.
    Added,
    /// Changed.
    Modified,
    /// Removed.
    Deleted,
}

/// A committed change.
#[derive(Debug)]
pub struct Event {
    /// Its resourceVersion.
    pub rv: u64,
    /// What happened.
    pub kind: EventKind,
    /// The object after the change; for a removal its last state with the removal's version.
    pub object: Arc<Stored>,
    /// The object before the change.
    pub previous: Option<Arc<Stored>>,
}

/// State of an object (by namespace and name) before a point in time; `None` where it did not exist.
pub type StatesBefore = BTreeMap<(Arc<str>, Arc<str>), Option<Arc<Stored>>>;

/// Bounded history that notifies its readers.
pub struct History {
    events: VecDeque<Arc<Event>>,
    floor: u64,
    limit: usize,
    notify: tokio::sync::watch::Sender<u64>,
}

impl History {
    /// An empty history that begins after version `floor`.
    pub fn new(floor: u64, limit: usize) -> Self {
        History {
            events: VecDeque::new(),
            floor,
            limit,
            notify: tokio::sync::watch::Sender::new(floor),
        }
    }

    /// Reading after any version from here on is complete.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// A receiver that is notified of each new event.
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.notify.subscribe()
    }

    /// Adds an event and forgets the oldest beyond the limit.
    pub fn push(&mut self, event: Arc<Event>) {
        let rv = event.rv;
        self.events.push_back(event);
        while self.events.len() > self.limit {
            if let Some(old) = self.events.pop_front() {
                self.floor = old.rv;
            }
        }
        self.notify.send_replace(rv);
    }

    /// Forgets everything up to `rv` and makes readers that are behind notice.
    pub fn compact(&mut self, rv: u64) {
        self.events.clear();
        self.floor = rv;
        self.notify.send_replace(rv);
    }

    /// At most `limit` events after `rv`, oldest first.
    pub fn after(&self, rv: u64, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        if rv < self.floor {
            return Err(StoreError::Expired);
        }
        let start = self.events.partition_point(|e| e.rv <= rv);
        Ok(self.events.range(start..).take(limit).cloned().collect())
    }

    /// What objects that changed after `rv` were like at `rv`.
    pub fn states_before(&self, rv: u64) -> Result<StatesBefore, StoreError> {
        let mut states = StatesBefore::new();
        for event in self.after(rv, usize::MAX)? {
            let key = (event.object.namespace.clone(), event.object.name.clone());
            states.entry(key).or_insert_with(|| event.previous.clone());
        }
        Ok(states)
    }
}
