//! What the agent counts (member-behaviour 8.1).

use api::Condition;
use api::ConditionStatus;
use api::condition;
use api::placement::v1beta1::WorkStatus;
use api::text::conditions::work as types;
use kit::metrics::Metrics;
use kit::queue::Action;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use tokio::time::Instant;

/// Counters of the agent; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    works: IntCounterVec,
    manifests: IntCounterVec,
    joins: IntCounterVec,
    leaves: IntCounterVec,
    turns: IntCounterVec,
    errors: IntCounterVec,
    time: HistogramVec,
    active: IntGaugeVec,
    depth: IntGaugeVec,
}

/// Counts work on a key until it is dropped: also when that panics or is cancelled.
#[must_use]
pub(crate) struct Begun {
    active: IntGauge,
    at: Instant,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.active.dec();
    }
}

/// Bounds of times in seconds.
const TIMES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0,
];

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
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            metrics.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let statuses = ["apply_status", "availability_status", "diff_reporting_status"];
        let findings = [&statuses[..], &["drift_detection_status", "diff_detection_status"]].concat();
        Ok(Self {
            works: counter("fleet_work_processing_requests_total", "Passes over Works.", &statuses)?,
            manifests: counter(
                "fleet_manifest_processing_requests_total",
                "Passes over manifests.",
                &findings,
            )?,
            joins: counter("join_result_counter", "Times that the member joined.", &["result"])?,
            leaves: counter("leave_result_counter", "Times that the member left.", &["result"])?,
            turns: counter(
                "controller_runtime_reconcile_total",
                "Reconciles by result.",
                &["controller", "result"],
            )?,
            errors: counter(
                "controller_runtime_reconcile_errors_total",
                "Reconciles that failed.",
                &["controller"],
            )?,
            time: metrics.register(HistogramVec::new(
                HistogramOpts::new("controller_runtime_reconcile_time_seconds", "Time of reconciles.")
                    .buckets(TIMES.to_vec()),
                &["controller"],
            )?)?,
            active: gauge(
                "controller_runtime_active_workers",
                "Reconciles that run now.",
                &["controller"],
            )?,
            depth: gauge(
                "workqueue_depth",
                "Keys that wait to be worked on, as of the latest begin or end of a reconcile.",
                &["controller", "name"],
            )?,
        })
    }

    /// Counts a completed pass. A status of another generation says nothing about it.
    pub(crate) fn pass(&self, status: &WorkStatus, generation: i64) {
        if status.conditions.iter().any(|c| c.observed_generation != generation) {
            return;
        }
        self.works.with_label_values(&statuses(&status.conditions)).inc();
        for entry in &status.manifest_conditions {
            let found = |there: bool| if there { "Found" } else { "NotFound" };
            let [applied, available, diffed] = statuses(&entry.conditions);
            let (drift, diff) = (
                found(entry.drift_details.is_some()),
                found(entry.diff_details.is_some()),
            );
            self.manifests
                .with_label_values(&[applied, available, diffed, drift, diff])
                .inc();
        }
    }

    /// Work on a key of a controller begins, while others wait. It counts as going on until the answer is dropped.
    pub(crate) fn begin(&self, controller: &str, waiting: usize) -> Begun {
        let active = self.active.with_label_values(&[controller]);
        active.inc();
        self.wait(controller, waiting);
        Begun {
            active,
            at: Instant::now(),
        }
    }

    /// Work on a key of a controller has ended.
    pub(crate) fn end(&self, controller: &str, begun: Begun, waiting: usize, outcome: Action) {
        let result = match outcome {
            Action::Done => SUCCESS,
            Action::After(wait) if wait.is_zero() => "requeue",
            Action::After(_) | Action::NotYet(_) => "requeue_after",
            Action::Retry | Action::RetryAfter(_) => "error",
        };
        self.turns.with_label_values(&[controller, result]).inc();
        if result == "error" {
            self.errors.with_label_values(&[controller]).inc();
        }
        let took = begun.at.elapsed().as_secs_f64();
        self.time.with_label_values(&[controller]).observe(took);
        drop(begun);
        self.wait(controller, waiting);
    }

    fn wait(&self, controller: &str, waiting: usize) {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        self.depth.with_label_values(&[controller, controller]).set(waiting);
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

fn statuses(conditions: &[Condition]) -> [&str; 3] {
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
        let begun = counters.begin("work-applier", 3);
        counters.end("work-applier", begun, 2, Action::Retry);
        // One that is given up does not count as going on for ever.
        drop(counters.begin("work-applier", 2));
        let text = metrics.text().unwrap();
        for line in [
            r#"fleet_work_processing_requests_total{apply_status="SomeManifestsAreNotApplied",availability_status="Skipped",diff_reporting_status="Skipped"} 1"#,
            r#"fleet_manifest_processing_requests_total{apply_status="FoundDrifts",availability_status="Skipped",diff_detection_status="NotFound",diff_reporting_status="Skipped",drift_detection_status="Found"} 1"#,
            r#"join_result_counter{result="success"} 1"#,
            r#"controller_runtime_reconcile_total{controller="work-applier",result="error"} 1"#,
            r#"controller_runtime_reconcile_errors_total{controller="work-applier"} 1"#,
            r#"controller_runtime_reconcile_time_seconds_count{controller="work-applier"} 1"#,
            r#"controller_runtime_active_workers{controller="work-applier"} 0"#,
            r#"workqueue_depth{controller="work-applier",name="work-applier"} 2"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
