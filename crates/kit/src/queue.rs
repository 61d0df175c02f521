//! A deduplicating, delaying work queue.
//!
//! Keys are worked on in the order they came, each by one worker at a time. A key that is added while it is worked on
//! comes again afterwards, once. Of two times at which a key should come, the earlier one wins. The queue holds each
//! key at most once, so it is bounded by the number of objects there are.
//!
//! Keys that failed while a server could not be reached come again as soon as it answers
//! ([`Queue::retry_after_outages_of`]), whatever back-off they had come to.
//!
//! A queue made by [`Queue::by_priority`] hands out keys of a higher priority first, and those of one priority in the
//! order they came. A key that is added again keeps the higher of its priorities.
//!
//! [`work`] hands the keys out. A key that ends the queue's rest is handed out a moment later, so that one pass answers all
//! updates that arrive together.

mod outages;
mod work;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::reachability::Reachability;
pub use work::work;

/// A handle to the queue; clones share it.
pub struct Queue<K> {
    inner: Arc<Inner<K>>,
}

/// Priority of keys that are added without one.
pub const USUAL: i32 = 0;

/// Priority of a key that comes again because time has passed ([`Action::After`]): nobody waits for it.
const PERIODIC: i32 = -1;

struct Inner<K> {
    backoff: Backoff,
    by_priority: bool,
    state: Mutex<State<K>>,
    notify: Notify,
    /// After whose outages what failed meanwhile is tried again at once.
    servers: Mutex<Vec<Reachability>>,
}

struct State<K> {
    /// By priority, and in the order in which they came.
    ready: BTreeMap<(Reverse<i32>, u64), K>,
    /// Where each key is in `ready`.
    waiting: BTreeMap<K, (Reverse<i32>, u64)>,
    /// Number of the next key that becomes ready.
    next: u64,
    active: BTreeSet<K>,
    /// Keys that came again while active, with their priorities.
    again: BTreeMap<K, i32>,
    due: BTreeMap<K, (Instant, i32)>,
    by_time: BTreeSet<(Instant, K)>,
    failures: BTreeMap<K, Failed>,
    closed: bool,
}

/// Failures in a row of a key.
struct Failed {
    count: u32,
    /// When it failed last.
    at: Instant,
    /// Whether the server has said when to come again.
    is_told_when: bool,
}

/// What the work on a key came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing more to do until the key is added again.
    Done,
    /// All well; the next turn is after this time at the latest, and after everything that somebody waits for.
    After(Duration),
    /// It could not be worked on yet: come again after this time, as important as it was.
    NotYet(Duration),
    /// It failed: come again after the key's back-off.
    Retry,
    /// It failed and the server demanded to wait at least this long.
    RetryAfter(Duration),
}

/// A key to work on. Dropping it without [`Task::done`] counts as a failure, so a panicking worker loses no key.
pub struct Task<K: Ord + Clone> {
    queue: Queue<K>,
    key: K,
    priority: i32,
    outcome: Action,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K: Ord + Clone> Queue<K> {
    /// An empty queue, first in, first out.
    pub fn new(backoff: Backoff) -> Self {
        Self::made(backoff, false)
    }

    /// An empty queue that heeds priorities.
    pub fn by_priority(backoff: Backoff) -> Self {
        Self::made(backoff, true)
    }

    fn made(backoff: Backoff, by_priority: bool) -> Self {
        let state = State {
            ready: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next: 0,
            active: BTreeSet::new(),
            again: BTreeMap::new(),
            due: BTreeMap::new(),
            by_time: BTreeSet::new(),
            failures: BTreeMap::new(),
            closed: false,
        };
        Self {
            inner: Arc::new(Inner {
                backoff,
                by_priority,
                state: Mutex::new(state),
                notify: Notify::new(),
                servers: Mutex::default(),
            }),
        }
    }

    /// Adds a key to be worked on now.
    pub fn add(&self, key: K) {
        self.add_with(key, USUAL);
    }

    /// Adds a key to be worked on now, before keys of lower priority.
    pub fn add_with(&self, key: K, priority: i32) {
        let priority = self.inner.level(priority);
        if self.inner.state.lock().add(key, priority) {
            self.inner.notify.notify_one();
        }
    }

    /// Adds a key to be worked on after a while, or earlier if it was to come earlier anyway.
    pub fn add_after(&self, key: K, wait: Duration) {
        if wait.is_zero() {
            return self.add(key);
        }
        let at = Instant::now() + wait;
        if self.inner.state.lock().delay(key, at, USUAL) {
            // Workers that wait are woken for a closer deadline.
            self.inner.notify.notify_one();
        }
    }

    /// Failures in a row of a key that is being retried.
    pub fn failures(&self, key: &K) -> u32 {
        self.inner
            .state
            .lock()
            .failures
            .get(key)
            .map_or(0, |failed| failed.count)
    }

    /// Keys that wait to be worked on now.
    pub fn len(&self) -> usize {
        self.inner.state.lock().ready.len()
    }

    /// Whether nothing waits to be worked on now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing is worked on or waits to be worked on now; delayed keys do not count.
    pub fn is_idle(&self) -> bool {
        let state = self.inner.state.lock();
        state.ready.is_empty() && state.active.is_empty()
    }

    /// Hands out no more keys; [`Queue::next`] answers `None`.
    pub fn close(&self) {
        self.inner.state.lock().closed = true;
        self.inner.notify.notify_waiters();
        self.inner.notify.notify_one();
    }

    /// Waits for a key. `None` once the queue is closed.
    pub async fn next(&self) -> Option<Task<K>> {
        loop {
            self.ready().await;
            let mut state = self.inner.state.lock();
            if state.closed {
                // Pass it on, so that every worker is woken.
                self.inner.notify.notify_one();
                return None;
            }
            if let Some(((Reverse(priority), _), key)) = state.ready.pop_first() {
                state.waiting.remove(&key);
                state.active.insert(key.clone());
                if !state.ready.is_empty() {
                    self.inner.notify.notify_one();
                }
                return Some(Task {
                    queue: self.clone(),
                    key,
                    priority,
                    outcome: Action::Retry,
                });
            }
        }
    }

    /// Waits until a key waits to be worked on now, or the queue is closed.
    async fn ready(&self) {
        loop {
            let notified = self.inner.notify.notified();
            let deadline = {
                let mut state = self.inner.state.lock();
                state.promote(Instant::now());
                if state.closed || !state.ready.is_empty() {
                    return;
                }
                state.by_time.first().map(|(at, _)| *at)
            };
            match deadline {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, notified).await;
                }
                None => notified.await,
            }
        }
    }

    fn finish(&self, key: K, priority: i32, outcome: Action) {
        let mut state = self.inner.state.lock();
        state.active.remove(&key);
        let next = match outcome {
            Action::Done | Action::After(_) | Action::NotYet(_) => {
                state.failures.remove(&key);
                match outcome {
                    Action::After(wait) => Some((wait, self.inner.level(PERIODIC))),
                    Action::NotYet(wait) => Some((wait, priority)),
                    _ => None,
                }
            }
            Action::Retry | Action::RetryAfter(_) => {
                let before = state.failures.get(&key).map_or(0, |failed| failed.count);
                let failed = Failed {
                    count: before.saturating_add(1),
                    at: Instant::now(),
                    is_told_when: matches!(outcome, Action::RetryAfter(_)),
                };
                let delay = self.inner.backoff.delay(failed.count);
                state.failures.insert(key.clone(), failed);
                let least = match outcome {
                    Action::RetryAfter(least) => least,
                    _ => Duration::ZERO,
                };
                Some((delay.max(least), priority))
            }
        };
        if let Some(again) = state.again.remove(&key) {
            state.add(key, again);
        } else if let Some((wait, priority)) = next {
            state.delay(key, Instant::now() + wait, priority);
        }
        drop(state);
        self.inner.notify.notify_one();
    }
}

