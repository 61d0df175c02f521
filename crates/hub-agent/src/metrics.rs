//! The hub agent's metrics, named and labelled as dashboards know them (hub-behaviour 11.1).

pub mod controllers;
mod status_times;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::objects::PlacementKey;
use fairway_core::report::PlacementFact;
use jiff::Timestamp;
use kit::controller::{Reconciles, Series, Working};
use kit::metrics::Metrics;
use kit::queue::Action;
use parking_lot::Mutex;
use prometheus::{CounterVec, Error, HistogramOpts, HistogramVec, IntGauge, Opts};

pub use status_times::StatusTimes;

/// The series of the hub agent.
pub struct HubMetrics {
    placement_status: StatusTimes,
    scheduling_duration: HistogramVec,
    scheduling_active: IntGauge,
    /// Of controllers with a queue of their own.
    own: Arc<Reconciles>,
    /// Of all others.
    others: Arc<Reconciles>,
    /// `join_result_counter`.
    joins: CounterVec,
    /// `leave_result_counter`.
    leaves: CounterVec,
    /// Placements whose status is shown.
    shown: Mutex<BTreeSet<PlacementKey>>,
}

const CYCLE_BUCKETS: [f64; 8] = [10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10_000.0, 50_000.0];

impl HubMetrics {
    /// Registers all series.
    ///
    /// # Errors
    /// When one of them is registered already.
    pub fn new(registry: &Metrics) -> Result<Self, Error> {
        Ok(Self {
            placement_status: StatusTimes::register(
                registry,
                "fleet_workload_placement_status_last_timestamp_seconds",
                "When the status of a placement was last seen like this.",
                "conditionType",
            )?,
            scheduling_duration: registry.register(HistogramVec::new(
                HistogramOpts::new(
                    "scheduling_cycle_duration_milliseconds",
                    "Duration of scheduling cycles.",
                )
                .buckets(CYCLE_BUCKETS.to_vec()),
                &["is_failed", "needs_requeue"],
            )?)?,
            scheduling_active: registry.register(IntGauge::new(
                "scheduling_active_workers",
                "Scheduling cycles that run now.",
            )?)?,
            own: Reconciles::register(registry, "fleet_workload")?,
            others: Reconciles::register(registry, "controller_runtime")?,
            joins: registry.register(CounterVec::new(
                Opts::new("join_result_counter", "Members that joined."),
                &["result"],
            )?)?,
            leaves: registry.register(CounterVec::new(
                Opts::new("leave_result_counter", "Members that left."),
                &["result"],
            )?)?,
            shown: Mutex::default(),
        })
    }

    /// The series of a controller.
    pub fn series(&self, controller: &'static str) -> Series {
        if controllers::has_own_queue(controller) {
            self.own.of(controller)
        } else {
            self.others.of(controller)
        }
    }

    /// Does the work of watchers, which cannot fail.
    pub fn watch<T>(&self, watchers: &[&'static str], work: impl FnOnce() -> T) -> T {
        let running: Vec<Working> = watchers.iter().map(|name| self.series(name).start()).collect();
        let done = work();
        running.into_iter().for_each(|watcher| watcher.end(Action::Done));
        done
    }

    /// A scheduling cycle ran.
    pub fn scheduled(&self, failed: bool, requeue: bool, took: Duration) {
        let labels = [
            if failed { "true" } else { "false" },
            if requeue { "true" } else { "false" },
        ];
        self.scheduling_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64() * 1000.0);
    }

    /// A scheduling cycle runs until the answer is dropped.
    #[must_use]
    pub fn scheduling(&self) -> SchedulingCycle {
        self.scheduling_active.inc();
        SchedulingCycle(self.scheduling_active.clone())
    }

    /// Shows what a placement's status says.
    pub fn placement(&self, key: &PlacementKey, fact: &PlacementFact, now: Timestamp) {
        let labels = [
            key.namespace.as_deref().unwrap_or_default(),
            &key.name,
            &fact.generation.to_string(),
            &fact.condition,
            &fact.status,
            &fact.reason,
        ];
        self.placement_status.set(labels, now);
        self.shown.lock().insert(key.clone());
    }

