//! Candidacies (multicluster-failover B.6).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::configuration::{Configuration, Mode};
use crate::machine::Machine;
use crate::machine::event::{Address, Notice};
use crate::machine::phase::{Ballots, Debt, Follower, Phase, Round};
use crate::machine::settings::FORCE_PROMOTE;
use crate::message::{Ballot, Body, Header};
use crate::record::LastLeader;
use crate::time::Time;
use crate::voter::Candidate;

/// How long a round of votes may take.
const ROUND: Duration = Duration::from_secs(2);

impl Ballots {
    pub(super) fn deadline(&self) -> Time {
        self.sent + ROUND
    }
}

impl Machine {
    /// Asks whether the others would support this member.
    pub(super) fn ask_for_pre_votes(&mut self, now: Time) -> bool {
        let failures = match &self.phase {
            Phase::Follower(follower) => follower.failures,
            _ => 0,
        };
        let term = self.voter.record.term + 1;
        let version = self.voter.version();
        let own = Candidate {
            id: self.me(),
            term,
            version,
            is_preceded: false,
        };
        if self.voter.judge(&own, now).is_err() {
            return false;
        }
        self.ask_for_votes(Round::PreVote, term, failures, now);
        true
    }

    /// Asks for votes at once: the last leader has released towards this member.
    pub(super) fn ask_for_votes_as_successor(&mut self, now: Time) {
        let term = self.voter.record.term + 1;
        self.vote_for_self(term, now);
        self.ask_for_votes(Round::Vote, term, 0, now);
    }

    fn vote_for_self(&mut self, term: u64, now: Time) {
        let me = self.me().clone();
        self.voter.grant(&me, term, now);
        self.touch();
    }

    fn ask_for_votes(&mut self, round: Round, term: u64, failures: u32, now: Time) {
        let Some(configuration) = self.configuration() else {
            return;
        };
        let electorate = self.electorate(configuration).clone();
        let ballot = Ballot {
            rank: self.settings.rank,
            term,
        };
        let seq = self.next_seq();
        let others: Vec<_> = electorate.others(self.me()).map(|voter| voter.id.clone()).collect();
        for id in others {
            let body = match round {
                Round::PreVote => Body::PreVote(ballot.clone()),
                Round::Vote => Body::Vote(ballot.clone()),
            };
            self.send(Address::Member(id), seq, body);
        }
        let own = self.voter.record.writes;
        self.phase = Phase::Candidate(Ballots {
            round,
            electorate,
            grants: BTreeMap::new(),
            refusals: BTreeSet::new(),
            seq,
            sent: now,
            own,
            failures,
        });
    }

    pub(super) fn on_vote_reply(&mut self, header: &Header, granted: bool, last: Option<Option<LastLeader>>) {
        let Phase::Candidate(ballots) = &mut self.phase else {
            return;
        };
        let round = if last.is_some() { Round::Vote } else { Round::PreVote };
        if ballots.seq != header.seq || ballots.round != round || !ballots.electorate.has(&header.sender) {
            return;
        }
        match granted {
            true => {
                ballots.grants.insert(header.sender.clone(), last.flatten());
            }
            false => {
                ballots.refusals.insert(header.sender.clone());
            }
        }
    }

    pub(super) fn advance_candidate(&mut self, now: Time) -> bool {
        if self.settings.is_deleted {
            return self.leave(now);
        }
        let is_eligible = self.is_eligible();
        let term = self.voter.record.term;
        let voted_for_self = self.voter.record.voted_for.as_ref() == Some(self.me());
        let Phase::Candidate(ballots) = &self.phase else {
            return false;
        };
        let electorate = &ballots.electorate;
        // A higher term was seen, or a leader.
        let is_overtaken = ballots.round == Round::Vote && !voted_for_self;
        let is_over = now >= ballots.deadline();
        let needs = electorate.majority();
        let is_lone = electorate.mode() == Mode::Optimistic && is_over && ballots.refusals.is_empty();
        let has_majority = ballots.grants.len() + 1 >= needs || is_lone;
        let is_lost = ballots.refusals.len() + needs > electorate.voters.len();
        if is_overtaken || !is_eligible || is_lost || (is_over && !has_majority) {
            let failures = ballots.failures + 1;
            self.phase = Phase::Follower(Follower { vacant: now, failures });
            return true;
        }
        if !has_majority || !self.outbox.has_stored(ballots.own) {
            return false;
        }
        let ballots = ballots.clone();
        match ballots.round {
            Round::PreVote => {
                let next = term + 1;
                self.vote_for_self(next, now);
                self.ask_for_votes(Round::Vote, next, ballots.failures, now);
            }
            Round::Vote => {
                let debt = self.owed(&ballots);
                self.notify(Notice::Elected { term });
                let granted: Vec<_> = ballots.grants.keys().cloned().collect();
                self.begin_lead(debt, ballots.sent, &granted, now);
                if let Phase::Lead(lead) = &mut self.phase {
                    lead.failures = ballots.failures;
                }
            }
        }
        true
    }

