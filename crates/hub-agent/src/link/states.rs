//! What the hub keeps of the exports of a cluster and of the verdicts on them. Other topics keep theirs in
//! [`super::topics`].

use std::sync::Arc;

use fairway_core::link::feedback::Feedback;
use fairway_core::link::inbox::Inbox;
use fairway_core::services::{ExportKey, Exports, Verdict};
use tokio::sync::Notify;
use wire::member as pb;
use wire::topic::MemberTopic;

/// What is known of one cluster, kept across its streams.
#[derive(Default)]
pub(super) struct TopicStates {
    pub exports: Inbox<Exports>,
    pub verdicts: Feedback<ExportKey, Verdict>,
}

impl TopicStates {
    /// The cluster has connected; `returning` says that it is the process of the session before, and that it knows this hub.
    /// Fills in how each topic continues.
    pub(super) fn connected(&mut self, returning: bool, hello: &pb::Hello, welcome: &mut pb::Welcome) {
        let next_seq = self.exports.connected(returning, Exports::last_acked(hello));
        Exports::welcome(welcome, next_seq);
        self.verdicts.connected();
    }
}

/// What the rest of the agent signals to the topics of an open stream.
#[derive(Debug, Clone, Default)]
pub(super) struct TopicSignals {
    /// A record is not what the session wrote: the member should report everything again.
    pub exports_doubt: Arc<Notify>,
    /// There are verdicts to send.
    pub verdicts: Arc<Notify>,
}
