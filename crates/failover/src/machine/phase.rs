//! The states of a member (multicluster-failover B.8).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::configuration::{Configuration, Version};
use crate::member::{FleetId, MemberId};
use crate::message::{About, Candidacy, Release};
use crate::record::LastLeader;
use crate::time::Time;

/// What a member is doing.
#[derive(Clone, Debug)]
pub enum Phase {
    /// Making a fleet, unless one answers.
    Bootstrapping(Search),
    /// Looking for a fleet.
    Joining(Search),
    /// Every address refuses the callsign.
    Rejected {
        retry: Time,
    },
    Follower(Follower),
    Candidate(Ballots),
    Lead(Box<Lead>),
    /// The payload is gone; the voters have yet to confirm that they know.
    Released(Releasing),
    /// The right to lead is gone and the payload is not: nothing but its removal ends this.
    Demoting(Demoting),
    /// The object is being deleted and has no payload.
    Leaving {
        deadline: Time,
        next: Time,
    },
    /// No longer a member; the finalizer goes once that is stored.
    Gone {
        writes: u64,
        finished: bool,
    },
}

/// Asking addresses for a fleet.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Addresses of this pass that were not asked yet.
    pub(super) left: VecDeque<String>,
    /// The address that is asked, the number of the request, and until when.
    pub(super) asked: Option<(String, u64, Time)>,
    pub(super) pass: Pass,
    /// When the next pass begins, and how many have begun.
    pub(super) next: Time,
    pub(super) passes: u32,
    /// Until when looking for a fleet goes on before one is made.
    pub(super) until: Time,
    /// Whether there has been a fleet: then silence is no proof that there is none.
    pub(super) was_found: bool,
    /// The own fleet was given up for another one, which need not answer at once.
    pub(super) only_joins: bool,
    /// The hub was asked for its record.
    pub(super) has_claimed: bool,
    /// Addresses besides the spec's.
    pub(super) known: BTreeSet<String>,
    /// A leader has been asked to admit us; the pass goes on if no renewal comes.
    pub(super) admitted_by: Option<Time>,
}

/// What the addresses of a pass have answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pass {
    /// The callsign was refused.
    pub(super) refused: u32,
    /// There was no answer.
    pub(super) silent: u32,
    /// The member there has no fleet either.
    pub(super) without_fleet: u32,
    /// The member there has a fleet.
    pub(super) with_fleet: u32,
}

/// Following a leader, or waiting for one.
#[derive(Clone, Debug)]
pub struct Follower {
    /// Since when there is no leader; a moment to come while support lasts.
    pub(super) vacant: Time,
    /// How many candidacies have failed since.
    pub(super) failures: u32,
}

/// A candidacy.
#[derive(Clone, Debug)]
pub struct Ballots {
    pub(super) round: Round,
    /// The voters whose majority is needed.
    pub(super) electorate: Configuration,
    pub(super) grants: BTreeMap<MemberId, Option<LastLeader>>,
    pub(super) refusals: BTreeSet<MemberId>,
    pub(super) seq: u64,
    pub(super) sent: Time,
    /// The own vote counts once this many writes are stored.
    pub(super) own: u64,
    pub(super) failures: u32,
}

/// The rounds of a candidacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    PreVote,
    Vote,
}

/// Leading, from the election until the payload is gone.
#[derive(Clone, Debug)]
pub struct Lead {
    pub(super) term: u64,
    pub(super) since: Time,
    pub(super) stage: Stage,
    /// Recent rounds of renewals: number and the time before the first byte.
    pub(super) rounds: VecDeque<(u64, Time)>,
    pub(super) next_round: Time,
    pub(super) follows: BTreeMap<MemberId, Follow>,
    /// The fence of the last leader's cluster; advertised until the wait for it is over.
    pub(super) debt: Duration,
    /// The fence of the objects that are applied.
    pub(super) applied_fence: Duration,
    /// The revision whose application was asked for.
    pub(super) asked: Option<u64>,
    pub(super) applied: Option<u64>,
    /// How many candidacies before this one have failed.
    pub(super) failures: u32,
    /// No more renewals: the own API server is away and another cluster can take over.
    pub(super) is_silent: bool,
    pub(super) api_lost: Option<Time>,
    pub(super) unavailable: Option<Time>,
    pub(super) no_handover_before: Time,
    /// Members that asked to leave, or that an operator gave up.
    pub(super) removals: BTreeSet<MemberId>,
    /// The end of the lease that was published last.
    pub(super) published: Time,
}

/// What a winner owes to the last leader's cluster.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Debt {
    /// The last leader's term.
    pub(super) of: u64,
    /// How long that cluster needs to remove the payload. A winner that fails before it has waited passes this on as
    /// it is: every winner waits in full, with the allowance for wrong clocks, so the sum never grows.
    pub(super) fence: Duration,
    /// What the wait is prolonged by.
    pub(super) delay: Duration,
}

/// How far a leader is.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Restarted with the payload present: does the majority still agree?
    Recovering {
        until: Time,
    },
    /// Elected; the old side may still run the payload.
    FenceWait {
        until: Time,
        of: u64,
        hook: Hook,
    },
    Promoting,
    Leading,
    /// Planned removal under a valid lease.
    Draining {
        deadline: Time,
        successor: Option<MemberId>,
    },
    /// The payload is gone and the leader removes itself from the voters, because nobody can succeed it.
    Withdrawing {
        deadline: Time,
    },
}

/// The fence hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// There is none, or it has confirmed.
    Done,
    /// Its answer is awaited.
    Called { until: Time },
    /// It has refused; it is called again then.
    Failed { retry: Time },
}

/// What a leader knows of one member.
#[derive(Clone, Debug)]
pub struct Follow {
    /// Until when this member's acknowledgements carry the lease.
    pub(super) window: Time,
    /// It has acknowledged a renewal of this term.
    pub(super) has_renewed: bool,
    pub(super) version: Version,
    pub(super) fence: Duration,
    pub(super) about: About,
    pub(super) latency: Duration,
    /// Since when it has acknowledged every renewal without a change of eligibility.
    pub(super) stable: Option<Time>,
    pub(super) last_ack: Option<Time>,
    pub(super) promote: Option<String>,
    /// It wants to become a voter.
    pub(super) joining: Option<Candidacy>,
}

impl Default for Follow {
    fn default() -> Self {
        Self {
            window: Time::START,
            has_renewed: false,
            version: Version::default(),
            fence: Duration::ZERO,
            about: About::default(),
            latency: Duration::MAX,
            stable: None,
            last_ack: None,
            promote: None,
            joining: None,
        }
    }
}

/// The release is being confirmed.
#[derive(Clone, Debug)]
pub struct Releasing {
    pub(super) release: Release,
    pub(super) acks: BTreeSet<MemberId>,
    pub(super) voters: Configuration,
    pub(super) own: u64,
    pub(super) next: Time,
    pub(super) until: Time,
}

/// Unplanned removal.
#[derive(Clone, Debug)]
pub struct Demoting {
    pub(super) term: u64,
    /// The fleet is given up for another one.
    pub(super) join: Option<(FleetId, Option<String>)>,
}
