//! The topics of a session on the member's side. Exports have messages and a way to go on of their own (networking 16);
//! any other topic is added to [`Topics`], whichever way its changes go.

use std::fmt;
use std::sync::Arc;

use fairway_core::link::inbox::Inbox;
use kit::link::{Handler, Options, Outbox};
use parking_lot::Mutex;
use wire::WireTopic;

use super::channel::{Channel, ReceiverChannel, SenderChannel};
use super::shared::Shared;
use super::topic::{ReceivingChannel, SendingChannel};

/// The channels of a stream. Answers are acknowledged before changes are sent.
pub(super) fn channels(shared: &Arc<Shared>, others: &Topics) -> Vec<Box<dyn Channel>> {
    let mut all: Vec<Box<dyn Channel>> = vec![
        Box::new(ReceiverChannel(Arc::clone(shared))),
        Box::new(SenderChannel::new(Arc::clone(shared))),
    ];
    all.extend(others.0.iter().map(|topic| topic.channel()));
    all
}

/// The topics beside exports. Clones share what is known of them.
#[derive(Clone, Default)]
pub struct Topics(Vec<Arc<dyn Registered>>);

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|topic| topic.name())).finish()
    }
}

impl Topics {
    /// Sends the hub what an outbox holds.
    #[must_use]
    pub fn send<T: WireTopic>(mut self, outbox: Arc<Outbox<T>>) -> Self {
        self.0.push(Arc::new(Sent(outbox)));
        self
    }

    /// Receives changes of the hub.
    #[must_use]
    pub fn receive<T: WireTopic>(mut self, options: Options, handler: Arc<impl Handler<T>>) -> Self {
        self.0.push(Arc::new(Received {
            inbox: Arc::<Mutex<Inbox<T>>>::default(),
            handler,
            options,
        }));
        self
    }
}

/// A topic, between streams.
trait Registered: Send + Sync {
    fn name(&self) -> &'static str;
    fn channel(&self) -> Box<dyn Channel>;
}

/// A topic whose changes go to the hub.
struct Sent<T: WireTopic>(Arc<Outbox<T>>);

impl<T: WireTopic> Registered for Sent<T> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn channel(&self) -> Box<dyn Channel> {
        Box::new(SendingChannel {
            outbox: Arc::clone(&self.0),
            open: None,
        })
    }
}

/// A topic whose changes come from the hub.
struct Received<T: WireTopic, H> {
    inbox: Arc<Mutex<Inbox<T>>>,
    handler: Arc<H>,
    options: Options,
}

impl<T: WireTopic, H: Handler<T>> Registered for Received<T, H> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn channel(&self) -> Box<dyn Channel> {
        Box::new(ReceivingChannel {
            inbox: Arc::clone(&self.inbox),
            handler: Arc::clone(&self.handler),
            options: self.options,
            open: None,
        })
    }
}
