//! What a transport reports to its member.

use std::time::Duration;

use failover::configuration::Version;
use failover::member::{FleetId, MemberId};
use failover::message::Message;

use crate::certificates::Source;
use crate::failure::{DialFailure, Rejection};

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message has arrived. Its sender is who its certificate names.
    Received(Box<Message>),
    /// A connection has come up: the first one to this member, or one that replaces an older one, as after a restart.
    Connected {
        /// Who is on the other end.
        member: MemberId,
        /// Its fleet, if it has one.
        fleet: Option<FleetId>,
        /// The version of its configuration.
        version: Version,
        /// Where its certificate comes from.
        source: Source,
        /// How long ago its certificate expired, if it has: it will be refused a week after that.
        expired: Option<Duration>,
    },
    /// The last connection to this member has ended.
    Disconnected {
        /// Who was on the other end.
        member: MemberId,
    },
    /// A member has answered at an address; what was sent to the address is on its way to it.
    SeedAnswered {
        /// The address.
        address: String,
        /// Who is there.
        member: MemberId,
    },
    /// No member has answered at an address; what was sent to it is lost.
    SeedFailed {
        /// The address.
        address: String,
        /// Why.
        failure: DialFailure,
    },
    /// A peer could not be reached at its address; it is dialled again with back-off.
    PeerFailed {
        /// Who was meant.
        member: MemberId,
        /// Why.
        failure: DialFailure,
    },
    /// Somebody who named this callsign was turned away. Some of these are not reported while there are many.
    Rejected(Rejection),
}
