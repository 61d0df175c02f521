//! A token bucket for requests.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Requests a second on average, and how many may go at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests a second; must be positive.
    pub qps: f64,
    /// Requests that may go without waiting after a quiet time.
    pub burst: u32,
}

/// The bucket. Each caller takes its place in line at once and then waits outside of the lock.
#[derive(Debug)]
pub struct Bucket {
    interval: Duration,
    slack: Duration,
    /// The time at which the bucket would be full again.
    full_at: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// Reads the way flags say it: a rate that is not positive means unlimited.
    pub fn from_flags(qps: f64, burst: u32) -> Option<Self> {
        (qps > 0.0).then_some(Self { qps, burst })
    }
}

impl Bucket {
    /// A full bucket.
    pub fn new(limit: RateLimit) -> Self {
        let interval = Duration::from_secs_f64(1.0 / limit.qps.max(0.001));
        Self {
            interval,
            slack: interval * limit.burst.max(1).saturating_sub(1),
            full_at: Mutex::new(None),
        }
    }

    /// Waits for a token.
    pub async fn take(&self) {
        let wait = self.reserve();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a token and answers how long to wait until it may be used.
    pub fn reserve(&self) -> Duration {
        let now = Instant::now();
        let mut full_at = self.full_at.lock();
        let turn = full_at.map_or(now, |at| at.max(now));
        *full_at = Some(turn + self.interval);
        turn.checked_sub(self.slack)
            .unwrap_or(now)
            .saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let bucket = Bucket::new(RateLimit { qps: 10.0, burst: 5 });
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..7 {
            bucket.take().await;
            waits.push(start.elapsed().as_millis());
        }
        assert_eq!(waits[..5], [0; 5]);
        assert!(
            (100..=102).contains(&waits[5]) && (200..=202).contains(&waits[6]),
            "{waits:?}"
        );
        tokio::time::advance(Duration::from_secs(10)).await;
        let later = Instant::now();
        for _ in 0..5 {
            bucket.take().await;
        }
        assert_eq!(later.elapsed(), Duration::ZERO);
    }

    #[test]
    fn no_rate_means_no_limit() {
        assert_eq!(RateLimit::from_flags(-1.0, 10), None);
        assert_eq!(RateLimit::from_flags(5.0, 10), Some(RateLimit { qps: 5.0, burst: 10 }));
    }
}
