//! What strangers may use before they have shown who they are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Limits of a transport.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From dialling until the other side is known.
    pub dial: Duration,
    /// From the acceptance of a connection until the other side is known.
    pub handshake: Duration,
    /// The peer has to take a frame within this time. A connection that is replaced stays readable as long.
    pub write: Duration,
    /// Frames that wait for one connection. One more ends it.
    pub queue: usize,
    /// Messages that wait for the member; connections are not read meanwhile.
    pub events: usize,
    /// Who has dialled replaces a connection that is older than this; one that is twice as old is ended.
    pub age: Duration,
    /// Handshakes per second and source address, on average.
    pub handshakes_per_second: u32,
    /// Handshakes at once from a source address that was quiet.
    pub handshake_burst: u32,
    /// Handshakes at the same time.
    pub handshakes: usize,
    /// Handshakes at the same time from one source address.
    pub handshakes_per_source: usize,
}

impl Default for Limits {
    /// What multicluster-failover B.4 says, and room for a few hundred fleets.
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            write: Duration::from_secs(5),
            queue: 64,
            events: 256,
            age: Duration::from_hours(24),
            handshakes_per_second: 10,
            handshake_burst: 50,
            handshakes: 256,
            handshakes_per_source: 50,
        }
    }
}

/// Source addresses that are remembered at the same time.
const SOURCES: usize = 4096;

/// Who may begin a handshake.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    limits: Limits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    in_progress: usize,
    sources: HashMap<IpAddr, Source>,
}

#[derive(Debug)]
struct Source {
    in_progress: usize,
    /// Handshakes that it may begin at `at`.
    tokens: f64,
    at: Instant,
}

/// The right to one handshake; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Gate,
    source: IpAddr,
}

/// Why a handshake may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The source has begun too many lately.
    Rate,
    /// Too many are in progress.
    InProgress,
}

impl Gate {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Arc::default(),
        }
    }

    /// Counts a handshake from `source` at `now` that may begin.
    pub fn permit(&self, source: IpAddr, now: Instant) -> Result<Permit, Closed> {
        let source = network(source);
        let rate = f64::from(self.limits.handshakes_per_second);
        let burst = f64::from(self.limits.handshake_burst);
        let earned = |known: &Source| {
            let seconds = now.saturating_duration_since(known.at).as_secs_f64();
            (known.tokens + seconds * rate).min(burst)
        };
        let mut state = self.state.lock();
        if state.sources.len() >= SOURCES && !state.sources.contains_key(&source) {
            state
                .sources
                .retain(|_, known| known.in_progress > 0 || earned(known) < burst);
            let any = state.sources.iter().find(|(_, known)| known.in_progress == 0);
            if state.sources.len() >= SOURCES
                && let Some(any) = any.map(|(source, _)| *source)
            {
                state.sources.remove(&any);
            }
        }
        let all = state.in_progress;
        let known = state.sources.entry(source).or_insert(Source {
            in_progress: 0,
            tokens: burst,
            at: now,
        });
        known.tokens = earned(known);
        known.at = now;
        if known.tokens < 1.0 {
            return Err(Closed::Rate);
        }
        known.tokens -= 1.0;
        if all >= self.limits.handshakes || known.in_progress >= self.limits.handshakes_per_source {
            return Err(Closed::InProgress);
        }
        known.in_progress += 1;
        state.in_progress += 1;
        Ok(Permit {
            gate: self.clone(),
            source,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.in_progress -= 1;
        if let Some(source) = state.sources.get_mut(&self.source) {
            source.in_progress -= 1;
        }
    }
}

/// One client has many IPv6 addresses: those of its network are one source.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(gate: &Gate, source: &str, now: Instant, attempts: usize) -> usize {
        let source = source.parse().unwrap();
        (0..attempts).filter(|_| gate.permit(source, now).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_gets_its_burst_and_then_its_rate() {
        let gate = Gate::new(Limits::default());
        let start = Instant::now();
        assert_eq!(begun(&gate, "192.0.2.1", start, 80), 50);
        assert_eq!(begun(&gate, "::ffff:192.0.2.1", start, 80), 0);
        assert_eq!(begun(&gate, "192.0.2.2", start, 80), 50);
        assert_eq!(begun(&gate, "2001:db8::1", start, 80), 50);
        assert_eq!(begun(&gate, "2001:db8::2", start, 80), 0);
        assert_eq!(begun(&gate, "2001:db8:0:1::2", start, 80), 50);
        assert_eq!(begun(&gate, "192.0.2.1", start + Duration::from_secs(2), 80), 20);
        assert_eq!(begun(&gate, "192.0.2.1", start + Duration::from_secs(1000), 80), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_in_progress_are_bounded_for_one_source_and_for_all() {
        let gate = Gate::new(Limits {
            handshakes: 3,
            handshakes_per_source: 2,
            ..Limits::default()
        });
        let [a, b]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|source| source.parse().unwrap());
        let now = Instant::now();
        let held = [gate.permit(a, now).unwrap(), gate.permit(a, now).unwrap()];
        assert_eq!(gate.permit(a, now).unwrap_err(), Closed::InProgress);
        let other = gate.permit(b, now).unwrap();
        assert_eq!(gate.permit(b, now).unwrap_err(), Closed::InProgress);
        drop(held);
        drop(gate.permit(a, now).unwrap());
        drop(other);
        assert_eq!(gate.state.lock().in_progress, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn sources_are_forgotten_once_they_have_been_quiet() {
        let gate = Gate::new(Limits::default());
        let now = Instant::now();
        for number in 0..SOURCES as u32 + 100 {
            assert!(gate.permit(IpAddr::from(number.to_be_bytes()), now).is_ok());
        }
        assert!(gate.state.lock().sources.len() <= SOURCES);
    }
}
