//! The counters of the DNS server among the other metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use dns::metrics::{Family, Values};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// Collects the counters of one server.
#[derive(Clone)]
pub struct DnsCollector {
    metrics: Arc<dns::Metrics>,
    descriptions: Arc<Vec<Desc>>,
}

impl DnsCollector {
    /// A collector of these counters.
    ///
    /// # Errors
    /// When a name is not one that metrics may have.
    pub fn new(metrics: Arc<dns::Metrics>) -> Result<Self, prometheus::Error> {
        let mut descriptions = Vec::new();
        for family in metrics.families() {
            let labels = match &family.values {
                Values::Counters(counters) => counters
                    .first()
                    .map(|(labels, _)| labels.as_slice())
                    .unwrap_or_default(),
                _ => &[],
            };
            let labels = labels.iter().map(|(name, _)| (*name).to_owned()).collect();
            let constants = BTreeMap::<String, String>::new().into_iter().collect();
            descriptions.push(Desc::new(name(&family), family.help.to_owned(), labels, constants)?);
        }
        Ok(Self {
            metrics,
            descriptions: Arc::new(descriptions),
        })
    }
}

impl Collector for DnsCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let families = self.metrics.families();
        let filled = families
            .iter()
            .map(convert)
            .filter(|family| !family.get_metric().is_empty());
        filled.collect()
    }
}

fn name(family: &Family) -> String {
    format!("fairway_traffic_manager_{}", family.name)
}

fn convert(family: &Family) -> MetricFamily {
    let mut converted = MetricFamily::default();
    converted.set_name(name(family));
    converted.set_help(family.help.to_owned());
    let (kind, metrics) = match &family.values {
        Values::Counters(counters) => (MetricType::COUNTER, counters.iter().map(counter).collect()),
        Values::Gauge(value) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*value as f64);
            (MetricType::GAUGE, vec![Metric::from_gauge(gauge)])
        }
        Values::Histogram { buckets, count, sum } => (MetricType::HISTOGRAM, vec![histogram(buckets, *count, *sum)]),
    };
    converted.set_field_type(kind);
    converted.set_metric(metrics);
    converted
}

fn counter((labels, value): &(Vec<(&'static str, &'static str)>, u64)) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    let mut counter = Counter::default();
    counter.set_value(*value as f64);
    let mut metric = Metric::from_label(pairs.collect());
    metric.set_counter(counter);
    metric
}

fn histogram(buckets: &[(f64, u64)], count: u64, sum: f64) -> Metric {
    let buckets = buckets.iter().map(|(bound, below)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(count);
    histogram.set_sample_sum(sum);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    metric
}
