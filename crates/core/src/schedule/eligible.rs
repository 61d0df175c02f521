//! Whether a member may be picked at all (hub-behaviour 4.7).

use std::time::Duration;

use api::cluster::v1beta1::{AgentStatus, AgentType};
use api::text::conditions::member;
use api::{ConditionStatus, condition};
use jiff::Timestamp;

use crate::objects::Member;

/// A heartbeat older than this, or a member unhealthy for longer, makes it ineligible.
pub(super) const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// Checks a member. The reason of a refusal names no elapsed time, so that it stays the same from pass to pass.
///
/// # Errors
/// The first failing rule, as part of a sentence.
pub fn eligible(member: &Member, now: Timestamp) -> Result<(), &'static str> {
    if member.meta.is_deleting() {
        return Err("the cluster has left the fleet");
    }
    let agent = member_agent(member).ok_or("the member agent has not reported yet")?;
    let heartbeat = agent.last_received_heartbeat.as_ref().map(|time| time.0);
    if heartbeat.is_none_or(|at| is_older(at, now)) {
        return Err("no recent heartbeat has been received from the member agent");
    }
    let joined = condition::find(&agent.conditions, member::JOINED);
    if joined.is_none_or(|c| c.status != ConditionStatus::True) {
        return Err("the cluster has not joined the fleet");
    }
    match condition::find(&agent.conditions, member::HEALTHY) {
        None => Err("the health of the cluster is not known yet"),
        Some(healthy) if healthy.status != ConditionStatus::True && is_older(healthy.last_transition_time.0, now) => {
            Err("the cluster has been unhealthy for too long")
        }
        Some(_) => Ok(()),
    }
}

/// What the member agent has reported.
pub(super) fn member_agent(member: &Member) -> Option<&AgentStatus> {
    member.agents.iter().find(|agent| agent.type_ == AgentType::MemberAgent)
}

/// Whether a time is too long ago.
pub(super) fn is_older(then: Timestamp, now: Timestamp) -> bool {
    now.duration_since(then).as_nanos() > i128::try_from(MAX_AGE.as_nanos()).unwrap_or(i128::MAX)
}
