//! Which members vote in a fleet, and what that means for the right to lead.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::member::{FleetId, MemberId, may_lead, precedence};

/// The set of voters, replicated to each of them and changed by the leader alone (multicluster-failover B.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    pub fleet: FleetId,
    pub version: Version,
    /// Sorted by identity, each once.
    pub voters: Vec<Voter>,
    /// Who runs the payload when two voters are too few for a majority.
    pub holder: Option<MemberId>,
    pub availability: Availability,
    /// How long a renewal binds a voter.
    pub lease: Duration,
}

/// Age of a configuration: the term of the leader that proposed it, then a number that only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    pub term: u64,
    pub number: u64,
}

/// One voter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Voter {
    pub id: MemberId,
    pub rank: i64,
    /// `host:port` at which the others reach it; none for one that only dials out.
    pub address: Option<String>,
    pub role: Role,
}

/// What a voter may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// May lead.
    Candidate,
    /// Its rank is zero or less: it votes and never leads.
    VoterOnly,
    /// The hub: it votes through objects and never leads.
    HubWitness,
}

/// What a fleet of two voters does when one of them is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// Never two leaders: nobody takes over without the holder's release.
    #[default]
    Consistent,
    /// The other one takes over after a silence, at the price of two leaders in a partition.
    PreferAvailability,
}

/// How the right to lead comes about (multicluster-failover B.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// One voter, which leads.
    Solo,
    /// Two voters: the holder leads until it releases.
    Pinned,
    /// Two voters that prefer availability.
    Optimistic,
    /// A lease that a majority acknowledges.
    Quorum,
}

impl Voter {
    /// A member as voter; its rank says whether it may lead.
    pub fn member(id: MemberId, rank: i64, address: Option<String>) -> Self {
        let role = if may_lead(rank) {
            Role::Candidate
        } else {
            Role::VoterOnly
        };
        Self {
            id,
            rank,
            address,
            role,
        }
    }

    /// The hub as voter.
    pub const fn hub(id: MemberId) -> Self {
        Self {
            id,
            rank: 0,
            address: None,
            role: Role::HubWitness,
        }
    }
}

impl Configuration {
    /// The configuration of a new fleet, whose only voter leads.
    pub fn first(fleet: FleetId, voter: Voter, availability: Availability, lease: Duration) -> Self {
        Self {
            fleet,
            version: Version { term: 1, number: 1 },
            holder: Some(voter.id.clone()),
            voters: vec![voter],
            availability,
            lease,
        }
    }

    /// How the right to lead comes about with these voters.
    pub fn mode(&self) -> Mode {
        match (self.voters.len(), self.availability) {
            (0 | 1, _) => Mode::Solo,
            // Nobody is left that may lead: should that change, both voters have to agree.
            (2, Availability::Consistent) if self.holder.is_none() => Mode::Quorum,
            (2, Availability::Consistent) => Mode::Pinned,
            (2, Availability::PreferAvailability) => Mode::Optimistic,
            _ => Mode::Quorum,
        }
    }

    /// How many voters are a majority.
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether `id` votes.
    pub fn has(&self, id: &MemberId) -> bool {
        self.voter(id).is_some()
    }

    /// The voter `id`.
    pub fn voter(&self, id: &MemberId) -> Option<&Voter> {
        self.voters.iter().find(|voter| voter.id == *id)
    }

    /// The voters but `id`.
    pub fn others<'a>(&'a self, id: &'a MemberId) -> impl Iterator<Item = &'a Voter> {
        self.voters.iter().filter(move |voter| voter.id != *id)
    }

    /// Whether `id` leads by what the configuration says, without any acknowledgement.
    pub fn is_unconditional_for(&self, id: &MemberId) -> bool {
        match self.mode() {
            Mode::Solo => self.has(id),
            Mode::Pinned => self.holder.as_ref() == Some(id),
            Mode::Optimistic => true,
            Mode::Quorum => false,
        }
    }

    /// Whether those for whom `agrees` holds may commit a change away from, or to, these voters. Where one voter leads
    /// by what the configuration says, that one alone may, because nobody else can be elected.
    pub fn is_carried_by(&self, agrees: impl Fn(&MemberId) -> bool) -> bool {
        match self.mode() {
            Mode::Quorum => self.voters.iter().filter(|voter| agrees(&voter.id)).count() >= self.majority(),
            Mode::Solo => self.voters.iter().all(|voter| agrees(&voter.id)),
            Mode::Optimistic => true,
            Mode::Pinned => self.holder.as_ref().is_some_and(agrees),
        }
    }

    /// The same with one more voter, or with the voter of that identity replaced; the version is the caller's.
    pub fn with(&self, voter: Voter) -> Self {
        let mut next = self.without(&voter.id);
        next.holder = self.holder.clone();
        next.voters.push(voter);
        next.voters.sort_by(|a, b| a.id.cmp(&b.id));
        next
    }

    /// The same without a voter; the version is the caller's. A holder that goes leaves its place to the first of those
    /// that may lead.
    pub fn without(&self, id: &MemberId) -> Self {
        let mut next = self.clone();
        next.voters.retain(|voter| voter.id != *id);
        if next.holder.as_ref() == Some(id) {
            next.holder = next.first_candidate().cloned();
        }
        next
    }

    /// The voter that comes first among those that may lead.
    pub fn first_candidate(&self) -> Option<&MemberId> {
        self.voters
            .iter()
            .filter(|voter| voter.role == Role::Candidate)
            .min_by_key(|voter| precedence(voter.rank, &voter.id))
            .map(|voter| &voter.id)
    }

    /// Whether the hub is one of the voters.
    pub fn hub(&self) -> Option<&Voter> {
        self.voters.iter().find(|voter| voter.role == Role::HubWitness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[&str]) -> Configuration {
        let voter = |id: &&str| Voter::member(MemberId::from(*id), 1, None);
        Configuration {
            fleet: FleetId::from("f"),
            version: Version::default(),
            voters: ids.iter().map(voter).collect(),
            holder: Some(MemberId::from("a")),
            availability: Availability::Consistent,
            lease: Duration::from_secs(15),
        }
    }

    #[test]
    fn two_voters_are_pinned_unless_availability_comes_first() {
        assert_eq!(of(&["a"]).mode(), Mode::Solo);
        assert_eq!(of(&["a", "b"]).mode(), Mode::Pinned);
        assert_eq!(of(&["a", "b", "c"]).mode(), Mode::Quorum);
        let optimistic = Configuration {
            availability: Availability::PreferAvailability,
            ..of(&["a", "b"])
        };
        assert_eq!(optimistic.mode(), Mode::Optimistic);
    }

    #[test]
    fn sets_that_carry_a_change_of_one_voter_always_meet() {
        let ids: Vec<String> = ('a'..='h').map(String::from).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for n in 3..8 {
            let old = of(&ids[..n]);
            let new = old.with(Voter::member(MemberId::from("z"), 1, None));
            assert!(old.majority() + new.majority() > new.voters.len(), "{n}");
            let fewer = old.without(&MemberId::from("a"));
            assert!(old.majority() + fewer.majority() > old.voters.len(), "{n}");
        }
    }

    #[test]
    fn a_holder_that_goes_leaves_its_place_to_the_first_in_line() {
        let mut three = of(&["a", "b", "c"]);
        three.voters[2].rank = 9;
        assert_eq!(three.without(&MemberId::from("a")).holder, Some(MemberId::from("c")));
        assert_eq!(three.without(&MemberId::from("b")).holder, Some(MemberId::from("a")));
    }
}
