//! The wall clock of shells. Decisions get the time as an argument and never come here.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The time of day.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The clock of the machine.
    #[default]
    System,
    /// Starts at a given time and moves with tokio's clock, which tests pause and advance.
    Tokio {
        /// Time of day at `start`.
        base: Timestamp,
        /// Tokio's time that belongs to `base`.
        start: Instant,
    },
}

/// Waits until a time; for ever where there is none.
pub async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Clock {
    /// A clock that moves with tokio's, starting now at `base`.
    pub fn paused_at(base: Timestamp) -> Self {
        Self::Tokio {
            base,
            start: Instant::now(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Tokio { base, start } => {
                let passed = SignedDuration::try_from(start.elapsed()).unwrap_or(SignedDuration::MAX);
                base.checked_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }
}
