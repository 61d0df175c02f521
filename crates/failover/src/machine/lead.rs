//! Leading: renewals, the fence wait, and the end of the lease (multicluster-failover B.6).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::configuration::{Configuration, Mode};
use crate::defect::Defect;
use crate::lease;
use crate::machine::Machine;
use crate::machine::event::{Action, Address, Notice};
use crate::machine::phase::{Debt, Follow, Hook, Lead, Phase, Stage};
use crate::machine::settings::{FORCE_PROMOTE, PROMOTE};
use crate::member::MemberId;
use crate::message::{Body, Header, Renew, RenewReply};
use crate::time::Time;

/// How many rounds of renewals an answer may belong to.
const ROUNDS: usize = 64;
/// How long the fence hook has to answer, and how long it rests after a refusal.
const HOOK: Duration = Duration::from_secs(30);
/// The longest that a failed leader has to wait for its place, as a multiple of the usual wait.
const PENALTY: u32 = 16;
/// After which time without a failure the wait is the usual one again.
const PENALTY_ENDS: Duration = Duration::from_secs(3600);

impl Machine {
    /// Begins to lead in the record's term, whose votes were asked for at `sent`, and waits for the last leader's
    /// cluster at least `delay` and what its fence takes.
    pub(super) fn begin_lead(
        &mut self,
        Debt { of, fence: owed, delay }: Debt,
        sent: Time,
        granted: &[MemberId],
        now: Time,
    ) {
        let Some(current) = self.voter.record.configuration.clone() else {
            return;
        };
        let term = self.voter.record.term;
        self.note_failed_leader(now);
        if let Some(value) = self.settings.requests.promote.clone() {
            self.handle(PROMOTE, &value);
        }
        let previous = self.voter.record.previous.clone().unwrap_or_else(|| current.clone());
        let mut configuration = current;
        configuration.version.term = term;
        configuration.version.number += 1;
        configuration.holder = Some(self.me().clone());
        configuration.lease = self.settings.lease;
        configuration.availability = self.settings.availability;
        let wait = match self.defects.has(Defect::NoFenceWait) {
            true => Duration::ZERO,
            false => lease::fence_wait(owed) + delay,
        };
        let owed = if self.defects.has(Defect::DebtNotInherited) {
            Duration::ZERO
        } else {
            owed
        };
        let window = lease::window(sent, configuration.lease);
        let follow = |id: &MemberId| {
            (
                id.clone(),
                Follow {
                    window,
                    ..Follow::default()
                },
            )
        };
        let hook = match self.settings.has_fence_hook && !wait.is_zero() {
            true => Hook::Failed { retry: now },
            false => Hook::Done,
        };
        let lead = Lead {
            stage: Stage::FenceWait {
                until: now + wait,
                of,
                hook,
            },
            follows: granted.iter().map(follow).collect(),
            debt: owed,
            ..Lead::new(term, now)
        };
        let fence = self.settings.fence.max(owed);
        self.voter.lead(fence, configuration, Some(previous));
        self.touch();
        self.phase = Phase::Lead(Box::new(lead));
    }

    /// A restarted leader with its payload present asks whether the majority still agrees.
    pub(super) fn recover(&mut self, now: Time) -> Phase {
        let me = self.me().clone();
        let term = self.voter.record.term;
        if !self.voter.record.led_last(&me) || self.voter.record.promoted_in != term {
            self.begin_removal(term, None);
            return self.phase.clone();
        }
        let until = now + self.voter.lease() / 3;
        let fence = self.voter.record.last_fence();
        Phase::Lead(Box::new(Lead {
            stage: Stage::Recovering { until },
            applied_fence: fence,
            ..Lead::new(term, now)
        }))
    }

    fn note_failed_leader(&mut self, now: Time) {
        let Some(last) = &self.voter.record.last_leader else {
            return;
        };
        if last.released || last.id == *self.me() {
            return;
        }
        let (factor, since) = self.penalties.entry(last.id.clone()).or_insert((1, now));
        let has_ended = now.since(*since) >= PENALTY_ENDS;
        *factor = if has_ended { 2 } else { (*factor * 2).min(PENALTY) };
        *since = now;
    }

    /// How long `id` has to be stable before it takes over.
    pub(super) fn stability(&self, id: &MemberId, now: Time) -> Duration {
        match self.penalties.get(id) {
            Some((factor, since)) if now.since(*since) < PENALTY_ENDS => self.settings.stable * *factor,
            _ => self.settings.stable,
        }
    }

