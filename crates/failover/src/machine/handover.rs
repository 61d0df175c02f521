//! Handing the payload over in order (multicluster-failover B.7).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::configuration::{Availability, Configuration, Mode, Role};
use crate::lease;
use crate::machine::Machine;
use crate::machine::event::{Action, Address, Notice};
use crate::machine::phase::{Follow, Lead, Phase, Releasing, Stage};
use crate::machine::settings::{PROMOTE, Preemption};
use crate::member::{MemberId, may_lead, precedence};
use crate::message::{Body, Release};
use crate::time::Time;

/// How long a handover that failed is not tried again.
const REST: Duration = Duration::from_secs(300);
/// How often a release is sent again.
const RESEND: Duration = Duration::from_secs(1);

impl Machine {
    /// Notices that the own cluster cannot run, or cannot stop, the payload.
    pub(super) fn note_own_cluster(&mut self, lead: &mut Lead, now: Time) {
        let limit = self.voter.lease() * 2;
        lead.api_lost = if self.health.api {
            None
        } else {
            lead.api_lost.or(Some(now))
        };
        let is_applied = matches!(lead.stage, Stage::Leading) && lead.applied.is_some();
        lead.unavailable = if self.is_available || !is_applied {
            None
        } else {
            lead.unavailable.or(Some(now))
        };
        let can_give_up =
            self.settings.has_fence_hook || self.settings.availability == Availability::PreferAvailability;
        let is_lost = lead.api_lost.is_some_and(|since| now.since(since) >= limit);
        // Without a fence from outside, giving up would run the payload twice: it cannot be removed here.
        lead.is_silent = can_give_up && is_lost && self.first_successor(lead, now).is_some();
    }

    pub(super) fn advance_leading(&mut self, lead: &mut Lead, now: Time) -> bool {
        if let Some(value) = self.settings.requests.promote.clone()
            && !self.is_handled(PROMOTE, &value)
        {
            self.handle(PROMOTE, &value);
        }
        if self.settings.is_deleted {
            let successor = self.first_successor(lead, now);
            self.drain(lead, successor, now);
            return true;
        }
        if self.voter.record.previous.is_some() || now < lead.no_handover_before || !self.health.api {
            return false;
        }
        let Some(successor) = self.wanted_successor(lead, now) else {
            return false;
        };
        self.drain(lead, Some(successor), now);
        true
    }

    /// Who should lead instead, if anybody.
    fn wanted_successor(&self, lead: &Lead, now: Time) -> Option<MemberId> {
        let first = self.first_successor(lead, now);
        let settings = &self.settings;
        if matches!(lead.stage, Stage::Promoting) {
            let is_stuck = now.since(lead.since) >= settings.handover_timeout;
            return first.filter(|_| is_stuck);
        }
        let unavailable = lead
            .unavailable
            .is_some_and(|since| now.since(since) >= self.voter.lease() * 2);
        if settings.is_paused || !may_lead(settings.rank) || unavailable {
            return first;
        }
        if lead.applied != Some(settings.payload) {
            return None;
        }
        let asked = lead
            .follows
            .iter()
            .find(|(id, follow)| follow.promote.is_some() && self.can_succeed(id, follow, now));
        if let Some((id, _)) = asked {
            return Some(id.clone());
        }
        let configuration = self.configuration()?;
        let own = configuration.voter(self.me()).map_or(settings.rank, |voter| voter.rank);
        let successor = first?;
        let rank = configuration.voter(&successor)?.rank;
        if rank <= own || precedence(rank, &successor) >= precedence(own, self.me()) {
            return None;
        }
        let stable = lead.follows.get(&successor)?.stable?;
        let is_due = match settings.preemption {
            Preemption::Never => false,
            Preemption::Immediate => true,
            Preemption::AfterStable => now.since(stable) >= self.stability(&successor, now),
        };
        is_due.then_some(successor)
    }

    fn can_succeed(&self, id: &MemberId, follow: &Follow, now: Time) -> bool {
        let is_candidate = self
            .configuration()
            .and_then(|configuration| configuration.voter(id))
            .is_some_and(|voter| voter.role == Role::Candidate);
        is_candidate
            && follow.about.eligible
            && follow.has_renewed
            && follow.latency <= self.voter.lease() / 3
            && follow
                .last_ack
                .is_some_and(|ack| now.since(ack) <= self.settings.renew * 2)
    }

