//! An open session: hands what arrives to the topics' channels, lets them act, and ends when one of both sides goes.

pub(super) mod changes;
pub(super) mod channel;
pub(super) mod context;
pub(super) mod feedback;
mod syncs;
pub(super) mod topic;

use std::sync::Arc;
use std::time::Duration;

use futures::future::select_all;
use jiff::{SignedDuration, Timestamp};
use kit::clock::until;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tonic::{Status, Streaming};
use wire::convert;
use wire::member::{self as pb, hub_message, member_message};

use super::auth::Standing;
use super::config::{LONGEST_DRAIN, Membership};
use super::messages::{expired, forbidden, message, not_a_member, protocol, shutdown, superseded, unauthenticated};
use channel::Channel;
use context::{Context, End};

/// Unanswered pings after which a member counts as gone.
const MISSED_PINGS: u32 = 3;
/// Unanswered pings of a member that answers: the last one.
const ANSWERING: u32 = 1;
/// Wait before a failed check of the caller's rights is repeated.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// An open session.
pub(super) struct Session {
    context: Context,
    channels: Vec<Box<dyn Channel>>,
    /// When the caller's token or certificate expires.
    expires: Option<Instant>,
    unanswered: u32,
    /// When the member was there last: a message arrived, or its connection broke.
    seen: Timestamp,
    /// The member has said that it ends the session.
    said_bye: bool,
    nonce: u64,
    ping_at: Option<Instant>,
    /// When the check of the caller's rights is repeated, because it failed.
    ask_at: Option<Instant>,
    /// The question, while it is open.
    asking: JoinSet<Result<Standing, kit::Error>>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "one event is looked at at a time; a box per message would only cost"
)]
enum Event {
    Stop,
    Superseded,
    Expired,
    Received(Box<Result<Option<pb::MemberMessage>, Status>>),
    /// The channel of this number has something to do.
    Ready(usize),
    Ping,
    Ask,
    Standing(Result<Result<Standing, kit::Error>, JoinError>),
    Drained,
}

impl Session {
    /// A session that was welcomed.
    pub(super) fn new(context: Context, channels: Vec<Box<dyn Channel>>, expires: Option<Instant>) -> Self {
        Self {
            seen: context.clock.now(),
            said_bye: false,
            context,
            channels,
            expires,
            unanswered: 0,
            nonce: 0,
            ping_at: None,
            ask_at: None,
            asking: JoinSet::new(),
        }
    }

    /// Runs until the member goes, a newer stream takes over, or the hub ends. Returns the message that was
    /// sent about the end, if one was due.
    pub(super) async fn run(mut self, mut inbound: Streaming<pb::MemberMessage>) -> End {
        // The stream before may have a write on its way, which must not land after ours.
        let turn = Arc::clone(&self.context.slot.turn);
        let taken_over = self.context.slot.signals.superseded.clone();
        let _turn = tokio::select! {
            turn = turn.lock_owned() => turn,
            () = taken_over.cancelled() => return self.end(Some(superseded(&self.context.cluster))),
            () = self.context.stop.cancelled() => return self.end(Some(shutdown())),
        };
        self.ping_at = Some(Instant::now() + self.context.config.ping_interval);
        let end = loop {
            let event = self.next(&mut inbound).await;
            if let Err(end) = self.handle(event).await {
                break end;
            }
        };
        let end = self.end(end);
        for channel in &mut self.channels {
            channel.finish().await;
        }
        end
    }

    /// Records how the session ends, and sends it to the member as far as there is room.
    fn end(&self, end: End) -> End {
        let context = &self.context;
        match &end {
            Some(bye) => {
                context.slot.ended_in_order();
                let bye = hub_message::Body::Bye(bye.clone());
                let _ = context.outbound.try_send(Ok(message(bye)));
            }
            None if self.said_bye => context.slot.ended_in_order(),
            None => context.slot.fell_silent(self.seen),
        }
        end
    }

    async fn next(&mut self, inbound: &mut Streaming<pb::MemberMessage>) -> Event {
        let context = &self.context;
        let room = self.channels.iter().all(|channel| channel.has_room());
        let signals = &context.slot.signals;
        let ready = select_all(self.channels.iter_mut().map(|channel| channel.ready(context)));
        tokio::select! {
            () = context.stop.cancelled(), if context.goes_on() => Event::Stop,
            () = until(context.drained_at) => Event::Drained,
            () = signals.superseded.cancelled() => Event::Superseded,
            () = until(self.expires) => Event::Expired,
            received = inbound.message(), if room => Event::Received(Box::new(received)),
            ((), which, _) = ready => Event::Ready(which),
            () = until(self.ping_at) => Event::Ping,
            () = signals.rights.notified(), if self.asking.is_empty() => Event::Ask,
            () = until(self.ask_at), if self.asking.is_empty() => Event::Ask,
            Some(standing) = self.asking.join_next() => Event::Standing(standing),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Stop => self.drain().await,
            Event::Drained => Err(Some(shutdown())),
            Event::Superseded => Err(Some(superseded(&self.context.cluster))),
            Event::Expired => Err(Some(expired())),
            Event::Received(received) => self.received(*received).await,
            Event::Ready(which) => match self.channels.get_mut(which) {
                Some(channel) => channel.act(&self.context).await,
                None => Ok(()),
            },
            Event::Ping => self.ping().await,
            Event::Ask => {
                self.ask_at = None;
                let (auth, caller) = (Arc::clone(&self.context.auth), Arc::clone(&self.context.caller));
                let cluster = self.context.cluster.clone();
                self.asking
                    .spawn(async move { auth.standing_now(&caller, &cluster).await });
                Ok(())
            }
            Event::Standing(standing) => self.stands(standing),
        }
    }

