//! Requests and replies.

use failover::member::MemberId;
use failover::message::{About, Ballot, Body, Candidacy, Release, Renew, RenewReply, State};
use failover::record::LastLeader;

use super::configuration;
use super::pb;
use super::pb::message::Body as Wire;
use super::values::{
    Checked as _, Malformed, address, duration_to_wire, fence, hash, lease, member, request, required, term,
};

pub(super) fn to_wire(body: &Body) -> Wire {
    match body {
        Body::GetState => Wire::GetState(pb::GetState {}),
        Body::State(state) => Wire::State(pb::State {
            leader_id: optional_id(state.leader.as_ref()),
            leader_address: state.leader_address.clone(),
            configuration: state.configuration.as_ref().map(configuration::to_wire),
            about: Some(about_to_wire(&state.about)),
            your_writes: state.your_writes,
            previous: state.previous.as_ref().map(configuration::to_wire),
            is_member: state.is_member,
        }),
        Body::Join(candidacy) => Wire::Join(pb::Candidacy {
            rank: candidacy.rank,
            address: candidacy.address.clone(),
        }),
        Body::Leave { member } => Wire::Leave(pb::Leave { member_id: id(member) }),
        Body::Left { member, configuration } => Wire::Left(pb::Left {
            member_id: id(member),
            configuration: Some(configuration::to_wire(configuration)),
        }),
        Body::PreVote(ballot) => Wire::PreVote(ballot_to_wire(ballot)),
        Body::Vote(ballot) => Wire::Vote(ballot_to_wire(ballot)),
        Body::PreVoteReply { granted } => Wire::PreVoteReply(pb::PreVoteReply { granted: *granted }),
        Body::VoteReply { granted, last_leader } => Wire::VoteReply(pb::VoteReply {
            granted: *granted,
            last_leader: last_leader.as_ref().map(last_leader_to_wire),
        }),
        Body::Renew(renew) => Wire::Renew(pb::Renew {
            lease: Some(duration_to_wire(renew.lease)),
            fence: Some(duration_to_wire(renew.fence)),
            configuration: Some(configuration::to_wire(&renew.configuration)),
            previous: renew.previous.as_ref().map(configuration::to_wire),
            about: Some(about_to_wire(&renew.about)),
            your_writes: renew.your_writes,
        }),
        Body::RenewReply(reply) => Wire::RenewReply(pb::RenewReply {
            accepted: reply.accepted,
            fence: Some(duration_to_wire(reply.fence)),
            about: Some(about_to_wire(&reply.about)),
            promote: reply.promote.clone(),
        }),
        Body::Release(release) => Wire::Release(pb::Release {
            term: release.term,
            successor_id: optional_id(release.successor.as_ref()),
            next: release.next.as_ref().map(configuration::to_wire),
        }),
        Body::ReleaseReply { term } => Wire::ReleaseReply(pb::ReleaseReply { term: *term }),
        Body::Handover { term } => Wire::Handover(pb::Handover { term: *term }),
    }
}

pub(super) fn from_wire(body: Wire) -> Result<Body, Malformed> {
    Ok(match body {
        Wire::GetState(pb::GetState {}) => Body::GetState,
        Wire::State(state) => Body::State(Box::new(State {
            leader: state.leader_id.checked("state.leader_id", member)?,
            leader_address: state.leader_address.checked("state.leader_address", address)?,
            configuration: state
                .configuration
                .checked("state.configuration", configuration::checked)?,
            about: about("state.about", state.about)?,
            your_writes: state.your_writes,
            previous: state.previous.checked("state.previous", configuration::checked)?,
            is_member: state.is_member,
        })),
        Wire::Join(candidacy) => Body::Join(Candidacy {
            rank: candidacy.rank,
            address: candidacy.address.checked("join.address", address)?,
        }),
        Wire::Leave(leave) => Body::Leave {
            member: member("leave.member_id", leave.member_id)?,
        },
        Wire::Left(left) => Body::Left {
            member: member("left.member_id", left.member_id)?,
            configuration: Box::new(configuration::from_wire("left.configuration", left.configuration)?),
        },
        Wire::PreVote(vote) => Body::PreVote(ballot("pre_vote.term", vote)?),
        Wire::Vote(vote) => Body::Vote(ballot("vote.term", vote)?),
        Wire::PreVoteReply(reply) => Body::PreVoteReply { granted: reply.granted },
        Wire::VoteReply(reply) => Body::VoteReply {
            granted: reply.granted,
            last_leader: reply.last_leader.checked("vote_reply.last_leader", last_leader)?,
        },
        Wire::Renew(renew) => Body::Renew(Box::new(Renew {
            lease: lease("renew.lease", renew.lease)?,
            fence: fence("renew.fence", renew.fence)?,
            configuration: configuration::from_wire("renew.configuration", renew.configuration)?,
            previous: renew.previous.checked("renew.previous", configuration::checked)?,
            about: about("renew.about", renew.about)?,
            your_writes: renew.your_writes,
        })),
        Wire::RenewReply(reply) => Body::RenewReply(Box::new(RenewReply {
            accepted: reply.accepted,
            fence: fence("renew_reply.fence", reply.fence)?,
            about: about("renew_reply.about", reply.about)?,
            promote: reply.promote.checked("renew_reply.promote", request)?,
        })),
        Wire::Release(release) => Body::Release(Box::new(Release {
            term: term("release.term", release.term)?,
            successor: release.successor_id.checked("release.successor_id", member)?,
            next: release.next.checked("release.next", configuration::checked)?,
        })),
        Wire::ReleaseReply(reply) => Body::ReleaseReply {
            term: term("release_reply.term", reply.term)?,
        },
        Wire::Handover(handover) => Body::Handover {
            term: term("handover.term", handover.term)?,
        },
    })
}

fn id(member: &MemberId) -> String {
    member.as_str().to_owned()
}

fn optional_id(member: Option<&MemberId>) -> Option<String> {
    member.map(id)
}

fn ballot_to_wire(ballot: &Ballot) -> pb::Ballot {
    pb::Ballot {
        rank: ballot.rank,
        term: ballot.term,
    }
}

fn ballot(field: &'static str, ballot: pb::Ballot) -> Result<Ballot, Malformed> {
    Ok(Ballot {
        rank: ballot.rank,
        term: term(field, ballot.term)?,
    })
}

fn about_to_wire(about: &About) -> pb::About {
    pb::About {
        rank: about.rank,
        address: about.address.clone(),
        eligible: about.eligible,
        payload_hash: about.payload_hash.clone(),
    }
}

fn about(field: &'static str, about: Option<pb::About>) -> Result<About, Malformed> {
    let about = required(field, about)?;
    Ok(About {
        rank: about.rank,
        address: about.address.checked("about.address", address)?,
        eligible: about.eligible,
        payload_hash: hash("about.payload_hash", about.payload_hash)?,
    })
}

fn last_leader_to_wire(last: &LastLeader) -> pb::LastLeader {
    pb::LastLeader {
        term: last.term,
        id: id(&last.id),
        released: last.released,
        fence: Some(duration_to_wire(last.fence)),
        lease: Some(duration_to_wire(last.lease)),
    }
}

fn last_leader(field: &'static str, last: pb::LastLeader) -> Result<LastLeader, Malformed> {
    Ok(LastLeader {
        term: term(field, last.term)?,
        id: member(field, last.id)?,
        released: last.released,
        fence: fence(field, last.fence)?,
        lease: lease(field, last.lease)?,
    })
}