    pub(super) fn lead_valid_until(&self, lead: &Lead) -> Time {
        let Some(basis) = self.voter.record.basis() else {
            return Time::START;
        };
        match basis.mode() {
            Mode::Quorum => self.quorum_until(basis, lead),
            _ if basis.is_unconditional_for(self.me()) => Time::NEVER,
            _ => Time::START,
        }
    }

    /// Until when the acknowledgements of these voters carry the lease.
    pub(super) fn quorum_until(&self, voters: &Configuration, lead: &Lead) -> Time {
        let windows = voters.others(self.me()).map(|voter| match lead.follows.get(&voter.id) {
            Some(follow) => follow.window,
            None => Time::START,
        });
        let windows: Vec<Time> = windows.collect();
        if self.defects.has(Defect::QuorumOfReachable) {
            let reachable: Vec<Time> = windows.into_iter().filter(|window| *window > lead.since).collect();
            let size = reachable.len() + 1;
            return lease::valid_until(reachable, size);
        }
        // Its own vote is free only while it is one of the voters.
        let size = voters.voters.len() + usize::from(!voters.has(self.me()));
        lease::valid_until(windows, size)
    }

    fn has_majority(&self, lead: &Lead, agrees: impl Fn(&Follow) -> bool) -> bool {
        let Some(basis) = self.voter.record.basis() else {
            return false;
        };
        if basis.mode() != Mode::Quorum {
            return true;
        }
        let others = basis
            .others(self.me())
            .filter(|voter| lead.follows.get(&voter.id).is_some_and(&agrees));
        others.count() + usize::from(basis.has(self.me())) >= basis.majority()
    }

    pub(super) fn lead_deadline(&self, lead: &Lead) -> Time {
        let stage = match &lead.stage {
            Stage::Recovering { until } => *until,
            Stage::FenceWait { until, hook, .. } => match hook {
                Hook::Done => *until,
                Hook::Called { until } | Hook::Failed { retry: until } => *until,
            },
            Stage::Promoting => lead.since + self.settings.handover_timeout,
            Stage::Leading => Time::NEVER,
            Stage::Draining { deadline, .. } | Stage::Withdrawing { deadline } => *deadline,
        };
        let valid = match &lead.stage {
            Stage::Recovering { .. } => Time::NEVER,
            _ => self.lead_valid_until(lead),
        };
        let renewal = if lead.is_silent { Time::NEVER } else { lead.next_round };
        stage.min(valid).min(renewal)
    }

    pub(super) fn advance_lead(&mut self, now: Time) -> bool {
        let Phase::Lead(lead) = std::mem::replace(&mut self.phase, Phase::Rejected { retry: now }) else {
            return false;
        };
        let mut lead = *lead;
        let is_deposed = self.voter.record.term > lead.term
            || self
                .voter
                .record
                .last_leader
                .as_ref()
                .is_none_or(|last| last.id != self.voter.id);
        let is_valid = match &lead.stage {
            Stage::Recovering { until } => now < *until || self.lead_valid_until(&lead) > now,
            _ => self.lead_valid_until(&lead) > now,
        };
        let goes_on = self.defects.has(Defect::DemotingCancellable) && matches!(lead.stage, Stage::Leading);
        if is_deposed || !(is_valid || goes_on) {
            self.demote(&lead, now);
            return true;
        }
        self.note_own_cluster(&mut lead, now);
        self.advance_configuration(&mut lead, now);
        let changed = self.advance_stage(&mut lead, now);
        if matches!(self.phase, Phase::Rejected { .. }) {
            self.ask_to_apply(&mut lead);
            self.publish(&mut lead, now);
            self.renew(&mut lead, now);
            self.phase = Phase::Lead(Box::new(lead));
        }
        changed
    }

    /// Moves the stage on. It may put another phase in the machine's place.
    fn advance_stage(&mut self, lead: &mut Lead, now: Time) -> bool {
        match lead.stage.clone() {
            Stage::Recovering { .. } => {
                if !self.has_majority(lead, |follow| follow.has_renewed) || self.lead_valid_until(lead) <= now {
                    return false;
                }
                lead.stage = Stage::Promoting;
                lead.since = now;
                true
            }
            Stage::FenceWait { until, of, hook } => self.advance_fence_wait(lead, (until, of, hook), now),
            Stage::Promoting | Stage::Leading => self.advance_leading(lead, now),
            Stage::Draining { deadline, successor } => self.advance_draining(lead, deadline, successor, now),
            Stage::Withdrawing { deadline } => self.advance_withdrawing(lead, deadline, now),
        }
    }