    /// The first of those that could take over now.
    pub(super) fn first_successor(&self, lead: &Lead, now: Time) -> Option<MemberId> {
        let able = lead
            .follows
            .iter()
            .filter(|(id, follow)| self.can_succeed(id, follow, now));
        able.min_by_key(|(id, follow)| precedence(follow.about.rank, id))
            .map(|(id, _)| id.clone())
    }

    fn drain(&mut self, lead: &mut Lead, successor: Option<MemberId>, now: Time) {
        self.notify(Notice::HandoverStarted {
            successor: successor.clone(),
        });
        self.outbox.cancel_application();
        self.actions.push(Action::RemovePayload {
            term: lead.term,
            within: None,
        });
        lead.stage = Stage::Draining {
            deadline: now + self.settings.handover_timeout,
            successor,
        };
    }

    pub(super) fn advance_draining(
        &mut self,
        lead: &mut Lead,
        deadline: Time,
        successor: Option<MemberId>,
        now: Time,
    ) -> bool {
        if !self.has_payload {
            if self.settings.is_deleted && successor.is_none() && self.mode() == Some(Mode::Quorum) {
                return self.withdraw(lead, now);
            }
            self.begin_release(lead, successor, now);
            return true;
        }
        if now < deadline {
            return false;
        }
        if self.settings.is_deleted {
            // The finalizer stays until the payload is gone.
            lead.stage = Stage::Draining {
                deadline: Time::NEVER,
                successor,
            };
            return false;
        }
        self.notify(Notice::HandoverFailed);
        lead.stage = Stage::Leading;
        lead.asked = None;
        lead.no_handover_before = now + REST;
        true
    }

    /// Confirms to the voters that the payload is gone.
    pub(super) fn begin_release(&mut self, lead: &Lead, successor: Option<MemberId>, now: Time) {
        let Some(configuration) = self.configuration().cloned() else {
            return;
        };
        let next = match configuration.mode() {
            Mode::Quorum | Mode::Solo => None,
            Mode::Pinned | Mode::Optimistic => successor.clone().map(|successor| {
                let mut next = Configuration {
                    holder: Some(successor),
                    ..configuration.clone()
                };
                next.version.number += 1;
                next
            }),
        };
        let release = Release {
            term: lead.term,
            successor,
            next,
        };
        let me = self.me().clone();
        self.voter.release(&me, &release);
        self.touch();
        self.notify(Notice::Released { term: lead.term });
        self.phase = Phase::Released(Releasing {
            release,
            acks: BTreeSet::new(),
            voters: configuration,
            own: self.voter.record.writes,
            next: now,
            until: now + lease::promise(Time::START, self.voter.lease()).since_start(),
        });
    }

    pub(super) fn on_release_reply(&mut self, from: &MemberId, term: u64) {
        if let Phase::Released(releasing) = &mut self.phase
            && releasing.release.term == term
        {
            releasing.acks.insert(from.clone());
        }
    }

    pub(super) fn advance_released(&mut self, now: Time) -> bool {
        let term = self.voter.record.term;
        let Phase::Released(releasing) = &mut self.phase else {
            return false;
        };
        let voters = &releasing.voters;
        let is_known = match voters.mode() {
            Mode::Solo => true,
            Mode::Pinned | Mode::Optimistic => match &releasing.release.successor {
                Some(successor) => releasing.acks.contains(successor),
                None => true,
            },
            Mode::Quorum => {
                let acks = releasing.acks.iter().filter(|id| voters.has(id)).count();
                acks + 1 >= voters.majority()
            }
        };
        let is_over = is_known && self.outbox.has_stored(releasing.own);
        // Only where two leaders are put up with is the silence of the other one an answer.
        let is_silent = voters.mode() == Mode::Optimistic && now >= releasing.until;
        if is_over || is_silent || term > releasing.release.term {
            let release = releasing.release.clone();
            if let Some(successor) = release.successor.clone() {
                let seq = self.next_seq();
                self.send(Address::Member(successor), seq, Body::Handover { term: release.term });
            }
            if self.settings.is_deleted {
                return self.leave(now);
            }
            self.follow(now);
            self.on_vacancy(true, &release, now);
            return true;
        }
        if now >= releasing.next {
            releasing.next = now + RESEND;
            let release = releasing.release.clone();
            let others: Vec<_> = releasing
                .voters
                .others(&self.voter.id)
                .map(|voter| voter.id.clone())
                .collect();
            for id in others {
                let seq = self.next_seq();
                self.send(Address::Member(id), seq, Body::Release(Box::new(release.clone())));
            }
        }
        false
    }
}
