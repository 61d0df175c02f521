//! What is to be sent about a topic, shared between who knows it and the stream over which it goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_core::link::Topic;
use fairway_core::link::outbox;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics;

/// The outbox of a topic for one receiver. It outlives streams.
pub struct Outbox<T: Topic> {
    inner: Mutex<outbox::Outbox<T>>,
    pub(super) changed: Notify,
}

impl<T: Topic> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl<T: Topic> Outbox<T> {
    /// The state of the key is this now. It goes out over the open stream, or over the next one.
    pub fn set(&self, key: T::Key, state: T::State) {
        self.change(|outbox| {
            outbox.set(key, state);
        });
    }

    /// The key is gone.
    pub fn remove(&self, key: T::Key, removal: T::Removal) {
        self.change(|outbox| outbox.remove(key, removal));
    }

    /// Whether the receiver has carried out or refused all that is to be sent.
    pub fn is_settled(&self) -> bool {
        self.with(|outbox| outbox.open().is_empty())
    }

    /// Changes something that may give rise to a message.
    fn change(&self, act: impl FnOnce(&mut outbox::Outbox<T>)) {
        self.with(act);
        self.changed.notify_one();
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut outbox::Outbox<T>) -> R) -> R {
        let mut inner = self.inner.lock();
        let before = inner.coalesced();
        let result = act(&mut inner);
        let coalesced = inner.coalesced() - before;
        if coalesced > 0
            && let Some(runtime) = metrics::runtime()
        {
            runtime.coalesced.with_label_values(&[T::NAME]).inc_by(coalesced);
        }
        result
    }
}

/// The outboxes of a topic for many receivers, by their names.
pub struct Outboxes<T: Topic>(Mutex<BTreeMap<String, Arc<Outbox<T>>>>);

impl<T: Topic> Default for Outboxes<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Topic> Outboxes<T> {
    /// The outbox for a receiver.
    pub fn of(&self, receiver: &str) -> Arc<Outbox<T>> {
        let mut all = self.0.lock();
        if let Some(known) = all.get(receiver) {
            return Arc::clone(known);
        }
        let new = Arc::<Outbox<T>>::default();
        all.insert(receiver.to_owned(), Arc::clone(&new));
        new
    }

    /// A receiver is gone for good.
    pub fn forget(&self, receiver: &str) {
        self.0.lock().remove(receiver);
    }

    /// Number of receivers.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}
