//! Serving members again after it failed: an address may be taken, or a certificate not be there yet.

use std::time::Duration;

use kit::backoff::{Backoff, Retry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Waits before members are served again.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
/// Members that were served for so long are served again after the shortest wait.
const HEALTHY: Duration = Duration::from_secs(60);

/// Serves until `stop`. `consequence` is a sentence for the log about what does not work meanwhile.
pub async fn serve_again<F>(consequence: &str, stop: &CancellationToken, mut serve: impl FnMut() -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let mut retry = Retry::new(BACKOFF);
    while !stop.is_cancelled() {
        let began = Instant::now();
        let served = serve().await;
        if stop.is_cancelled() {
            return;
        }
        if began.elapsed() >= HEALTHY {
            retry.reset();
        }
        let wait = retry.failed();
        if let Err(reason) = served {
            tracing::warn!(failures = retry.failures(), "{reason} {consequence}");
        }
        stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_with_failures_in_a_row_and_begin_anew_after_a_healthy_time() {
        let stop = CancellationToken::new();
        let begins = RefCell::new(Vec::new());
        let lasts = |run: usize| if run == 8 { HEALTHY } else { Duration::ZERO };
        let serve = || {
            begins.borrow_mut().push(Instant::now());
            let run = begins.borrow().len() - 1;
            if run == 10 {
                stop.cancel();
            }
            async move {
                tokio::time::sleep(lasts(run)).await;
                Err("The address is taken.".to_owned())
            }
        };
        serve_again("No member can report.", &stop, serve).await;
        let begins = begins.into_inner();
        let waits: Vec<_> = (1..begins.len())
            .map(|run| begins[run] - begins[run - 1] - lasts(run - 1))
            .collect();
        assert_eq!(waits.len(), 10);
        assert!(waits[0] <= BACKOFF.base, "{waits:?}");
        assert!(waits[7] >= BACKOFF.max / 2, "{waits:?}");
        assert!(waits[8] <= BACKOFF.base, "{waits:?}");
    }
}
