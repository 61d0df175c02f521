//! When the statuses of objects were last seen as they are: one gauge for each object, generation and condition.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kit::metrics::Metrics;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Error, GaugeVec, Opts};

/// The gauges of one kind of objects; clones share them. Series of earlier generations and conditions stay for as long as
/// the object is there.
#[derive(Clone)]
pub struct StatusTimes {
    gauges: GaugeVec,
    /// Names of the labels.
    labels: [&'static str; 6],
}

impl StatusTimes {
    /// Registers the gauges. `condition` is the name of the label with the type of the condition.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Metrics, name: &str, help: &str, condition: &'static str) -> Result<Self, Error> {
        let labels = ["namespace", "name", "generation", condition, "status", "reason"];
        let gauges = registry.register(GaugeVec::new(Opts::new(name, help), &labels)?)?;
        Ok(Self { gauges, labels })
    }

    /// A status was seen: namespace, name, generation, type of the condition, status and reason.
    pub fn set(&self, labels: [&str; 6], now: Timestamp) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of our age are exact in a double"
        )]
        let seconds = now.as_millisecond() as f64 / 1000.0;
        self.gauges.with_label_values(&labels).set(seconds);
    }

    /// Removes all series of an object.
    pub fn forget(&self, namespace: &str, name: &str) {
        let families = self.gauges.collect();
        for metric in families.iter().flat_map(MetricFamily::get_metric) {
            let pairs = metric.get_label().iter();
            let labels: BTreeMap<&str, &str> = pairs.map(|pair| (pair.name(), pair.value())).collect();
            if labels.get("namespace") == Some(&namespace) && labels.get("name") == Some(&name) {
                let values = self.labels.iter().filter_map(|label| labels.get(label).copied());
                let _ = self.gauges.remove_label_values(&values.collect::<Vec<_>>());
            }
        }
    }
}
