//! Points in time of one member's own clock.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time of a member's monotonic clock that counts suspend (`CLOCK_BOOTTIME`), as time since its start.
///
/// Times of two members cannot be compared: their clocks start at different moments and differ in rate by up to
/// [`DRIFT`](crate::lease::DRIFT_PERCENT). The wall clock is never used (multicluster-failover B.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(Duration);

impl Time {
    /// Before everything else.
    pub const START: Self = Self(Duration::ZERO);
    /// After everything else: the end of a right that needs no renewal.
    pub const NEVER: Self = Self(Duration::MAX);

    /// The point that lies `elapsed` after the clock's start.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the clock's start this is.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long it is from `earlier` until this; zero when `earlier` lies later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }
}
