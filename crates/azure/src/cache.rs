//! Values that are fetched once for all who ask at the same time, and kept for a while.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;

type Fetch<V, E> = Shared<BoxFuture<'static, Result<V, E>>>;

/// Values by key. One fetch for each key runs at a time; all who ask meanwhile get its result, also its error.
pub(crate) struct Cache<V: Clone, E: Clone> {
    slots: Mutex<BTreeMap<String, Slot<V, E>>>,
    /// More keys than this are not kept.
    bound: usize,
}

enum Slot<V: Clone, E: Clone> {
    Kept(V),
    /// A fetch, and the value that it replaces.
    Fetching(Fetch<V, E>, Option<V>),
}

impl<V, E> Cache<V, E>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            slots: Mutex::default(),
            bound,
        }
    }

    /// The value if it is still `good`, else what `fetch` brings. When that fails, a value that still `serves` is used.
    ///
    /// A fetch whose callers all have gone goes on when the next one asks.
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        key: &str,
        good: impl Fn(&V) -> bool,
        serves: impl Fn(&V) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> Result<V, E>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (running, old) = {
            let mut slots = self.slots.lock();
            let old = match slots.get(key) {
                Some(Slot::Kept(value)) if good(value) => return Ok(value.clone()),
                Some(Slot::Kept(value)) => Some(value.clone()),
                Some(Slot::Fetching(..)) | None => None,
            };
            match slots.get(key) {
                Some(Slot::Fetching(running, old)) => (running.clone(), old.clone()),
                _ => {
                    let running = fetch().boxed().shared();
                    if slots.len() >= self.bound && !slots.contains_key(key) {
                        slots.retain(|_, slot| matches!(slot, Slot::Kept(value) if good(value)));
                        if slots.len() >= self.bound {
                            slots.clear();
                        }
                    }
                    slots.insert(key.to_owned(), Slot::Fetching(running.clone(), old.clone()));
                    (running, old)
                }
            }
        };
        let result = running.clone().await;
        let mut slots = self.slots.lock();
        let is_ours = matches!(slots.get(key), Some(Slot::Fetching(other, _)) if other.ptr_eq(&running));
        if is_ours {
            match result.as_ref().ok().or(old.as_ref()) {
                Some(value) => slots.insert(key.to_owned(), Slot::Kept(value.clone())),
                None => slots.remove(key),
            };
        }
        drop(slots);
        match (result, old) {
            (Err(_), Some(old)) if serves(&old) => Ok(old),
            (result, _) => result,
        }
    }

    /// Forgets all values. Fetches that run are not kept either.
    pub(crate) fn clear(&self) {
        self.slots.lock().clear();
    }
}

impl<V: Clone, E: Clone> fmt::Debug for Cache<V, E> {
    /// The number of values only: they may be tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("slots", &self.slots.lock().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn cache() -> Arc<Cache<usize, String>> {
        Arc::new(Cache::new(2))
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_at_once_share_one_fetch_and_its_error() {
        let cache = cache();
        let fetches = Arc::new(AtomicUsize::new(0));
        let ask = |fails: bool| {
            let (cache, fetches) = (Arc::clone(&cache), Arc::clone(&fetches));
            async move {
                let fetch = || async move {
                    let count = fetches.fetch_add(1, Ordering::SeqCst) + 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if fails {
                        Err(format!("failure {count}"))
                    } else {
                        Ok(count)
                    }
                };
                cache.get("a", |_| true, |_| true, fetch).await
            }
        };
        let failures = futures::future::join_all((0..10).map(|_| ask(true))).await;
        assert_eq!(failures, vec![Err("failure 1".to_owned()); 10]);
        let values = futures::future::join_all((0..10).map(|_| ask(false))).await;
        assert_eq!(values, vec![Ok(2); 10], "a failure is not kept");
        assert_eq!(ask(false).await, Ok(2), "a value is");
        cache.clear();
        assert_eq!(ask(false).await, Ok(3));
    }

    #[tokio::test]
    async fn an_old_value_serves_when_a_new_one_cannot_be_had() {
        let cache = cache();
        let first = cache.get("a", |_| true, |_| true, || async { Ok(1) }).await;
        assert_eq!(first, Ok(1));
        let failed = || async { Err("gone".to_owned()) };
        assert_eq!(cache.get("a", |_| false, |_| true, failed).await, Ok(1));
        assert_eq!(
            cache.get("a", |_| false, |_| false, failed).await,
            Err("gone".to_owned())
        );
        assert_eq!(cache.get("a", |_| false, |_| true, || async { Ok(2) }).await, Ok(2));
    }

    #[tokio::test]
    async fn a_fetch_outlives_the_caller_that_began_it() {
        let cache = cache();
        let (send, receive) = tokio::sync::oneshot::channel::<usize>();
        let fetch = || async move { receive.await.map_err(|err| err.to_string()) };
        let first = cache.get("a", |_| true, |_| true, fetch);
        assert!(first.now_or_never().is_none(), "it waits, and is dropped");
        send.send(7).unwrap();
        let second = cache.get("a", |_| true, |_| true, || async { Ok(8) }).await;
        assert_eq!(second, Ok(7));
    }

    #[tokio::test]
    async fn keys_are_bounded() {
        let cache = cache();
        for key in 0..100_usize {
            let name = key.to_string();
            let value = cache.get(&name, |_| true, |_| true, move || async move { Ok(key) });
            assert_eq!(value.await, Ok(key));
            assert!(cache.slots.lock().len() <= 2);
        }
    }
}
