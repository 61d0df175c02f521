//! The state machine of one member (multicluster-failover B.8).
//!
//! Events change what is known; [`Machine::step`] then lets the phase act on it until nothing more follows. A panic or
//! a delay of one member's machine touches no other: each MultiCluster object has its own.

mod change;
mod election;
pub mod event;
mod follower;
mod handover;
mod lead;
mod leave;
mod outbox;
pub mod phase;
mod receive;
mod search;
pub mod settings;
pub mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::configuration::{Configuration, Mode, Role, Version};
use crate::defect::{Defect, Defects};
use crate::lease;
use crate::member::{FleetId, MemberId, may_lead, precedence};
use crate::message::{About, Body, Header, Message};
use crate::record::Record;
use crate::time::Time;
use crate::voter::Voter;
use event::{Action, Address, Event, Notice};
use outbox::Outbox;
use phase::{Demoting, Follower, Lead, Phase, Stage};
use settings::{Health, Settings};

/// One member of a fleet.
#[derive(Clone, Debug)]
pub struct Machine {
    voter: Voter,
    settings: Settings,
    health: Health,
    phase: Phase,
    /// The inventory is not empty.
    has_payload: bool,
    is_available: bool,
    peers: BTreeMap<MemberId, Peer>,
    /// Which of the other voters have said what they know of this one, since the start.
    confirmed_by: BTreeSet<MemberId>,
    /// Voters that have said that they are not, or no longer, in this fleet.
    non_members: BTreeSet<MemberId>,
    /// The highest count of own writes that others have seen.
    seen_writes: u64,
    /// Another fleet of the same callsign, and where it answers.
    conflict: Option<FleetId>,
    /// By how much the wait for stability is prolonged for a member that failed as leader, and since when.
    penalties: BTreeMap<MemberId, (u32, Time)>,
    next_probe: Time,
    next_keepalive: Time,
    outbox: Outbox,
    seq: u64,
    /// Identity of the fleet that this member would create.
    fresh_fleet: FleetId,
    armed: Option<Time>,
    actions: Vec<Action>,
    defects: Defects,
}

/// What is known of another member, whoever leads.
#[derive(Clone, Debug)]
struct Peer {
    last_seen: Time,
    writes: u64,
    /// Version of its configuration.
    version: Version,
    about: About,
}

/// How a member starts.
#[derive(Clone, Debug)]
pub struct Start {
    pub id: MemberId,
    /// The stored record; none when there is none.
    pub record: Option<Record>,
    /// The inventory is not empty.
    pub has_payload: bool,
    pub settings: Settings,
    pub health: Health,
    /// Identity of the fleet that this member would create, drawn at random.
    pub fresh_fleet: FleetId,
}

/// How often departed members and seeds are asked for another fleet of the same callsign.
const PROBE: Duration = Duration::from_secs(60);

impl Machine {
    /// A member whose process starts at `now`.
    pub fn new(start: Start, now: Time) -> Self {
        let mut record = start.record.unwrap_or_default();
        let stored = record.writes;
        record.starts += 1;
        record.writes += 1;
        let seq = record.starts << 32;
        let voter = Voter::new(start.id, record, start.settings.lease, now);
        let mut machine = Self {
            voter,
            settings: start.settings,
            health: start.health,
            phase: Phase::Follower(Follower {
                vacant: now,
                failures: 0,
            }),
            has_payload: start.has_payload,
            is_available: false,
            peers: BTreeMap::new(),
            confirmed_by: BTreeSet::new(),
            non_members: BTreeSet::new(),
            seen_writes: 0,
            conflict: None,
            penalties: BTreeMap::new(),
            next_probe: now + PROBE,
            next_keepalive: now,
            outbox: Outbox::new(stored),
            seq,
            fresh_fleet: start.fresh_fleet,
            armed: None,
            actions: Vec::new(),
            defects: Defects::default(),
        };
        machine.phase = machine.first_phase(now);
        machine
    }

    /// Leaves a rule out, to show that tests notice.
    #[cfg(feature = "defects")]
    pub fn leave_out(&mut self, defect: Option<Defect>) {
        self.defects = Defects(defect);
        self.voter.defects = Defects(defect);
    }

