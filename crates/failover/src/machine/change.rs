//! Changes of the voters, one at a time, by the leader (multicluster-failover B.3, B.5).

use crate::configuration::{Configuration, Mode, Role, Voter as Member};
use crate::defect::Defect;
use crate::machine::Machine;
use crate::machine::event::Address;
use crate::machine::phase::{Follow, Lead, Phase, Stage};
use crate::machine::settings::FORGET;
use crate::member::MemberId;
use crate::message::{Body, Candidacy, Header};
use crate::record::DEPARTED;
use crate::time::Time;

impl Machine {
    /// Commits the change that is under way, or begins the next one.
    pub(super) fn advance_configuration(&mut self, lead: &mut Lead, now: Time) {
        if matches!(lead.stage, Stage::Recovering { .. }) && self.voter.record.previous.is_none() {
            return;
        }
        let Some(current) = self.configuration().cloned() else {
            return;
        };
        if let Some(previous) = self.voter.record.previous.clone() {
            let agrees = |id: &MemberId| {
                *id == *self.me()
                    || lead
                        .follows
                        .get(id)
                        .is_some_and(|follow| follow.version >= current.version)
            };
            let is_carried = current.is_carried_by(agrees) && previous.is_carried_by(agrees);
            let is_carried = is_carried || self.defects.has(Defect::CommitAtOnce);
            if !is_carried || !self.is_stored() {
                return;
            }
            self.voter.record.previous = None;
            for gone in previous.voters.iter().filter(|voter| !current.has(&voter.id)) {
                lead.removals.remove(&gone.id);
                if let Some(address) = gone.address.clone() {
                    self.remember_departed(address);
                }
                let left = Body::Left {
                    member: gone.id.clone(),
                    configuration: Box::new(current.clone()),
                };
                let seq = self.next_seq();
                self.send(Address::Member(gone.id.clone()), seq, left);
            }
            self.touch();
            lead.next_round = now;
        }
        let may_change = matches!(lead.stage, Stage::Promoting | Stage::Leading);
        if !may_change || current.version.term != lead.term {
            return;
        }
        self.note_forget_request(lead);
        if let Some(next) = self.next_configuration(&current, lead, now) {
            self.propose(next, lead, now);
        }
    }

    /// Proposes a configuration: it travels with the renewals that are sent at once.
    pub(super) fn propose(&mut self, mut next: Configuration, lead: &mut Lead, now: Time) {
        let Some(current) = self.configuration().cloned() else {
            return;
        };
        next.version.term = lead.term;
        next.version.number = current.version.number + 1;
        for voter in next.voters.iter().filter(|voter| !current.has(&voter.id)) {
            if let Some(follow) = lead.follows.get_mut(&voter.id) {
                follow.joining = None;
            }
        }
        self.voter.record.configuration = Some(next);
        self.voter.record.previous = Some(current);
        self.touch();
        lead.next_round = now;
    }

    /// The next change that is wanted, of one voter.
    fn next_configuration(&self, current: &Configuration, lead: &Lead, now: Time) -> Option<Configuration> {
        let is_followed = |next: &Configuration| {
            next.mode() != Mode::Quorum || self.quorum_until(next, lead) > now + self.settings.renew
        };
        let removal = lead
            .removals
            .iter()
            .find(|id| current.has(id))
            .map(|id| current.without(id));
        let hub = self.hub_change(current, lead, now);
        let join = lead.follows.iter().find_map(|(id, follow)| {
            let candidacy = follow
                .joining
                .as_ref()
                .filter(|_| !current.has(id) && follow.window > now)?;
            Some(current.with(Member::member(id.clone(), candidacy.rank, candidacy.address.clone())))
        });
        let edit = current.voters.iter().find_map(|voter| {
            let about = match voter.id == *self.me() {
                true => self.about(),
                false => lead
                    .follows
                    .get(&voter.id)
                    .filter(|follow| follow.has_renewed)?
                    .about
                    .clone(),
            };
            let edited = Member::member(voter.id.clone(), about.rank, about.address);
            (voter.role != Role::HubWitness && edited != *voter).then(|| current.with(edited))
        });
        [removal, hub, join, edit].into_iter().flatten().find(is_followed)
    }

    /// The hub votes only while the number of the other voters is even, so that it never costs availability.
    fn hub_change(&self, current: &Configuration, lead: &Lead, now: Time) -> Option<Configuration> {
        let others = current
            .voters
            .iter()
            .filter(|voter| voter.role != Role::HubWitness)
            .count();
        match (current.hub(), &self.settings.hub) {
            (Some(hub), wanted) if others % 2 == 1 || wanted.as_ref() != Some(&hub.id) => {
                Some(current.without(&hub.id))
            }
            (None, Some(hub)) if others.is_multiple_of(2) => {
                let answers = lead.follows.get(hub).is_some_and(|follow| follow.window > now);
                answers.then(|| current.with(Member::hub(hub.clone())))
            }
            _ => None,
        }
    }

    pub(super) fn on_join(&mut self, from: &MemberId, candidacy: Candidacy) {
        let Phase::Lead(lead) = &mut self.phase else { return };
        let follow: &mut Follow = lead.follows.entry(from.clone()).or_default();
        follow.joining = Some(candidacy);
        // It waits for a renewal.
        lead.next_round = Time::START;
    }

    /// The operator gives up a voter that will not come back.
    fn note_forget_request(&mut self, lead: &mut Lead) {
        let Some(value) = self.settings.requests.forget.clone() else {
            return;
        };
        if !self.is_handled(FORGET, &value) {
            self.handle(FORGET, &value);
            let member = MemberId::from(value.as_str());
            if member != *self.me() {
                lead.removals.insert(member);
            }
        }
    }

    pub(super) fn on_leave(&mut self, header: &Header, member: MemberId) {
        let configuration = self.configuration().cloned();
        let pending = self.voter.record.previous.is_some();
        let Phase::Lead(lead) = &mut self.phase else { return };
        let Some(configuration) = configuration else { return };
        if configuration.has(&member) {
            lead.removals.insert(member);
        } else if !pending {
            let left = Body::Left {
                member,
                configuration: Box::new(configuration),
            };
            self.send(Address::Member(header.sender.clone()), header.seq, left);
        }
    }

    pub(super) fn remember_departed(&mut self, address: String) {
        let departed = &mut self.voter.record.departed;
        departed.retain(|known| *known != address);
        departed.push(address);
        if departed.len() > DEPARTED {
            departed.remove(0);
        }
    }
}
