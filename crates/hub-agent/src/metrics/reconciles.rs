//! The series of the work of controllers, in one family of names.

use std::time::Duration;

use kit::metrics::Metrics;
use prometheus::{Error, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts};

use super::ResultLabel;

const TIME_BUCKETS: [f64; 40] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5,
    1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
];

/// Series of work by controller.
pub(super) struct Reconciles {
    total: IntCounterVec,
    errors: IntCounterVec,
    time: HistogramVec,
    workers: IntGaugeVec,
    active: IntGaugeVec,
}

impl Reconciles {
    /// Registers the series under names with a prefix.
    pub(super) fn register(registry: &Metrics, prefix: &str) -> Result<Self, Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("{prefix}_{name}"), help);
        let controller = ["controller"];
        let time = HistogramOpts::from(opts("reconcile_time_seconds", "Time of reconciles."));
        Ok(Self {
            total: registry.register(IntCounterVec::new(
                opts("reconcile_total", "Reconciles by result."),
                &["controller", "result"],
            )?)?,
            errors: registry.register(IntCounterVec::new(
                opts("reconcile_errors_total", "Reconciles that failed."),
                &controller,
            )?)?,
            time: registry.register(HistogramVec::new(time.buckets(TIME_BUCKETS.to_vec()), &controller)?)?,
            workers: registry.register(IntGaugeVec::new(
                opts("max_concurrent_reconciles", "Reconciles that may run at once."),
                &controller,
            )?)?,
            active: registry.register(IntGaugeVec::new(
                opts("active_workers", "Reconciles that run now."),
                &controller,
            )?)?,
        })
    }

    /// Shows a controller before it has done anything.
    pub(super) fn announce(&self, controller: &str, workers: usize) {
        for result in ResultLabel::ALL {
            self.total.with_label_values(&[controller, result.text()]).inc_by(0);
        }
        self.errors.with_label_values(&[controller]).inc_by(0);
        self.active.with_label_values(&[controller]).add(0);
        self.workers
            .with_label_values(&[controller])
            .set(i64::try_from(workers).unwrap_or(i64::MAX));
    }

    /// Work on a key begins.
    pub(super) fn begin(&self, controller: &str) {
        self.active.with_label_values(&[controller]).inc();
    }

    /// Work on a key ended.
    pub(super) fn end(&self, controller: &str, result: ResultLabel, took: Duration) {
        self.total.with_label_values(&[controller, result.text()]).inc();
        if result == ResultLabel::Error {
            self.errors.with_label_values(&[controller]).inc();
        }
        self.time.with_label_values(&[controller]).observe(took.as_secs_f64());
        self.active.with_label_values(&[controller]).dec();
    }
}
