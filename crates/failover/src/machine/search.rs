//! Creating a fleet, and joining one (multicluster-failover B.3).

use std::collections::VecDeque;
use std::time::Duration;

use crate::configuration::{Configuration, Role, Voter as Member};
use crate::machine::Machine;
use crate::machine::event::{Action, Address, Notice, SeedFailure};
use crate::machine::phase::{Pass, Phase, Search};
use crate::member::FleetId;
use crate::message::{Body, Candidacy, Header, State};
use crate::time::Time;

/// How long an address has to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a new fleet is put off for an answer of an existing one.
const SEARCH: Duration = Duration::from_secs(10);
/// The longest pause between two passes over the addresses.
const PAUSE: u64 = 30;
/// How long a member whose callsign is refused waits.
const REJECTED: Duration = Duration::from_secs(60);

impl Search {
    pub(super) fn deadline(&self) -> Time {
        match (&self.asked, self.admitted_by) {
            (_, Some(until)) => until,
            (Some((_, _, until)), None) => *until,
            (None, None) => self.next,
        }
    }
}

impl Pass {
    const fn total(self) -> u32 {
        self.refused + self.silent + self.without_fleet + self.with_fleet
    }
}

impl Machine {
    /// What a process begins with, by its record and what is applied.
    pub(super) fn first_phase(&mut self, now: Time) -> Phase {
        let is_voter = self.voter.record.votes(self.me());
        if is_voter && self.has_payload {
            return self.recover(now);
        }
        if self.has_payload {
            // Applied once, and no longer a member: it goes before anything else.
            let term = self.voter.record.term;
            self.begin_removal(term, None);
            return self.phase.clone();
        }
        if is_voter {
            return self.phase.clone();
        }
        self.searching(now)
    }

    /// Looks for a fleet; a new one is made when the spec says so and nobody else is known.
    pub(super) fn search_for_fleet(&mut self, now: Time) -> bool {
        self.phase = self.searching(now);
        true
    }

    fn searching(&self, now: Time) -> Phase {
        let mut search = Search {
            next: now,
            until: now + SEARCH,
            ..Search::default()
        };
        if let Some(tombstone) = self.configuration() {
            search
                .known
                .extend(tombstone.others(self.me()).filter_map(|voter| voter.address.clone()));
            search.was_found = tombstone.others(self.me()).any(|voter| voter.role != Role::HubWitness);
        }
        search.known.extend(self.voter.record.departed.iter().cloned());
        match self.settings.ready {
            true => Phase::Bootstrapping(search),
            false => Phase::Joining(search),
        }
    }

    /// Gives up the own fleet and joins the one that answers at `address`. Terms begin anew.
    pub(super) fn join_another_fleet(&mut self, address: Option<String>, now: Time) {
        self.voter.begin_anew();
        self.touch();
        let mut search = Search {
            next: now,
            only_joins: true,
            ..Search::default()
        };
        search.known.extend(address);
        self.phase = Phase::Joining(search);
    }

    fn search(&mut self) -> Option<&mut Search> {
        match &mut self.phase {
            Phase::Bootstrapping(search) | Phase::Joining(search) => Some(search),
            _ => None,
        }
    }

    pub(super) fn advance_search(&mut self, now: Time) -> bool {
        if self.settings.is_deleted {
            return self.leave(now);
        }
        if self.configuration().is_some_and(|all| all.has(self.me())) && self.voter.fleet().is_some() {
            self.notify(Notice::Joined);
            self.non_members.clear();
            self.follow(now);
            return true;
        }
        let may_create = self.settings.ready;
        let claims = self.settings.hub.is_some();
        let addresses = self.addresses();
        let Some(search) = self.search() else { return false };
        let is_waiting = search.admitted_by.is_some_and(|until| now < until)
            || search.asked.as_ref().is_some_and(|(_, _, until)| now < *until);
        if is_waiting || search.has_claimed {
            return false;
        }
        search.admitted_by = None;
        if search.asked.take().is_some() {
            search.pass.silent += 1;
        }
        if let Some(address) = search.left.pop_front() {
            let seq = self.next_seq();
            if let Some(search) = self.search() {
                search.asked = Some((address.clone(), seq, now + ANSWER));
            }
            self.send(Address::Seed(address), seq, Body::GetState);
            return false;
        }
        let pass = search.pass;
        if search.passes > 0 && pass.refused > 0 && pass.refused == pass.total() {
            self.phase = Phase::Rejected { retry: now + REJECTED };
            return true;
        }
        let is_proven = pass.with_fleet + pass.refused + pass.silent == 0;
        let is_presumed = !search.was_found && !search.only_joins && pass.with_fleet == 0 && now >= search.until;
        if may_create && search.passes > 0 && (is_proven || is_presumed) {
            if claims {
                search.has_claimed = true;
                let fleet = self.fleet_to_create();
                let replaces = self.configuration().map(|last| last.fleet.clone());
                self.when_stored(Action::ClaimHubRecord { fleet, replaces });
                return false;
            }
            self.bootstrap(now);
            return true;
        }
        if search.passes > 0 && now < search.next {
            return false;
        }
        search.passes += 1;
        search.next = now + Duration::from_secs((1 << search.passes.min(6) >> 1).min(PAUSE));
        search.pass = Pass::default();
        search.left = addresses;
        true
    }

