//! Which members are silent: their session has ended without a `Bye`, and no other one has been opened since. A hint for
//! fast degradation (networking 16.6), nothing else: the health of members is that of their heartbeats.
//!
//! All times are those at which something arrived here, so the clocks of members do not matter.

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::broadcast;

/// Changes that a slow listener may be behind.
const IN_FLIGHT: usize = 256;

/// The members that are silent.
pub struct Presence {
    silent: Mutex<BTreeMap<String, Silent>>,
    changes: broadcast::Sender<String>,
}

/// A member that is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent {
    /// When the member was there last: the last message of its session arrived, or its connection broke.
    pub since: Timestamp,
    /// When the last heartbeat since then arrived.
    pub heartbeat: Option<Timestamp>,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            silent: Mutex::default(),
            changes: broadcast::Sender::new(IN_FLIGHT),
        }
    }
}

impl Presence {
    /// The members that begin or cease to be silent from now on, and those of which a heartbeat comes while they are.
    pub fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }

    /// How silent a member is; `None` while it has a session, and when it has ended it by a `Bye`.
    pub fn silence(&self, cluster: &str) -> Option<Silent> {
        self.silent.lock().get(cluster).copied()
    }

    /// The session of a member has ended without a `Bye`. The member was there last at `since`.
    pub fn silenced(&self, cluster: &str, since: Timestamp) {
        let silent = Silent { since, heartbeat: None };
        tracing::debug!(cluster, %since, "A member is silent: its session has ended and it has not ended it.");
        self.silent.lock().insert(cluster.to_owned(), silent);
        self.notify(cluster);
    }

    /// A member has a session, has ended it by a `Bye`, or is no member any more.
    pub fn not_silent(&self, cluster: &str) {
        if self.silent.lock().remove(cluster).is_some() {
            tracing::debug!(cluster, "A member is not silent any more.");
            self.notify(cluster);
        }
    }

    /// A heartbeat of a member has arrived.
    pub fn heartbeat(&self, cluster: &str, now: Timestamp) {
        let mut all = self.silent.lock();
        let Some(silent) = all.get_mut(cluster) else { return };
        tracing::debug!(cluster, since = %silent.since, "A heartbeat of a silent member has arrived.");
        silent.heartbeat = Some(now);
        drop(all);
        self.notify(cluster);
    }

    fn notify(&self, cluster: &str) {
        // Without a receiver nothing is lost: a later one reads the state first.
        let _ = self.changes.send(cluster.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_silent_from_the_end_of_its_session_until_the_next_one() {
        let presence = Presence::default();
        let mut changes = presence.changes();
        let mut changed = || changes.try_recv().ok();
        let at = |second| Timestamp::from_second(second).unwrap();
        presence.heartbeat("m1", at(1));
        presence.not_silent("m1");
        assert_eq!((presence.silence("m1"), changed()), (None, None));
        presence.silenced("m1", at(2));
        let silent = |heartbeat| {
            Some(Silent {
                since: at(2),
                heartbeat,
            })
        };
        assert_eq!(
            (presence.silence("m1"), changed().as_deref()),
            (silent(None), Some("m1"))
        );
        presence.heartbeat("m1", at(9));
        assert_eq!(
            (presence.silence("m1"), changed().as_deref()),
            (silent(Some(at(9))), Some("m1"))
        );
        presence.not_silent("m1");
        assert_eq!((presence.silence("m1"), changed().as_deref()), (None, Some("m1")));
        assert!(presence.silent.lock().is_empty());
    }
}
