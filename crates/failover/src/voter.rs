//! One voter: what it stores, whom it supports, and for how long.
//!
//! Members and the hub's witness vote by the same rules (multicluster-failover B.6).

use std::time::Duration;

use crate::configuration::{Configuration, Version};
use crate::defect::{Defect, Defects};
use crate::lease;
use crate::member::{FleetId, MemberId};
use crate::message::{Release, Renew};
use crate::record::{LastLeader, Record};
use crate::time::Time;

/// How often a voter refuses a candidate because a higher-ranked one is alive, until the next leader.
const DEFERRALS: u8 = 2;

/// A voter.
#[derive(Clone, Debug)]
pub struct Voter {
    pub id: MemberId,
    pub record: Record,
    /// The support that was given last; it may have run out.
    pub promise: Option<Promise>,
    /// Before this nobody is supported but the one to whom the stored record binds: what was promised since is lost.
    pub quarantine: Time,
    /// The state of a majority is not known although the record is missing or old: no votes at all.
    pub is_learner: bool,
    /// It stays part of the fleet also while it does not vote: the hub.
    pub(crate) observes: bool,
    vacancy: Vacancy,
    /// Term and number of the newest renewal, so that one that was overtaken changes nothing.
    newest: (u64, u64),
    pub(crate) defects: Defects,
}

/// Support for one candidate or leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    pub to: MemberId,
    pub term: u64,
    pub until: Time,
}

/// What has happened since the last leader.
#[derive(Clone, Debug, Default)]
struct Vacancy {
    deferrals: u8,
    successor: Option<MemberId>,
}

/// A request for support.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub id: &'a MemberId,
    pub term: u64,
    pub version: Version,
    /// A voter that comes before the candidate and is eligible was seen a moment ago.
    pub is_preceded: bool,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    OldTerm,
    VotedForAnother,
    OldConfiguration,
    PromisedToAnother,
    Quarantine,
    Learner,
    Preceded,
    OtherFleet,
    Released,
    /// A newer renewal of the same leader was accepted before.
    Overtaken,
}

impl Voter {
    /// A voter whose process starts at `now`; `lease` is what its own settings say.
    pub fn new(id: MemberId, record: Record, lease: Duration, now: Time) -> Self {
        let stored = record
            .configuration
            .as_ref()
            .map_or(Duration::ZERO, |configuration| configuration.lease);
        let last = record.last_leader.as_ref().map_or(Duration::ZERO, |last| last.lease);
        let is_new = record.term == 0 && record.configuration.is_none();
        let quarantine = if is_new { now } else { now + lease.max(stored).max(last) };
        Self {
            id,
            record,
            promise: None,
            quarantine,
            is_learner: false,
            observes: false,
            vacancy: Vacancy::default(),
            newest: (0, 0),
            defects: Defects::default(),
        }
    }

    /// Forgets another fleet, its terms and the numbers of its renewals.
    pub fn begin_anew(&mut self) {
        self.record.begin_anew();
        self.promise = None;
        self.vacancy = Vacancy::default();
        self.newest = (0, 0);
    }

    /// The configuration's version; the oldest without one.
    pub fn version(&self) -> Version {
        self.record
            .configuration
            .as_ref()
            .map_or_else(Version::default, |configuration| configuration.version)
    }

    /// How long support lasts.
    pub fn lease(&self) -> Duration {
        self.record
            .configuration
            .as_ref()
            .map_or(Duration::ZERO, |configuration| configuration.lease)
    }

    /// Whom this voter supports at `now`.
    pub fn supports(&self, now: Time) -> Option<&Promise> {
        self.promise.as_ref().filter(|promise| promise.until > now)
    }

    /// Adopts a higher term that an authenticated message showed. Returns whether the record changed.
    pub fn adopt(&mut self, term: u64) -> bool {
        let higher = term > self.record.term;
        if higher {
            self.record.term = term;
            self.record.voted_for = None;
        }
        higher
    }