    /// How long the next renewal of a leader that was asked for admission may take.
    pub(super) fn admission_limit(&self) -> Duration {
        (self.settings.renew * 3).max(ANSWER)
    }

    /// Every address that a fleet may answer at, each once.
    fn addresses(&mut self) -> VecDeque<String> {
        let own = self.settings.address.clone();
        let seeds = self.settings.seeds.clone();
        let known = self.search().map(|search| search.known.clone()).unwrap_or_default();
        let mut addresses = VecDeque::new();
        for address in seeds.into_iter().chain(known) {
            if Some(&address) != own.as_ref() && !addresses.contains(&address) {
                addresses.push_back(address);
            }
        }
        addresses
    }

    pub(super) fn on_seed_failed(&mut self, address: &str, reason: SeedFailure) {
        let Some(search) = self.search() else { return };
        if search.asked.as_ref().is_none_or(|(asked, ..)| asked != address) {
            return;
        }
        search.asked = None;
        match reason {
            SeedFailure::CallsignMismatch => search.pass.refused += 1,
            SeedFailure::Unreachable => search.pass.silent += 1,
        }
    }

    /// A member that was asked has answered.
    pub(super) fn on_state_while_searching(&mut self, header: &Header, state: &State, now: Time) {
        let limit = self.admission_limit();
        let me = self.me().clone();
        let seeds = self.settings.seeds.clone();
        let candidacy = Candidacy {
            rank: self.settings.rank,
            address: self.settings.address.clone(),
        };
        let Some(search) = self.search() else { return };
        if search.asked.as_ref().is_none_or(|(_, seq, _)| *seq != header.seq) {
            return;
        }
        search.asked = None;
        // Also a member that has left knows others, who may have joined later than anybody known here.
        let voters = state
            .configuration
            .iter()
            .flat_map(|configuration| &configuration.voters);
        for address in voters
            .filter(|voter| voter.id != me)
            .filter_map(|voter| voter.address.clone())
        {
            search.was_found = true;
            if search.known.insert(address.clone()) && !seeds.contains(&address) {
                search.left.push_back(address);
            }
        }
        if !state.is_member {
            search.pass.without_fleet += 1;
            return;
        }
        search.pass.with_fleet += 1;
        search.was_found = true;
        let to = match &state.leader {
            Some(leader) if *leader == header.sender => Some(Address::Member(leader.clone())),
            Some(_) => state.leader_address.clone().map(Address::Seed),
            None => None,
        };
        if let Some(to) = to {
            search.admitted_by = Some(now + limit);
            let seq = self.next_seq();
            self.send(to, seq, Body::Join(candidacy));
        }
    }

    pub(super) fn on_hub_record(&mut self, created: bool, now: Time) {
        let Some(search) = self.search().filter(|search| search.has_claimed) else {
            return;
        };
        search.has_claimed = false;
        match created {
            true => self.bootstrap(now),
            // Another fleet has the callsign: it answers sooner or later.
            false => search.was_found = true,
        }
    }

    /// The identity of the fleet to create is stored first: a restart creates no second one.
    fn fleet_to_create(&mut self) -> FleetId {
        if let Some(fleet) = &self.voter.record.own_fleet {
            return fleet.clone();
        }
        let fleet = self.fresh_fleet.clone();
        self.voter.record.own_fleet = Some(fleet.clone());
        self.touch();
        fleet
    }

    /// Creates the fleet, alone in it.
    fn bootstrap(&mut self, now: Time) {
        let fleet = self.fleet_to_create();
        let settings = &self.settings;
        let member = Member::member(self.me().clone(), settings.rank, settings.address.clone());
        let first = Configuration::first(fleet, member, settings.availability, settings.lease);
        self.voter.begin_anew();
        let record = &mut self.voter.record;
        record.own_fleet = None;
        record.configuration = Some(first);
        self.voter.quarantine = now;
        self.touch();
        self.non_members.clear();
        self.notify(Notice::Bootstrapped);
        self.follow(now);
    }
}