    /// Takes one event at `now` and returns what to do, in order.
    pub fn step(&mut self, event: Event, now: Time) -> Vec<Action> {
        match event {
            Event::Tick => {}
            Event::Settings(settings) => self.settings = *settings,
            Event::Health(health) => self.health = health,
            Event::Received(message) => self.receive(*message, now),
            Event::SeedFailed { address, reason } => self.on_seed_failed(&address, reason),
            Event::Stored { writes } => self.outbox.on_stored(writes),
            Event::StoreFailed => self.outbox.on_failed(now),
            Event::PayloadApplied { term, payload } => {
                self.has_payload = true;
                self.on_applied(term, payload);
            }
            Event::PayloadRemoved => self.has_payload = false,
            Event::PayloadAvailable(available) => self.is_available = available,
            Event::HubRecord { created } => self.on_hub_record(created, now),
            Event::FenceHook { term, confirmed } => self.on_fence_hook(term, confirmed, now),
        }
        // Each round either changes the phase or ends; phases are few, so a bound is never reached.
        for _ in 0..16 {
            if !self.advance(now) {
                break;
            }
        }
        self.send_keepalives(now);
        let flushed = self.outbox.flush(&self.voter.record, now);
        self.actions.extend(flushed);
        let deadline = self.deadline(now);
        if self.armed != Some(deadline) {
            self.armed = Some(deadline);
            self.actions.push(Action::ArmTimer(deadline));
        }
        std::mem::take(&mut self.actions)
    }

    /// Lets the phase act on what is known. Returns whether another one followed.
    fn advance(&mut self, now: Time) -> bool {
        match &self.phase {
            Phase::Bootstrapping(_) | Phase::Joining(_) => self.advance_search(now),
            Phase::Rejected { retry } if now >= *retry => self.search_for_fleet(now),
            Phase::Rejected { .. } => self.settings.is_deleted && self.leave(now),
            Phase::Follower(_) => self.advance_follower(now),
            Phase::Candidate(_) => self.advance_candidate(now),
            Phase::Lead(_) => self.advance_lead(now),
            Phase::Released(_) => self.advance_released(now),
            Phase::Demoting(_) => self.advance_demoting(now),
            Phase::Leaving { .. } => self.advance_leaving(now),
            Phase::Gone { .. } => self.advance_gone(),
        }
    }

    /// When the machine has to be called next, at the latest.
    fn deadline(&self, now: Time) -> Time {
        let phase = match &self.phase {
            Phase::Bootstrapping(search) | Phase::Joining(search) => search.deadline(),
            Phase::Rejected { retry } => *retry,
            Phase::Follower(_) => self.follower_deadline(now),
            Phase::Candidate(ballots) => ballots.deadline(),
            Phase::Lead(lead) => self.lead_deadline(lead),
            Phase::Released(releasing) => releasing.next,
            Phase::Demoting(_) | Phase::Gone { .. } => Time::NEVER,
            Phase::Leaving { deadline, next } => (*deadline).min(*next),
        };
        phase
            .min(self.outbox.deadline())
            .min(self.next_keepalive)
            .min(self.next_probe)
    }

    /// The record has changed: it is stored before anything that shows it.
    fn touch(&mut self) {
        self.voter.record.writes += 1;
    }

