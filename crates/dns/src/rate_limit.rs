//! The limit of responses per client network: who sends queries with somebody else's address gets nothing forwarded
//! to them but a trickle.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use parking_lot::Mutex;

/// How many responses over UDP go to one client network.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// Responses per second and kind of response, on average. 0 turns the limit off.
    pub responses_per_second: u32,
    /// How many seconds' worth of responses a network that was quiet gets at once.
    pub burst_seconds: u32,
    /// Of the responses above the limit every n-th is sent without records and marked as truncated, so that a real
    /// client comes back over TCP. 1: all of them, 0: none.
    pub slip: u32,
    /// Length of the prefix that makes an IPv4 client network.
    pub ipv4_prefix: u8,
    /// Length of the prefix that makes an IPv6 client network.
    pub ipv6_prefix: u8,
    /// Networks without a limit.
    pub exempt: Vec<IpNet>,
    /// How many networks and kinds of responses are remembered; those that were quiet longest are forgotten.
    pub table_size: usize,
}

impl Default for RateLimit {
    /// 1000 responses per second and network, two seconds at once, every second one above the limit truncated, no
    /// limit for loopback addresses.
    fn default() -> Self {
        Self {
            responses_per_second: 1000,
            burst_seconds: 2,
            slip: 2,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            exempt: vec![
                IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
            ],
            table_size: 1 << 16,
        }
    }
}

/// Kinds of responses, each with a limit of its own: a flood of random names does not use up what names that exist
/// may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// With records.
    Positive,
    /// The name does not exist, or has no records of the type.
    Negative,
    /// Anything else.
    Error,
}

/// What is to be done with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it.
    Send,
    /// Send it without records, marked as truncated.
    Truncate,
    /// Do not send it.
    Drop,
}

/// The state of a [`RateLimit`], shared by all sockets. Its size is fixed: a table of small groups of entries.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    hasher: RandomState,
    groups: Box<[Mutex<Group>]>,
}

/// How many entries one place of the table has.
const WAYS: usize = 8;
/// Tokens are counted in thousandths: at one response per second one is earned per millisecond.
const TOKEN: u64 = 1000;

type Group = [Entry; WAYS];

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Hash of network and kind; 0 if the entry is free.
    key: u64,
    /// When it was used last, in milliseconds.
    used: u64,
    tokens: u64,
    /// Responses above the limit so far.
    above: u32,
}

impl RateLimiter {
    /// A limiter that has not seen anybody.
    pub fn new(limit: RateLimit) -> Self {
        let groups = (limit.table_size / WAYS).max(1);
        let groups = if limit.responses_per_second == 0 { 0 } else { groups };
        Self {
            limit,
            hasher: RandomState::new(),
            groups: (0..groups).map(|_| Mutex::default()).collect(),
        }
    }

