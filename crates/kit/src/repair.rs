//! When something that should rarely be necessary is done again.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// Schedules repairs: soon, and later each time that they are requested again, so that somebody who keeps undoing them
/// does not keep us busy. After a time without trouble the waits begin anew.
#[derive(Debug)]
pub struct RepairTimer {
    backoff: Backoff,
    forgiven: Duration,
    due: Option<Instant>,
    times: u32,
    last: Option<Instant>,
}

impl RepairTimer {
    /// Waits by this back-off, which begins anew after `forgiven` without trouble.
    pub const fn new(backoff: Backoff, forgiven: Duration) -> Self {
        Self {
            backoff,
            forgiven,
            due: None,
            times: 0,
            last: None,
        }
    }

    /// A repair is necessary. One that is due already stays so. Returns whether one was scheduled.
    pub fn request(&mut self) -> bool {
        if self.due.is_some() {
            return false;
        }
        let now = Instant::now();
        if self.last.is_none_or(|last| now.duration_since(last) > self.forgiven) {
            self.times = 0;
        }
        self.times = self.times.saturating_add(1);
        self.last = Some(now);
        self.due = Some(now + self.backoff.delay(self.times));
        true
    }

    /// A repair is due at this time, whatever was due before.
    pub fn set(&mut self, due: Instant) {
        self.due = Some(due);
    }

    /// When the next one is due.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// It is done.
    pub fn done(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn repairs_that_recur_come_later_until_there_was_no_trouble_for_a_while() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut timer = RepairTimer::new(backoff, Duration::from_secs(300));
        let mut longest = Duration::ZERO;
        let mut wait = |timer: &mut RepairTimer| {
            assert!(
                timer.request() && !timer.request(),
                "the second requests what is due already"
            );
            let wait = timer.due().unwrap().duration_since(Instant::now());
            timer.done();
            longest = longest.max(wait);
            wait
        };
        assert!(wait(&mut timer) <= Duration::from_secs(1));
        for _ in 0..10 {
            wait(&mut timer);
        }
        assert!(wait(&mut timer) >= Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert!(wait(&mut timer) <= Duration::from_secs(1), "forgiven");
        assert!(longest <= Duration::from_secs(60));
    }
}
