//! Figures about sessions (networking 16.8).

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The series; clones share them.
#[derive(Clone)]
pub struct Metrics {
    /// Open sessions.
    pub sessions: IntGauge,
    /// Unix time at which each member's open session began: its age is the time since.
    pub opened: IntGaugeVec,
    /// Changes of each member that are being written or wait for that.
    pub queue: IntGaugeVec,
    /// Reports and withdrawals by result: `written`, `unchanged`, `revoked` or the code of the refusal.
    pub changes: IntCounterVec,
    /// Seconds from a report's arrival to its acknowledgement.
    pub report_to_ack: Histogram,
    /// Full syncs by result: `applied`, `held`, `incomplete`, `mismatch`.
    pub syncs: IntCounterVec,
    /// Sessions that were refused or ended by the hub, by reason.
    pub ended: IntCounterVec,
    /// Verdicts that no member has acknowledged.
    pub open_verdicts: IntGauge,
    /// Connections that were refused before anything was said over them, by reason.
    pub refused_connections: IntCounterVec,
}

impl Metrics {
    /// Registers the series.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["cluster"]);
        let metrics = Self {
            sessions: IntGauge::new("fleet_member_link_sessions", "Open sessions of member agents.")?,
            opened: gauge(
                "fleet_member_link_session_start_time_seconds",
                "Unix time at which the open session of a member began.",
            )?,
            queue: gauge(
                "fleet_member_link_queue_length",
                "Changes of a member that are being written or wait for that.",
            )?,
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
            refused_connections: kit::tls::refusals(
                "fleet_member_link_refused_connections_total",
                "Connections of members that were refused at or before the TLS handshake, by reason.",
            )?,
        };
        let all: [Box<dyn Collector>; 9] = [
            Box::new(metrics.sessions.clone()),
            Box::new(metrics.opened.clone()),
            Box::new(metrics.queue.clone()),
            Box::new(metrics.changes.clone()),
            Box::new(metrics.report_to_ack.clone()),
            Box::new(metrics.syncs.clone()),
            Box::new(metrics.ended.clone()),
            Box::new(metrics.open_verdicts.clone()),
            Box::new(metrics.refused_connections.clone()),
        ];
        for one in all {
            registry.register(one)?;
        }
        Ok(metrics)
    }

    /// The open session of a cluster is gone, and with it its series.
    pub(super) fn closed(&self, cluster: &str) {
        self.sessions.dec();
        for series in [&self.opened, &self.queue] {
            // A session that never got a change has no queue.
            let _ = series.remove_label_values(&[cluster]);
        }
    }

    /// Takes in how many verdicts of one cluster were open before and are now.
    pub(super) fn count_verdicts(&self, before: usize, after: usize) {
        let [before, after] = [before, after].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        self.open_verdicts.add(after - before);
    }
}
