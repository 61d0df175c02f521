//! What puts keys into the queues of the agent's controllers.

use std::sync::Arc;

use fairway_core::objects::PlacementKey;
use kit::ObjectKey;
use kit::backoff::Backoff;
use kit::controller::Triggers;
use tokio::sync::broadcast;

use crate::metrics::HubMetrics;
use crate::presence::Presence;

/// Names an override of either kind: namespace and name.
pub type OverrideKey = ObjectKey;

/// Changes of members that a slow listener may be behind; it then takes all members for concerned.
const IN_FLIGHT: usize = 256;

/// The queues of all controllers, each with the filter of its controller's own writes.
pub struct Queues {
    /// Placements.
    pub placements: Triggers<PlacementKey>,
    /// Members by name.
    pub members: Triggers<String>,
    /// Overrides.
    pub overrides: Triggers<OverrideKey>,
    /// Members whose rights may have changed: their Role or RoleBinding did.
    pub rights: broadcast::Sender<String>,
    /// Members that have begun to leave, or are gone, or are there again.
    pub membership: broadcast::Sender<String>,
    /// Which members are silent.
    pub presence: Arc<Presence>,
    /// Counts the work of watchers.
    metrics: Option<Arc<HubMetrics>>,
}

impl Queues {
    /// Empty queues.
    pub fn new(backoff: Backoff) -> Self {
        Self {
            placements: Triggers::new(backoff),
            members: Triggers::new(backoff),
            overrides: Triggers::new(backoff),
            rights: broadcast::Sender::new(IN_FLIGHT),
            membership: broadcast::Sender::new(IN_FLIGHT),
            presence: Arc::default(),
            metrics: None,
        }
    }

    /// Counts what the watchers do.
    #[must_use]
    pub fn counted_by(mut self, metrics: Arc<HubMetrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Does the work of watchers: finds out who is concerned by a change.
    pub fn watched<T>(&self, watchers: &[&'static str], work: impl FnOnce() -> T) -> T {
        match &self.metrics {
            Some(metrics) => metrics.watch(watchers, work),
            None => work(),
        }
    }
}
