//! How topics with messages of their own are written: exports are the one that there is (networking 16), by implementing
//! [`MemberTopic`] and [`HubFeedback`]. Any other topic implements [`crate::WireTopic`]. The session on either side hands
//! each message to the topic that knows it.

use std::time::Duration;

use fairway_core::link::outbox::Outgoing;
use fairway_core::link::{Change, NackCode, SyncEnd, Topic};

use crate::convert::Missing;
use crate::member::{self as pb, hub_message, member_message};

/// A message that was offered to a topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Offered<T, B> {
    /// It is the topic's; this is what it says.
    Taken(T),
    /// It belongs to something else.
    Other(B),
}

impl<T, B> Offered<Option<T>, B> {
    /// Hands what the message says to `take`, if it says anything. Answers a message that belongs to something else.
    ///
    /// # Errors
    /// As `take`.
    pub fn hand_to<E>(self, take: impl FnOnce(T) -> Result<(), E>) -> Result<Option<B>, E> {
        match self {
            Self::Taken(Some(message)) => take(message).map(|()| None),
            Self::Taken(None) => Ok(None),
            Self::Other(other) => Ok(Some(other)),
        }
    }
}

/// An answer about a key with its number.
pub type Given<F> = (u64, <F as HubFeedback>::Key, <F as HubFeedback>::Value);

/// A topic whose changes go from members to the hub, with numbers, acknowledgements and full syncs of its own.
pub trait MemberTopic: Topic {
    /// Puts into the greeting up to which number the member's changes are acknowledged.
    fn greet(hello: &mut pb::Hello, last_acked: u64);
    /// The number that a greeting names.
    fn last_acked(hello: &pb::Hello) -> u64;
    /// Puts into the welcome how the topic continues: with this number, or by a full sync.
    fn welcome(welcome: &mut pb::Welcome, next_seq: Option<u64>);
    /// How a welcome says that the topic continues: with this number, or by a full sync.
    fn next_seq(welcome: &pb::Welcome) -> Option<u64>;

    /// What a member sends.
    fn to_hub(message: Outgoing<Self>) -> member_message::Body;
    /// What a member has sent.
    fn from_member(body: member_message::Body) -> Offered<FromMember<Self>, member_message::Body>;

    /// What the hub answers.
    fn to_member(answer: Answer<Self>) -> hub_message::Body;
    /// What the hub has answered.
    fn from_hub(body: hub_message::Body) -> Offered<Answer<Self>, hub_message::Body>;
}

/// What a member sends about a topic.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message is looked at at a time; a box per message would only cost"
)]
pub enum FromMember<T: Topic> {
    /// A full sync starts.
    SyncBegin {
        /// Its id.
        sync_id: String,
    },
    /// A change.
    Change {
        /// Its number.
        seq: u64,
        /// Whether it belongs to a full sync.
        in_sync: bool,
        /// Bytes that it takes on the wire.
        size: u64,
        /// The key and what changed, when the message has all that it needs.
        change: Result<(T::Key, Change<T>), Missing>,
    },
    /// A full sync ends.
    SyncEnd(SyncEnd<T>),
}

/// What the hub answers about a topic.
#[derive(Debug)]
pub enum Answer<T: Topic> {
    /// Everything up to this number is carried out.
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
        /// Least wait before it is sent again; zero leaves that to the member.
        retry_after: Duration,
    },
    /// The member is to send everything again.
    Resync {
        /// Why, as a full sentence.
        reason: String,
    },
}

/// Answers about keys that go from the hub to members and are acknowledged one by one.
pub trait HubFeedback: Sized + Send + Sync + 'static {
    /// What is answered about.
    type Key: Clone + Ord + Send;
    /// The answer.
    type Value: Clone + PartialEq + Send;

    /// An answer under its number.
    fn to_member(seq: u64, key: &Self::Key, value: &Self::Value) -> hub_message::Body;
    /// An answer of the hub with its number and key; nothing when it lacks a part that it needs.
    fn from_hub(body: hub_message::Body) -> Offered<Option<Given<Self>>, hub_message::Body>;
    /// The acknowledgement of an answer.
    fn ack(key: &Self::Key, seq: u64) -> member_message::Body;
    /// What a member acknowledges; nothing when the message lacks a part that it needs.
    fn acked(body: member_message::Body) -> Offered<Option<(Self::Key, u64)>, member_message::Body>;
}
