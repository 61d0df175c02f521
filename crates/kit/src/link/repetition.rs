//! When the sender of a topic repeats: what was refused for now, and everything.

use std::time::Duration;

use fairway_core::link::outbox::{Outbox, Refused, Resume};
use fairway_core::link::{NackCode, Topic};
use rand::Rng as _;
use tokio::time::Instant;

use crate::backoff::Backoff;

/// Waits after the receiver could not carry out a change, where it names none.
const UNAVAILABLE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
/// Changes that all failed for want of an answer are repeated over this time.
const UNANSWERED_SPREAD: Duration = Duration::from_secs(1);
/// Whatever the other side says, no wait is longer than this.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The wait before what could not be carried out is tried again, after so many failures in a row. Who names a wait expects
/// the cause to pass, so that does not grow; but it is the same for many senders, and each adds a part of its own.
pub fn wait_to_repeat(named: Option<Duration>, failures: u32) -> Duration {
    match named {
        Some(wait) => wait.min(LONGEST_WAIT) + random_part(UNANSWERED_SPREAD),
        None => UNAVAILABLE.delay(failures),
    }
}

/// A fresh id of a full sync.
pub fn sync_id() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// What is to be repeated over one stream, and when.
#[derive(Debug, Default)]
pub struct Repetition {
    /// When everything is sent again, where that is yet to come.
    sync_at: Option<Instant>,
    /// When what the receiver could not carry out is sent again.
    release: Option<Instant>,
    failures: u32,
}

impl Repetition {
    /// The receiver has said how the topic goes on: with this number, or by a full sync. `spread` is the time over which
    /// full syncs are spread where many senders have to do with a new receiver; what has changed goes out at once.
    /// Returns the keys whose removal turns out to be done.
    pub fn connected<T: Topic>(
        &mut self,
        outbox: &mut Outbox<T>,
        next_seq: Option<u64>,
        window: u32,
        spread: Option<Duration>,
    ) -> Vec<T::Key> {
        let resume = match (next_seq, spread) {
            (Some(next_seq), _) => Resume::Continue { next_seq },
            (None, None) => Resume::FullSync { sync_id: sync_id() },
            (None, Some(spread)) => {
                self.sync_at = Some(Instant::now() + random_part(spread));
                Resume::ChangesFirst
            }
        };
        outbox.connected(resume, usize::try_from(window).unwrap_or(usize::MAX))
    }

    /// Everything up to this number is settled. Returns the keys whose removal is thereby done.
    pub fn acked<T: Topic>(&mut self, outbox: &mut Outbox<T>, seq: u64) -> Vec<T::Key> {
        // An acknowledgement follows each refusal as well; what waits to be sent again shows that there was one.
        if self.release.is_none() {
            self.failures = 0;
        }
        outbox.ack(seq)
    }

    /// A change is refused; `retry_after` is the wait that the receiver names, zero when it names none.
    pub fn refused<T: Topic>(
        &mut self,
        outbox: &mut Outbox<T>,
        seq: u64,
        code: NackCode,
        retry_after: Duration,
    ) -> Refused {
        let refused = outbox.nack(seq, code);
        if refused == Refused::Held {
            // What is refused while others wait goes out with them.
            if self.release.is_none() {
                self.failures = self.failures.saturating_add(1);
            }
            let named = (!retry_after.is_zero()).then_some(retry_after);
            let wait = wait_to_repeat(named, self.failures);
            self.release.get_or_insert(Instant::now() + wait);
        }
        refused
    }

    /// The receiver asks for everything again.
    pub fn asked_for_sync<T: Topic>(&mut self, outbox: &mut Outbox<T>, reason: &str) {
        tracing::info!(topic = T::NAME, reason, "The other side asks for a full sync.");
        // One that is yet to come is the one that is asked for.
        if self.sync_at.is_none() {
            outbox.start_sync(sync_id());
        }
    }

    /// When something is to be repeated.
    pub fn due(&self) -> Option<Instant> {
        self.release.into_iter().chain(self.sync_at).min()
    }

    /// Repeats what is due.
    pub fn act<T: Topic>(&mut self, outbox: &mut Outbox<T>) {
        let now = Instant::now();
        if self.release.take_if(|at| *at <= now).is_some() {
            outbox.release();
        }
        if self.sync_at.take_if(|at| *at <= now).is_some() {
            outbox.start_sync(sync_id());
        }
    }
}

fn random_part(of: Duration) -> Duration {
    of.mul_f64(rand::rng().random_range(0.0..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_for_want_of_an_answer_is_repeated_soon_however_often_it_failed() {
        let second = Duration::from_secs(1);
        for failures in [1, 100] {
            let wait = wait_to_repeat(Some(second), failures);
            assert!((second..second * 2).contains(&wait), "{wait:?}");
        }
        assert!(wait_to_repeat(None, 1) <= Duration::from_millis(200));
        assert!(
            wait_to_repeat(None, 100) >= second * 15,
            "anything else ever less often"
        );
    }
}
