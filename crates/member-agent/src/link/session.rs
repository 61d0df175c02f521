//! An open stream: sends what the topics' channels have to send, and hands them what the hub answers.

use std::time::Duration;

use futures::future::select_all;
use jiff::Timestamp;
use kit::clock::until;
use kit::link::LONGEST_WAIT;
use rand::Rng as _;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tonic::Streaming;
use wire::convert;
use wire::member::{self as pb, hub_message, member_message};

use super::channel::Channel;
use super::ended::Ended;

/// Silence of this many ping intervals ends a stream.
const MISSED_PINGS: u32 = 3;
/// A member that receives a Drain disconnects within this part of the time that it is given: the rest is for what is late.
const LEAVE_WITHIN: f64 = 0.75;
/// Time for the hub to read that the member goes.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// An open stream.
///
/// It never waits for room to send without reading meanwhile: two sides that both only sent would wait for each other.
pub(super) struct Session<'a> {
    channels: &'a mut [Box<dyn Channel>],
    /// A channel may have something to send.
    wake: &'a Notify,
    outbound: mpsc::Sender<pb::MemberMessage>,
    /// The message that goes out next.
    next: Option<pb::MemberMessage>,
    /// The newest ping to answer.
    ping: Option<u64>,
    last_received: Instant,
    silence: Duration,
    /// The hub's time at the beginning, and ours.
    began: (Option<Timestamp>, Instant),
    leaving: Option<Leaving>,
}

/// The hub has sent a Drain: no more changes are sent.
struct Leaving {
    /// When the member goes, if everything is acknowledged by then.
    at: Instant,
    /// When it goes in any case: what is not acknowledged is sent again over the next stream.
    deadline: Instant,
    target: String,
}

impl<'a> Session<'a> {
    /// A session that the hub has welcomed.
    pub(super) fn new(
        channels: &'a mut [Box<dyn Channel>],
        wake: &'a Notify,
        outbound: mpsc::Sender<pb::MemberMessage>,
        welcome: &pb::Welcome,
    ) -> Self {
        let interval = Duration::from_millis(welcome.ping_interval_ms.max(100)).min(LONGEST_WAIT);
        Self {
            channels,
            wake,
            outbound,
            next: None,
            ping: None,
            last_received: Instant::now(),
            silence: interval * (MISSED_PINGS + 1),
            began: (welcome.server_time.and_then(convert::time_from_wire), Instant::now()),
            leaving: None,
        }
    }

    /// Runs the stream to its end.
    pub(super) async fn run(mut self, mut inbound: Streaming<pb::HubMessage>) -> Ended {
        // A sender of its own, so that waiting for room borrows nothing of the rest.
        let outbound = self.outbound.clone();
        loop {
            if self.next.is_none() {
                self.next = self.next_message();
            }
            let (leaving, leaves_at) = (self.leaving.is_some(), self.leaves_at());
            let all = self.channels.iter_mut().map(|channel| channel.ready(leaving));
            let ready = async { select_all(all).await.1 };
            tokio::select! {
                room = outbound.reserve(), if self.next.is_some() => match (room, self.next.take()) {
                    (Ok(room), Some(message)) => room.send(message),
                    (Ok(_), None) => {}
                    (Err(_), _) => return Ended::away("closed", "The stream to the hub is closed."),
                },
                received = inbound.message() => match received {
                    Ok(Some(pb::HubMessage { body })) => {
                        self.last_received = Instant::now();
                        if let Some(ended) = body.and_then(|body| self.take(body)) {
                            return ended;
                        }
                    }
                    Ok(None) => return Ended::away("closed", "The hub closed the stream."),
                    Err(status) => return Ended::away("broken", status.message()),
                },
                () = self.wake.notified(), if self.next.is_none() => {}
                () = tokio::time::sleep_until(self.last_received + self.silence) => {
                    return Ended::away("silent", "The hub was silent for too long.");
                }
                () = until(leaves_at) => return self.leave(inbound).await,
                which = ready, if self.next.is_none() => {
                    if let Some(Err(ended)) = self.channels.get_mut(which).map(|channel| channel.act()) {
                        return ended;
                    }
                }
            }
        }
    }

    /// The next message that may be sent now.
    fn next_message(&mut self) -> Option<pb::MemberMessage> {
        if let Some(nonce) = self.ping.take() {
            return Some(message(member_message::Body::Pong(pb::Pong { nonce })));
        }
        let leaving = self.leaving.is_some();
        self.channels
            .iter_mut()
            .find_map(|channel| channel.next(leaving))
            .map(message)
    }

    /// Takes one message in: the session's own, or one of a topic. Returns the end when it is one.
    fn take(&mut self, body: hub_message::Body) -> Option<Ended> {
        use hub_message::Body;
        let mut body = match body {
            Body::Ping(ping) => {
                self.ping = Some(ping.nonce);
                return None;
            }
            Body::Drain(drain) => {
                self.drain(drain);
                return None;
            }
            Body::Bye(bye) => return Some(Ended::by_hub(&bye)),
            Body::Welcome(_) => return Some(Ended::refused("protocol", "The hub welcomed twice.")),
            of_a_topic => of_a_topic,
        };
        for channel in self.channels.iter_mut() {
            match channel.take(body) {
                Ok(None) => return None,
                Ok(Some(other)) => body = other,
                Err(ended) => return Some(ended),
            }
        }
        None
    }

    /// The hub ends: this member goes at a time of its own before the deadline, so that not all come back at once.
    fn drain(&mut self, drain: pb::Drain) {
        let (server, since) = self.began;
        // By the hub's clock, which need not be ours. Without times the member disconnects now.
        let deadline = drain.deadline.and_then(convert::time_from_wire);
        let whole = deadline
            .zip(server)
            .map(|(deadline, began)| deadline.duration_since(began));
        let whole = whole
            .and_then(|whole| Duration::try_from(whole).ok())
            .unwrap_or_default();
        let left = whole.saturating_sub(since.elapsed()).min(LONGEST_WAIT);
        let now = Instant::now();
        tracing::info!(?left, target = drain.target, "The hub asks to connect elsewhere.");
        self.leaving.get_or_insert(Leaving {
            at: now + left.mul_f64(rand::rng().random_range(0.0..LEAVE_WITHIN)),
            deadline: now + left,
            target: drain.target,
        });
    }

    fn leaves_at(&self) -> Option<Instant> {
        let leaving = self.leaving.as_ref()?;
        let settled = self.channels.iter().all(|channel| channel.is_settled());
        Some(if settled { leaving.at } else { leaving.deadline })
    }

    /// Sends the hub that the member disconnects, and waits a moment for it to close the stream.
    async fn leave(self, mut inbound: Streaming<pb::HubMessage>) -> Ended {
        let bye = pb::Bye {
            message: "The member connects elsewhere, as it was asked to.".to_owned(),
            ..pb::Bye::default()
        };
        let _ = self.outbound.try_send(message(member_message::Body::Bye(bye)));
        let closed = async { while let Ok(Some(_)) = inbound.message().await {} };
        let _ = tokio::time::timeout(CLOSE_WITHIN, closed).await;
        Ended::drained(self.leaving.map(|leaving| leaving.target).unwrap_or_default())
    }
}

/// A message around a body.
pub(super) fn message(body: member_message::Body) -> pb::MemberMessage {
    pb::MemberMessage { body: Some(body) }
}