    /// Sends the member that the hub agent ends, and gives it time to settle what is under way and to leave.
    async fn drain(&mut self) -> Result<(), End> {
        let (config, open) = (&self.context.config, self.context.sessions.open());
        let each = config
            .drain_each
            .saturating_mul(u32::try_from(open).unwrap_or(u32::MAX));
        let time = config.drain.saturating_add(each).min(LONGEST_DRAIN);
        self.context.drained_at = Some(Instant::now() + time);
        let deadline = SignedDuration::try_from(time).ok();
        let deadline = deadline.and_then(|time| self.context.clock.now().checked_add(time).ok());
        let drain = pb::Drain {
            deadline: deadline.map(convert::time_to_wire),
            target: String::new(),
        };
        self.context.send(hub_message::Body::Drain(drain)).await
    }

    /// Takes in the result of a check of the caller's rights. A check that fails is no reason to end a session.
    fn stands(&mut self, standing: Result<Result<Standing, kit::Error>, JoinError>) -> Result<(), End> {
        let cluster = &self.context.cluster;
        match standing {
            Ok(Ok(Standing::Fine)) => return Ok(()),
            Ok(Ok(Standing::Unauthenticated)) => return Err(Some(unauthenticated())),
            Ok(Ok(Standing::Forbidden)) => return Err(Some(forbidden(cluster))),
            Ok(Err(error)) => {
                tracing::info!(cluster, %error, "The rights of an open session cannot be checked now.");
            }
            Err(_) => {}
        }
        self.ask_at = Some(Instant::now() + ASK_AGAIN);
        Ok(())
    }

    /// Takes what came from the member: a message, or the end of the stream.
    async fn received(&mut self, received: Result<Option<pb::MemberMessage>, Status>) -> Result<(), End> {
        match received {
            Ok(Some(pb::MemberMessage { body })) => {
                self.unanswered = 0;
                self.seen = self.context.clock.now();
                match body {
                    Some(body) => self.take(body).await,
                    // A message of a newer protocol.
                    None => Ok(()),
                }
            }
            Ok(None) => Err(self.broken()),
            Err(status) => {
                tracing::info!(cluster = self.context.cluster, %status, "A session broke.");
                Err(self.broken())
            }
        }
    }

    /// The connection broke. A member that answered until then was there until then; its last message may be older, if
    /// this agent was held up and the member has given it up.
    fn broken(&mut self) -> End {
        if self.unanswered <= ANSWERING {
            self.seen = self.context.clock.now();
        }
        None
    }

    /// Takes one message: the session's own, or one of a topic.
    async fn take(&mut self, body: member_message::Body) -> Result<(), End> {
        use member_message::Body;
        let mut body = match body {
            Body::Bye(_) => {
                self.said_bye = true;
                return Err(None);
            }
            Body::Hello(_) => return Err(Some(protocol("Hello is sent once, as the first message."))),
            Body::Pong(_) => return Ok(()),
            of_a_topic => of_a_topic,
        };
        for channel in &mut self.channels {
            match channel.take(body, &self.context).await? {
                None => return Ok(()),
                Some(other) => body = other,
            }
        }
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), End> {
        let context = &self.context;
        self.ping_at = Some(Instant::now() + context.config.ping_interval);
        if self.unanswered >= MISSED_PINGS {
            tracing::info!(
                cluster = context.cluster,
                "A session is given up: the member does not answer."
            );
            return Err(None);
        }
        // Answers are not read while a channel has no room for more.
        if self.channels.iter().all(|channel| channel.has_room()) {
            self.unanswered += 1;
        }
        self.nonce += 1;
        match (context.members)(&context.cluster) {
            Membership::None => return Err(Some(not_a_member(&context.cluster))),
            Membership::Leaving => {}
            Membership::Member => {
                for channel in &mut self.channels {
                    channel.is_member_again(context);
                }
            }
        }
        let ping = pb::Ping { nonce: self.nonce };
        context.send(hub_message::Body::Ping(ping)).await
    }
}
