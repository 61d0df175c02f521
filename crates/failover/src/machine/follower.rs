//! Following a leader, and noticing that there is none (multicluster-failover B.6, B.7).

use std::time::Duration;

use crate::configuration::{Configuration, Mode, Role};
use crate::lease;
use crate::machine::Machine;
use crate::machine::phase::Phase;
use crate::member::{MemberId, precedence};
use crate::message::{Header, Release};
use crate::time::Time;

/// How much later each member in the line asks for votes than the one before it.
const STAGGER: Duration = Duration::from_millis(500);
/// How much longer the others wait when a leader has named its successor.
const HEAD_START: Duration = Duration::from_secs(2);
/// The longest pause between two candidacies, in seconds.
const PAUSE: u64 = 8;

impl Machine {
    pub(super) fn advance_follower(&mut self, now: Time) -> bool {
        if self.settings.is_deleted {
            return self.leave(now);
        }
        if !self.voter.record.votes(self.me()) {
            return self.search_for_fleet(now);
        }
        if self.can_have_no_leader() {
            self.voter.record.has_left = true;
            self.touch();
            return self.search_for_fleet(now);
        }
        if self.has_payload && matches!(self.phase, Phase::Follower(_)) {
            let term = self.voter.record.term;
            self.begin_removal(term, None);
            return true;
        }
        if let Some(value) = self.force_request() {
            return self.force(&value, now);
        }
        if let Some(until) = self.voter.supports(now).map(|promise| promise.until)
            && let Phase::Follower(follower) = &mut self.phase
        {
            follower.vacant = until;
            follower.failures = 0;
        }
        if now < self.candidacy_at(now) {
            return false;
        }
        if self.leads_by_configuration() {
            return self.lead_by_configuration(now);
        }
        self.ask_for_pre_votes(now)
    }

    pub(super) fn follower_deadline(&self, now: Time) -> Time {
        // In the past when something else than time is missing, such as a stored record: then an event comes.
        let at = self.candidacy_at(now);
        if at > now { at } else { Time::NEVER }
    }

    /// When this member asks for votes, as things are now; never if it may not lead.
    fn candidacy_at(&self, now: Time) -> Time {
        let Phase::Follower(follower) = &self.phase else {
            return Time::NEVER;
        };
        let Some(configuration) = self.configuration() else {
            return Time::NEVER;
        };
        if !self.is_eligible() || self.voter.is_learner {
            return Time::NEVER;
        }
        if self.leads_by_configuration() {
            return self.voter.supports(now).map_or(now, |promise| promise.until);
        }
        let mut vacant = follower.vacant.max(self.voter.quarantine);
        let electorate = self.electorate(configuration);
        if !electorate.has(self.me()) {
            return Time::NEVER;
        }
        match electorate.mode() {
            Mode::Solo | Mode::Pinned => return Time::NEVER,
            Mode::Optimistic => {
                let fence = self.voter.record.last_fence();
                vacant = vacant + lease::fence_wait(fence);
            }
            Mode::Quorum if !self.is_record_confirmed() => return Time::NEVER,
            Mode::Quorum => {}
        }
        let pause = match follower.failures {
            0 => 0,
            n => (1 << (n - 1).min(6)).min(PAUSE),
        };
        let position = self.candidates(now).iter().position(|id| id == self.me()).unwrap_or(0);
        vacant + Duration::from_secs(pause) + STAGGER * u32::try_from(position).unwrap_or(u32::MAX)
    }

    /// Whether so many voters have left the fleet for good that it can never have a leader again: this one was removed,
    /// or left alone, while it was away.
    fn can_have_no_leader(&self) -> bool {
        let Some(configuration) = self.voter.record.basis() else {
            return false;
        };
        let has_left = |id: &MemberId| self.non_members.contains(id);
        match configuration.mode() {
            Mode::Solo | Mode::Optimistic => false,
            Mode::Pinned => configuration.holder.as_ref().is_some_and(has_left),
            Mode::Quorum => {
                let left = configuration.voters.iter().filter(|voter| has_left(&voter.id)).count();
                left + configuration.majority() > configuration.voters.len()
            }
        }
    }

    /// The voters that may elect this member. The holder of a configuration that may not be committed yet needs the
    /// votes of the one before. Anybody else waits for it: if it is committed, the holder leads without any vote.
    pub(super) fn electorate<'a>(&'a self, configuration: &'a Configuration) -> &'a Configuration {
        match configuration.holder.as_ref() == Some(self.me()) {
            true => self.voter.record.basis().unwrap_or(configuration),
            false => configuration,
        }
    }

    /// Whether the configuration makes this member the leader, without any vote.
    pub(super) fn leads_by_configuration(&self) -> bool {
        self.configuration().is_some_and(|configuration| {
            let electorate = self.electorate(configuration);
            matches!(electorate.mode(), Mode::Solo | Mode::Pinned) && electorate.is_unconditional_for(self.me())
        })
    }

    /// Whether an eligible voter that comes before a candidate is alive, this one included.
    pub(super) fn is_preceded(&self, candidate: &MemberId, rank: i64, now: Time) -> bool {
        let Some(configuration) = self.configuration() else {
            return false;
        };
        configuration
            .voters
            .iter()
            .filter(|voter| voter.role == Role::Candidate && voter.id != *candidate)
            .any(|voter| {
                let is_ready = match voter.id == *self.me() {
                    true => self.is_eligible() && now >= self.voter.quarantine,
                    false => self.is_ready_peer(&voter.id, now),
                };
                is_ready && precedence(voter.rank, &voter.id) < precedence(rank, candidate)
            })
    }

    /// A leader has released: the place is vacant now, and its successor comes first.
    pub(super) fn on_vacancy(&mut self, is_void: bool, release: &Release, now: Time) {
        let is_other = release
            .successor
            .as_ref()
            .is_some_and(|successor| successor != self.me());
        if let Phase::Follower(follower) = &mut self.phase
            && is_void
        {
            follower.vacant = if is_other { now + HEAD_START } else { now };
        }
        self.end_fence_wait(release.term, now);
    }

    /// The leader that has released names this member its successor.
    pub(super) fn on_handover(&mut self, header: &Header, term: u64, now: Time) {
        let release = Release {
            term,
            successor: Some(self.me().clone()),
            next: None,
        };
        if self.voter.release(&header.sender, &release) {
            self.touch();
        }
        if !matches!(self.phase, Phase::Follower(_)) || !self.is_eligible() || self.leads_by_configuration() {
            return;
        }
        if self.voter.record.last_term() == term && self.voter.supports(now).is_none() {
            self.ask_for_votes_as_successor(now);
        }
    }
}
