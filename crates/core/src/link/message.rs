//! What the sender and the receiver of a topic say to each other.
//!
//! On each stream the sender begins with an offer, and sends nothing more before the receiver has said how the topic goes
//! on. So nobody is sent changes of a topic that it does not know.

use std::time::Duration;

use super::outbox::Outgoing;
use super::{Change, NackCode, Refusal, SyncEnd, Topic};

/// What the sender of a topic says.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message is looked at at a time; a box per message would only cost"
)]
pub enum FromSender<T: Topic> {
    /// The first message of a stream.
    Offer {
        /// The highest number that the receiver acknowledged in the session before; `None` when there was none with this
        /// receiver, and everything is to be sent.
        last_acked: Option<u64>,
    },
    /// A full sync starts.
    SyncBegin {
        /// Its id.
        sync_id: String,
    },
    /// A change.
    Change {
        /// Its number.
        seq: u64,
        /// The full sync that it belongs to, if one runs.
        sync_id: Option<String>,
        /// The key and what changed; when that cannot be read, why it is refused.
        change: Result<(T::Key, Change<T>), Refusal>,
    },
    /// A full sync ends.
    SyncEnd(SyncEnd<T>),
}

/// What the receiver of a topic says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromReceiver<T: Topic> {
    /// The answer to the offer.
    Resume {
        /// The first number that is not carried out; `None` asks for a full sync.
        next_seq: Option<u64>,
        /// Most changes that may be unacknowledged.
        window: u32,
    },
    /// Everything up to this number is carried out or refused.
    Ack {
        /// The number.
        seq: u64,
    },
    /// A change is refused.
    Nack {
        /// Its number.
        seq: u64,
        /// Its key, when it could be read.
        key: Option<T::Key>,
        /// Why.
        code: NackCode,
        /// Why, as a full sentence.
        message: String,
        /// Least wait before it is sent again; zero leaves that to the sender.
        retry_after: Duration,
    },
    /// Everything is to be sent again.
    Resync {
        /// Why, as a full sentence.
        reason: String,
    },
}

impl<T: Topic> From<Outgoing<T>> for FromSender<T> {
    fn from(outgoing: Outgoing<T>) -> Self {
        match outgoing {
            Outgoing::SyncBegin { sync_id } => Self::SyncBegin { sync_id },
            Outgoing::Change {
                seq,
                sync_id,
                key,
                change,
            } => Self::Change {
                seq,
                sync_id,
                change: Ok((key, change)),
            },
            Outgoing::SyncEnd(end) => Self::SyncEnd(end),
        }
    }
}
