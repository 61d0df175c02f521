//! What a voter stores before it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::configuration::{Configuration, Mode};
use crate::member::{FleetId, MemberId};

/// The state of a voter that survives its process (multicluster-failover B.3).
///
/// An answer that depends on a change leaves only after the change is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// How often the record has changed. It travels in every message, so that peers notice a restored backup.
    pub writes: u64,
    /// How often a process began with this record, so that numbers of requests grow over restarts.
    pub starts: u64,
    /// The highest term seen; it only grows.
    pub term: u64,
    /// Whom this voter supports in `term`.
    pub voted_for: Option<MemberId>,
    /// The newest configuration that was accepted, committed or not.
    pub configuration: Option<Configuration>,
    /// The committed configuration that `configuration` replaces, until that is known to be committed.
    pub previous: Option<Configuration>,
    /// This member has given the fleet up, although the configuration names it.
    pub has_left: bool,
    /// The leader of the highest term of which a renewal was accepted.
    pub last_leader: Option<LastLeader>,
    /// The highest term in which this member itself began to apply the payload.
    pub promoted_in: u64,
    /// Identity of the fleet that this member is about to create, so that a restart creates no second one.
    pub own_fleet: Option<FleetId>,
    /// Addresses of members that have left, newest last, at most [`DEPARTED`].
    pub departed: Vec<String>,
    /// The values of operator annotations that were executed, by annotation.
    pub handled: BTreeMap<String, String>,
}

/// How many addresses of members that have left are kept.
pub const DEPARTED: usize = 16;

/// What a voter knows of the last leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastLeader {
    pub term: u64,
    pub id: MemberId,
    /// The leader has confirmed that its payload is gone.
    pub released: bool,
    /// How long a successor has to wait after the lease's end when it is not released.
    pub fence: Duration,
    /// How long its renewals bound a voter.
    pub lease: Duration,
}

impl Record {
    /// Forgets everything that is about another fleet than the one that is joined now: terms of two fleets have
    /// nothing to do with each other.
    pub fn begin_anew(&mut self) {
        self.term = 0;
        self.voted_for = None;
        self.configuration = None;
        self.previous = None;
        self.last_leader = None;
        self.promoted_in = 0;
        self.has_left = false;
    }

    /// Whether the owner `me` votes, or has voted until a change that is not committed.
    pub fn votes(&self, me: &MemberId) -> bool {
        !self.has_left && self.names(me)
    }

    /// Whether `id` is one of the voters, or was until a change that is not committed.
    pub fn names(&self, id: &MemberId) -> bool {
        [&self.configuration, &self.previous]
            .into_iter()
            .flatten()
            .any(|voters| voters.has(id))
    }

    /// The newest configuration that is known to be committed.
    pub fn committed(&self) -> Option<&Configuration> {
        self.previous.as_ref().or(self.configuration.as_ref())
    }

    /// The voters whose acknowledgements carry a lease: a configuration that needs none counts once it is committed.
    pub fn basis(&self) -> Option<&Configuration> {
        let configuration = self.configuration.as_ref()?;
        match &self.previous {
            Some(previous) if configuration.mode() != Mode::Quorum && previous.mode() == Mode::Quorum => Some(previous),
            _ => Some(configuration),
        }
    }

    /// Whether this member leads by a lease, as far as the record says: the watchdog removes the payload of a member
    /// that does not renew its lease, and no other.
    pub fn leads_by_lease(&self, me: &MemberId) -> bool {
        self.led_last(me) && self.basis().is_some_and(|voters| voters.mode() == Mode::Quorum)
    }

    /// Term of the last leader; zero before the first one.
    pub fn last_term(&self) -> u64 {
        self.last_leader.as_ref().map_or(0, |last| last.term)
    }

    /// How long the last leader's cluster needs to remove the payload; zero before the first one.
    pub fn last_fence(&self) -> Duration {
        self.last_leader.as_ref().map_or(Duration::ZERO, |last| last.fence)
    }

    /// To whom this voter was bound when the record was stored.
    pub fn promised_to(&self) -> Option<&MemberId> {
        match (&self.last_leader, &self.voted_for) {
            (Some(last), _) if last.term == self.term && !last.released => Some(&last.id),
            (_, Some(candidate)) => Some(candidate),
            (Some(last), None) if !last.released => Some(&last.id),
            _ => None,
        }
    }

    /// Whether this member led last and has not released.
    pub fn led_last(&self, me: &MemberId) -> bool {
        self.last_leader
            .as_ref()
            .is_some_and(|last| last.id == *me && last.term == self.term && !last.released)
    }
}
