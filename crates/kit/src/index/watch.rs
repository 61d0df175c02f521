//! The part of an index that is the same whatever its objects are kept as.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use serde_json::Value;
use tokio::sync::{Notify, watch as changes};

use super::liveness::Tracker;
use super::position::Position;
use super::unreadable::UnreadableSet;
use super::{Origin, Scope, WentBack};
use crate::resource::{ObjectKey, Resource};

/// How an API is followed, and how far.
pub(super) struct Watch {
    pub(super) resource: Resource,
    pub(super) scope: Scope,
    /// Whether the decoder wants to see managed fields.
    pub(super) managers: bool,
    pub(super) went_back: Vec<WentBack>,
    pub(super) synced: changes::Sender<bool>,
    pub(super) revision: changes::Sender<u64>,
    pub(super) lists: AtomicU64,
    pub(super) liveness: Tracker,
    pub(super) position: Position,
    /// Notified when an answer proves that the server has gone back.
    pub(super) disproved: Notify,
    pub(super) unreadable: UnreadableSet,
}

/// The objects that a watch keeps up to date. The code of the watch exists once, not once for each type of object.
pub(super) trait Objects: Send + Sync {
    /// A list is about to be requested. `went_back` says whether the server's history is known to have gone back.
    fn begin_list(&self, went_back: bool);

    /// The list proves that the server's history has gone back.
    fn go_back(&self);

    /// The list is over. Answers whether the server's history has gone back.
    fn end_list(&self) -> bool;

    /// Removes the objects that a complete list of `version` should have held but did not.
    fn drop_missed(&self, seen: &BTreeSet<ObjectKey>, version: &str);

    /// Stores an object unless something newer is known, and notifies the handlers.
    ///
    /// # Errors
    /// When the object cannot be read; it is noted as unreadable then.
    fn put(&self, object: Value, source: Source) -> Result<(), String>;

    /// Takes in from the watch that an incarnation is gone.
    fn deleted(&self, key: &ObjectKey, uid: &str, version: &str);
}

/// Where an object comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The answer to a write of ours.
    Answer,
    /// A watch.
    Watch,
    /// A list.
    List,
}

impl Source {
    /// As the handlers of changes see it.
    pub(super) fn origin(self) -> Origin {
        match self {
            Self::Answer => Origin::Fold,
            Self::Watch | Self::List => Origin::Watch,
        }
    }
}

impl Watch {
    pub(super) fn new(resource: Resource, scope: Scope, managers: bool, went_back: Vec<WentBack>) -> Self {
        Self {
            liveness: Tracker::new(resource.qualified()),
            unreadable: UnreadableSet::new(resource.clone()),
            resource,
            scope,
            managers,
            went_back,
            synced: changes::Sender::new(false),
            revision: changes::Sender::new(0),
            lists: AtomicU64::new(0),
            position: Position::default(),
            disproved: Notify::new(),
        }
    }

    /// Whether the first list is complete.
    pub(super) fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }
}
