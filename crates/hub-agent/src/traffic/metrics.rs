//! The series of public traffic: when statuses were last reported, named as dashboards know them (networking 13.6), and the
//! calls to the traffic manager.

use std::time::Duration;

use fairway_core::traffic::{Measured, MeasuredKind, Series};
use jiff::Timestamp;
use kit::metrics::Metrics;
use prometheus::{Error, HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::metrics::StatusTimes;

/// The series; clones share them.
#[derive(Clone)]
pub struct TrafficMetrics {
    profiles: StatusTimes,
    backends: StatusTimes,
    calls: IntCounterVec,
    durations: HistogramVec,
}

impl TrafficMetrics {
    /// Registers the series.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Metrics) -> Result<Self, Error> {
        let times = |kind: &str, what: &str| {
            let name = format!("fleet_networking_traffic_manager_{kind}_status_last_timestamp_seconds");
            let help = format!("When the status of a {what} was last seen like this.");
            StatusTimes::register(registry, &name, &help, "condition")
        };
        Ok(Self {
            profiles: times("profile", "TrafficManagerProfile")?,
            backends: times("backend", "TrafficManagerBackend")?,
            calls: registry.register(IntCounterVec::new(
                Opts::new(
                    "fairway_traffic_manager_calls_total",
                    "Calls to the traffic manager, by what was called and how it ended.",
                ),
                &["call", "result"],
            )?)?,
            durations: registry.register(HistogramVec::new(
                HistogramOpts::new(
                    "fairway_traffic_manager_call_duration_seconds",
                    "Time of calls to the traffic manager, waiting for a turn included.",
                )
                .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
                &["call"],
            )?)?,
        })
    }

    /// A status was reported.
    pub(super) fn reported(&self, series: &Series, now: Timestamp) {
        let Series {
            object,
            generation,
            condition,
            status,
            reason,
        } = series;
        let labels = [
            &object.namespace,
            &object.name,
            &generation.to_string(),
            condition,
            status,
            reason,
        ];
        self.of(object).set(labels.map(String::as_str), now);
    }

    /// An object is gone.
    pub(super) fn forget(&self, object: &Measured) {
        self.of(object).forget(&object.namespace, &object.name);
    }

    /// A call has ended.
    pub(super) fn called(&self, call: &str, result: &str, took: Duration) {
        self.calls.with_label_values(&[call, result]).inc();
        self.durations.with_label_values(&[call]).observe(took.as_secs_f64());
    }

    fn of(&self, object: &Measured) -> &StatusTimes {
        match object.kind {
            MeasuredKind::Profile => &self.profiles,
            MeasuredKind::Backend => &self.backends,
        }
    }
}
