//! How fast the agent may call (networking 12.1): a call waits for its turn, it does not fail.

use kit::client::{Bucket, RateLimit};

/// Reads or writes; rates and throttling are kept apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallKind {
    /// GET and HEAD.
    Read,
    /// All others.
    Write,
}

/// Calls a second, and how many may go at once after a quiet time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// For GET and HEAD.
    pub read: RateLimit,
    /// For all others.
    pub write: RateLimit,
}

impl Default for Limits {
    /// Far below what Azure itself permits (networking 12.4).
    fn default() -> Self {
        let limit = RateLimit { qps: 10.0, burst: 20 };
        Self {
            read: limit,
            write: limit,
        }
    }
}

impl Limits {
    /// From the four numbers of a cloud config: rate and burst of reads, rate and burst of writes. What is absent is the
    /// default; writes follow reads.
    pub(crate) fn of([qps, burst, write_qps, write_burst]: [Option<f64>; 4]) -> Self {
        // Casts of floats saturate.
        let burst_of = |number: f64| number.ceil() as u32;
        let default = Self::default().read;
        let read = RateLimit {
            qps: qps.unwrap_or(default.qps),
            burst: burst.map_or(default.burst, burst_of),
        };
        let write = RateLimit {
            qps: write_qps.unwrap_or(read.qps),
            burst: write_burst.map_or(read.burst, burst_of),
        };
        Self { read, write }
    }
}

/// The turns of all calls of an agent.
#[derive(Debug)]
pub(crate) struct Turns(Option<(Bucket, Bucket)>);

impl Turns {
    pub(crate) fn new(limits: Option<Limits>) -> Self {
        Self(limits.map(|limits| (Bucket::new(limits.read), Bucket::new(limits.write))))
    }

    /// Waits until a call may be made.
    pub(crate) async fn take(&self, kind: CallKind) {
        match (&self.0, kind) {
            (Some((read, _)), CallKind::Read) => read.take().await,
            (Some((_, write)), CallKind::Write) => write.take().await,
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn reads_and_writes_wait_in_lines_of_their_own() {
        let turns = Turns::new(Some(Limits::default()));
        let start = Instant::now();
        for _ in 0..20 {
            turns.take(CallKind::Read).await;
            turns.take(CallKind::Write).await;
        }
        assert_eq!(start.elapsed().as_millis(), 0, "a burst of 20 each");
        turns.take(CallKind::Read).await;
        let one = start.elapsed().as_millis();
        assert!((100..105).contains(&one), "ten a second: {one}");
        turns.take(CallKind::Write).await;
        assert_eq!(start.elapsed().as_millis(), one, "a write did not wait for reads");
        let free = Turns::new(None);
        for _ in 0..1000 {
            free.take(CallKind::Write).await;
        }
        assert_eq!(start.elapsed().as_millis(), one);
    }

    #[test]
    fn writes_follow_reads_and_what_is_absent_is_the_default() {
        let limit = |qps, burst| RateLimit { qps, burst };
        assert_eq!(Limits::of([None; 4]), Limits::default());
        let some = Limits::of([Some(3.0), Some(6.0), None, Some(2.0)]);
        assert_eq!((some.read, some.write), (limit(3.0, 6), limit(3.0, 2)));
    }
}
