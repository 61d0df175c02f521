//! Sends hints about endpoints to a traffic manager that takes them. A server without such a path, as Azure, gets
//! one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use azure::{Class, Degraded, EndpointHint, EndpointHints, Error};
use fairway_core::traffic::Hint;
use kit::clock::Clock;
use kit::controller::Triggers;

use super::TrafficMetrics;
use super::background::Background;
use super::observations::Observations;
use super::store::ProfileKey;

/// The hints that are on their way. Dropping it breaks them off: they are worth nothing later.
pub(super) struct Hints {
    sender: Arc<Sender>,
    observations: Arc<Observations>,
    background: Background,
    clock: Clock,
}

struct Sender {
    port: Arc<dyn EndpointHints>,
    is_taken: AtomicBool,
    metrics: TrafficMetrics,
}

impl Hints {
    pub(super) fn new(
        port: Arc<dyn EndpointHints>,
        observations: Arc<Observations>,
        triggers: Triggers<ProfileKey>,
        metrics: TrafficMetrics,
        clock: Clock,
    ) -> Self {
        Self {
            sender: Arc::new(Sender {
                port,
                is_taken: AtomicBool::new(true),
                metrics,
            }),
            observations,
            background: Background::new(triggers),
            clock,
        }
    }

    /// Whether the traffic manager takes hints, as far as is known.
    pub(super) fn are_taken(&self) -> bool {
        self.sender.is_taken.load(Ordering::Relaxed)
    }

    /// Sends the hints of a plan, unless some about this profile are on their way. Then the profile is looked at again.
    pub(super) fn start(&self, key: &ProfileKey, hints: Vec<Hint>) {
        if hints.is_empty() || !self.observations.begin_hints(key) {
            return;
        }
        let (sender, observations) = (Arc::clone(&self.sender), Arc::clone(&self.observations));
        let (clock, about) = (self.clock, key.clone());
        self.background.spawn(key, async move {
            let taken = sender.send(&hints).await;
            observations.end_hints(&about, &hints, taken, clock.now());
            true
        });
    }
}

impl Sender {
    /// Sends hints. Returns whether the traffic manager has taken them.
    async fn send(&self, hints: &[Hint]) -> bool {
        let bodies: Vec<EndpointHint> = hints.iter().map(body).collect();
        let began = Instant::now();
        let answer = self.port.hint(&bodies).await;
        let result = answer.as_ref().err().map_or("success", |error| error.class().label());
        self.metrics.called("hint", result, began.elapsed());
        match answer {
            Ok(refusals) => {
                for hint in hints {
                    tracing::debug!(endpoint = hint.endpoint, cause = ?hint.cause, "A hint about an endpoint was sent.");
                }
                for (hint, refusal) in bodies.iter().zip(refusals) {
                    if let Some(reason) = refusal {
                        tracing::warn!(
                            endpoint = hint.endpoint,
                            reason,
                            "A hint about an endpoint was refused."
                        );
                    }
                }
                true
            }
            Err(error) if has_no_hints(&error) => {
                self.is_taken.store(false, Ordering::Relaxed);
                tracing::warn!(
                    %error,
                    "The traffic manager takes no hints about endpoints, as Azure does not: profiles that ask for fast \
                     degradation wait for its probes. Nothing more is sent until the agent starts anew."
                );
                false
            }
            Err(error) => {
                tracing::info!(%error, "Hints about endpoints were not taken; they are sent again.");
                false
            }
        }
    }
}

fn body(hint: &Hint) -> EndpointHint {
    EndpointHint {
        endpoint: hint.endpoint.clone(),
        degraded: hint.cause.map(|cause| Degraded {
            lasts: hint.lasts,
            reason: cause.text().to_owned(),
        }),
    }
}

/// Azure's resource manager answers 404, or 400 because such a path has no API version.
fn has_no_hints(error: &Error) -> bool {
    error.class() == Class::NotFound || matches!(error.status(), Some(400 | 405))
}
