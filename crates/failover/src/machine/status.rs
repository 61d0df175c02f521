//! What the status shows of a member (multicluster-failover B.13).

use crate::configuration::{Configuration, Mode};
use crate::machine::Machine;
use crate::machine::phase::{Phase, Stage};
use crate::member::{FleetId, MemberId};
use crate::time::Time;

/// A member's state, for its status, its metrics and its tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Name of the state, as in multicluster-failover B.8.
    pub state: &'static str,
    pub term: u64,
    pub mode: Option<Mode>,
    pub fleet: Option<FleetId>,
    pub leader: Option<MemberId>,
    /// The lease is held and the payload is applied.
    pub is_leading: bool,
    /// Until when this member leads; the start of time when it does not.
    pub valid_until: Time,
    pub is_eligible: bool,
    pub configuration: Option<Configuration>,
    /// Another fleet of the same callsign.
    pub conflict: Option<FleetId>,
    pub is_learner: bool,
}

impl Machine {
    /// The member's state at `now`.
    pub fn status(&self, now: Time) -> Status {
        let state = match &self.phase {
            Phase::Bootstrapping(_) => "Bootstrapping",
            Phase::Joining(_) => "Joining",
            Phase::Rejected { .. } => "Rejected",
            Phase::Follower(_) => "Follower",
            Phase::Candidate(_) => "Candidate",
            Phase::Lead(lead) => match lead.stage {
                Stage::Recovering { .. } => "Recovering",
                Stage::FenceWait { .. } => "FenceWait",
                Stage::Promoting => "Promoting",
                Stage::Leading => "Leader",
                Stage::Draining { .. } | Stage::Withdrawing { .. } => "Draining",
            },
            Phase::Released(_) => "Released",
            Phase::Demoting(_) => "Demoting",
            Phase::Leaving { .. } => "Leaving",
            Phase::Gone { .. } => "Gone",
        };
        Status {
            state,
            term: self.voter.record.term,
            mode: self.mode(),
            fleet: self.voter.fleet().cloned(),
            leader: self.leader(now),
            is_leading: matches!(&self.phase, Phase::Lead(lead) if matches!(lead.stage, Stage::Leading)),
            valid_until: self.valid_until(),
            is_eligible: self.is_eligible(),
            configuration: self.configuration().cloned(),
            conflict: self.conflict.clone(),
            is_learner: self.voter.is_learner,
        }
    }
}
