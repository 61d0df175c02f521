//! Leaving the fleet: the object is being deleted (multicluster-failover B.3).

use std::time::Duration;

use crate::configuration::Configuration;
use crate::machine::Machine;
use crate::machine::event::{Action, Address, Notice};
use crate::machine::phase::{Lead, Phase, Stage};
use crate::member::MemberId;
use crate::message::Body;
use crate::time::Time;

/// How often the leader is asked again.
const RESEND: Duration = Duration::from_secs(1);

impl Machine {
    /// Asks to be removed from the voters.
    pub(super) fn leave(&mut self, now: Time) -> bool {
        self.phase = Phase::Leaving {
            deadline: now + self.settings.handover_timeout,
            next: now,
        };
        true
    }

    pub(super) fn advance_leaving(&mut self, now: Time) -> bool {
        if self.has_payload {
            let term = self.voter.record.term;
            self.begin_removal(term, None);
            return true;
        }
        let is_voter = self.voter.record.votes(self.me());
        let committed = self.voter.record.committed();
        let others = committed.map_or(0, |configuration| {
            configuration
                .others(self.me())
                .filter(|voter| configuration.hub() != Some(voter))
                .count()
        });
        let Phase::Leaving { deadline, next } = self.phase else {
            return false;
        };
        if !is_voter || others == 0 {
            self.notify(Notice::Left);
            return self.finish(None);
        }
        if now >= deadline {
            // The removal is not committed: an object of the same name goes on as the voter that this one is.
            self.notify(Notice::LeftWithoutQuorum);
            return self.end();
        }
        if now >= next {
            self.phase = Phase::Leaving {
                deadline,
                next: now + RESEND,
            };
            let leader = self
                .leader(now)
                .or_else(|| self.voter.record.last_leader.as_ref().map(|last| last.id.clone()));
            let me = self.me().clone();
            // The leader may have changed; whoever does not lead ignores it.
            let to = match leader {
                Some(leader) if leader != me => vec![leader],
                _ => self.others(),
            };
            for id in to {
                let seq = self.next_seq();
                self.send(Address::Member(id), seq, Body::Leave { member: me.clone() });
            }
        }
        false
    }

    pub(super) fn on_left(&mut self, member: &MemberId, configuration: Configuration) {
        if member != self.me() {
            return;
        }
        if matches!(self.phase, Phase::Leaving { .. }) {
            self.notify(Notice::Left);
            self.finish(Some(configuration));
        }
    }

    /// Keeps the last configuration as a tombstone, so that an object of the same name finds the others again.
    fn finish(&mut self, configuration: Option<Configuration>) -> bool {
        let me = self.me().clone();
        let last = configuration.or_else(|| self.voter.record.committed().cloned());
        self.voter.record.configuration = last.map(|last| {
            let mut rest = last.without(&me);
            // Nobody else has to agree that the last member is gone.
            rest.version.number += u64::from(last.has(&me));
            rest
        });
        self.voter.record.previous = None;
        self.touch();
        self.end()
    }

    fn end(&mut self) -> bool {
        self.phase = Phase::Gone {
            writes: self.voter.record.writes,
            finished: false,
        };
        true
    }

    pub(super) fn advance_gone(&mut self) -> bool {
        if let Phase::Gone {
            writes,
            finished: false,
        } = self.phase
            && self.outbox.has_stored(writes)
        {
            self.phase = Phase::Gone { writes, finished: true };
            self.actions.push(Action::Finish);
        }
        false
    }

    /// The leader leaves and nobody can succeed it: it commits its own removal while it still leads.
    pub(super) fn withdraw(&mut self, lead: &mut Lead, now: Time) -> bool {
        let deadline = now + self.settings.handover_timeout;
        lead.stage = Stage::Withdrawing { deadline };
        if self.voter.record.previous.is_none()
            && let Some(current) = self.configuration().cloned()
        {
            let next = current.without(&self.voter.id);
            self.propose(next, lead, now);
        }
        true
    }

    pub(super) fn advance_withdrawing(&mut self, lead: &Lead, deadline: Time, now: Time) -> bool {
        let is_removed = self
            .configuration()
            .is_none_or(|configuration| !configuration.has(&self.voter.id))
            && self.voter.record.previous.is_none();
        if is_removed || now >= deadline {
            self.begin_release(lead, None, now);
            return true;
        }
        false
    }
}
