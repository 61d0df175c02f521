//! Why a session ended or did not begin.

use std::time::Duration;

use kit::link::LONGEST_WAIT;
use tonic::{Code, Status};
use wire::member as pb;

/// The end of a session, or of a try to open one.
#[derive(Debug)]
pub(super) struct Ended {
    /// Fixed name of the reason, for metrics.
    pub reason: &'static str,
    /// What happened, as a full sentence.
    pub text: String,
    pub cause: Cause,
    /// The address that the hub's Drain names.
    pub target: Option<String>,
}

/// Who is to blame, which decides how soon another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The hub is away: nothing answers at its address, what accepts the connection closes it without an answer, as a load
    /// balancer does, or an open stream broke.
    Away,
    /// Somebody says that the hub is not there or not ready: a proxy in its place, or the hub itself.
    Unavailable,
    /// Somebody begins to answer at the hub's address, and no session comes about: the hub may be overloaded.
    Busy,
    /// The hub, or what stands before it, refuses this member: trying again helps only once something has changed.
    Refused,
    /// The hub says when to come back.
    ComeBack(Duration),
}

impl Ended {
    /// The hub is away.
    pub(super) fn away(reason: &'static str, text: impl Into<String>) -> Self {
        Self::new(reason, text, Cause::Away)
    }

    /// The hub is not ready for this member.
    pub(super) fn busy(reason: &'static str, text: impl Into<String>) -> Self {
        Self::new(reason, text, Cause::Busy)
    }

    /// This member is refused, or cannot connect.
    pub(super) fn refused(reason: &'static str, text: impl Into<String>) -> Self {
        Self::new(reason, text, Cause::Refused)
    }

    fn new(reason: &'static str, text: impl Into<String>, cause: Cause) -> Self {
        Self {
            reason,
            text: text.into(),
            cause,
            target: None,
        }
    }

    /// The hub has ended the session, or refused to open one.
    pub(super) fn by_hub(bye: &pb::Bye) -> Self {
        let reason = match bye.reason() {
            pb::ByeReason::Superseded => "superseded",
            pb::ByeReason::Unauthenticated => "unauthenticated",
            pb::ByeReason::Forbidden => "forbidden",
            pb::ByeReason::NotAMember => "not_a_member",
            pb::ByeReason::NotLeader => "not_leader",
            pb::ByeReason::Protocol => "protocol",
            pb::ByeReason::Shutdown => "shutdown",
            pb::ByeReason::Unspecified => "unspecified",
        };
        let cause = match Duration::from_millis(bye.retry_after_ms).min(LONGEST_WAIT) {
            Duration::ZERO => Cause::Refused,
            wait => Cause::ComeBack(wait),
        };
        Self::new(reason, bye.message.clone(), cause)
    }

    /// The call was answered by a status instead of a stream.
    pub(super) fn by_status(status: &Status) -> Self {
        match status.code() {
            Code::Unauthenticated => Self::refused("unauthenticated", status.message()),
            // The transport failed.
            _ if std::error::Error::source(status).is_some() => Self::busy("refused", status.message()),
            // The hub cannot check the token now, or somebody says so in its place.
            Code::Unavailable => Self::new("refused", status.message(), Cause::Unavailable),
            _ => Self::refused("refused", status.message()),
        }
    }

    /// The hub sent a Drain: connect elsewhere, or again.
    pub(super) fn drained(target: String) -> Self {
        Self {
            target: (!target.is_empty()).then_some(target),
            ..Self::away("drain", "The hub asked to connect elsewhere.")
        }
    }
}
