//! One topic on an open stream, as the session's loop sees it, and what carries exports: changes that this member sends,
//! and the hub's answers about their keys.

use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::outbox::{Outbox, Outgoing, Refused};
use fairway_core::link::{NackCode, Topic};
use kit::clock::until;
use kit::link::Repetition;
use parking_lot::Mutex;
use wire::member::{self as pb, hub_message, member_message};
use wire::topic::{Answer, HubFeedback, MemberTopic, Offered};

use super::ended::Ended;

/// Which hub has welcomed this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WelcomedBy {
    /// The first one of this process.
    First,
    /// The same process of the hub as before.
    Same,
    /// Another one, which the whole fleet has to do with: full syncs are spread over this time.
    New(Duration),
}

impl WelcomedBy {
    /// The time over which full syncs are spread.
    pub(super) fn spread(self) -> Option<Duration> {
        match self {
            Self::New(spread) => Some(spread),
            Self::First | Self::Same => None,
        }
    }
}

/// A topic's channel over one stream.
#[tonic::async_trait]
pub(super) trait Channel: Send + Sync {
    /// Adds to the greeting.
    fn greet(&self, _hello: &mut pb::Hello) {}

    /// The hub has welcomed this member.
    fn welcomed(&mut self, _welcome: &pb::Welcome, _by: WelcomedBy) {}

    /// The next message that may be sent now. A member that received a Drain sends nothing that would have
    /// to be answered.
    fn next(&mut self, leaving: bool) -> Option<member_message::Body>;

    /// Takes a message, or gives it back when it belongs to another topic. The error is the end of the stream.
    fn take(&mut self, body: hub_message::Body) -> Result<Option<hub_message::Body>, Ended>;

    /// Waits until there is something to do or to send. It may be given up at any time and lose nothing.
    async fn ready(&mut self, _leaving: bool) {
        std::future::pending().await
    }

    /// Does it.
    fn act(&mut self) -> Result<(), Ended> {
        Ok(())
    }

    /// Whether everything that was sent is acknowledged.
    fn is_settled(&self) -> bool {
        true
    }

    /// The stream is gone; waits for what is under way.
    async fn closed(&mut self) {}
}

/// Who has changes of a topic to send.
pub(super) trait Sender: Send + Sync + 'static {
    /// The topic.
    type Topic: MemberTopic;

    /// What is to be sent.
    fn outbox(&self) -> &Mutex<Outbox<Self::Topic>>;
    /// A change of a key is about to be sent.
    fn sending(&self, key: &<Self::Topic as Topic>::Key);
    /// The hub has answered; the outbox says what.
    fn answered(&self);
    /// A change is refused for good, with the reason as a full sentence.
    fn refused(&self, key: <Self::Topic as Topic>::Key, code: NackCode, text: &str);
    /// The removal of these keys is acknowledged.
    fn removed(&self, keys: Vec<<Self::Topic as Topic>::Key>);
    /// So many changes are not acknowledged now.
    fn count(&self, unacknowledged: usize);
}

/// Who receives answers about keys.
pub(super) trait Receiver: Send + Sync + 'static {
    /// The answers.
    type Feedback: HubFeedback;

    /// An answer has come under a number.
    fn received(
        &self,
        seq: u64,
        key: <Self::Feedback as HubFeedback>::Key,
        value: <Self::Feedback as HubFeedback>::Value,
    );
    /// An answer that is to be acknowledged.
    fn next_ack(&self) -> Option<(<Self::Feedback as HubFeedback>::Key, u64)>;
}

/// The channel of changes that this member sends.
pub(super) struct SenderChannel<S: Sender> {
    sender: Arc<S>,
    repetition: Repetition,
}

impl<S: Sender> SenderChannel<S> {
    pub(super) fn new(sender: Arc<S>) -> Self {
        Self {
            sender,
            repetition: Repetition::default(),
        }
    }

    fn refused(
        &mut self,
        seq: u64,
        key: Option<<S::Topic as Topic>::Key>,
        (code, message): (NackCode, &str),
        retry_after: Duration,
    ) {
        let mut outbox = self.sender.outbox().lock();
        let refused = self.repetition.refused(&mut outbox, seq, code, retry_after);
        drop(outbox);
        self.sender.answered();
        if refused == Refused::Final
            && let Some(key) = key
        {
            self.sender.refused(key, code, message);
        }
    }
}

#[tonic::async_trait]
impl<S: Sender> Channel for SenderChannel<S> {
    fn greet(&self, hello: &mut pb::Hello) {
        S::Topic::greet(hello, self.sender.outbox().lock().last_acked());
    }

    fn welcomed(&mut self, welcome: &pb::Welcome, by: WelcomedBy) {
        let next_seq = S::Topic::next_seq(welcome);
        let mut outbox = self.sender.outbox().lock();
        let removed = self
            .repetition
            .connected(&mut outbox, next_seq, welcome.window, by.spread());
        drop(outbox);
        self.sender.removed(removed);
    }

    fn next(&mut self, leaving: bool) -> Option<member_message::Body> {
        if leaving {
            return None;
        }
        let mut outbox = self.sender.outbox().lock();
        let next = outbox.pop();
        let unacknowledged = outbox.unacknowledged();
        drop(outbox);
        self.sender.count(unacknowledged);
        let next = next?;
        if let Outgoing::Change { key, .. } = &next {
            self.sender.sending(key);
        }
        Some(S::Topic::to_hub(next))
    }

    fn take(&mut self, body: hub_message::Body) -> Result<Option<hub_message::Body>, Ended> {
        match S::Topic::from_hub(body) {
            Offered::Taken(Answer::Ack { seq }) => {
                let removed = self.repetition.acked(&mut self.sender.outbox().lock(), seq);
                self.sender.answered();
                self.sender.removed(removed);
            }
            Offered::Taken(Answer::Nack {
                seq,
                key,
                code,
                message,
                retry_after,
            }) => self.refused(seq, key, (code, &message), retry_after),
            Offered::Taken(Answer::Resync { reason }) => {
                self.repetition
                    .asked_for_sync(&mut self.sender.outbox().lock(), &reason);
            }
            Offered::Other(other) => return Ok(Some(other)),
        }
        Ok(None)
    }

    async fn ready(&mut self, leaving: bool) {
        until(self.repetition.due().filter(|_| !leaving)).await;
    }

    fn act(&mut self) -> Result<(), Ended> {
        self.repetition.act(&mut self.sender.outbox().lock());
        Ok(())
    }

    fn is_settled(&self) -> bool {
        self.sender.outbox().lock().unacknowledged() == 0
    }

    async fn closed(&mut self) {
        self.sender.outbox().lock().disconnected();
    }
}

/// The channel of answers that this member receives.
pub(super) struct ReceiverChannel<R: Receiver>(pub(super) Arc<R>);

#[tonic::async_trait]
impl<R: Receiver> Channel for ReceiverChannel<R> {
    fn next(&mut self, _leaving: bool) -> Option<member_message::Body> {
        let (key, seq) = self.0.next_ack()?;
        Some(R::Feedback::ack(&key, seq))
    }

    fn take(&mut self, body: hub_message::Body) -> Result<Option<hub_message::Body>, Ended> {
        match R::Feedback::from_hub(body) {
            Offered::Taken(Some((seq, key, value))) => {
                self.0.received(seq, key, value);
                Ok(None)
            }
            Offered::Taken(None) => Ok(None),
            Offered::Other(other) => Ok(Some(other)),
        }
    }
}
