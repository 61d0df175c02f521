//! Members without a session: when one counts as lost (docs/decisions/0018).

use std::time::Duration;

use jiff::Timestamp;

use super::time::later;

/// A heartbeat that arrives within this time of the end of a session proves nothing: it may have been sent before, and a
/// member that is there has a session again by then.
const UNPROVEN: Duration = Duration::from_secs(10);
/// A member that sends heartbeats and has no session is lost when so many are missing.
const HEARTBEATS: u32 = 3;

/// A member without a session. All times are those of arrival at the hub, so the clocks of members do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// When the member was there last: its last message arrived, or its connection was closed.
    pub since: Timestamp,
    /// When its last heartbeat arrived, where one has come since.
    pub heartbeat: Option<Timestamp>,
    /// How long it may be silent.
    pub limit: Duration,
    /// The period of its heartbeats.
    pub heartbeat_period: Duration,
}

impl Silence {
    /// When the member counts as lost, unless it opens a session or a heartbeat comes until then.
    pub(super) fn lost_at(&self) -> Timestamp {
        let session = later(self.since, self.limit);
        let unproven = later(self.since, UNPROVEN);
        let heartbeat = self.heartbeat.filter(|heartbeat| *heartbeat > unproven);
        let allowed = self.heartbeat_period.saturating_mul(HEARTBEATS);
        heartbeat.map_or(session, |heartbeat| later(heartbeat, allowed).max(session))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn the_end_of_a_session_counts_until_a_heartbeat_shows_that_only_the_session_is_gone() {
        let fast = Duration::from_secs(2);
        let default = Duration::from_secs(40);
        let since = Timestamp::from_second(1_000_000).unwrap();
        let at = |milliseconds| since + SignedDuration::from_millis(milliseconds);
        for (what, limit, heartbeat, lost_at) in [
            ("no heartbeat", fast, None, 2_000),
            ("one that was delayed from before", fast, Some(-1_000), 2_000),
            ("one that was on its way when the member died", fast, Some(5), 2_000),
            ("one that is seen when the member is given up", fast, Some(1_900), 2_000),
            (
                "the overdue one of a member that was stopped and has no session yet",
                fast,
                Some(3_700),
                2_000,
            ),
            ("the last one that proves nothing", fast, Some(10_000), 2_000),
            ("the first one that proves something", fast, Some(10_001), 55_001),
            ("a later one", fast, Some(100_000), 145_000),
            ("too early, with long pings", default, Some(9_000), 40_000),
            (
                "before the member is lost, with long pings",
                default,
                Some(24_000),
                69_000,
            ),
            ("late, with long pings", default, Some(60_000), 105_000),
        ] {
            let silence = Silence {
                since,
                heartbeat: heartbeat.map(at),
                limit,
                heartbeat_period: Duration::from_secs(15),
            };
            assert_eq!(silence.lost_at(), at(lost_at), "{what}");
        }
    }

    #[test]
    fn short_heartbeats_never_make_a_member_lost_before_its_session_would() {
        let silence = Silence {
            since: Timestamp::UNIX_EPOCH,
            heartbeat: Some(Timestamp::from_second(11).unwrap()),
            limit: Duration::from_secs(40),
            heartbeat_period: Duration::from_secs(1),
        };
        assert_eq!(silence.lost_at(), Timestamp::from_second(40).unwrap());
    }
}
