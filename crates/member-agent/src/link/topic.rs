//! Topics beside exports on an open stream, in either direction: [`kit::link`] does the work.

use std::sync::Arc;

use fairway_core::link::inbox::Inbox;
use kit::link::{Broken, Handler, Options, Outbox, Receiver, Sender};
use parking_lot::Mutex;
use wire::WireTopic;
use wire::member::{self as pb, hub_message, member_message};
use wire::messages::{from_receiver, from_receiver_to_wire, from_sender, from_sender_to_wire};

use super::channel::{Channel, WelcomedBy};
use super::ended::Ended;

/// The channel of a topic whose changes go to the hub.
pub(super) struct SendingChannel<T: WireTopic> {
    pub(super) outbox: Arc<Outbox<T>>,
    /// Once the hub has welcomed this member, with the largest message in bytes.
    pub(super) open: Option<(Sender<T>, u32)>,
}

/// The channel of a topic whose changes come from the hub.
pub(super) struct ReceivingChannel<T: WireTopic, H> {
    pub(super) inbox: Arc<Mutex<Inbox<T>>>,
    pub(super) handler: Arc<H>,
    pub(super) options: Options,
    /// Once the hub has welcomed this member.
    pub(super) open: Option<Receiver<T, H>>,
}

#[tonic::async_trait]
impl<T: WireTopic> Channel for SendingChannel<T> {
    fn welcomed(&mut self, welcome: &pb::Welcome, by: WelcomedBy) {
        let sender = Sender::new(Arc::clone(&self.outbox), by == WelcomedBy::Same, by.spread());
        self.open = Some((sender, welcome.max_message));
    }

    fn next(&mut self, leaving: bool) -> Option<member_message::Body> {
        let (sender, limit) = self.open.as_mut()?;
        let message = sender.pop(leaving)?;
        Some(member_message::Body::Topic(from_sender_to_wire(message, *limit)))
    }

    fn take(&mut self, body: hub_message::Body) -> Result<Option<hub_message::Body>, Ended> {
        let hub_message::Body::Topic(message) = body else {
            return Ok(Some(body));
        };
        let Some((sender, _)) = &mut self.open else {
            return Ok(Some(hub_message::Body::Topic(message)));
        };
        let other = from_receiver::<T>(message).hand_to(|message| sender.take(message));
        other.map(|other| other.map(hub_message::Body::Topic)).map_err(ended)
    }

    async fn ready(&mut self, leaving: bool) {
        match &mut self.open {
            Some((sender, _)) if !leaving => sender.ready().await,
            _ => std::future::pending().await,
        }
    }

    fn is_settled(&self) -> bool {
        self.open.as_ref().is_none_or(|(sender, _)| sender.is_settled())
    }

    async fn closed(&mut self) {
        if let Some((mut sender, _)) = self.open.take() {
            sender.close();
        }
    }
}

#[tonic::async_trait]
impl<T: WireTopic, H: Handler<T>> Channel for ReceivingChannel<T, H> {
    fn welcomed(&mut self, _welcome: &pb::Welcome, by: WelcomedBy) {
        let (inbox, handler) = (Arc::clone(&self.inbox), Arc::clone(&self.handler));
        self.open = Some(Receiver::new(inbox, handler, by == WelcomedBy::Same, self.options));
    }

    fn next(&mut self, _leaving: bool) -> Option<member_message::Body> {
        let message = self.open.as_mut()?.pop()?;
        Some(member_message::Body::Topic(from_receiver_to_wire::<T>(message)))
    }

    fn take(&mut self, body: hub_message::Body) -> Result<Option<hub_message::Body>, Ended> {
        let hub_message::Body::Topic(message) = body else {
            return Ok(Some(body));
        };
        let Some(receiver) = &mut self.open else {
            return Ok(Some(hub_message::Body::Topic(message)));
        };
        let other = from_sender::<T>(message).hand_to(|message| receiver.take(message));
        other.map(|other| other.map(hub_message::Body::Topic)).map_err(ended)
    }

    async fn ready(&mut self, _leaving: bool) {
        match &mut self.open {
            Some(receiver) => receiver.ready().await,
            None => std::future::pending().await,
        }
    }

    fn act(&mut self) -> Result<(), Ended> {
        self.open
            .as_mut()
            .map_or(Ok(()), |receiver| receiver.act().map_err(ended))
    }

    fn is_settled(&self) -> bool {
        self.open.as_ref().is_none_or(Receiver::is_settled)
    }

    async fn closed(&mut self) {
        if let Some(mut receiver) = self.open.take() {
            receiver.finish().await;
        }
    }
}

fn ended(broken: Broken) -> Ended {
    match broken {
        Broken::Protocol(text) => Ended::refused("protocol", text),
        Broken::Handler => Ended::away("handler", broken.to_string()),
    }
}