impl<K> Inner<K> {
    /// The priority that counts in this queue.
    fn level(&self, priority: i32) -> i32 {
        if self.by_priority { priority } else { USUAL }
    }
}

impl<K: Ord + Clone> State<K> {
    /// Whether there is something new to hand out.
    fn add(&mut self, key: K, priority: i32) -> bool {
        if self.closed {
            return false;
        }
        let priority = self.forget_time(&key).map_or(priority, |known| known.max(priority));
        if self.active.contains(&key) {
            let again = self.again.entry(key).or_insert(priority);
            *again = priority.max(*again);
            return false;
        }
        if self.waiting.contains_key(&key) {
            self.raise(&key, priority);
            return false;
        }
        let position = (Reverse(priority), self.next);
        self.next += 1;
        self.waiting.insert(key.clone(), position);
        self.ready.insert(position, key);
        true
    }

    /// Whether the closest deadline changed.
    fn delay(&mut self, key: K, at: Instant, priority: i32) -> bool {
        if self.closed {
            return false;
        }
        if self.waiting.contains_key(&key) {
            self.raise(&key, priority);
            return false;
        }
        if let Some(again) = self.again.get_mut(&key) {
            *again = priority.max(*again);
            return false;
        }
        if let Some((known, level)) = self.due.get_mut(&key) {
            *level = priority.max(*level);
            if *known <= at {
                return false;
            }
        }
        let priority = self.forget_time(&key).unwrap_or(priority);
        self.due.insert(key.clone(), (at, priority));
        self.by_time.insert((at, key));
        self.by_time.first().is_some_and(|(first, _)| *first == at)
    }

    /// Makes a waiting key as important as this, if it was less; among equals it keeps its turn.
    fn raise(&mut self, key: &K, priority: i32) {
        let Some(position) = self.waiting.get_mut(key) else {
            return;
        };
        if Reverse(priority) < position.0
            && let Some(key) = self.ready.remove(position)
        {
            position.0 = Reverse(priority);
            self.ready.insert(*position, key);
        }
    }

    /// Forgets when a key should come; answers its priority.
    fn forget_time(&mut self, key: &K) -> Option<i32> {
        let (at, priority) = self.due.remove(key)?;
        self.by_time.remove(&(at, key.clone()));
        Some(priority)
    }

    /// Moves what is due to where it is handed out.
    fn promote(&mut self, now: Instant) {
        while let Some((at, key)) = self.by_time.first().cloned() {
            if at > now {
                break;
            }
            let Some(priority) = self.forget_time(&key) else {
                break;
            };
            self.add(key, priority);
        }
    }
}

impl<K: Ord + Clone> Task<K> {
    /// The key to work on.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Gives the key back.
    pub fn done(mut self, outcome: Action) {
        self.outcome = outcome;
    }
}

impl<K: Ord + Clone> Drop for Task<K> {
    fn drop(&mut self) {
        self.queue.finish(self.key.clone(), self.priority, self.outcome);
    }
}

#[cfg(test)]
mod tests;
