//! What is counted.

use std::time::Duration;

use kit::metrics::Metrics;
use prometheus::{Error, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts};

use crate::health::{EndpointStatus, statuses};
use crate::state::State;
use crate::transitions::Transition;

/// Every metric of the traffic manager, but those of its DNS server.
#[derive(Clone)]
pub struct AppMetrics {
    /// Requests to the ARM surface.
    pub requests: RequestMetrics,
    /// Probes.
    pub probes: ProbeMetrics,
    /// Status of endpoints.
    pub endpoints: EndpointMetrics,
    /// Refused connections of the ARM surface.
    pub refused: IntCounterVec,
}

/// Requests to the ARM surface.
#[derive(Clone)]
pub struct RequestMetrics {
    answers: IntCounterVec,
}

/// Probes.
#[derive(Clone)]
pub struct ProbeMetrics {
    probes: IntCounterVec,
    seconds: Histogram,
}

/// Status of endpoints.
#[derive(Clone)]
pub struct EndpointMetrics {
    now: IntGaugeVec,
    transitions: IntCounterVec,
}

impl AppMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(metrics: &Metrics) -> Result<Self, Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, Error> {
            metrics.register(IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let seconds = HistogramOpts::new("fairway_traffic_manager_probe_seconds", "How long probes took.");
        let seconds = seconds.buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        let now = Opts::new("fairway_traffic_manager_endpoints", "Endpoints by their status now.");
        Ok(Self {
            requests: RequestMetrics {
                answers: counter(
                    "fairway_traffic_manager_requests_total",
                    "Requests by operation and status of the answer.",
                    &["operation", "status"],
                )?,
            },
            probes: ProbeMetrics {
                probes: counter("fairway_traffic_manager_probes_total", "Probes by result.", &["result"])?,
                seconds: metrics.register(Histogram::with_opts(seconds)?)?,
            },
            endpoints: EndpointMetrics {
                now: metrics.register(IntGaugeVec::new(now, &["status"])?)?,
                transitions: counter(
                    "fairway_traffic_manager_endpoint_transitions_total",
                    "Changes of the status of endpoints, by the new one.",
                    &["status"],
                )?,
            },
            refused: metrics.register(kit::tls::refusals(
                "fairway_traffic_manager_refused_connections_total",
                "Connections to the ARM surface that were refused, by reason.",
            )?)?,
        })
    }
}

impl RequestMetrics {
    /// Counts an answer.
    pub fn answered(&self, operation: &str, status: u16) {
        self.answers.with_label_values(&[operation, &status.to_string()]).inc();
    }
}

impl ProbeMetrics {
    /// Counts a probe.
    pub fn probed(&self, success: bool, took: Duration) {
        let result = if success { "success" } else { "failure" };
        self.probes.with_label_values(&[result]).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

impl EndpointMetrics {
    /// Counts a change.
    pub fn changed(&self, transition: &Transition) {
        self.transitions.with_label_values(&[transition.to.text()]).inc();
    }

    /// Shows a state.
    pub fn show(&self, state: &State) {
        let mut counts = EndpointStatus::ALL.map(|status| (status, 0));
        for (_, profile) in state.profiles() {
            for (.., status) in statuses(state, profile) {
                if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == status) {
                    *count += 1;
                }
            }
        }
        for (status, count) in counts {
            self.now.with_label_values(&[status.text()]).set(count);
        }
    }
}
