//! Messages to members that end a session or refuse it.

use std::time::Duration;

use wire::member::{self as pb, hub_message};

/// A cluster that is no member connects again after this time.
const NOT_A_MEMBER_RETRY: Duration = Duration::from_secs(30);
/// A member whose hub agent ends, does not lead, or cannot reach its API server connects again after this time.
const AWAY_RETRY: Duration = Duration::from_secs(1);

/// A message around a body.
pub(super) fn message(body: hub_message::Body) -> pb::HubMessage {
    pb::HubMessage { body: Some(body) }
}

/// The end of a session, with its reason as a full sentence.
pub(super) fn bye(reason: pb::ByeReason, text: impl Into<String>) -> pb::Bye {
    pb::Bye {
        reason: reason.into(),
        message: text.into(),
        retry_after_ms: 0,
    }
}

/// The same, for somebody who is to come back after a time.
fn come_back(after: Duration, bye: pb::Bye) -> pb::Bye {
    pb::Bye {
        retry_after_ms: u64::try_from(after.as_millis()).unwrap_or_default(),
        ..bye
    }
}

/// The cluster is no member (any more).
pub(super) fn not_a_member(cluster: &str) -> pb::Bye {
    let text = format!("There is no MemberCluster {cluster}.");
    come_back(NOT_A_MEMBER_RETRY, bye(pb::ByeReason::NotAMember, text))
}

/// The hub agent ends.
pub(super) fn shutdown() -> pb::Bye {
    let text = "The hub agent ends; connect again.";
    come_back(AWAY_RETRY, bye(pb::ByeReason::Shutdown, text))
}

/// This replica does not lead.
pub(super) fn not_leader() -> pb::Bye {
    let text = "This replica of the hub agent does not lead; connect again to reach another one.";
    come_back(AWAY_RETRY, bye(pb::ByeReason::NotLeader, text))
}

/// The caller's rights cannot be checked.
pub(super) fn unavailable(error: &kit::Error) -> pb::Bye {
    let text = format!("The hub cannot check the caller's rights now: {error}");
    come_back(AWAY_RETRY, bye(pb::ByeReason::Shutdown, text))
}

/// The caller's token is not accepted any more.
pub(super) fn unauthenticated() -> pb::Bye {
    let text = "The hub does not accept the token of this session any more; connect again with a fresh one.";
    bye(pb::ByeReason::Unauthenticated, text)
}

/// The caller's token or certificate has expired.
pub(super) fn expired() -> pb::Bye {
    let text = "The token or certificate of this session has expired; connect again with the fresh one.";
    bye(pb::ByeReason::Unauthenticated, text)
}

/// The caller has lost its rights.
pub(super) fn forbidden(cluster: &str) -> pb::Bye {
    let text = format!("The caller may no longer report the exports of {cluster}.");
    bye(pb::ByeReason::Forbidden, text)
}

/// Another stream of the cluster has taken over.
pub(super) fn superseded(cluster: &str) -> pb::Bye {
    let text = format!("A newer connection of {cluster} took over.");
    bye(pb::ByeReason::Superseded, text)
}

/// The member breaks the protocol.
pub(super) fn protocol(text: &str) -> pb::Bye {
    bye(pb::ByeReason::Protocol, text)
}
