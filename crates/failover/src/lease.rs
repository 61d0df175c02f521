//! The arithmetic of leases and fences (multicluster-failover B.6).
//!
//! Everything is rounded so that a leader stops before its voters let go, and a successor waits longer than the old
//! side needs.

use std::time::Duration;

use crate::time::Time;

/// By how many percent the rate of a member's clock may be wrong (the drift bound rho).
pub const DRIFT_PERCENT: u32 = 1;

/// What a leader subtracts from every window besides the drift.
pub const MARGIN: Duration = Duration::from_millis(500);

/// Until when an acknowledgement of a renewal that was sent at `sent` lets the leader lead.
///
/// `sent` is taken before the first byte leaves. `lease * (1 - rho) / (1 + rho) - margin` covers a slow clock of the
/// leader and a fast one of the voter at once.
pub fn window(sent: Time, lease: Duration) -> Time {
    sent + (lease / (100 + DRIFT_PERCENT) * (100 - DRIFT_PERCENT)).saturating_sub(MARGIN)
}

/// Until when a leader leads in a set of `voters`, itself among them, given the windows of the *other* voters.
///
/// Its own vote is free, so the `voters / 2`-th largest of the others' windows completes the majority.
pub fn valid_until(mut windows: Vec<Time>, voters: usize) -> Time {
    let needed = voters / 2;
    if needed == 0 {
        return Time::NEVER;
    }
    windows.sort_unstable_by(|a, b| b.cmp(a));
    windows.get(needed - 1).copied().unwrap_or(Time::START)
}

/// Until when a voter that accepts a renewal or grants a vote at `accepted` supports nobody else.
pub fn promise(accepted: Time, lease: Duration) -> Time {
    accepted + lease
}

/// How long a successor waits so that a cluster which needs `fence` to remove the payload has done so, whichever of
/// the two clocks is wrong: `fence * (1 + rho) / (1 - rho)`, rounded up.
pub fn fence_wait(fence: Duration) -> Duration {
    // Dividing first loses less than one nanosecond per percent; one microsecond more than makes up for it.
    match fence.is_zero() {
        true => Duration::ZERO,
        false => fence / (100 - DRIFT_PERCENT) * (100 + DRIFT_PERCENT) + Duration::from_micros(1),
    }
}

/// Whether a write that may take `timeout` may still be sent at `now`: it has to end before the lease does.
pub fn may_write(valid_until: Time, now: Time, timeout: Duration) -> bool {
    valid_until.since(now) > timeout
}

/// The default time-out of a write of the payload: a fixed five seconds would never fit into a lease of five.
pub fn write_timeout(lease: Duration) -> Duration {
    (lease / 3).min(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    const fn at(n: u64) -> Time {
        Time::after_start(secs(n))
    }

    #[test]
    fn a_leader_stops_before_its_voters_let_go_whatever_the_clocks_do() {
        for lease in [5, 15, 300] {
            let lease = secs(lease);
            let own = window(at(100), lease).since(at(100));
            // True time that passes while a slow leader's clock shows `own`, and while a fast voter's shows the lease.
            let leader = own.as_secs_f64() / 0.99;
            let voter = promise(at(100), lease).since(at(100)).as_secs_f64() / 1.01;
            assert!(leader + 0.4 < voter, "{lease:?}: {leader} is not before {voter}");
        }
    }

    #[test]
    fn a_successor_waits_longer_than_the_fence_whatever_the_clocks_do() {
        for fence in [10, 35, 300] {
            let wait = fence_wait(secs(fence)).as_secs_f64() / 1.01;
            let removal = secs(fence).as_secs_f64() / 0.99;
            assert!(wait >= removal, "{fence}: {wait} is shorter than {removal}");
        }
        assert_eq!(fence_wait(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_majority_of_voters_carries_the_lease() {
        for (others, voters, until) in [
            (vec![], 1, Time::NEVER),
            (vec![at(7)], 2, at(7)),
            (vec![at(7), at(9)], 3, at(9)),
            (vec![at(7)], 3, at(7)),
            (vec![], 3, Time::START),
            (vec![at(7), at(9), at(8)], 4, at(8)),
            (vec![at(7), at(9), at(8), at(1)], 5, at(8)),
            (vec![at(9)], 5, Time::START),
        ] {
            assert_eq!(valid_until(others.clone(), voters), until, "{others:?} of {voters}");
        }
    }

    #[test]
    fn a_write_is_sent_only_when_it_ends_within_the_lease() {
        assert!(may_write(at(10), at(4), secs(5)));
        assert!(!may_write(at(10), at(5), secs(5)));
        assert!(!may_write(at(10), at(11), secs(5)));
        assert_eq!(write_timeout(secs(15)), secs(5));
        assert_eq!(write_timeout(secs(6)), secs(2));
    }
}