    /// What the winner owes to the last leader's cluster, by what the majority knows (multicluster-failover B.6).
    fn owed(&self, ballots: &Ballots) -> Debt {
        let own = self.voter.record.last_leader.clone();
        self.debt(ballots.grants.values().flatten().chain(own.as_ref()))
    }

    pub(super) fn debt<'a>(&self, known: impl Iterator<Item = &'a LastLeader> + Clone) -> Debt {
        let of = known.clone().map(|leader| leader.term).max().unwrap_or(0);
        let of_last = known.filter(|leader| leader.term == of);
        let is_paid = of == 0 || of == self.voter.record.promoted_in || of_last.clone().any(|leader| leader.released);
        let fence = of_last.map(|leader| leader.fence).max().unwrap_or_default();
        Debt {
            of,
            fence: if is_paid { Duration::ZERO } else { fence },
            delay: Duration::ZERO,
        }
    }

    /// Leads because the configuration says so: alone, or as the holder of two.
    pub(super) fn lead_by_configuration(&mut self, now: Time) -> bool {
        let own = self.voter.record.last_leader.clone();
        let debt = self.debt(own.iter());
        let term = self.voter.record.term + 1;
        self.vote_for_self(term, now);
        self.notify(Notice::Elected { term });
        self.begin_lead(debt, now, &[], now);
        true
    }

    /// The operator's request to lead although the last leader may live, unless it was executed.
    pub(super) fn force_request(&self) -> Option<String> {
        let value = self.settings.requests.force_promote.clone()?;
        let is_new = !self.is_handled(FORCE_PROMOTE, &value);
        (is_new && self.health.payload && self.health.api).then_some(value)
    }

    pub(super) fn is_handled(&self, request: &str, value: &str) -> bool {
        self.voter
            .record
            .handled
            .get(request)
            .is_some_and(|handled| handled == value)
    }

    pub(super) fn handle(&mut self, request: &str, value: &str) {
        self.voter.record.handled.insert(request.to_owned(), value.to_owned());
        self.touch();
    }

    /// Leads on the operator's word (multicluster-failover B.5). With two voters this member becomes the holder; with
    /// more it goes on alone, and the others join it when they meet the higher term.
    pub(super) fn force(&mut self, value: &str, now: Time) -> bool {
        self.handle(FORCE_PROMOTE, value);
        let term = self.voter.record.term + 1;
        self.vote_for_self(term, now);
        let me = self.me().clone();
        let Some(configuration) = self.voter.record.configuration.clone() else {
            return false;
        };
        let mut forced: Configuration = configuration.clone();
        if configuration.mode() == Mode::Quorum {
            forced.voters.retain(|voter| voter.id == me);
        }
        forced.holder = Some(me);
        forced.version.term = term;
        forced.version.number += 1;
        let gone = configuration.voters.iter().filter(|voter| !forced.has(&voter.id));
        let gone: Vec<String> = gone.filter_map(|voter| voter.address.clone()).collect();
        self.voter.record.configuration = Some(forced);
        self.voter.record.previous = None;
        for address in gone {
            self.remember_departed(address);
        }
        let own = self.voter.record.last_leader.clone();
        let mut debt = self.debt(own.iter());
        if !debt.fence.is_zero() {
            debt.delay = own.map_or(Duration::ZERO, |last| last.lease);
        }
        if value.ends_with("!now") {
            debt = Debt::default();
        }
        self.notify(Notice::ForcedPromotion { term });
        self.begin_lead(debt, now, &[], now);
        true
    }
}
