//! The series about the work of controllers, named as dashboards know them (hub-behaviour 11.1).

use std::sync::Arc;
use std::time::Instant;

use prometheus::{Error, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts};

use crate::metrics::Metrics;
use crate::queue::Action;

const TIME_BUCKETS: [f64; 40] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5,
    1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
];

const RESULTS: [&str; 4] = ["success", "error", "requeue", "requeue_after"];

/// A family of series with one prefix: `<prefix>_reconcile_total` and its kin, by controller.
pub struct Reconciles {
    total: IntCounterVec,
    errors: IntCounterVec,
    time: HistogramVec,
    workers: IntGaugeVec,
    active: IntGaugeVec,
}

/// The series of one controller.
#[derive(Clone)]
pub struct Series {
    family: Arc<Reconciles>,
    controller: &'static str,
}

/// A reconcile that runs. Dropped without [`Working::end`] it counts as an error.
#[must_use]
pub struct Working {
    series: Series,
    start: Instant,
    result: &'static str,
}

impl Reconciles {
    /// Registers the series under names with a prefix.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Metrics, prefix: &str) -> Result<Arc<Self>, Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("{prefix}_{name}"), help);
        let controller = ["controller"];
        let time = HistogramOpts::from(opts("reconcile_time_seconds", "Time of reconciles."));
        Ok(Arc::new(Self {
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
        }))
    }

    /// The series of a controller.
    pub fn of(self: &Arc<Self>, controller: &'static str) -> Series {
        Series {
            family: Arc::clone(self),
            controller,
        }
    }
}

impl Series {
    /// Shows the controller before it has done anything, with the number of keys that it may work on at once.
    pub fn announce(&self, workers: usize) {
        let name = &[self.controller];
        for result in RESULTS {
            self.family
                .total
                .with_label_values(&[self.controller, result])
                .inc_by(0);
        }
        self.family.errors.with_label_values(name).inc_by(0);
        self.family.active.with_label_values(name).add(0);
        self.family
            .workers
            .with_label_values(name)
            .set(i64::try_from(workers).unwrap_or(i64::MAX));
    }

    /// A reconcile begins.
    pub fn start(&self) -> Working {
        self.family.active.with_label_values(&[self.controller]).inc();
        Working {
            series: self.clone(),
            start: Instant::now(),
            result: "error",
        }
    }
}

impl Working {
    /// It ended like this.
    pub fn end(mut self, outcome: Action) {
        self.result = match outcome {
            Action::Done => "success",
            Action::After(wait) if wait.is_zero() => "requeue",
            Action::After(_) | Action::NotYet(_) => "requeue_after",
            Action::Retry | Action::RetryAfter(_) => "error",
        };
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let Series { family, controller } = &self.series;
        family.total.with_label_values(&[*controller, self.result]).inc();
        if self.result == "error" {
            family.errors.with_label_values(&[*controller]).inc();
        }
        family
            .time
            .with_label_values(&[*controller])
            .observe(self.start.elapsed().as_secs_f64());
        family.active.with_label_values(&[*controller]).dec();
    }
}
