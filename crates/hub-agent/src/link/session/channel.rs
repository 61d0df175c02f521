//! One topic on an open stream, as the session's loop sees it.

use wire::member::member_message;

use super::context::{Context, End};

/// A topic's channel. The session hands it what arrives, and lets it act when it has something to do.
#[tonic::async_trait]
pub(in super::super) trait Channel: Send {
    /// Takes a message, or gives it back when it belongs to another topic.
    async fn take(
        &mut self,
        body: member_message::Body,
        context: &Context,
    ) -> Result<Option<member_message::Body>, End>;

    /// Whether another message may be read from the stream.
    fn has_room(&self) -> bool {
        true
    }

    /// Waits until there is something to do. It may be given up at any time and lose nothing.
    async fn ready(&mut self, context: &Context);

    /// Does it.
    async fn act(&mut self, context: &Context) -> Result<(), End>;

    /// The cluster, which was to leave, may be a full member again.
    fn is_member_again(&mut self, _context: &Context) {}

    /// Waits for what is under way. Only what has come to its end cannot surprise the next stream.
    async fn finish(&mut self) {}
}
