//! Messages of other members.

use crate::configuration::{Configuration, Mode, Version};
use crate::machine::event::Address;
use crate::machine::phase::Phase;
use crate::machine::{Machine, Peer};
use crate::member::MemberId;
use crate::message::{About, Body, Header, Message, Release, Renew, RenewReply, State};
use crate::time::Time;
use crate::voter::{Candidate, Refusal};

impl Machine {
    pub(super) fn receive(&mut self, message: Message, now: Time) {
        let Message { header, body } = message;
        if header.sender == *self.me() || matches!(self.phase, Phase::Gone { .. }) {
            return;
        }
        match self.voter.fleet() {
            Some(own) if header.fleet.as_ref() != Some(own) => {
                self.voter.record.names(&header.sender) && self.non_members.insert(header.sender.clone())
            }
            _ => self.non_members.remove(&header.sender),
        };
        if let (Some(own), Some(theirs)) = (self.voter.fleet(), &header.fleet)
            && own != theirs
        {
            self.on_other_fleet(&header, &body, now);
            return;
        }
        self.note_peer(&header, now);
        // A pre-vote shows the sender's own term, so a member that is cut off raises nobody's.
        if header.fleet.is_some() && self.voter.fleet() == header.fleet.as_ref() && self.voter.adopt(header.term) {
            self.touch();
        }
        let from = header.sender.clone();
        match body {
            Body::GetState => self.reply_state(&header, now),
            Body::State(state) => self.on_state(&header, *state, now),
            Body::Join(candidacy) => self.on_join(&from, candidacy),
            Body::Leave { member } => self.on_leave(&header, member),
            Body::Left { member, configuration } => self.on_left(&member, *configuration),
            Body::PreVote(ballot) => {
                let granted = self.judge(&header, ballot.rank, ballot.term, now).is_ok();
                self.send(Address::Member(from), header.seq, Body::PreVoteReply { granted });
            }
            Body::Vote(ballot) => {
                let granted = self.judge(&header, ballot.rank, ballot.term, now).is_ok();
                let last_leader = self.voter.record.last_leader.clone();
                if granted {
                    self.voter.grant(&from, ballot.term, now);
                    self.touch();
                    if matches!(self.phase, Phase::Candidate(_)) {
                        self.follow(now);
                    }
                }
                self.send(
                    Address::Member(from),
                    header.seq,
                    Body::VoteReply { granted, last_leader },
                );
            }
            Body::PreVoteReply { granted } => self.on_vote_reply(&header, granted, None),
            Body::VoteReply { granted, last_leader } => self.on_vote_reply(&header, granted, Some(last_leader)),
            Body::Renew(renew) => self.on_renew(&header, &renew, now),
            Body::RenewReply(reply) => self.on_renew_reply(&header, *reply, now),
            Body::Release(release) => self.on_release(&header, &release, now),
            Body::ReleaseReply { term } => self.on_release_reply(&from, term),
            Body::Handover { term } => self.on_handover(&header, term, now),
        }
    }

    /// Notes that the sender is alive and how often it has stored.
    fn note_peer(&mut self, header: &Header, now: Time) {
        let peer = self.peers.entry(header.sender.clone()).or_insert_with(|| Peer {
            last_seen: now,
            writes: 0,
            version: Version::default(),
            about: About::default(),
        });
        peer.last_seen = now;
        peer.version = header.version;
        peer.writes = peer.writes.max(header.writes);
    }

