//! The session between a member and the hub without its transport (networking section 16): a set of topics, each a
//! channel of keyed changes in one direction.
//!
//! Who sends the changes of a topic keeps an [`outbox`]: the newest change of each key that waits, the window of what is
//! sent and not acknowledged, and the course of a full sync. Who receives them keeps an [`inbox`]: which changes are
//! carried out, which number is acknowledged, and what the end of a full sync removes. [`feedback`] goes the other way:
//! the newest answer about each key, until it is acknowledged. [`fence`] decides which process may hold the session of a cluster.
//!
//! What the two sides say to each other about a topic is [`FromSender`] and [`FromReceiver`], the same whether a member
//! or the hub sends the changes.
//!
//! A topic is a type that implements [`Topic`]; numbers, acknowledgements and full syncs of one topic are independent of
//! those of another. All of it is plain data with methods: a shell feeds messages in and sends what comes out. Nothing
//! here does IO, reads a clock, or knows what a topic is about.

pub mod digest;
pub mod digester;
pub mod feedback;
pub mod fence;
pub mod inbox;
mod message;
pub mod outbox;
mod refusal;
mod topic;

pub use message::{FromReceiver, FromSender};
pub use refusal::{NackCode, Refusal};
pub use topic::{Change, SyncEnd, Topic};

#[cfg(test)]
mod tests;
