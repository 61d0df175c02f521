//! The topics of a session on the member's side. Another topic adds its channel here.

use std::sync::Arc;

use super::channel::{Channel, ReceiverChannel, SenderChannel};
use super::shared::Shared;

/// The channels of a stream. Answers are acknowledged before changes are sent.
pub(super) fn channels(shared: &Arc<Shared>) -> Vec<Box<dyn Channel>> {
    vec![
        Box::new(ReceiverChannel(Arc::clone(shared))),
        Box::new(SenderChannel::new(Arc::clone(shared))),
    ]
}
