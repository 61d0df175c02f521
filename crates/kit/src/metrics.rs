//! One registry per process, how it is printed, and what the runtime itself counts.

use std::sync::{Arc, LazyLock};

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

/// The registry of a process; clones share it.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// A registry that holds the metrics of the process itself and those of the runtime.
    ///
    /// # Errors
    /// Never in practice: the registry is empty.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        if let Some(runtime) = runtime() {
            runtime.register(&registry)?;
        }
        Ok(Self {
            registry: Arc::new(registry),
        })
    }

    /// Adds a collector and hands it back.
    ///
    /// # Errors
    /// When one of that name exists.
    pub fn register<C>(&self, collector: C) -> Result<C, prometheus::Error>
    where
        C: Collector + Clone + 'static,
    {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    /// The registry underneath, for collectors that register themselves.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All metrics in the text format.
    ///
    /// # Errors
    /// When a collector delivers something malformed.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// What watches and queues count. There is one of it per process, whatever registries print it, because indexes and
/// queues are made in many places that know no registry.
pub struct Runtime {
    /// Watches that run, by resource.
    pub watches: IntGaugeVec,
    /// Those of them that are established now, by resource. Fewer than `watches`: some index may be behind.
    pub live: IntGaugeVec,
    /// Watch tasks that panicked and were started again, by resource.
    pub restarts: IntCounterVec,
    /// Complete lists after the first one, by resource and reason.
    pub relists: IntCounterVec,
    /// Objects that cannot be read now, by resource.
    pub unreadable: IntGaugeVec,
    /// Changes whose handler panicked, by resource.
    pub handler_panics: IntCounterVec,
    /// What a full queue has dropped, by queue.
    pub dropped: IntCounterVec,
    /// Changes that were replaced by a later one of their key before they were sent, by topic of a session.
    pub coalesced: IntCounterVec,
}

/// The counters of this process; `None` never in practice, because their names and labels are valid.
pub fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| Runtime::new().ok());
    RUNTIME.as_ref()
}

/// Counts what a full queue has dropped.
pub fn dropped(queue: &str, count: u64) {
    if let Some(runtime) = runtime() {
        runtime.dropped.with_label_values(&[queue]).inc_by(count);
    }
}

impl Runtime {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name, help| IntGaugeVec::new(Opts::new(name, help), &["resource"]);
        let counter = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        Ok(Self {
            watches: gauge("fairway_watches", "Watches that run.")?,
            live: gauge("fairway_watch_live", "Watches that are established now.")?,
            restarts: counter(
                "fairway_watch_restarts_total",
                "Watch tasks that panicked and were started again.",
                &["resource"],
            )?,
            relists: counter(
                "fairway_watch_relists_total",
                "Complete lists after the first one, by the reason for them.",
                &["resource", "reason"],
            )?,
            unreadable: gauge("fairway_unreadable_objects", "Objects that cannot be read now.")?,
            handler_panics: counter(
                "fairway_watch_handler_panics_total",
                "Changes of objects whose handler panicked; they are delivered again.",
                &["resource"],
            )?,
            dropped: counter(
                "fairway_queue_dropped_total",
                "What bounded queues have dropped because they were full.",
                &["queue"],
            )?,
            coalesced: counter(
                "fairway_link_coalesced_total",
                "Changes that were replaced by a later one of their key before they were sent.",
                &["topic"],
            )?,
        })
    }

    fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        for gauge in [&self.watches, &self.live, &self.unreadable] {
            registry.register(Box::new(gauge.clone()))?;
        }
        let counters = [
            &self.restarts,
            &self.relists,
            &self.handler_panics,
            &self.dropped,
            &self.coalesced,
        ];
        for counter in counters {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(())
    }
}
