//! Counters of a server. They are plain numbers: whoever runs the server registers them where it likes, from
//! [`Metrics::families`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::wire::{Rcode, RecordType};

/// Types of questions that are counted by themselves; all others together.
const TYPES: [(RecordType, &str); 12] = [
    (RecordType::A, "A"),
    (RecordType::AAAA, "AAAA"),
    (RecordType::CNAME, "CNAME"),
    (RecordType::NS, "NS"),
    (RecordType::SOA, "SOA"),
    (RecordType::TXT, "TXT"),
    (RecordType::MX, "MX"),
    (RecordType::SRV, "SRV"),
    (RecordType::SVCB, "SVCB"),
    (RecordType::HTTPS, "HTTPS"),
    (RecordType::ANY, "ANY"),
    // Queries without a question that can be read have type 0 here.
    (RecordType(0), "none"),
];
const OTHER: usize = TYPES.len();
const TRANSPORTS: [&str; 2] = ["udp", "tcp"];
const RCODES: usize = Rcode::ALL.len();

/// Upper bounds of the buckets of durations, in seconds.
const BOUNDS: [(u64, f64); 12] = [
    (500, 0.000_000_5),
    (1_000, 0.000_001),
    (2_000, 0.000_002),
    (5_000, 0.000_005),
    (10_000, 0.000_01),
    (25_000, 0.000_025),
    (50_000, 0.000_05),
    (100_000, 0.000_1),
    (250_000, 0.000_25),
    (1_000_000, 0.001),
    (5_000_000, 0.005),
    (25_000_000, 0.025),
];

/// Counters of one server.
#[derive(Debug, Default)]
pub struct Metrics {
    queries: [[[Counter; RCODES]; OTHER + 1]; 2],
    durations: [Counter; BOUNDS.len() + 1],
    duration_nanoseconds: Counter,
    /// Packets that were not answered because they are too short.
    pub dropped_short: Counter,
    /// Packets that were not answered because they are responses.
    pub dropped_response: Counter,
    /// Packets that were not answered because they are longer than any query that this server reads.
    pub dropped_long: Counter,
    /// Answers that were too long for a datagram and sent without records.
    pub truncated: Counter,
    /// Answers that were not sent because of the rate limit.
    pub limited_dropped: Counter,
    /// Answers that were sent without records because of the rate limit.
    pub limited_truncated: Counter,
    /// Queries whose answering failed.
    pub failures: Counter,
    /// Answers that the system did not take.
    pub send_errors: Counter,
    /// Failures of receiving from a socket or accepting connections.
    pub receive_errors: Counter,
    /// Connections that were opened.
    pub connections_opened: Counter,
    /// Connections that ended.
    pub connections_closed: Counter,
    /// Connections that were closed at once because there are too many.
    pub connections_refused: Counter,
    /// Connections that were closed because they were idle or slow.
    pub connections_timed_out: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Metrics of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Name, without a prefix for the program.
    pub name: &'static str,
    /// What is counted.
    pub help: &'static str,
    /// The values.
    pub values: Values,
}

/// Values of a family.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers that only grow, by labels. Those that are 0 are left out where labels have many values.
    Counters(Vec<(Vec<(&'static str, &'static str)>, u64)>),
    /// A number that goes up and down.
    Gauge(u64),
    /// Observations below bounds, all of them, and their sum.
    Histogram {
        /// Cumulative counts by upper bound.
        buckets: Vec<(f64, u64)>,
        /// Number of observations.
        count: u64,
        /// Sum of observations.
        sum: f64,
    },
}

impl Metrics {
    pub(crate) fn answered(&self, tcp: bool, record_type: Option<RecordType>, rcode: Rcode) {
        let record_type = record_type.unwrap_or(RecordType(0));
        let type_index = TYPES
            .iter()
            .position(|(counted, _)| *counted == record_type)
            .unwrap_or(OTHER);
        let rcode_index = Rcode::ALL
            .iter()
            .position(|counted| *counted == rcode)
            .unwrap_or_default();
        let by_type = self
            .queries
            .get(usize::from(tcp))
            .and_then(|types| types.get(type_index));
        if let Some(counter) = by_type.and_then(|rcodes| rcodes.get(rcode_index)) {
            counter.add(1);
        }
    }

    pub(crate) fn took(&self, duration: Duration) {
        let nanoseconds = duration.as_nanos() as u64;
        let bucket = BOUNDS
            .iter()
            .position(|(bound, _)| nanoseconds <= *bound)
            .unwrap_or(BOUNDS.len());
        if let Some(counter) = self.durations.get(bucket) {
            counter.add(1);
        }
        self.duration_nanoseconds.add(nanoseconds);
    }

