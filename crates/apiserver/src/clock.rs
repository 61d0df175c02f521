//! Time for the server: wall-clock time that moves with tokio's clock, so that tests which pause tokio pause the server too.

use jiff::{Timestamp, ToSpan};
use std::sync::Arc;

/// A source of time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::starting_at(Timestamp::now())
    }
}

impl Clock {
    /// A clock that shows `start` now and from then on advances with `tokio::time::Instant`.
    pub fn starting_at(start: Timestamp) -> Self {
        let origin = tokio::time::Instant::now();
        Clock(Arc::new(move || {
            let elapsed = tokio::time::Instant::now().saturating_duration_since(origin);
            start.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
        }))
    }

    /// A clock that reads `source` each time.
    pub fn from_fn(source: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Clock(Arc::new(source))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// The present time as Kubernetes writes it in `metav1.Time`: RFC 3339 in whole seconds.
    pub fn now_text(&self) -> String {
        time_text(self.now())
    }
}

/// `t` as `metav1.Time` text: RFC 3339, UTC, whole seconds.
pub fn time_text(t: Timestamp) -> String {
    t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `t` advanced by `seconds`; saturates at the ends of time.
pub fn plus_seconds(t: Timestamp, seconds: i64) -> Timestamp {
    t.saturating_add(seconds.seconds()).unwrap_or(t)
}
