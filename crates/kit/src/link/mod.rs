//! A topic of a session on an open stream, the same on either side and in either direction.
//!
//! What is to be sent waits in an [`Outbox`], kept between streams; a [`Sender`] empties it over one stream. A
//! [`Receiver`] hands what arrives over one stream to a [`Handler`], and answers. Both are driven by the session's loop:
//! it hands them messages, waits for [`Sender::ready`] or [`Receiver::ready`], and sends what they have to say. Everything
//! is bounded: an outbox by the number of keys, what is under way by the window, and what is carried out at a time.

mod outbox;
mod receiver;
mod removals;
mod repetition;
mod sender;

#[cfg(test)]
mod tests;

pub use outbox::{Outbox, Outboxes};
pub use receiver::{Handler, Options, Receiver};
pub use removals::remove_all;
pub use repetition::{LONGEST_WAIT, Repetition, sync_id, wait_to_repeat};
pub use sender::Sender;

/// Why a stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The other side breaks the protocol.
    #[error("{0}")]
    Protocol(&'static str),
    /// A handler panicked; what it was to do is sent again over the next stream.
    #[error("A change could not be carried out to its end.")]
    Handler,
}