    fn is_stored(&self) -> bool {
        self.outbox.has_stored(self.voter.record.writes)
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Sends once the record as it is now is stored.
    fn send(&mut self, to: Address, seq: u64, body: Body) {
        let record = &self.voter.record;
        let header = Header {
            fleet: self.voter.fleet().cloned(),
            term: record.term,
            version: self.voter.version(),
            sender: self.voter.id.clone(),
            writes: record.writes,
            seq,
        };
        self.when_stored(Action::Send {
            to,
            message: Box::new(Message { header, body }),
        });
    }

    /// Acts once the record as it is now is stored.
    fn when_stored(&mut self, action: Action) {
        let waits = !(self.defects.has(Defect::SendBeforeStored) && matches!(action, Action::Send { .. }));
        self.outbox
            .push(if waits { self.voter.record.writes } else { 0 }, action);
    }

    fn notify(&mut self, notice: Notice) {
        self.actions.push(Action::Notify(notice));
    }

    fn configuration(&self) -> Option<&Configuration> {
        self.voter.record.configuration.as_ref()
    }

    fn mode(&self) -> Option<Mode> {
        self.configuration().map(Configuration::mode)
    }

    fn me(&self) -> &MemberId {
        &self.voter.id
    }

    /// The other voters.
    fn others(&self) -> Vec<MemberId> {
        let Some(configuration) = self.configuration() else {
            return Vec::new();
        };
        configuration
            .others(&self.voter.id)
            .map(|voter| voter.id.clone())
            .collect()
    }

    /// What messages carry about this member.
    fn about(&self) -> About {
        About {
            rank: self.settings.rank,
            address: self.settings.address.clone(),
            eligible: self.is_eligible(),
            payload_hash: self.settings.payload_hash.clone(),
        }
    }

    /// Whether this member may become leader (multicluster-failover B.7).
    fn is_eligible(&self) -> bool {
        let settings = &self.settings;
        may_lead(settings.rank) && !settings.is_paused && !settings.is_deleted && self.health.api && self.health.payload
    }

    /// Whether another member was seen within two renewals and may become leader.
    fn is_ready_peer(&self, id: &MemberId, now: Time) -> bool {
        self.peers
            .get(id)
            .is_some_and(|peer| peer.about.eligible && now.since(peer.last_seen) <= self.settings.renew * 2)
    }

    /// The voters that may become leader now, those that come first before the others.
    fn candidates(&self, now: Time) -> Vec<MemberId> {
        let Some(configuration) = self.configuration() else {
            return Vec::new();
        };
        let mut candidates: Vec<_> = configuration
            .voters
            .iter()
            .filter(|voter| voter.role == Role::Candidate)
            .filter(|voter| match voter.id == self.voter.id {
                true => self.is_eligible(),
                false => self.is_ready_peer(&voter.id, now),
            })
            .collect();
        candidates.sort_by_key(|voter| precedence(voter.rank, &voter.id));
        candidates.into_iter().map(|voter| voter.id.clone()).collect()
    }

    /// Until when this member leads; the start of time when it does not.
    pub fn valid_until(&self) -> Time {
        match &self.phase {
            Phase::Lead(lead) => self.lead_valid_until(lead),
            _ => Time::START,
        }
    }

    /// Whether a write of the payload in `term` may be sent at `now`: this member leads in that term, is past the
    /// fence wait, is not removing the payload, and the lease lasts longer than the write may.
    pub fn may_write(&self, term: u64, now: Time, timeout: Duration) -> bool {
        match &self.phase {
            Phase::Lead(lead) if lead.term == term && self.voter.record.term == term => {
                matches!(lead.stage, Stage::Promoting | Stage::Leading)
                    && lease::may_write(self.lead_valid_until(lead), now, timeout)
            }
            _ => false,
        }
    }

    /// The record as it is in memory.
    pub const fn record(&self) -> &Record {
        &self.voter.record
    }

    /// What the member is doing.
    pub const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Becomes a follower that waits for a leader from now on.
    fn follow(&mut self, now: Time) {
        self.phase = Phase::Follower(Follower {
            vacant: now,
            failures: 0,
        });
    }

    /// Gives up leading: by removal of the payload where there may be one.
    fn demote(&mut self, lead: &Lead, now: Time) {
        let may_have_payload = self.has_payload || lead.asked.is_some();
        self.notify(Notice::LeaseLost { term: lead.term });
        if may_have_payload {
            self.begin_removal(lead.term, None);
        } else {
            // The next candidacy waits longer than this one did.
            self.phase = Phase::Follower(Follower {
                vacant: now,
                failures: lead.failures + 1,
            });
        }
    }

    fn begin_removal(&mut self, term: u64, join: Option<(FleetId, Option<String>)>) {
        self.has_payload = true;
        self.outbox.cancel_application();
        self.actions.push(Action::RemovePayload {
            term,
            within: Some(self.settings.fence),
        });
        self.phase = Phase::Demoting(Demoting { term, join });
    }

    fn advance_demoting(&mut self, now: Time) -> bool {
        if self.has_payload {
            return false;
        }
        let Phase::Demoting(Demoting { term, join }) = &self.phase else {
            return false;
        };
        let (term, join) = (*term, join.clone());
        self.notify(Notice::Demoted { term });
        match join {
            Some((_, address)) => self.join_another_fleet(address, now),
            None if self.configuration().is_none() => {
                self.search_for_fleet(now);
            }
            None => self.follow(now),
        }
        true
    }
}
