//! The hub as a voter that never leads (multicluster-failover B.15).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::member::{FleetId, MemberId};
use crate::message::{About, Body, Header, Message, RenewReply, State};
use crate::record::Record;
use crate::time::Time;
use crate::voter::{Candidate, Refusal, Voter};

/// The hub's vote in one fleet.
#[derive(Clone, Debug)]
pub struct Witness {
    voter: Voter,
    writes: BTreeMap<MemberId, u64>,
}

/// An answer that may be sent once `writes` is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub message: Message,
    pub writes: u64,
}

impl Witness {
    /// A witness that becomes active at `now`. What was promised before is unknown, so nobody new is supported for
    /// one lease; `lease` is assumed where the record has none.
    pub fn new(id: MemberId, record: Option<Record>, lease: Duration, now: Time) -> Self {
        let mut voter = Voter::new(id, record.unwrap_or_default(), lease, now);
        voter.observes = true;
        voter.quarantine = now + lease.max(voter.lease());
        Self {
            voter,
            writes: BTreeMap::new(),
        }
    }

    /// What has to be stored before answers leave.
    pub const fn record(&self) -> &Record {
        &self.voter.record
    }

    /// Whether a member may create `fleet`: there is no other one, or only one that all its members have left. The
    /// caller stores the record before it answers.
    pub fn claim(&mut self, fleet: &FleetId, replaces: Option<&FleetId>, now: Time) -> bool {
        let known = self.voter.record.own_fleet.clone();
        if known.as_ref() == Some(fleet) {
            return true;
        }
        if known.is_some() && (known.as_ref() != replaces || self.voter.supports(now).is_some()) {
            return false;
        }
        self.voter.begin_anew();
        let record = &mut self.voter.record;
        record.own_fleet = Some(fleet.clone());
        record.writes += 1;
        true
    }

    /// Answers one message; none where no answer is due.
    pub fn answer(&mut self, message: &Message, now: Time) -> Option<Answer> {
        let header = &message.header;
        let seen = self.writes.entry(header.sender.clone()).or_default();
        *seen = header.writes.max(*seen);
        let your_writes = *seen;
        if let (Some(own), Some(theirs)) = (&self.voter.record.own_fleet, &header.fleet)
            && own != theirs
            && message.body != Body::GetState
        {
            return None;
        }
        if header.fleet.is_some() && self.voter.fleet() == header.fleet.as_ref() && self.voter.adopt(header.term) {
            self.voter.record.writes += 1;
        }
        let body = match &message.body {
            Body::GetState => Body::State(Box::new(State {
                leader: self.voter.supports(now).map(|promise| promise.to.clone()),
                leader_address: None,
                configuration: self.voter.record.configuration.clone(),
                previous: self.voter.record.previous.clone(),
                is_member: true,
                about: About::default(),
                your_writes,
            })),
            Body::PreVote(ballot) => {
                let granted = self.judge(header, ballot.term, now).is_ok();
                Body::PreVoteReply { granted }
            }
            Body::Vote(ballot) => {
                let last_leader = self.voter.record.last_leader.clone();
                let granted = self.judge(header, ballot.term, now).is_ok();
                if granted {
                    self.voter.grant(&header.sender, ballot.term, now);
                    self.voter.record.writes += 1;
                }
                Body::VoteReply { granted, last_leader }
            }
            Body::Renew(renew) => {
                let accepted = match self.voter.renew(&header.sender, (header.term, header.seq), renew, now) {
                    Ok(changed) => {
                        self.voter.record.writes += u64::from(changed);
                        true
                    }
                    Err(Refusal::Overtaken | Refusal::OtherFleet) => return None,
                    Err(_) => false,
                };
                let about = About::default();
                Body::RenewReply(Box::new(RenewReply {
                    accepted,
                    fence: renew.fence,
                    about,
                    promote: None,
                }))
            }
            Body::Release(release) => {
                self.voter.record.writes += u64::from(self.voter.release(&header.sender, release));
                Body::ReleaseReply { term: release.term }
            }
            _ => return None,
        };
        let record = &self.voter.record;
        let header = Header {
            fleet: self.voter.fleet().or(self.voter.record.own_fleet.as_ref()).cloned(),
            term: record.term,
            version: self.voter.version(),
            sender: self.voter.id.clone(),
            writes: record.writes,
            seq: header.seq,
        };
        Some(Answer {
            writes: record.writes,
            message: Message { header, body },
        })
    }

    fn judge(&self, header: &Header, term: u64, now: Time) -> Result<(), Refusal> {
        if self.voter.record.configuration.is_none() {
            return Err(Refusal::OtherFleet);
        }
        let candidate = Candidate {
            id: &header.sender,
            term,
            version: header.version,
            is_preceded: false,
        };
        self.voter.judge(&candidate, now)
    }
}
