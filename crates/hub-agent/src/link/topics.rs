//! The topics of a session on the hub's side. Exports have messages and a way to go on of their own (networking 16); any
//! other topic is added to [`Topics`], whichever way its changes go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fairway_core::link::inbox::Inbox;
use fairway_core::services::Exports;
use kit::link::{Handler, Options, Outboxes, Receiver, Sender};
use parking_lot::Mutex;
use wire::member as pb;
use wire::topic::MemberTopic;
use wire::{Verdicts, WireTopic};

use super::exports::ExportHandler;
use super::metrics::Metrics;
use super::session::changes::Changes;
use super::session::channel::Channel;
use super::session::feedback::FeedbackChannel;
use super::session::topic::{ReceivingChannel, SendingChannel};
use super::states::TopicSignals;
use crate::services::Services;

/// The channels of exports on a stream that is welcomed so.
pub(super) fn exports(
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

/// The topics beside exports.
#[derive(Clone, Default)]
pub struct Topics(Vec<Arc<dyn Registered>>);

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|topic| topic.name())).finish()
    }
}

impl Topics {
    /// Sends each member what its outbox holds.
    #[must_use]
    pub fn send<T: WireTopic>(mut self, outboxes: Arc<Outboxes<T>>) -> Self {
        self.0.push(Arc::new(Sent(outboxes)));
        self
    }

    /// Receives changes of members; `handler` makes the handler of a member's.
    #[must_use]
    pub fn receive<T, H>(mut self, options: Options, handler: impl Fn(&str) -> Arc<H> + Send + Sync + 'static) -> Self
    where
        T: WireTopic,
        H: Handler<T>,
    {
        self.0.push(Arc::new(Received {
            inboxes: Mutex::default(),
            options,
            handler: Box::new(handler),
        }));
        self
    }

    /// The channels of a member's stream. `returning` says that the process of the stream before has come back.
    pub(super) fn channels<'a>(
        &'a self,
        cluster: &'a str,
        returning: bool,
    ) -> impl Iterator<Item = Box<dyn Channel>> + 'a {
        self.0.iter().map(move |topic| topic.channel(cluster, returning))
    }

    /// A member has left the fleet.
    pub(super) fn forget(&self, cluster: &str) {
        self.0.iter().for_each(|topic| topic.forget(cluster));
    }
}

/// A topic, for all members.
trait Registered: Send + Sync {
    fn name(&self) -> &'static str;
    fn channel(&self, cluster: &str, returning: bool) -> Box<dyn Channel>;
    fn forget(&self, cluster: &str);
}

/// A topic whose changes go to members.
struct Sent<T: WireTopic>(Arc<Outboxes<T>>);

impl<T: WireTopic> Registered for Sent<T> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn channel(&self, cluster: &str, returning: bool) -> Box<dyn Channel> {
        // Members come back one after the other, so full syncs to them need no spreading.
        Box::new(SendingChannel(Sender::new(self.0.of(cluster), returning, None)))
    }

    fn forget(&self, cluster: &str) {
        self.0.forget(cluster);
    }
}

/// Makes the handler of a member's changes.
type HandlerOf<H> = Box<dyn Fn(&str) -> Arc<H> + Send + Sync>;

/// A topic whose changes come from members.
struct Received<T: WireTopic, H> {
    /// What is known of each member.
    inboxes: Mutex<BTreeMap<String, Arc<Mutex<Inbox<T>>>>>,
    options: Options,
    handler: HandlerOf<H>,
}

impl<T: WireTopic, H: Handler<T>> Registered for Received<T, H> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn channel(&self, cluster: &str, returning: bool) -> Box<dyn Channel> {
        let inbox = Arc::clone(self.inboxes.lock().entry(cluster.to_owned()).or_default());
        let receiver = Receiver::new(inbox, (self.handler)(cluster), returning, self.options);
        Box::new(ReceivingChannel(receiver))
    }

    fn forget(&self, cluster: &str) {
        self.inboxes.lock().remove(cluster);
    }
}
