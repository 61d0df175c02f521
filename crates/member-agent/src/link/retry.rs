//! How long a member waits before it opens a session again.

use std::time::Duration;

use rand::Rng as _;

use super::ended::Cause;

/// A stream that lasted this long was healthy: the back-off starts anew.
const HEALTHY: Duration = Duration::from_secs(10);
/// Members that were all sent away at the same time do so over the first of these times, and over the second
/// when they were sent away again and again.
const SPREAD: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// Longest wait for a hub that is away: whether it is back costs one connection to find out, and users wait for it. Each
/// member takes a random part, so that not all come back at once.
const AWAY: Duration = Duration::from_millis(1500);
/// Longest wait where somebody says that there is no hub, or that it is not ready. It may be a proxy that answers for a
/// hub that is away, so whether that is back has to be found out within three seconds, the handshake included.
const UNAVAILABLE: Duration = Duration::from_millis(2500);
/// Longest wait for a hub that does not get so far as to say anything: each try costs it a handshake, and the whole fleet
/// may try.
const BUSY: Duration = Duration::from_secs(4);

/// Tries that failed in a row.
#[derive(Debug)]
pub(super) struct Retry {
    bounds: [Duration; 2],
    failures: u32,
}

impl Retry {
    /// Waits between the first and the longest of these for a hub that refuses this member.
    pub(super) fn new(bounds: [Duration; 2]) -> Self {
        Self { bounds, failures: 0 }
    }

    /// The wait after a try whose stream was open for so long. However long a try took, only an open stream says that the
    /// hub lets this member in.
    pub(super) fn after(&mut self, open: Option<Duration>, cause: Cause) -> Duration {
        self.failures = if open.is_some_and(|open| open >= HEALTHY) {
            1
        } else {
            self.failures.saturating_add(1)
        };
        match cause {
            Cause::Refused => jittered(self.exponential()),
            Cause::Away => jittered(self.exponential().min(AWAY)),
            Cause::Unavailable => jittered(self.exponential().min(UNAVAILABLE)),
            Cause::Busy => jittered(self.exponential().min(BUSY)),
            // A hub that names a wait can be reached, so the wait hardly grows; but many members get the same one, and
            // each adds a part of its own.
            Cause::ComeBack(least) => {
                let [narrow, wide] = SPREAD;
                let spread = self.exponential().clamp(narrow, wide);
                least + spread.mul_f64(rand::rng().random_range(0.0..1.0))
            }
        }
    }

    fn exponential(&self) -> Duration {
        let [first, longest] = self.bounds;
        let doublings = self.failures.saturating_sub(1).min(10);
        first.saturating_mul(1 << doublings).min(longest)
    }
}

/// Full jitter: anything up to the whole wait, but never at once.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.1..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

    fn after(failures: u32, open: Option<Duration>, cause: Cause) -> (Duration, u32) {
        let mut retry = Retry::new(BOUNDS);
        retry.failures = failures;
        (retry.after(open, cause), retry.failures)
    }

    #[test]
    fn only_a_stream_that_was_open_for_a_while_resets_the_back_off() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let failures = |open| after(5, open, Cause::Refused).1;
        assert_eq!(failures(None), 6, "a hub that refuses is asked ever less often");
        assert_eq!(failures(seconds(9)), 6);
        assert_eq!(failures(seconds(10)), 1);
    }

    #[test]
    fn waits_for_a_hub_that_refuses_double_up_to_the_longest_and_take_a_random_part() {
        for (failures, most) in [(0, 500), (1, 1000), (4, 8000), (6, 30_000), (4_000_000, 30_000)] {
            let most = Duration::from_millis(most);
            for _ in 0..50 {
                let (wait, _) = after(failures, None, Cause::Refused);
                assert!(wait <= most && wait >= most / 10, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn a_hub_that_is_away_is_looked_for_often_and_not_by_all_at_once() {
        let waits: Vec<_> = (0..50).map(|_| after(1000, None, Cause::Away).0).collect();
        assert!(waits.iter().all(|wait| *wait <= AWAY), "{waits:?}");
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*most - *least > AWAY / 4, "{waits:?}");
        for (cause, longest) in [(Cause::Unavailable, UNAVAILABLE), (Cause::Busy, BUSY)] {
            assert!((0..50).all(|failures| after(failures, None, cause).0 <= longest));
        }
    }

    #[test]
    fn members_that_are_given_the_same_wait_do_not_come_back_together() {
        let second = Duration::from_secs(1);
        let given = |failures, wait| after(failures, None, Cause::ComeBack(wait)).0;
        let waits: Vec<Duration> = (0..50).map(|_| given(0, second)).collect();
        assert!(
            waits.iter().all(|wait| (second..second * 2).contains(wait)),
            "{waits:?}"
        );
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*most - *least > second / 4, "{waits:?}");
        let half_a_minute = given(0, second * 30);
        assert!(
            (second * 30..=second * 31).contains(&half_a_minute),
            "{half_a_minute:?}"
        );
        // A member that is sent to another replica again and again connects soon after one leads.
        let late: Vec<Duration> = (0..50).map(|_| given(20, second)).collect();
        assert!(late.iter().all(|wait| (second..second * 5).contains(wait)), "{late:?}");
    }
}
