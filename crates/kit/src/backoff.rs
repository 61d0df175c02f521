//! Exponential back-off with jitter.

use std::time::Duration;

use rand::Rng as _;

use crate::error::Error;

/// How long to wait before each further try: doubles from `base` up to `max`, of which a random half is taken off, so
/// that those who failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Longest wait before the first repetition.
    pub base: Duration,
    /// Longest wait ever.
    pub max: Duration,
}

impl Backoff {
    /// Waits between these two.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max }
    }

    /// For connections and watches: 200 ms to 30 s.
    pub const fn connection() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(30))
    }

    /// The wait after `failures` failures in a row (0 and 1 alike: the first).
    pub fn delay(&self, failures: u32) -> Duration {
        let full = self.full(failures);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    fn full(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }
}

/// Failures in a row of something that is tried again and again.
#[derive(Debug, Clone)]
pub struct Retry {
    backoff: Backoff,
    failures: u32,
}

impl Retry {
    /// Nothing has failed yet.
    pub const fn new(backoff: Backoff) -> Self {
        Self { backoff, failures: 0 }
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It failed once more. Answers how long to wait before the next try.
    pub fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.backoff.delay(self.failures)
    }

    /// It failed with this error: waits before the next try, at least as long as the server demands. Where no answer came,
    /// it waits until the server answers again ([`crate::reachability::Reachability::wait`]), and then begins anew.
    pub async fn pause(&mut self, error: &Error) {
        let wait = self.failed().max(error.retry_after().unwrap_or_default());
        if let Some(reachability) = error.reachability()
            && reachability.wait().await
        {
            return self.reset();
        }
        tokio::time::sleep(wait).await;
    }

    /// It went well: the next failure is the first one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_vary() {
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(60));
        let full: Vec<_> = [0, 1, 2, 3, 14, 15, 1000].map(|n| backoff.full(n).as_millis()).into();
        assert_eq!(full, [5, 5, 10, 20, 40960, 60000, 60000]);
        for _ in 0..100 {
            let delay = backoff.delay(3);
            assert!(
                delay >= Duration::from_millis(10) && delay <= Duration::from_millis(20),
                "{delay:?}"
            );
        }
    }
}