    /// Removes all series of a placement.
    pub fn forget_placement(&self, key: &PlacementKey) {
        if self.shown.lock().remove(key) {
            let namespace = key.namespace.as_deref().unwrap_or_default();
            self.placement_status.forget(namespace, &key.name);
        }
    }

    /// A member joined.
    pub fn joined(&self) {
        self.joins.with_label_values(&["success"]).inc();
    }

    /// A member left.
    pub fn left(&self) {
        self.leaves.with_label_values(&["success"]).inc();
    }
}

/// A scheduling cycle that runs.
pub struct SchedulingCycle(IntGauge);

impl Drop for SchedulingCycle {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_have_the_names_and_labels_of_dashboards() {
        let registry = Metrics::new().unwrap();
        let metrics = HubMetrics::new(&registry).unwrap();
        let key = PlacementKey::namespaced("n", "p");
        let fact = |condition: &str, generation| PlacementFact {
            generation,
            condition: condition.into(),
            status: "True".into(),
            reason: "R".into(),
        };
        let now: Timestamp = "1970-01-01T00:00:05.5Z".parse().unwrap();
        metrics.placement(&key, &fact("Completed", 1), now);
        metrics.placement(&key, &fact("Completed", 2), now);
        metrics.series(controllers::CLUSTER_PLACEMENT).announce(40);
        let working = metrics.series(controllers::CLUSTER_PLACEMENT).start();
        working.end(Action::After(Duration::from_millis(30)));
        drop(metrics.series(controllers::MEMBER).start());
        metrics.series(controllers::MEMBER_WATCHER).announce(1);
        assert_eq!(metrics.watch(&[controllers::RESOURCE_CHANGE], || 7), 7);
        metrics.scheduled(true, false, Duration::from_millis(70));
        metrics.joined();
        let text = registry.text().unwrap();
        for line in [
            "fleet_workload_placement_status_last_timestamp_seconds{conditionType=\"Completed\",generation=\"2\",\
             name=\"p\",namespace=\"n\",reason=\"R\",status=\"True\"} 5.5",
            "fleet_workload_reconcile_total{controller=\"cluster-resource-placement-controller-v1beta1\",\
             result=\"requeue_after\"} 1",
            "fleet_workload_reconcile_time_seconds_bucket{controller=\"cluster-resource-placement-controller-v1beta1\",\
             le=\"60\"} 1",
            "fleet_workload_active_workers{controller=\"cluster-resource-placement-controller-v1beta1\"} 0",
            "fleet_workload_reconcile_total{controller=\"cluster-resource-placement-controller-v1beta1\",\
             result=\"success\"} 0",
            "fleet_workload_reconcile_errors_total{controller=\"cluster-resource-placement-controller-v1beta1\"} 0",
            "fleet_workload_max_concurrent_reconciles{controller=\"cluster-resource-placement-controller-v1beta1\"} 40",
            "fleet_workload_reconcile_total{controller=\"resource-change-controller\",result=\"success\"} 1",
            "fleet_workload_active_workers{controller=\"resource-change-controller\"} 0",
            "controller_runtime_reconcile_total{controller=\"membercluster-scheduler-watcher\",result=\"requeue\"} 0",
            "controller_runtime_max_concurrent_reconciles{controller=\"membercluster-scheduler-watcher\"} 1",
            "controller_runtime_reconcile_errors_total{controller=\"membercluster-controller\"} 1",
            "scheduling_cycle_duration_milliseconds_bucket{is_failed=\"true\",needs_requeue=\"false\",le=\"100\"} 1",
            "join_result_counter{result=\"success\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        metrics.forget_placement(&key);
        assert!(
            !registry
                .text()
                .unwrap()
                .contains("fleet_workload_placement_status_last_timestamp_seconds{")
        );
    }
}
