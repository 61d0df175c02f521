//! One registry per process, and how it is printed.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder};

/// The registry of a process; clones share it.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// A registry that holds the metrics of the process itself.
    ///
    /// # Errors
    /// Never in practice: the registry is empty.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
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
