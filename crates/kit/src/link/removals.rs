//! The removals at the end of a full sync.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::time::Instant;

/// Removals at a time.
const AT_ONCE: usize = 16;
/// Time in which removals are begun; the next full sync takes up what is left.
const WITHIN: Duration = Duration::from_secs(60);

/// Removes what is recorded of these keys, until `ends` says that nothing more is to be begun, or a minute has passed.
/// `remove` says whether it has succeeded, and has a deadline of its own. Returns whether all are gone.
pub async fn remove_all<K, F>(keys: BTreeSet<K>, ends: impl Fn() -> bool, remove: impl Fn(K) -> F) -> bool
where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + WITHIN;
    let (ends, remove) = (&ends, &remove);
    let removals =
        stream::iter(keys).map(|key| async move { !ends() && Instant::now() < deadline && remove(key).await });
    removals
        .buffer_unordered(AT_ONCE)
        .fold(true, |all, one| std::future::ready(all & one))
        .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn removals_end_after_a_minute_and_what_is_left_is_reported() {
        let second = Duration::from_secs(1);
        let removed = AtomicUsize::new(0);
        let (removed, began) = (&removed, Instant::now());
        let slow = |_| async move {
            tokio::time::sleep(5 * second).await;
            removed.fetch_add(1, Ordering::Relaxed);
            true
        };
        assert!(remove_all((0..100).collect(), || false, slow).await, "in time");
        assert_eq!(removed.swap(0, Ordering::Relaxed), 100);
        assert!(began.elapsed() < WITHIN);

        let began = Instant::now();
        assert!(!remove_all((0..1000).collect(), || false, slow).await);
        let took = began.elapsed();
        assert!((WITHIN..=WITHIN + 5 * second).contains(&took), "{took:?}");
        assert_eq!(removed.swap(0, Ordering::Relaxed), AT_ONCE * 12, "none is begun later");

        let began = Instant::now();
        let ends = || began.elapsed() >= 10 * second;
        assert!(!remove_all((0..1000).collect(), ends, slow).await);
        assert_eq!(
            (began.elapsed(), removed.load(Ordering::Relaxed)),
            (10 * second, AT_ONCE * 2)
        );
        assert!(!remove_all([1, 2].into(), || false, |key| async move { key == 1 }).await);
    }
}
