//! Figures about the session (networking 16.8).

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// The series; clones share them.
#[derive(Clone)]
pub struct Metrics {
    /// 1 while a session is open.
    pub connected: IntGauge,
    /// Changes sent and not acknowledged.
    pub unacknowledged: IntGauge,
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
            reconnects: IntCounterVec::new(
                Opts::new(
                    "fleet_member_link_reconnects_total",
                    "Sessions that ended or did not open, by reason.",
                ),
                &["reason"],
            )?,
        };
        registry.register(Box::new(metrics.connected.clone()))?;
        registry.register(Box::new(metrics.unacknowledged.clone()))?;
        registry.register(Box::new(metrics.reconnects.clone()))?;
        Ok(metrics)
    }
}
