//! Figures about the session (networking 16.8).

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use crate::metrics::Counters;

/// The series; clones share them.
#[derive(Clone)]
pub struct Metrics {
    /// 1 while a session is open.
    pub connected: IntGauge,
    /// Changes sent and not acknowledged.
    pub unacknowledged: IntGauge,
    /// Unix time since when the oldest of them, sent or not, waits for the hub; 0 when none does.
    pub oldest: IntGauge,
    /// Reports that the hub refused for good, by code.
    pub refused: IntCounterVec,
    /// Ended or failed connections by reason.
    pub reconnects: IntCounterVec,
    /// Counts passes over ServiceExports together with all others, where those are counted.
    pub(crate) looks: Option<Counters>,
    /// Milliseconds from the first sight of a Service's version to the hub's verdict on it (networking 13.6).
    pub exported: HistogramVec,
}

/// Bounds of the durations of exports in milliseconds; what lies outside counts as the bound.
const DURATIONS: (i64, i64) = (1000, 100_000);

impl Metrics {
    /// Registers the series.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            connected: IntGauge::new(
                "fleet_member_link_connected",
                "Whether the session with the hub is open.",
            )?,
            unacknowledged: IntGauge::new(
                "fleet_member_link_unacknowledged",
                "Reports of exports that the hub has not acknowledged.",
            )?,
            oldest: IntGauge::new(
                "fleet_member_link_oldest_change_timestamp_seconds",
                "Unix time since when the oldest change of an export waits for the hub; 0 when none does.",
            )?,
            refused: IntCounterVec::new(
                Opts::new(
                    "fleet_member_link_refused_total",
                    "Reports of exports that the hub refused for good, by code.",
                ),
                &["code"],
            )?,
            reconnects: IntCounterVec::new(
                Opts::new(
                    "fleet_member_link_reconnects_total",
                    "Sessions that ended or did not open, by reason.",
                ),
                &["reason"],
            )?,
            looks: None,
            exported: HistogramVec::new(
                HistogramOpts::new(
                    "fleet_networking_service_export_duration_milliseconds",
                    "Time from the export of a Service to the verdict on it, seen on the member.",
                )
                .buckets(vec![1000.0, 2500.0, 5000.0, 10_000.0, 25_000.0, 50_000.0]),
                &["origin_cluster_id"],
            )?,
        };
        let all: [Box<dyn Collector>; 6] = [
            Box::new(metrics.connected.clone()),
            Box::new(metrics.unacknowledged.clone()),
            Box::new(metrics.oldest.clone()),
            Box::new(metrics.refused.clone()),
            Box::new(metrics.reconnects.clone()),
            Box::new(metrics.exported.clone()),
        ];
        for one in all {
            registry.register(one)?;
        }
        Ok(metrics)
    }

    /// Notes since when the oldest change waits for the hub.
    pub(super) fn oldest_since(&self, oldest: Option<&Timestamp>) {
        self.oldest.set(oldest.map_or(0, |oldest| oldest.as_second()));
    }

    /// Notes how long an export of a cluster took.
    pub(super) fn exported_within(&self, cluster: &str, milliseconds: i64) {
        let milliseconds = match milliseconds {
            ..=0 => DURATIONS.0,
            some => some.min(DURATIONS.1),
        };
        // At most 100000, which a float holds exactly.
        let milliseconds = f64::from(i32::try_from(milliseconds).unwrap_or(i32::MAX));
        self.exported.with_label_values(&[cluster]).observe(milliseconds);
    }
}
