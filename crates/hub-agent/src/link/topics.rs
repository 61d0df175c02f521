//! The topics of a session on the hub's side. Another topic adds its channel here, its state in [`super::states`], and a
//! handler of its own beside [`super::exports`].

use std::sync::Arc;

use fairway_core::services::Exports;
use wire::Verdicts;
use wire::member as pb;
use wire::topic::MemberTopic;

use super::exports::ExportHandler;
use super::metrics::Metrics;
use super::session::changes::Changes;
use super::session::channel::Channel;
use super::session::feedback::FeedbackChannel;
use super::states::TopicSignals;
use crate::services::Services;

/// The channels of a stream that is welcomed so.
pub(super) fn channels(
    services: &Arc<Services>,
    metrics: &Metrics,
    signals: &TopicSignals,
    welcome: &pb::Welcome,
) -> Vec<Box<dyn Channel>> {
    let exports = Changes::new(
        ExportHandler::new(Arc::clone(services)),
        Exports::next_seq(welcome),
        Arc::clone(&signals.exports_doubt),
    );
    let verdicts = FeedbackChannel::<Verdicts>::new(
        |states| &mut states.verdicts,
        Arc::clone(&signals.verdicts),
        metrics.open_verdicts.clone(),
    );
    vec![Box::new(exports), Box::new(verdicts)]
}
