//! Topics beside exports on an open stream, in either direction: [`kit::link`] does the work.

use kit::link::{Broken, Handler, Receiver, Sender};
use wire::WireTopic;
use wire::member::{hub_message, member_message};
use wire::messages::{from_receiver, from_receiver_to_wire, from_sender, from_sender_to_wire};

use super::super::messages::protocol;
use super::channel::Channel;
use super::context::{Context, End};

/// The channel of a topic whose changes go to the member.
pub(in super::super) struct SendingChannel<T: WireTopic>(pub(in super::super) Sender<T>);

/// The channel of a topic whose changes come from the member.
pub(in super::super) struct ReceivingChannel<T: WireTopic, H>(pub(in super::super) Receiver<T, H>);

#[tonic::async_trait]
impl<T: WireTopic> Channel for SendingChannel<T> {
    async fn take(
        &mut self,
        body: member_message::Body,
        _context: &Context,
    ) -> Result<Option<member_message::Body>, End> {
        let member_message::Body::Topic(message) = body else {
            return Ok(Some(body));
        };
        let other = from_receiver::<T>(message).hand_to(|message| self.0.take(message));
        other.map(|other| other.map(member_message::Body::Topic)).map_err(end)
    }

    async fn ready(&mut self, _context: &Context) {
        self.0.ready().await;
    }

    async fn act(&mut self, context: &Context) -> Result<(), End> {
        while let Some(message) = self.0.pop(!context.goes_on()) {
            let message = from_sender_to_wire(message, context.config.max_message);
            context.send(hub_message::Body::Topic(message)).await?;
        }
        Ok(())
    }

    async fn finish(&mut self) {
        self.0.close();
    }
}

#[tonic::async_trait]
impl<T: WireTopic, H: Handler<T>> Channel for ReceivingChannel<T, H> {
    async fn take(
        &mut self,
        body: member_message::Body,
        _context: &Context,
    ) -> Result<Option<member_message::Body>, End> {
        let member_message::Body::Topic(message) = body else {
            return Ok(Some(body));
        };
        let other = from_sender::<T>(message).hand_to(|message| self.0.take(message));
        other.map(|other| other.map(member_message::Body::Topic)).map_err(end)
    }

    async fn ready(&mut self, _context: &Context) {
        self.0.ready().await;
    }

    async fn act(&mut self, context: &Context) -> Result<(), End> {
        self.0.act().map_err(end)?;
        while let Some(message) = self.0.pop() {
            let message = from_receiver_to_wire::<T>(message);
            context.send(hub_message::Body::Topic(message)).await?;
        }
        Ok(())
    }

    async fn finish(&mut self) {
        self.0.finish().await;
    }
}

fn end(broken: Broken) -> End {
    match broken {
        Broken::Protocol(text) => Some(protocol(text)),
        // What is not acknowledged is sent again over the next stream.
        Broken::Handler => None,
    }
}
