//! What the agent counts (member-behaviour 8.1).

use api::Condition;
use api::ConditionStatus;
use api::condition;
use api::placement::v1beta1::WorkStatus;
use api::text::conditions::work as types;
use kit::metrics::Metrics;
use prometheus::{IntCounterVec, Opts};

/// Counters of the agent; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    works: IntCounterVec,
    manifests: IntCounterVec,
    joins: IntCounterVec,
    leaves: IntCounterVec,
}

const SUCCESS: &str = "success";

impl Counters {
    /// Counters in a registry.
    ///
    /// # Errors
    /// When the registry holds them already.
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            metrics.register(IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let verdicts = ["apply_status", "availability_status", "diff_reporting_status"];
        let findings = [&verdicts[..], &["drift_detection_status", "diff_detection_status"]].concat();
        Ok(Self {
            works: counter("fleet_work_processing_requests_total", "Passes over Works.", &verdicts)?,
            manifests: counter(
                "fleet_manifest_processing_requests_total",
                "Passes over manifests.",
                &findings,
            )?,
            joins: counter("join_result_counter", "Times that the member joined.", &["result"])?,
            leaves: counter("leave_result_counter", "Times that the member left.", &["result"])?,
        })
    }

    /// Counts a completed pass. A status of another generation tells nothing about it.
    pub(crate) fn pass(&self, status: &WorkStatus, generation: i64) {
        if status.conditions.iter().any(|c| c.observed_generation != generation) {
            return;
        }
        self.works.with_label_values(&verdicts(&status.conditions)).inc();
        for entry in &status.manifest_conditions {
            let found = |there: bool| if there { "Found" } else { "NotFound" };
            let [applied, available, diffed] = verdicts(&entry.conditions);
            let (drift, diff) = (
                found(entry.drift_details.is_some()),
                found(entry.diff_details.is_some()),
            );
            self.manifests
                .with_label_values(&[applied, available, diffed, drift, diff])
                .inc();
        }
    }

    /// Counts that the member joined.
    pub(crate) fn joined(&self) {
        self.joins.with_label_values(&[SUCCESS]).inc();
    }

    /// Counts that the member left.
    pub(crate) fn left(&self) {
        self.leaves.with_label_values(&[SUCCESS]).inc();
    }
}

fn verdicts(conditions: &[Condition]) -> [&str; 3] {
    [types::APPLIED, types::AVAILABLE, types::DIFF_REPORTED].map(|kind| match condition::find(conditions, kind) {
        None => "Skipped",
        Some(condition) if condition.status == ConditionStatus::Unknown => "Unknown",
        Some(condition) => condition.reason.as_str(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted_by_reason() {
        let metrics = Metrics::new().unwrap();
        let counters = Counters::new(&metrics).unwrap();
        let status: WorkStatus = serde_json::from_value(serde_json::json!({
            "conditions": [{"type": "Applied", "status": "False", "reason": "SomeManifestsAreNotApplied", "message": "",
                "observedGeneration": 2, "lastTransitionTime": "2025-01-01T00:00:00Z"}],
            "manifestConditions": [{"identifier": {"ordinal": 0}, "conditions": [{"type": "Applied", "status": "False",
                "reason": "FoundDrifts", "message": "", "lastTransitionTime": "2025-01-01T00:00:00Z"}],
                "driftDetails": {"observationTime": "2025-01-01T00:00:00Z", "observedInMemberClusterGeneration": 1,
                    "firstDriftedObservedTime": "2025-01-01T00:00:00Z"}}]
        }))
        .unwrap();
        counters.pass(&status, 1);
        counters.pass(&status, 2);
        counters.joined();
        let text = metrics.text().unwrap();
        for line in [
            r#"fleet_work_processing_requests_total{apply_status="SomeManifestsAreNotApplied",availability_status="Skipped",diff_reporting_status="Skipped"} 1"#,
            r#"fleet_manifest_processing_requests_total{apply_status="FoundDrifts",availability_status="Skipped",diff_detection_status="NotFound",diff_reporting_status="Skipped",drift_detection_status="Found"} 1"#,
            r#"join_result_counter{result="success"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