    /// Decides about one response and counts it. `now` is the time since any fixed moment.
    pub fn check(&self, client: IpAddr, kind: Kind, now: Duration) -> Decision {
        let client = client.to_canonical();
        if self.groups.is_empty() || self.limit.exempt.iter().any(|network| network.contains(&client)) {
            return Decision::Send;
        }
        let key = self.hasher.hash_one((self.network(client), kind)).max(1);
        let Some(group) = self.groups.get((key % self.groups.len() as u64) as usize) else {
            return Decision::Send;
        };
        let now = now.as_millis() as u64;
        let full = u64::from(self.limit.responses_per_second) * TOKEN * u64::from(self.limit.burst_seconds.max(1));
        let mut group = group.lock();
        let known = group.iter().position(|entry| entry.key == key);
        let oldest = || {
            group
                .iter()
                .enumerate()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(index, _)| index)
        };
        let Some(entry) = known.or_else(oldest).and_then(|index| group.get_mut(index)) else {
            return Decision::Send;
        };
        if entry.key != key {
            *entry = Entry {
                key,
                used: now,
                tokens: full,
                above: 0,
            };
        }
        let earned = now
            .saturating_sub(entry.used)
            .saturating_mul(u64::from(self.limit.responses_per_second));
        entry.tokens = entry.tokens.saturating_add(earned).min(full);
        entry.used = entry.used.max(now);
        if let Some(left) = entry.tokens.checked_sub(TOKEN) {
            entry.tokens = left;
            return Decision::Send;
        }
        entry.above = entry.above.wrapping_add(1);
        match self.limit.slip {
            0 => Decision::Drop,
            slip if entry.above.is_multiple_of(slip) => Decision::Truncate,
            _ => Decision::Drop,
        }
    }

    fn network(&self, client: IpAddr) -> IpAddr {
        let prefix = match client {
            IpAddr::V4(_) => self.limit.ipv4_prefix.min(32),
            IpAddr::V6(_) => self.limit.ipv6_prefix.min(128),
        };
        IpNet::new(client, prefix).map_or(client, |network| network.network())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(change: impl FnOnce(&mut RateLimit)) -> RateLimiter {
        let mut limit = RateLimit {
            responses_per_second: 10,
            burst_seconds: 1,
            ..RateLimit::default()
        };
        change(&mut limit);
        RateLimiter::new(limit)
    }

    /// The decisions about a number of responses at one time.
    fn decisions(limiter: &RateLimiter, client: &str, kind: Kind, at: u64, count: usize) -> Vec<Decision> {
        let client = client.parse().unwrap();
        (0..count)
            .map(|_| limiter.check(client, kind, Duration::from_millis(at)))
            .collect()
    }

    fn sent(decisions: &[Decision]) -> usize {
        decisions.iter().filter(|decision| **decision == Decision::Send).count()
    }

    #[test]
    fn a_network_gets_its_burst_and_then_its_rate() {
        let limiter = limiter(|_| {});
        assert_eq!(sent(&decisions(&limiter, "192.0.2.1", Kind::Positive, 0, 15)), 10);
        // Another address of the same network; another network; another kind.
        assert_eq!(sent(&decisions(&limiter, "192.0.2.200", Kind::Positive, 0, 5)), 0);
        assert_eq!(sent(&decisions(&limiter, "192.0.3.1", Kind::Positive, 0, 15)), 10);
        assert_eq!(sent(&decisions(&limiter, "192.0.2.1", Kind::Negative, 0, 15)), 10);
        assert_eq!(sent(&decisions(&limiter, "192.0.2.1", Kind::Positive, 300, 15)), 3);
        // What is not used does not add up beyond the burst.
        assert_eq!(sent(&decisions(&limiter, "192.0.2.1", Kind::Positive, 60_000, 15)), 10);
    }

    #[test]
    fn ipv6_clients_are_counted_by_their_network_and_mapped_ones_as_ipv4() {
        let limiter = limiter(|_| {});
        assert_eq!(sent(&decisions(&limiter, "2001:db8::1", Kind::Positive, 0, 15)), 10);
        assert_eq!(sent(&decisions(&limiter, "2001:db8:0:ff::1", Kind::Positive, 0, 15)), 0);
        assert_eq!(
            sent(&decisions(&limiter, "2001:db8:0:100::1", Kind::Positive, 0, 15)),
            10
        );
        assert_eq!(
            sent(&decisions(&limiter, "::ffff:192.0.2.1", Kind::Positive, 0, 15)),
            10
        );
        assert_eq!(sent(&decisions(&limiter, "192.0.2.2", Kind::Positive, 0, 15)), 0);
    }

    #[test]
    fn some_responses_above_the_limit_are_truncated() {
        for (slip, expected) in [
            (0, [Decision::Drop; 4]),
            (1, [Decision::Truncate; 4]),
            (
                2,
                [Decision::Drop, Decision::Truncate, Decision::Drop, Decision::Truncate],
            ),
        ] {
            let limiter = limiter(|limit| limit.slip = slip);
            let decisions = decisions(&limiter, "192.0.2.1", Kind::Error, 0, 14);
            assert_eq!(decisions[10..], expected, "slip {slip}");
        }
    }

    #[test]
    fn exempt_networks_and_a_rate_of_zero_have_no_limit() {
        let limiter_on = limiter(|limit| limit.exempt.push("198.51.100.0/24".parse().unwrap()));
        for client in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "198.51.100.7"] {
            assert_eq!(
                sent(&decisions(&limiter_on, client, Kind::Positive, 0, 50)),
                50,
                "{client}"
            );
        }
        let limiter_off = limiter(|limit| limit.responses_per_second = 0);
        assert_eq!(
            sent(&decisions(&limiter_off, "192.0.2.1", Kind::Positive, 0, 5000)),
            5000
        );
    }

    #[test]
    fn a_full_table_forgets_who_was_quiet_longest() {
        let limiter = limiter(|limit| limit.table_size = WAYS);
        for network in 0..20 {
            let client = format!("10.0.{network}.1");
            assert_eq!(sent(&decisions(&limiter, &client, Kind::Positive, network, 15)), 10);
        }
        assert_eq!(
            sent(&decisions(&limiter, "10.0.19.1", Kind::Positive, 20, 5)),
            0,
            "just seen"
        );
        assert_eq!(
            sent(&decisions(&limiter, "10.0.0.1", Kind::Positive, 20, 15)),
            10,
            "forgotten"
        );
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let limiter = limiter(|_| {});
        assert_eq!(sent(&decisions(&limiter, "192.0.2.1", Kind::Positive, 5000, 15)), 10);
        assert_eq!(sent(&decisions(&limiter, "192.0.2.1", Kind::Positive, 4000, 15)), 0);
        assert_eq!(sent(&decisions(&limiter, "192.0.2.1", Kind::Positive, 5000, 15)), 0);
    }
}
