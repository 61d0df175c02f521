//! The sender's side of a topic on one stream.

use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::outbox::Refused;
use fairway_core::link::{FromReceiver, FromSender, Topic};

use super::{Broken, Outbox, Repetition};
use crate::clock::until;

/// Sends what an outbox holds over one stream.
pub struct Sender<T: Topic> {
    outbox: Arc<Outbox<T>>,
    /// The first message, until it is sent.
    offer: Option<FromSender<T>>,
    /// The receiver has answered the offer.
    is_open: bool,
    spread: Option<Duration>,
    repetition: Repetition,
    /// There is nothing to send before something happens.
    is_idle: bool,
}

impl<T: Topic> Sender<T> {
    /// The beginning of a stream. `returning` says that the receiver is the process of the session before, and that it
    /// knows this one. Full syncs are spread over the time `spread` where many senders have to do with a new receiver.
    pub fn new(outbox: Arc<Outbox<T>>, returning: bool, spread: Option<Duration>) -> Self {
        let last_acked = outbox.with(|outbox| {
            outbox.disconnected();
            outbox.last_acked()
        });
        Self {
            offer: Some(FromSender::Offer {
                last_acked: returning.then_some(last_acked),
            }),
            outbox,
            is_open: false,
            spread,
            repetition: Repetition::default(),
            is_idle: false,
        }
    }

    /// Takes what the receiver says.
    ///
    /// # Errors
    /// When it breaks the protocol.
    pub fn take(&mut self, message: FromReceiver<T>) -> Result<(), Broken> {
        self.is_idle = false;
        let (outbox, repetition) = (Arc::clone(&self.outbox), &mut self.repetition);
        outbox.with(|outbox| match message {
            FromReceiver::Resume { next_seq, window } => {
                let is_known = next_seq.is_none_or(|next| (1..=outbox.last_seq().saturating_add(1)).contains(&next));
                if self.is_open || self.offer.is_some() || !is_known {
                    return Err(Broken::Protocol(
                        "The answer to an offer is sent once and names a number that was sent, or the next one.",
                    ));
                }
                self.is_open = true;
                repetition.connected(outbox, next_seq, window, self.spread);
                Ok(())
            }
            FromReceiver::Ack { seq } if seq > outbox.last_seq() => {
                Err(Broken::Protocol("A number is acknowledged that was not sent."))
            }
            FromReceiver::Ack { seq } => {
                repetition.acked(outbox, seq);
                Ok(())
            }
            FromReceiver::Nack {
                seq,
                key,
                code,
                message,
                retry_after,
            } => {
                if repetition.refused(outbox, seq, code, retry_after) == Refused::Final {
                    let (key_text, code) = (key.as_ref().map(ToString::to_string), code.as_str());
                    tracing::warn!(topic = T::NAME, key = key_text, code, message, "A change was refused.");
                    if let Some(key) = key {
                        outbox.give_up(&key);
                    }
                }
                Ok(())
            }
            FromReceiver::Resync { reason } => {
                repetition.asked_for_sync(outbox, &reason);
                Ok(())
            }
        })
    }

    /// Waits until there may be something to send. It may be given up at any time and lose nothing.
    pub async fn ready(&mut self) {
        if self.is_idle {
            tokio::select! {
                () = self.outbox.changed.notified() => {}
                () = until(self.repetition.due()) => {}
            }
            self.is_idle = false;
        }
    }

    /// The next message that may be sent now. Who is `leaving` sends nothing that would have to be answered.
    pub fn pop(&mut self, leaving: bool) -> Option<FromSender<T>> {
        let next = if leaving {
            None
        } else if self.offer.is_some() {
            self.offer.take()
        } else {
            let repetition = &mut self.repetition;
            self.outbox.with(|outbox| {
                repetition.act(outbox);
                outbox.pop().map(FromSender::from)
            })
        };
        self.is_idle = next.is_none();
        next
    }

    /// Whether everything that was sent is acknowledged.
    pub fn is_settled(&self) -> bool {
        self.outbox.with(|outbox| outbox.unacknowledged() == 0)
    }

    /// The stream is gone.
    pub fn close(&mut self) {
        self.outbox.with(fairway_core::link::outbox::Outbox::disconnected);
    }
}
