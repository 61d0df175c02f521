//! One topic on an open stream, as the session's loop sees it, and the two kinds there are: changes that this member
//! sends, and answers that it receives.

use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::outbox::{Outbox, Outgoing, Refused, Resume};
use fairway_core::link::{NackCode, Topic};
use kit::backoff::Backoff;
use parking_lot::Mutex;
use rand::Rng as _;
use tokio::time::Instant;
use wire::member::{self as pb, hub_message, member_message};
use wire::topic::{Answer, HubFeedback, MemberTopic, Offered};

/// Waits after the hub could not carry out a change, where it names none.
const UNAVAILABLE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
/// Changes that all failed for want of an answer are repeated over this time.
const UNANSWERED_SPREAD: Duration = Duration::from_secs(1);
/// Whatever the hub says, no wait is longer than this.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A topic's channel over one stream.
pub(super) trait Channel: Send + Sync {
    /// Adds to the greeting.
    fn greet(&self, _hello: &mut pb::Hello) {}

    /// The hub has welcomed this member. `spread` is the time over which full syncs are spread, where the whole fleet has
    /// to do with a new hub.
    fn welcomed(&mut self, _welcome: &pb::Welcome, _spread: Option<Duration>) {}

    /// The next message that may be sent now. A member that received a Drain sends nothing that would have
    /// to be answered.
    fn next(&mut self, leaving: bool) -> Option<member_message::Body>;

    /// Takes a message, or gives it back when it belongs to another topic.
    fn take(&mut self, body: hub_message::Body) -> Option<hub_message::Body>;

    /// When there is something to do beside that.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Does it.
    fn act(&mut self) {}

    /// Whether everything that was sent is acknowledged.
    fn is_settled(&self) -> bool {
        true
    }

    /// The stream is gone.
    fn closed(&mut self) {}
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

/// The wait before what could not be carried out is tried again, after so many failures in a row. Who names a wait expects
/// the cause to pass, so that does not grow; but it is the same for many members, and each adds a part of its own.
pub(super) fn wait_to_repeat(named: Option<Duration>, failures: u32) -> Duration {
    match named {
        Some(wait) => wait.min(LONGEST_WAIT) + UNANSWERED_SPREAD.mul_f64(rand::rng().random_range(0.0..1.0)),
        None => UNAVAILABLE.delay(failures),
    }
}

/// A fresh id of a full sync.
pub(super) fn sync_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The channel of changes that this member sends.
pub(super) struct SenderChannel<S: Sender> {
    sender: Arc<S>,
    /// When everything is sent again, where that is yet to come.
    sync_at: Option<Instant>,
    /// When what the hub could not carry out is sent again.
    release: Option<Instant>,
    unavailable: u32,
}

impl<S: Sender> SenderChannel<S> {
    pub(super) fn new(sender: Arc<S>) -> Self {
        Self {
            sender,
            sync_at: None,
            release: None,
            unavailable: 0,
        }
    }

    fn refused(
        &mut self,
        seq: u64,
        key: Option<<S::Topic as Topic>::Key>,
        (code, message): (NackCode, &str),
        retry_after: Duration,
    ) {
        let refused = self.sender.outbox().lock().nack(seq, code);
        self.sender.answered();
        match refused {
            Refused::Outdated => {}
            Refused::Held => {
                // What is refused while others wait goes out with them.
                if self.release.is_none() {
                    self.unavailable = self.unavailable.saturating_add(1);
                }
                let named = (!retry_after.is_zero()).then_some(retry_after);
                let wait = wait_to_repeat(named, self.unavailable);
                self.release.get_or_insert(Instant::now() + wait);
            }
            Refused::Final => {
                if let Some(key) = key {
                    self.sender.refused(key, code, message);
                }
            }
        }
    }
}

impl<S: Sender> Channel for SenderChannel<S> {
    fn greet(&self, hello: &mut pb::Hello) {
        S::Topic::greet(hello, self.sender.outbox().lock().last_acked());
    }

    fn welcomed(&mut self, welcome: &pb::Welcome, spread: Option<Duration>) {
        let resume = match (S::Topic::next_seq(welcome), spread) {
            (Some(next_seq), _) => Resume::Continue { next_seq },
            (None, None) => Resume::FullSync { sync_id: sync_id() },
            (None, Some(spread)) => {
                self.sync_at = Some(Instant::now() + spread.mul_f64(rand::rng().random_range(0.0..1.0)));
                Resume::ChangesFirst
            }
        };
        let window = usize::try_from(welcome.window).unwrap_or(1);
        let removed = self.sender.outbox().lock().connected(resume, window);
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

    fn take(&mut self, body: hub_message::Body) -> Option<hub_message::Body> {
        match S::Topic::from_hub(body) {
            Offered::Taken(Answer::Ack { seq }) => {
                // An acknowledgement follows each refusal as well; what waits to be sent again shows that there was one.
                if self.release.is_none() {
                    self.unavailable = 0;
                }
                let removed = self.sender.outbox().lock().ack(seq);
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
                tracing::info!(reason, "The hub asks for a full sync.");
                // One that is yet to come is the one that is requested.
                if self.sync_at.is_none() {
                    self.sender.outbox().lock().start_sync(sync_id());
                }
            }
            Offered::Other(other) => return Some(other),
        }
        None
    }

    fn due(&self) -> Option<Instant> {
        self.release.into_iter().chain(self.sync_at).min()
    }

    fn act(&mut self) {
        let now = Instant::now();
        if self.release.take_if(|at| *at <= now).is_some() {
            self.sender.outbox().lock().release();
        }
        if self.sync_at.take_if(|at| *at <= now).is_some() {
            self.sender.outbox().lock().start_sync(sync_id());
        }
    }

    fn is_settled(&self) -> bool {
        self.sender.outbox().lock().unacknowledged() == 0
    }

    fn closed(&mut self) {
        self.sender.outbox().lock().disconnected();
    }
}

/// The channel of answers that this member receives.
pub(super) struct ReceiverChannel<R: Receiver>(pub(super) Arc<R>);

impl<R: Receiver> Channel for ReceiverChannel<R> {
    fn next(&mut self, _leaving: bool) -> Option<member_message::Body> {
        let (key, seq) = self.0.next_ack()?;
        Some(R::Feedback::ack(&key, seq))
    }

    fn take(&mut self, body: hub_message::Body) -> Option<hub_message::Body> {
        match R::Feedback::from_hub(body) {
            Offered::Taken(Some((seq, key, value))) => {
                self.0.received(seq, key, value);
                None
            }
            Offered::Taken(None) => None,
            Offered::Other(other) => Some(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_for_want_of_an_answer_is_repeated_soon_however_often_it_failed() {
        let second = Duration::from_secs(1);
        for failures in [1, 100] {
            let wait = wait_to_repeat(Some(second), failures);
            assert!((second..second * 2).contains(&wait), "{wait:?}");
        }
        assert!(wait_to_repeat(None, 1) <= Duration::from_millis(200));
        assert!(
            wait_to_repeat(None, 100) >= second * 15,
            "anything else ever less often"
        );
    }
}
