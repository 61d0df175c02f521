//! The series of public traffic: when statuses were last reported, named as dashboards know them (networking 13.6), and the
//! calls to the traffic manager.

use std::time::Duration;

use fairway_core::traffic::{Measured, MeasuredKind, Series};
use jiff::Timestamp;
use kit::metrics::Metrics;
use prometheus::{Error, HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::metrics::StatusTimes;

/// The series; clones share them.
#[derive(Clone)]
pub struct TrafficMetrics {
    profiles: StatusTimes,
    backends: StatusTimes,
    calls: IntCounterVec,
    durations: HistogramVec,
}

impl TrafficMetrics {
    /// Registers the series.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Metrics) -> Result<Self, Error> {
        let times = |kind: &str, what: &str| {
            let name = format!("fleet_networking_traffic_manager_{kind}_status_last_timestamp_seconds");
            let help = format!("When the status of a {what} was last seen like this.");
            StatusTimes::register(registry, &name, &help, "condition")
        };
        Ok(Self {
            profiles: times("profile", "TrafficManagerProfile")?,
            backends: times("backend", "TrafficManagerBackend")?,
            calls: registry.register(IntCounterVec::new(
                Opts::new(
                    "fairway_traffic_manager_calls_total",
                    "Calls to the traffic manager, by what was called and how it ended.",
                ),
                &["call", "result"],
            )?)?,
            durations: registry.register(HistogramVec::new(
                HistogramOpts::new(
                    "fairway_traffic_manager_call_duration_seconds",
                    "Time of calls to the traffic manager, waiting for a turn included.",
                )
                .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
                &["call"],
            )?)?,
        })
    }

    /// A status was reported.
    pub(super) fn reported(&self, series: &Series, now: Timestamp) {
        let Series {
            object,
            generation,
            condition,
            status,
            reason,
        } = series;
        let labels = [
            &object.namespace,
            &object.name,
            &generation.to_string(),
            condition,
            status,
            reason,
        ];
        self.of(object).set(labels.map(String::as_str), now);
    }

    /// An object is gone.
    pub(super) fn forget(&self, object: &Measured) {
        self.of(object).forget(&object.namespace, &object.name);
    }

    /// A call has ended.
    pub(super) fn called(&self, call: &str, result: &str, took: Duration) {
        self.calls.with_label_values(&[call, result]).inc();
        self.durations.with_label_values(&[call]).observe(took.as_secs_f64());
    }

    fn of(&self, object: &Measured) -> &StatusTimes {
        match object.kind {
            MeasuredKind::Profile => &self.profiles,
            MeasuredKind::Backend => &self.backends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_have_the_names_and_labels_of_dashboards_and_go_with_their_objects() {
        let registry = Metrics::new().unwrap();
        let metrics = TrafficMetrics::register(&registry).unwrap();
        let object = |kind, name: &str| Measured {
            kind,
            namespace: "app".to_owned(),
            name: name.to_owned(),
        };
        let reported = |kind, name: &str, generation, condition: &str| {
            let series = Series {
                object: object(kind, name),
                generation,
                condition: condition.to_owned(),
                status: "True".to_owned(),
                reason: "R".to_owned(),
            };
            metrics.reported(&series, Timestamp::from_millisecond(5500).unwrap());
        };
        reported(MeasuredKind::Profile, "web", 1, "Programmed");
        reported(MeasuredKind::Profile, "web", 2, "Programmed");
        reported(MeasuredKind::Profile, "other", 1, "Programmed");
        reported(MeasuredKind::Backend, "web", 1, "Accepted");
        metrics.called("write_endpoint", "throttled", Duration::from_millis(70));
        let text = registry.text().unwrap();
        let profile = |name: &str, generation| {
            format!(
                "fleet_networking_traffic_manager_profile_status_last_timestamp_seconds{{condition=\"Programmed\",\
                 generation=\"{generation}\",name=\"{name}\",namespace=\"app\",reason=\"R\",status=\"True\"}} 5.5"
            )
        };
        let backend = "fleet_networking_traffic_manager_backend_status_last_timestamp_seconds{condition=\"Accepted\"";
        for line in [
            &profile("web", 1),
            &profile("web", 2),
            backend,
            "fairway_traffic_manager_calls_total{call=\"write_endpoint\",result=\"throttled\"} 1",
            "fairway_traffic_manager_call_duration_seconds_bucket{call=\"write_endpoint\",le=\"0.1\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        metrics.forget(&object(MeasuredKind::Profile, "web"));
        let text = registry.text().unwrap();
        assert!(!text.contains(&profile("web", 1)) && !text.contains(&profile("web", 2)));
        assert!(text.contains(&profile("other", 1)) && text.contains(backend));
    }
}