    fn note_about(&mut self, from: &MemberId, about: &About) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.about = about.clone();
        }
    }

    fn writes_of(&self, id: &MemberId) -> u64 {
        self.peers.get(id).map_or(0, |peer| peer.writes)
    }

    /// The member that this one follows or is, and its address.
    pub(super) fn leader(&self, now: Time) -> Option<MemberId> {
        match &self.phase {
            Phase::Lead(_) => Some(self.me().clone()),
            _ => self.voter.supports(now).map(|promise| promise.to.clone()),
        }
    }

    fn reply_state(&mut self, header: &Header, now: Time) {
        let leader = self.leader(now);
        let configuration = self.configuration().cloned();
        let leader_address = match &leader {
            Some(id) if id == self.me() => self.settings.address.clone(),
            Some(id) => configuration.as_ref().and_then(|all| all.voter(id)?.address.clone()),
            None => None,
        };
        let state = State {
            leader,
            leader_address,
            configuration,
            previous: self.voter.record.previous.clone(),
            is_member: self.voter.fleet().is_some(),
            about: self.about(),
            your_writes: self.writes_of(&header.sender),
        };
        self.send(
            Address::Member(header.sender.clone()),
            header.seq,
            Body::State(Box::new(state)),
        );
    }

    fn on_state(&mut self, header: &Header, state: State, now: Time) {
        let from = &header.sender;
        self.note_about(from, &state.about);
        self.compare_own_writes(from, state.your_writes, now);
        if matches!(self.phase, Phase::Bootstrapping(_) | Phase::Joining(_)) {
            self.on_state_while_searching(header, &state, now);
        } else {
            self.catch_up(&state);
        }
    }

    /// Takes over a newer configuration, or that one is committed, also from a member that does not lead: a leader that
    /// fails in the middle of a change leaves voters behind that know it and others that do not.
    fn catch_up(&mut self, state: &State) {
        let Some(fleet) = self.voter.fleet() else { return };
        let Some(theirs) = state.configuration.as_ref().filter(|theirs| theirs.fleet == *fleet) else {
            return;
        };
        let record = &mut self.voter.record;
        let own = record
            .configuration
            .as_ref()
            .map_or_else(Version::default, |own| own.version);
        let is_commit = theirs.version == own && state.previous.is_none() && record.previous.is_some();
        if matches!(self.phase, Phase::Lead(_)) || !(theirs.version > own || is_commit) {
            return;
        }
        record.configuration = Some(theirs.clone());
        record.previous.clone_from(&state.previous);
        self.touch();
    }

    /// Another voter says how often it has seen this one store. More than the record counts means that the record is
    /// an old one, restored from a backup: what was promised since is unknown (multicluster-failover B.3).
    fn compare_own_writes(&mut self, from: &MemberId, writes: u64, now: Time) {
        if !self.configuration().is_some_and(|all| all.has(from)) {
            return;
        }
        self.confirmed_by.insert(from.clone());
        self.seen_writes = self.seen_writes.max(writes);
        if self.seen_writes > self.voter.record.writes {
            self.voter.is_learner = true;
            self.voter.record.writes = self.seen_writes;
            self.touch();
        }
        let others = self.others();
        let known = others.iter().filter(|id| self.confirmed_by.contains(id)).count();
        let majority = self.configuration().map_or(0, Configuration::majority);
        if self.voter.is_learner && known >= majority.min(others.len()) {
            self.voter.is_learner = false;
            self.voter.quarantine = now + self.settings.lease.max(self.voter.lease());
        }
    }

    /// Whether enough of the others have said that the record is not an old one.
    pub(super) fn is_record_confirmed(&self) -> bool {
        let Some(configuration) = self.configuration().filter(|all| all.mode() == Mode::Quorum) else {
            return true;
        };
        let others = configuration.others(self.me());
        others.filter(|voter| self.confirmed_by.contains(&voter.id)).count() >= configuration.majority() - 1
    }

    fn judge(&mut self, header: &Header, rank: i64, term: u64, now: Time) -> Result<(), Refusal> {
        if self.configuration().is_none() || header.fleet.as_ref() != self.voter.fleet() {
            return Err(Refusal::OtherFleet);
        }
        if self.valid_until() > now {
            return Err(Refusal::PromisedToAnother);
        }
        if !self.is_record_confirmed() {
            return Err(Refusal::Quarantine);
        }
        let is_preceded = self.is_preceded(&header.sender, rank, now);
        let candidate = Candidate {
            id: &header.sender,
            term,
            version: header.version,
            is_preceded,
        };
        let verdict = self.voter.judge(&candidate, now);
        if verdict == Err(Refusal::Preceded) {
            self.voter.defer();
        }
        verdict
    }

    fn on_renew(&mut self, header: &Header, renew: &Renew, now: Time) {
        let leader = header.sender.clone();
        self.note_about(&leader, &renew.about);
        let joins = matches!(self.phase, Phase::Joining(_) | Phase::Bootstrapping(_));
        let was_unknown = self
            .configuration()
            .is_none_or(|own| own.fleet != renew.configuration.fleet);
        if self.voter.fleet().is_none() && !joins {
            return;
        }
        if self.is_rival(header) {
            let own = (self.voter.record.term, self.settings.rank, self.me().clone());
            if own > (header.term, renew.about.rank, leader.clone()) {
                return;
            }
        }
        let accepted = self.voter.renew(&leader, (header.term, header.seq), renew, now);
        match accepted {
            Ok(changed) => {
                if changed {
                    self.touch();
                }
                self.non_members.clear();
                // A voter that knows nothing of its own votes has lost its record.
                let votes = renew.configuration.has(self.me());
                if was_unknown && votes && renew.configuration.mode() == Mode::Quorum {
                    self.voter.is_learner = true;
                    self.confirmed_by.clear();
                }
                self.compare_own_writes(&leader, renew.your_writes, now);
                let limit = self.admission_limit();
                match &mut self.phase {
                    Phase::Candidate(_) => self.follow(now),
                    Phase::Joining(search) | Phase::Bootstrapping(search) => search.admitted_by = Some(now + limit),
                    _ => {}
                }
            }
            Err(Refusal::Overtaken | Refusal::OtherFleet) => return,
            Err(_) => {}
        }
        let wants = self.settings.requests.promote.clone();
        let promote = wants.filter(|value| !self.is_handled(crate::machine::settings::PROMOTE, value));
        let reply = RenewReply {
            accepted: accepted.is_ok(),
            fence: renew.fence,
            about: self.about(),
            promote,
        };
        self.send(Address::Member(leader), header.seq, Body::RenewReply(Box::new(reply)));
    }

    /// Whether the sender leads in the own term while this member does too: with two voters that prefer availability.
    fn is_rival(&self, header: &Header) -> bool {
        matches!(&self.phase, Phase::Lead(lead) if lead.term == header.term)
    }

    fn on_release(&mut self, header: &Header, release: &Release, now: Time) {
        let supported = self.voter.supports(now).cloned();
        if self.voter.release(&header.sender, release) {
            self.touch();
        }
        let is_void = supported.is_some() && self.voter.supports(now).is_none();
        self.on_vacancy(is_void, release, now);
        self.send(
            Address::Member(header.sender.clone()),
            header.seq,
            Body::ReleaseReply { term: release.term },
        );
    }

    /// A member of another fleet with the same callsign (multicluster-failover B.3).
    fn on_other_fleet(&mut self, header: &Header, body: &Body, now: Time) {
        match body {
            Body::GetState => self.reply_state(header, now),
            Body::State(state) => {
                self.conflict.clone_from(&header.fleet);
                let Some(theirs) = state.configuration.as_ref().filter(|_| state.is_member) else {
                    return;
                };
                let Some(own) = self.configuration().filter(|own| own.mode() == Mode::Solo) else {
                    return;
                };
                let own_order = (
                    own.voters.len(),
                    self.voter.record.term,
                    std::cmp::Reverse(own.fleet.clone()),
                );
                let their_order = (
                    theirs.voters.len(),
                    header.term,
                    std::cmp::Reverse(theirs.fleet.clone()),
                );
                if own_order < their_order {
                    let fleet = theirs.fleet.clone();
                    self.leave_for_other_fleet(fleet, state.leader_address.clone(), now);
                }
            }
            _ => self.conflict.clone_from(&header.fleet),
        }
    }

    fn leave_for_other_fleet(&mut self, fleet: crate::member::FleetId, address: Option<String>, now: Time) {
        let term = self.voter.record.term;
        match (&self.phase, self.has_payload) {
            (Phase::Demoting(_), _) => {}
            (_, true) => self.begin_removal(term, Some((fleet, address))),
            (Phase::Lead(lead), false) if lead.asked.is_some() => self.begin_removal(term, Some((fleet, address))),
            (_, false) => self.join_another_fleet(address, now),
        }
        self.conflict = None;
    }

    /// Asks voters that were silent for a renewal how they are, and now and then whether there is another fleet.
    pub(super) fn send_keepalives(&mut self, now: Time) {
        if now >= self.next_keepalive {
            self.next_keepalive = now + self.settings.renew;
            let leads = matches!(self.phase, Phase::Lead(_));
            let others = if self.voter.fleet().is_some() {
                self.others()
            } else {
                Vec::new()
            };
            for id in others {
                let is_silent = self
                    .peers
                    .get(&id)
                    .is_none_or(|peer| now.since(peer.last_seen) >= self.settings.renew);
                let is_unconfirmed = !self.confirmed_by.contains(&id);
                let is_ahead = self
                    .peers
                    .get(&id)
                    .is_some_and(|peer| peer.version > self.voter.version());
                if is_unconfirmed || ((is_silent || is_ahead) && !leads) {
                    let seq = self.next_seq();
                    self.send(Address::Member(id), seq, Body::GetState);
                }
            }
        }
        if now >= self.next_probe {
            self.next_probe = now + super::PROBE;
            let is_solo = self.mode() == Some(Mode::Solo);
            let own = self.settings.address.clone();
            let known = self.settings.seeds.iter().chain(&self.voter.record.departed).cloned();
            let voters: Vec<String> = self.configuration().map_or_else(Vec::new, |all| {
                all.voters.iter().filter_map(|voter| voter.address.clone()).collect()
            });
            let non_members: Vec<String> = known
                .filter(|address| Some(address) != own.as_ref() && !voters.contains(address))
                .collect();
            if is_solo || !non_members.is_empty() {
                for address in non_members {
                    let seq = self.next_seq();
                    self.send(Address::Seed(address), seq, Body::GetState);
                }
            }
        }
    }
}
