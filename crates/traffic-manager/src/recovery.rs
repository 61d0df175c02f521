//! After the loss of the store: how long names are not answered because a hub agent has not written everything again.
//!
//! Wrong negative answers would be kept by resolvers, no answers are not. So while it recovers the server answers no query
//! for the zone and is not ready; its ARM surface works all the while. It ends once hub agents have written something and
//! then nothing for a while: their passes write all profiles and endpoints of a hub one after the other.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Pause in the writes of hub agents after which their pass counts as over.
const SETTLED: Duration = Duration::from_secs(30);
/// Longest wait after the first write: hub agents look at every profile again within six minutes.
const LONGEST: Duration = Duration::from_secs(7 * 60);

/// Whether a recovery goes on.
#[derive(Debug)]
pub struct Recovery {
    progress: Mutex<Progress>,
    settled: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    Waiting,
    Writing { first: Instant, last: Instant },
}

impl Recovery {
    /// A recovery that has to happen, or none.
    pub fn new(needed: bool) -> Self {
        Self::settling_after(needed, SETTLED)
    }

    /// As [`Recovery::new`], with another pause that counts as the end of a pass.
    pub fn settling_after(needed: bool, settled: Duration) -> Self {
        Self {
            progress: Mutex::new(if needed { Progress::Waiting } else { Progress::Done }),
            settled,
        }
    }

    /// Whether names must not be answered yet.
    pub fn is_on(&self) -> bool {
        *self.progress.lock() != Progress::Done
    }

    /// Whether names are answered.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn ready(&self, now: Instant) -> Result<(), String> {
        match *self.progress.lock() {
            Progress::Done => Ok(()),
            Progress::Waiting => Err(
                "The store was lost; names are not answered until a hub agent has written its \
                                      profiles again, which it does within six minutes."
                    .to_owned(),
            ),
            Progress::Writing { first, .. } => Err(format!(
                "The store was lost and a hub agent has been writing its profiles again for {} s; names are not answered \
                 until it has written nothing for {} s.",
                now.duration_since(first).as_secs(),
                self.settled.as_secs()
            )),
        }
    }

    /// A client has changed something.
    pub fn written(&self, now: Instant) {
        let mut progress = self.progress.lock();
        *progress = match *progress {
            Progress::Done => Progress::Done,
            Progress::Waiting => Progress::Writing { first: now, last: now },
            Progress::Writing { first, .. } => Progress::Writing { first, last: now },
        };
    }

    /// Its end could not be stored: it is tried again after the same pause.
    pub fn again(&self, now: Instant) {
        *self.progress.lock() = Progress::Writing { first: now, last: now };
    }

    /// When the recovery counts as complete, as far as is known now.
    pub fn settles(&self) -> Option<Instant> {
        match *self.progress.lock() {
            Progress::Done | Progress::Waiting => None,
            Progress::Writing { first, last } => Some((last + self.settled).min(first + LONGEST)),
        }
    }

    /// It is complete.
    pub fn finish(&self) {
        *self.progress.lock() = Progress::Done;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_ends_after_a_pause_or_the_longest_pass() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let none = Recovery::new(false);
        none.written(start);
        assert_eq!((none.is_on(), none.settles(), none.ready(start)), (false, None, Ok(())));

        let recovery = Recovery::new(true);
        assert!(recovery.is_on() && recovery.ready(start).is_err());
        assert_eq!(recovery.settles(), None, "nobody has written yet");
        recovery.written(at(10));
        assert_eq!(recovery.settles(), Some(at(40)));
        recovery.written(at(35));
        assert_eq!(recovery.settles(), Some(at(65)));
        assert!(recovery.ready(at(36)).unwrap_err().contains("for 26 s"));
        recovery.written(at(425));
        assert_eq!(recovery.settles(), Some(at(430)), "a hub agent that never pauses");
        recovery.finish();
        assert!(!recovery.is_on() && recovery.ready(at(430)).is_ok());
    }
}
