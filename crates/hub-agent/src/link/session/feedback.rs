//! Answers about keys, on their way to the member until it has acknowledged them.

use std::sync::Arc;

use fairway_core::link::feedback::Feedback;
use prometheus::IntGauge;
use tokio::sync::Notify;
use wire::member::member_message;
use wire::topic::{HubFeedback, Offered};

use super::super::states::TopicStates;
use super::channel::Channel;
use super::context::{Context, End};

/// Where the answers about a cluster are.
type Select<F> = fn(&mut TopicStates) -> &mut Feedback<<F as HubFeedback>::Key, <F as HubFeedback>::Value>;

/// The channel of one kind of answers.
pub(in super::super) struct FeedbackChannel<F: HubFeedback> {
    select: Select<F>,
    given: Arc<Notify>,
    /// Answers that no member has acknowledged.
    open: IntGauge,
}

impl<F: HubFeedback> FeedbackChannel<F> {
    /// `given` signals that there are answers to send; `open` counts those that are not acknowledged.
    pub(in super::super) fn new(select: Select<F>, given: Arc<Notify>, open: IntGauge) -> Self {
        Self { select, given, open }
    }
}

#[tonic::async_trait]
impl<F: HubFeedback> Channel for FeedbackChannel<F> {
    async fn take(
        &mut self,
        body: member_message::Body,
        context: &Context,
    ) -> Result<Option<member_message::Body>, End> {
        let acked = match F::acked(body) {
            Offered::Taken(acked) => acked,
            Offered::Other(other) => return Ok(Some(other)),
        };
        if let Some((key, seq)) = acked {
            context.slot.with(|states| {
                let feedback = (self.select)(states);
                let before = feedback.open();
                feedback.acked(&key, seq);
                let settled = before - feedback.open();
                self.open.sub(i64::try_from(settled).unwrap_or(i64::MAX));
            });
        }
        Ok(None)
    }

    async fn ready(&mut self, _context: &Context) {
        self.given.notified().await;
    }

    async fn act(&mut self, context: &Context) -> Result<(), End> {
        let next = || context.slot.with(|states| (self.select)(states).pop()).flatten();
        while let Some((seq, key, value)) = next() {
            context.send(F::to_member(seq, &key, &value)).await?;
        }
        Ok(())
    }
}
