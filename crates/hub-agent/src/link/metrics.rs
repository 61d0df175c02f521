//! Figures about sessions (networking 16.8).

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

/// The series; clones share them.
#[derive(Clone)]
pub struct Metrics {
    /// Open sessions.
    pub sessions: IntGauge,
    /// Reports and withdrawals by result: `written`, `unchanged`, `outdated` or the code of the refusal.
    pub changes: IntCounterVec,
    /// Seconds from a report's arrival to its acknowledgement.
    pub report_to_ack: Histogram,
    /// Full syncs by result: `applied`, `held`, `mismatch`.
    pub syncs: IntCounterVec,
    /// Sessions that were refused or ended by the hub, by reason.
    pub ended: IntCounterVec,
    /// Verdicts that no member has acknowledged.
    pub open_verdicts: IntGauge,
}

impl Metrics {
    /// Registers the series.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let metrics = Self {
            sessions: IntGauge::new("fleet_member_link_sessions", "Open sessions of member agents.")?,
            changes: counter(
                "fleet_member_link_changes_total",
                "Reports and withdrawals of exports by result.",
                "result",
            )?,
            report_to_ack: Histogram::with_opts(
                HistogramOpts::new(
                    "fleet_member_link_report_to_ack_seconds",
                    "Time from a report to its acknowledgement.",
                )
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]),
            )?,
            syncs: counter(
                "fleet_member_link_syncs_total",
                "Full syncs of exports by result.",
                "result",
            )?,
            ended: counter(
                "fleet_member_link_ended_total",
                "Sessions that the hub ended or refused, by reason.",
                "reason",
            )?,
            open_verdicts: IntGauge::new(
                "fleet_member_link_open_verdicts",
                "Verdicts not acknowledged by a member.",
            )?,
        };
        registry.register(Box::new(metrics.sessions.clone()))?;
        registry.register(Box::new(metrics.changes.clone()))?;
        registry.register(Box::new(metrics.report_to_ack.clone()))?;
        registry.register(Box::new(metrics.syncs.clone()))?;
        registry.register(Box::new(metrics.ended.clone()))?;
        registry.register(Box::new(metrics.open_verdicts.clone()))?;
        Ok(metrics)
    }

    /// Takes in how many verdicts of one cluster were open before and are now.
    pub(super) fn count_verdicts(&self, before: usize, after: usize) {
        let [before, after] = [before, after].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        self.open_verdicts.add(after - before);
    }
}