    fn advance_fence_wait(&mut self, lead: &mut Lead, (until, of, hook): (Time, u64, Hook), now: Time) -> bool {
        if self.settings.is_deleted && !self.has_payload {
            // Nothing was applied in this term, so nothing has to be removed; the debt stays with the voters.
            if self.defects.has(Defect::ReleaseFromFenceWait) {
                self.begin_release(lead, None, now);
                return true;
            }
            return self.leave(now);
        }
        let mut hook = hook;
        if let Some(value) = self.force_request()
            && hook != Hook::Done
        {
            self.handle(FORCE_PROMOTE, &value);
            hook = Hook::Done;
        }
        match hook {
            Hook::Failed { retry } if now >= retry => {
                let old = self.voter.record.last_leader.as_ref().map(|last| last.id.clone());
                self.when_stored(Action::CallFenceHook { term: lead.term, old });
                hook = Hook::Called { until: now + HOOK };
            }
            Hook::Called { until } if now >= until => hook = Hook::Failed { retry: now + HOOK },
            _ => {}
        }
        lead.stage = Stage::FenceWait { until, of, hook };
        let is_over = now >= until && hook == Hook::Done && self.is_stored();
        let is_renewed = self.has_majority(lead, |follow| follow.has_renewed);
        if !is_over || !(is_renewed || self.defects.has(Defect::PromotedUnrenewed)) {
            return false;
        }
        lead.stage = Stage::Promoting;
        lead.since = now;
        lead.debt = Duration::ZERO;
        lead.next_round = now;
        self.voter.record.promoted_in = lead.term;
        let fence = self.fence(lead);
        if let Some(last) = &mut self.voter.record.last_leader {
            last.fence = fence;
        }
        self.touch();
        true
    }

    /// The last leader has released although this member did not know when it was elected.
    pub(super) fn end_fence_wait(&mut self, term: u64, now: Time) {
        if let Phase::Lead(lead) = &mut self.phase
            && let Stage::FenceWait { until, of, hook } = &mut lead.stage
            && *of == term
        {
            *until = (*until).min(now);
            *hook = Hook::Done;
        }
    }

    pub(super) fn on_fence_hook(&mut self, term: u64, confirmed: bool, now: Time) {
        if let Phase::Lead(lead) = &mut self.phase
            && lead.term == term
            && let Stage::FenceWait { hook, .. } = &mut lead.stage
            && matches!(hook, Hook::Called { .. })
        {
            *hook = if confirmed {
                Hook::Done
            } else {
                Hook::Failed { retry: now + HOOK }
            };
        }
    }

    pub(super) fn on_applied(&mut self, term: u64, payload: u64) {
        let is_current = self.settings.payload == payload;
        let fence = self.settings.fence;
        let Phase::Lead(lead) = &mut self.phase else { return };
        if lead.term != term || lead.asked != Some(payload) {
            return;
        }
        lead.applied = Some(payload);
        if is_current {
            // It never shrinks within a term: Pods of an earlier revision may still be ending.
            lead.applied_fence = lead.applied_fence.max(fence);
        }
        if matches!(lead.stage, Stage::Promoting) {
            lead.stage = Stage::Leading;
            self.notify(Notice::Promoted { term });
        }
    }

    /// What a successor would have to wait: the debt while it is not paid, then what the applied objects need.
    pub(super) fn fence(&self, lead: &Lead) -> Duration {
        self.settings.fence.max(lead.applied_fence).max(lead.debt)
    }

    /// Has the payload applied, once a majority knows how long its removal takes.
    fn ask_to_apply(&mut self, lead: &mut Lead) {
        let wanted = self.settings.payload;
        if !matches!(lead.stage, Stage::Promoting | Stage::Leading) || lead.asked == Some(wanted) {
            return;
        }
        if !self.health.payload && lead.asked.is_some() {
            return;
        }
        let fence = self.settings.fence;
        let is_known = self.has_majority(lead, |follow| follow.has_renewed && follow.fence >= fence);
        if !(is_known || self.defects.has(Defect::PromotedUnrenewed)) {
            return;
        }
        lead.asked = Some(wanted);
        self.has_payload = true;
        self.when_stored(Action::ApplyPayload {
            term: lead.term,
            payload: wanted,
        });
    }

