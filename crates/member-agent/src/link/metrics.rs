//! Figures about the session (networking 16.8).

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

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
}

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
        };
        let all: [Box<dyn Collector>; 5] = [
            Box::new(metrics.connected.clone()),
            Box::new(metrics.unacknowledged.clone()),
            Box::new(metrics.oldest.clone()),
            Box::new(metrics.refused.clone()),
            Box::new(metrics.reconnects.clone()),
        ];
        for one in all {
            registry.register(one)?;
        }
        Ok(metrics)
    }

    /// Notes since when the oldest change waits for the hub.
    pub(super) fn owed_since(&self, oldest: Option<&Timestamp>) {
        self.oldest.set(oldest.map_or(0, |oldest| oldest.as_second()));
    }
}
