//! The invariants of multicluster-failover C.1, as far as a run shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use failover::member::{FleetId, MemberId};
use failover::message::{Body, Message};
use failover::record::Record;

/// What was seen, and the first violation.
#[derive(Default)]
pub struct Checks {
    pub violation: Option<String>,
    leaders: BTreeMap<(Option<FleetId>, u64), MemberId>,
    votes: BTreeMap<(MemberId, u64), u64>,
    pub last_election: Duration,
    pub elections: u32,
}

impl Checks {
    pub fn fail(&mut self, violation: String) {
        self.violation.get_or_insert(violation);
    }

    /// S2: one leader per term.
    pub fn elected(&mut self, fleet: Option<FleetId>, term: u64, id: &MemberId, now: Duration) {
        self.last_election = now;
        self.elections += 1;
        if self.elections > 300 {
            self.fail("V2: there is one election after the other".to_owned());
        }
        let leader = self.leaders.entry((fleet, term)).or_insert_with(|| id.clone());
        if leader != id {
            let leader = leader.clone();
            self.fail(format!("S2: term {term} has two leaders, {leader} and {id}"));
        }
    }

    /// S2: a stored term never decreases.
    pub fn stored(&mut self, id: &MemberId, before: Option<&Record>, after: &Record) {
        let fleet = |record: &Record| record.configuration.as_ref().map(|all| all.fleet.clone());
        if before.is_some_and(|before| before.term > after.term && fleet(before) == fleet(after)) {
            self.fail(format!("S2: the stored term of {id} decreases"));
        }
    }

    /// S12: what a message says of its sender is stored.
    pub fn sent(&mut self, message: &Message, stored: Option<&Record>) {
        let header = &message.header;
        let is_stored = stored.is_some_and(|record| record.writes >= header.writes && record.term >= header.term);
        // Who is in no fleet yet has no state that anybody relies on.
        if !is_stored && header.fleet.is_some() {
            self.fail(format!(
                "S12: {} sends what it has not stored: {:?}",
                header.sender, message.body
            ));
        }
    }

    /// S2: a voter supports one candidate per term. Replies carry the number of the request, which no two candidates
    /// share.
    pub fn vote(&mut self, message: &Message) {
        let Body::VoteReply { granted: true, .. } = message.body else {
            return;
        };
        let key = (message.header.sender.clone(), message.header.term);
        let _ = self.votes.insert(key, message.header.seq);
    }
}