    /// All metrics.
    pub fn families(&self) -> Vec<Family> {
        let family = |name, help, values| Family { name, help, values };
        let by = |label, values: &[(&'static str, &Counter)]| {
            Values::Counters(
                values
                    .iter()
                    .map(|(value, counter)| (vec![(label, *value)], counter.get()))
                    .collect(),
            )
        };
        let (opened, closed) = (self.connections_opened.get(), self.connections_closed.get());
        vec![
            family(
                "dns_queries_total",
                "Queries that were answered, by transport, type and result.",
                Values::Counters(self.queries()),
            ),
            family(
                "dns_query_duration_seconds",
                "Time between taking a query from its socket and having its answer.",
                self.durations(),
            ),
            family(
                "dns_dropped_total",
                "Packets that were not answered, by reason.",
                by(
                    "reason",
                    &[
                        ("too_short", &self.dropped_short),
                        ("too_long", &self.dropped_long),
                        ("response", &self.dropped_response),
                    ],
                ),
            ),
            family(
                "dns_truncated_total",
                "Answers that were too long for a datagram.",
                Values::Counters(vec![(Vec::new(), self.truncated.get())]),
            ),
            family(
                "dns_rate_limited_total",
                "Answers above the rate limit, by what became of them.",
                by(
                    "action",
                    &[("drop", &self.limited_dropped), ("truncate", &self.limited_truncated)],
                ),
            ),
            family(
                "dns_errors_total",
                "Failures of the server, by what failed.",
                by(
                    "operation",
                    &[
                        ("answer", &self.failures),
                        ("send", &self.send_errors),
                        ("receive", &self.receive_errors),
                    ],
                ),
            ),
            family(
                "dns_connections",
                "Connections that are open.",
                Values::Gauge(opened.saturating_sub(closed)),
            ),
            family(
                "dns_connections_total",
                "Connections, by what happened.",
                by(
                    "event",
                    &[
                        ("opened", &self.connections_opened),
                        ("refused", &self.connections_refused),
                        ("timed_out", &self.connections_timed_out),
                    ],
                ),
            ),
        ]
    }

    fn queries(&self) -> Vec<(Vec<(&'static str, &'static str)>, u64)> {
        let names = TYPES.iter().map(|(_, name)| *name).chain(["other"]);
        let mut queries = Vec::new();
        for (transport, types) in TRANSPORTS.into_iter().zip(&self.queries) {
            for (record_type, rcodes) in names.clone().zip(types) {
                for (rcode, counter) in Rcode::ALL.into_iter().zip(rcodes) {
                    let labels = vec![("transport", transport), ("type", record_type), ("rcode", rcode.name())];
                    queries.extend(Some((labels, counter.get())).filter(|(_, count)| *count > 0));
                }
            }
        }
        queries
    }

    fn durations(&self) -> Values {
        let mut count = 0;
        let mut cumulative = |counter: &Counter| {
            count += counter.get();
            count
        };
        let buckets = BOUNDS
            .iter()
            .zip(&self.durations)
            .map(|((_, bound), counter)| (*bound, cumulative(counter)));
        let buckets = buckets.collect();
        let count = self.durations.last().map_or(0, &mut cumulative);
        Values::Histogram {
            buckets,
            count,
            sum: self.duration_nanoseconds.get() as f64 / 1e9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(metrics: &Metrics, name: &str) -> Values {
        metrics
            .families()
            .into_iter()
            .find(|family| family.name == name)
            .unwrap()
            .values
    }

    #[test]
    fn queries_are_counted_by_transport_type_and_rcode() {
        let metrics = Metrics::default();
        metrics.answered(false, Some(RecordType::A), Rcode::NoError);
        metrics.answered(false, Some(RecordType::A), Rcode::NoError);
        metrics.answered(true, Some(RecordType(999)), Rcode::BadVers);
        metrics.answered(false, None, Rcode::FormErr);
        let labels =
            |transport, record_type, rcode| vec![("transport", transport), ("type", record_type), ("rcode", rcode)];
        assert_eq!(
            values(&metrics, "dns_queries_total"),
            Values::Counters(vec![
                (labels("udp", "A", "NOERROR"), 2),
                (labels("udp", "none", "FORMERR"), 1),
                (labels("tcp", "other", "BADVERS"), 1),
            ])
        );
    }

    #[test]
    fn durations_are_cumulative() {
        let metrics = Metrics::default();
        for nanoseconds in [500, 501, 1_000_000_000] {
            metrics.took(Duration::from_nanos(nanoseconds));
        }
        let Values::Histogram { buckets, count, sum } = values(&metrics, "dns_query_duration_seconds") else {
            panic!("no histogram");
        };
        assert_eq!(buckets[..2], [(0.000_000_5, 1), (0.000_001, 2)]);
        assert_eq!((buckets.last().unwrap().1, count), (2, 3));
        assert!((sum - 1.000_001_001).abs() < 1e-12);
    }
}
