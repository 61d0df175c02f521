//! The messages between members.

use std::time::Duration;

use crate::configuration::{Configuration, Version};
use crate::member::{FleetId, MemberId};
use crate::record::LastLeader;

/// One message (multicluster-failover B.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub header: Header,
    pub body: Body,
}

/// What every message carries about its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The fleet that the sender belongs to; none while it looks for one.
    pub fleet: Option<FleetId>,
    pub term: u64,
    /// Version of the sender's configuration.
    pub version: Version,
    pub sender: MemberId,
    /// How often the sender's record has changed.
    pub writes: u64,
    /// Number of a request; its reply carries the same.
    pub seq: u64,
}

/// Requests and their replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Asks for the receiver's state; keeps an idle connection in use.
    GetState,
    State(Box<State>),
    /// Asks the leader to admit the sender.
    Join(Candidacy),
    /// Asks the leader to remove a member: the sender, or one that its operator knows to be dead.
    Leave {
        member: MemberId,
    },
    /// The member has been removed; the configuration without it.
    Left {
        member: MemberId,
        configuration: Box<Configuration>,
    },
    /// Would the receiver support the sender in the term after the sender's?
    PreVote(Ballot),
    /// Support the sender in the header's term.
    Vote(Ballot),
    PreVoteReply {
        granted: bool,
    },
    VoteReply {
        granted: bool,
        last_leader: Option<LastLeader>,
    },
    /// The leader of the header's term leads on.
    Renew(Box<Renew>),
    RenewReply(Box<RenewReply>),
    /// The payload of the leader of `term` is gone.
    Release(Box<Release>),
    ReleaseReply {
        term: u64,
    },
    /// The receiver is to take over from the leader of `term`, which has released.
    Handover {
        term: u64,
    },
}

/// Where and with which rank a member wants to take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidacy {
    pub rank: i64,
    /// `host:port`; none for a member that only dials out.
    pub address: Option<String>,
}

/// A candidate's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    pub rank: i64,
    /// The term that the candidate wants to lead.
    pub term: u64,
}

/// The state of a member, in answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The current leader and its address, as far as the sender knows.
    pub leader: Option<MemberId>,
    pub leader_address: Option<String>,
    /// The newest configuration that the sender has accepted, and the committed one while that is not committed.
    pub configuration: Option<Configuration>,
    pub previous: Option<Configuration>,
    /// The sender takes part in that fleet; otherwise it has left it.
    pub is_member: bool,
    pub about: About,
    /// The highest count of writes that the sender has seen of the receiver.
    pub your_writes: u64,
}

/// What others need to know of a member for elections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub rank: i64,
    pub address: Option<String>,
    pub eligible: bool,
    /// Hash of the payload as this member has it, hexadecimal.
    pub payload_hash: String,
}

/// A renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renew {
    pub lease: Duration,
    /// How long a successor waits after this lease's end.
    pub fence: Duration,
    pub configuration: Configuration,
    /// The committed configuration while `configuration` is not committed.
    pub previous: Option<Configuration>,
    pub about: About,
    /// The highest count of writes that the sender has seen of the receiver.
    pub your_writes: u64,
}

/// The answer to a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewReply {
    /// The receiver supports the leader, and has stored the configuration of the header's version.
    pub accepted: bool,
    /// The fence that the receiver has stored.
    pub fence: Duration,
    pub about: About,
    /// An operator asked for a handover to this member; the value of the annotation.
    pub promote: Option<String>,
}

/// A leader's confirmation that its payload is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub term: u64,
    /// Who is to take over, if anybody in particular.
    pub successor: Option<MemberId>,
    /// With two voters: the configuration in which the successor is the holder.
    pub next: Option<Configuration>,
}
