//! What puts a key into a controller's queue.

use std::sync::Arc;
use std::time::Duration;

use api::resource::Resource;
use fairway_core::effects::Target;

use super::EchoFilter;
use crate::backoff::Backoff;
use crate::index::Change;
use crate::queue::Queue;

/// The queue of a controller, and the filter that keeps echoes of its own writes away from it. Clones share both.
pub struct Triggers<K> {
    queue: Queue<K>,
    echoes: Arc<EchoFilter>,
}

impl<K> Clone for Triggers<K> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            echoes: Arc::clone(&self.echoes),
        }
    }
}

impl<K: Ord + Clone + Send + 'static> Triggers<K> {
    /// Nothing to do yet; failing keys come again with this back-off.
    pub fn new(backoff: Backoff) -> Self {
        Self {
            queue: Queue::new(backoff),
            echoes: Arc::default(),
        }
    }

    /// The queue, for its workers and for metrics.
    pub fn queue(&self) -> &Queue<K> {
        &self.queue
    }

    /// The filter, for who writes on the controller's behalf.
    pub fn echoes(&self) -> &Arc<EchoFilter> {
        &self.echoes
    }

    /// A key is to be looked at, whoever has caused it.
    pub fn add(&self, key: K) {
        self.queue.add(key);
    }

    /// A key is to be looked at after a while.
    pub fn add_after(&self, key: K, wait: Duration) {
        self.queue.add_after(key, wait);
    }

    /// An object has changed that these keys depend on. When the change is the controller's own, its pass knows already.
    pub fn changed<T>(&self, resource: &Resource, change: &Change<T>, keys: impl IntoIterator<Item = K>) {
        let mut keys: Vec<K> = keys.into_iter().collect();
        keys.sort();
        keys.dedup();
        if keys.is_empty() {
            return;
        }
        if self.echoes.is_idle() {
            return keys.into_iter().for_each(|key| self.queue.add(key));
        }
        let target = Target::new(resource.clone(), change.key.namespace.as_deref(), &change.key.name);
        let queue = self.queue.clone();
        self.echoes.change(&target, &change.version, move || {
            keys.into_iter().for_each(|key| queue.add(key));
        });
    }
}