    /// The lease's end, for the watchdog, each time a round of renewals has moved it.
    fn publish(&mut self, lead: &mut Lead, now: Time) {
        let until = self.lead_valid_until(lead);
        if until != Time::NEVER && until.since(lead.published) >= self.settings.renew / 2 {
            lead.published = until;
            self.actions.push(Action::PublishWindow {
                valid_for: until.since(now),
            });
        }
    }

    /// Sends a round of renewals when it is due.
    fn renew(&mut self, lead: &mut Lead, now: Time) {
        if now < lead.next_round || lead.is_silent {
            return;
        }
        let Some(configuration) = self.configuration().cloned() else {
            return;
        };
        let last_round = lead.rounds.back().map(|(_, sent)| *sent);
        let seq = self.next_seq();
        lead.rounds.push_back((seq, now));
        if lead.rounds.len() > ROUNDS {
            lead.rounds.pop_front();
        }
        lead.next_round = now + self.settings.renew;
        let fence = self.fence(lead);
        let own_fence = self.voter.record.last_leader.as_ref().map(|last| last.fence);
        if own_fence.is_some_and(|known| known != fence) {
            if let Some(last) = &mut self.voter.record.last_leader {
                last.fence = fence;
            }
            self.touch();
        }
        let mut targets: BTreeSet<MemberId> = configuration.others(self.me()).map(|voter| voter.id.clone()).collect();
        targets.extend(
            lead.follows
                .iter()
                .filter(|(_, follow)| follow.joining.is_some())
                .map(|(id, _)| id.clone()),
        );
        targets.extend(self.settings.hub.clone());
        for id in targets {
            let follow = lead.follows.entry(id.clone()).or_default();
            // Not a moment ago: several rounds follow each other closely when the configuration changes.
            if last_round.is_some_and(|sent| {
                follow
                    .last_ack
                    .is_none_or(|ack| ack < sent && now.since(ack) > self.settings.renew * 2)
            }) {
                follow.stable = None;
            }
            let renew = Renew {
                lease: configuration.lease,
                fence,
                configuration: configuration.clone(),
                previous: self.voter.record.previous.clone(),
                about: self.about(),
                your_writes: self.peers.get(&id).map_or(0, |peer| peer.writes),
            };
            self.send(Address::Member(id), seq, Body::Renew(Box::new(renew)));
        }
    }

    pub(super) fn on_renew_reply(&mut self, header: &Header, reply: RenewReply, now: Time) {
        if let Some(peer) = self.peers.get_mut(&header.sender) {
            peer.about = reply.about.clone();
        }
        let lease = self.voter.lease();
        let Phase::Lead(lead) = &mut self.phase else { return };
        let Some((_, sent)) = lead.rounds.iter().find(|(seq, _)| *seq == header.seq).copied() else {
            return;
        };
        let follow = lead.follows.entry(header.sender.clone()).or_default();
        let was_eligible = follow.about.eligible;
        follow.about = reply.about;
        follow.promote = reply.promote;
        if !reply.accepted || header.term != lead.term {
            follow.stable = None;
            return;
        }
        let window = match self.defects {
            defects if defects.has(Defect::NoLeaseMargin) => sent + lease,
            defects if defects.has(Defect::LeaseFromAnswer) => now + lease,
            _ => lease::window(sent, lease),
        };
        follow.window = follow.window.max(window);
        follow.has_renewed = true;
        follow.version = follow.version.max(header.version);
        follow.fence = reply.fence;
        follow.latency = now.since(sent);
        follow.last_ack = Some(now);
        if follow.stable.is_none() || was_eligible != follow.about.eligible {
            follow.stable = Some(now);
        }
    }
}

impl Lead {
    fn new(term: u64, now: Time) -> Self {
        Self {
            term,
            since: now,
            stage: Stage::Leading,
            rounds: VecDeque::new(),
            next_round: now,
            follows: BTreeMap::new(),
            debt: Duration::ZERO,
            applied_fence: Duration::ZERO,
            asked: None,
            applied: None,
            failures: 0,
            is_silent: false,
            api_lost: None,
            unavailable: None,
            no_handover_before: Time::START,
            removals: BTreeSet::new(),
            published: Time::START,
        }
    }
}