    /// Whether the candidate would be supported: the vote rule of multicluster-failover B.6.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn judge(&self, candidate: &Candidate<'_>, now: Time) -> Result<(), Refusal> {
        let record = &self.record;
        if self.is_learner {
            return Err(Refusal::Learner);
        }
        if candidate.term < record.term {
            return Err(Refusal::OldTerm);
        }
        if candidate.term == record.term {
            match &record.voted_for {
                Some(voted) if voted == candidate.id => {}
                Some(_) => return Err(Refusal::VotedForAnother),
                // The term was adopted from a message; whoever leads it, a vote in it was not given yet.
                None if record.last_term() == record.term => return Err(Refusal::OldTerm),
                None => {}
            }
        }
        if candidate.version < self.version() {
            return Err(Refusal::OldConfiguration);
        }
        let is_bound = self.supports(now).is_some_and(|promise| promise.to != *candidate.id);
        if is_bound && !self.defects.has(Defect::VoteDespitePromise) {
            return Err(Refusal::PromisedToAnother);
        }
        let is_unknown = now < self.quarantine && record.promised_to() != Some(candidate.id);
        if is_unknown && !self.defects.has(Defect::NoQuarantine) {
            return Err(Refusal::Quarantine);
        }
        let is_successor = self.vacancy.successor.as_ref() == Some(candidate.id);
        if candidate.is_preceded && !is_successor && self.vacancy.deferrals < DEFERRALS {
            return Err(Refusal::Preceded);
        }
        Ok(())
    }

    /// Notes that a candidate was refused for a higher-ranked one; after two of these it is not refused again.
    pub fn defer(&mut self) {
        self.vacancy.deferrals = self.vacancy.deferrals.saturating_add(1);
    }

    /// Supports the candidate, after [`judge`](Self::judge) has agreed. The caller stores the record, then answers.
    pub fn grant(&mut self, candidate: &MemberId, term: u64, now: Time) {
        self.record.term = term;
        self.record.voted_for = Some(candidate.clone());
        self.promise = Some(Promise {
            to: candidate.clone(),
            term,
            until: lease::promise(now, self.lease()),
        });
    }

    /// Accepts a leader's renewal. Returns whether the record changed and has to be stored before the answer.
    ///
    /// # Errors
    /// Why the sender is not supported.
    pub fn renew(
        &mut self,
        leader: &MemberId,
        (term, seq): (u64, u64),
        renew: &Renew,
        now: Time,
    ) -> Result<bool, Refusal> {
        let is_other = |own: &FleetId| *own != renew.configuration.fleet;
        if self.fleet().is_some_and(is_other) {
            return Err(Refusal::OtherFleet);
        }
        if self
            .record
            .configuration
            .as_ref()
            .is_none_or(|own| is_other(&own.fleet))
        {
            self.begin_anew();
        }
        let record = &self.record;
        if term < record.term {
            return Err(Refusal::OldTerm);
        }
        if renew.configuration.version < self.version() {
            return Err(Refusal::OldConfiguration);
        }
        if let Some(last) = record.last_leader.as_ref().filter(|last| last.term == term) {
            if last.id != *leader {
                return Err(Refusal::VotedForAnother);
            }
            if last.released {
                return Err(Refusal::Released);
            }
        }
        if (term, seq) < self.newest {
            return Err(Refusal::Overtaken);
        }
        self.newest = (term, seq);
        self.vacancy = Vacancy::default();
        self.promise = Some(Promise {
            to: leader.clone(),
            term,
            until: lease::promise(now, renew.lease),
        });
        let before = self.record.clone();
        self.adopt(term);
        self.record.last_leader = Some(LastLeader {
            term,
            id: leader.clone(),
            released: false,
            fence: renew.fence,
            lease: renew.lease,
        });
        self.record.configuration = Some(renew.configuration.clone());
        self.record.previous = renew.previous.clone();
        self.record.has_left = false;
        Ok(self.record != before)
    }

    /// Notes that the payload of the leader of a term is gone. Returns whether the record changed.
    pub fn release(&mut self, leader: &MemberId, release: &Release) -> bool {
        let before = self.record.clone();
        match &mut self.record.last_leader {
            Some(last) if last.term > release.term => {}
            Some(last) if last.term == release.term => last.released = true,
            last => {
                *last = Some(LastLeader {
                    term: release.term,
                    id: leader.clone(),
                    released: true,
                    fence: Duration::ZERO,
                    lease: Duration::ZERO,
                });
            }
        }
        if let Some(next) = release.next.as_ref().filter(|next| next.version > self.version()) {
            self.record.configuration = Some(next.clone());
            self.record.previous = None;
        }
        if self
            .promise
            .as_ref()
            .is_some_and(|promise| promise.to == *leader && promise.term <= release.term)
        {
            self.promise = None;
        }
        if self.record.last_term() == release.term {
            self.vacancy.successor.clone_from(&release.successor);
        }
        self.record != before
    }

    /// Who is to take over after a release, if anybody in particular.
    pub fn successor(&self) -> Option<&MemberId> {
        self.vacancy.successor.as_ref()
    }

    /// Notes that this voter itself leads: its promise to itself lasts as long as its lease.
    pub fn lead(&mut self, fence: Duration, configuration: Configuration, previous: Option<Configuration>) {
        let lease = configuration.lease;
        self.record.last_leader = Some(LastLeader {
            term: self.record.term,
            id: self.id.clone(),
            released: false,
            fence,
            lease,
        });
        self.record.configuration = Some(configuration);
        self.record.previous = previous;
        self.vacancy = Vacancy::default();
        self.promise = None;
    }

    /// The fleet that this voter is part of. A committed configuration without it is that of a fleet which it has
    /// left, or has not been admitted to.
    pub fn fleet(&self) -> Option<&FleetId> {
        let configuration = self.record.configuration.as_ref()?;
        let votes = self.record.votes(&self.id);
        (self.observes || votes).then_some(&configuration.fleet)
    }
}
