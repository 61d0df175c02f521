//! An open stream: sends what the outbox holds and takes in what the hub answers.

use std::time::Duration;

use fairway_core::link::outbox::{Outgoing, Refused, Resume};
use jiff::Timestamp;
use kit::backoff::Backoff;
use kit::clock::until;
use rand::Rng as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Streaming;
use wire::convert;
use wire::member::{self as pb, hub_message, member_message};

use super::Shared;
use super::connection::{Ended, LONGEST_WAIT, drained, failed, farewell};

/// Silence of this many ping intervals ends a stream.
const MISSED_PINGS: u32 = 3;
/// Waits after the hub could not write a change; the hub names the shortest.
pub(super) const UNAVAILABLE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
/// A member that is asked to go does so within this part of the time that it is given: the rest is for what is late.
const LEAVE_WITHIN: f64 = 0.75;
/// Time for the hub to read that the member goes.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// An open stream.
///
/// It never waits for room to send without reading meanwhile: two sides that both only sent would wait for each other.
pub(super) struct Talk<'a> {
    shared: &'a Shared,
    outbound: mpsc::Sender<pb::MemberMessage>,
    /// The message that goes out next.
    next: Option<pb::MemberMessage>,
    /// When and how reports begin to flow.
    begin: Option<(Instant, Resume)>,
    window: usize,
    /// The newest ping to answer.
    ping: Option<u64>,
    heard: Instant,
    silence: Duration,
    /// When what the hub could not write is sent again.
    release: Option<Instant>,
    unavailable: u32,
    /// The hub's time at the beginning, and ours.
    began: (Option<Timestamp>, Instant),
    leaving: Option<Leaving>,
}

/// The hub has asked to connect elsewhere: no more changes are sent.
struct Leaving {
    /// When the member goes, if everything is acknowledged by then.
    at: Instant,
    /// When it goes in any case: what is not acknowledged is sent again over the next stream.
    deadline: Instant,
    target: String,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        outbound: mpsc::Sender<pb::MemberMessage>,
        begin: (Instant, Resume),
        welcome: &pb::Welcome,
    ) -> Self {
        let interval = Duration::from_millis(welcome.ping_interval_ms.max(100)).min(LONGEST_WAIT);
        Self {
            shared,
            outbound,
            next: None,
            begin: Some(begin),
            window: usize::try_from(welcome.window).unwrap_or(1),
            ping: None,
            heard: Instant::now(),
            silence: interval * (MISSED_PINGS + 1),
            release: None,
            unavailable: 0,
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
                self.next = self.due();
            }
            let stays = self.leaving.is_none();
            tokio::select! {
                room = outbound.reserve(), if self.next.is_some() => match (room, self.next.take()) {
                    (Ok(room), Some(message)) => room.send(message),
                    (Ok(_), None) => {}
                    (Err(_), _) => return failed("closed", "The stream to the hub is closed.".to_owned()),
                },
                received = inbound.message() => match received {
                    Ok(Some(pb::HubMessage { body })) => {
                        self.heard = Instant::now();
                        if let Some(ended) = body.and_then(|body| self.take(body)) {
                            return ended;
                        }
                    }
                    Ok(None) => return failed("closed", "The hub closed the stream.".to_owned()),
                    Err(status) => return failed("broken", status.message().to_owned()),
                },
                () = self.shared.wake.notified(), if self.next.is_none() => {}
                () = tokio::time::sleep_until(self.heard + self.silence) => {
                    return failed("silent", "The hub was silent for too long.".to_owned());
                }
                () = until(self.leaves_at()) => return self.leave(inbound).await,
                () = until(self.release), if stays => {
                    self.release = None;
                    self.shared.outbox.lock().release();
                }
                () = until(self.begin.as_ref().map(|(at, _)| *at)), if stays => {
                    if let Some((_, resume)) = self.begin.take() {
                        let withdrawn = self.shared.outbox.lock().connected(resume, self.window);
                        self.shared.revisit_all(withdrawn);
                    }
                }
            }
        }
    }

    /// The next message that may be sent now.
    fn due(&mut self) -> Option<pb::MemberMessage> {
        if let Some(nonce) = self.ping.take() {
            return Some(message(member_message::Body::Pong(pb::Pong { nonce })));
        }
        if let Some((key, verdict_seq)) = self.shared.shown.lock().pop_first() {
            let key = Some((&key).into());
            return Some(message(member_message::Body::VerdictAck(pb::VerdictAck {
                key,
                verdict_seq,
            })));
        }
        if self.leaving.is_some() {
            return None;
        }
        let mut outbox = self.shared.outbox.lock();
        let next = outbox.pop();
        let open = i64::try_from(outbox.unacknowledged()).unwrap_or(i64::MAX);
        self.shared.metrics.unacknowledged.set(open);
        Some(match next? {
            Outgoing::SyncBegin { sync_id } => message(member_message::Body::SyncBegin(pb::SyncBegin { sync_id })),
            Outgoing::Change {
                seq,
                sync_id,
                key,
                change,
            } => {
                self.shared.sent(&key);
                convert::change_to_wire(seq, sync_id, &key, &change)
            }
            Outgoing::SyncEnd {
                sync_id,
                count,
                digest,
                kept,
            } => message(member_message::Body::SyncEnd(pb::SyncEnd {
                sync_id,
                count,
                digest: digest.to_vec(),
                kept: kept.iter().map(Into::into).collect(),
            })),
        })
    }

    /// Takes one message in. Returns the end when it is one.
    fn take(&mut self, body: hub_message::Body) -> Option<Ended> {
        use hub_message::Body;
        match body {
            Body::Ack(ack) => {
                // An acknowledgement follows each refusal as well; what waits to be sent again shows that there was one.
                if self.release.is_none() {
                    self.unavailable = 0;
                }
                let withdrawn = self.shared.outbox.lock().ack(ack.seq);
                self.shared.answered();
                self.shared.revisit_all(withdrawn);
            }
            Body::Nack(nack) => self.refused(&nack),
            Body::Verdict(verdict) => {
                if let Ok((seq, key, verdict)) = convert::verdict(verdict) {
                    self.shared.judged(key, seq, verdict);
                }
            }
            Body::Resync(resync) => {
                tracing::info!(reason = resync.reason, "The hub asks for a full sync.");
                let mut outbox = self.shared.outbox.lock();
                // Before reports flow, the sync that is asked for is yet to come; otherwise it starts now.
                match &mut self.begin {
                    Some((_, resume)) => *resume = Resume::FullSync { sync_id: sync_id() },
                    None => outbox.start_sync(sync_id()),
                }
            }
            Body::Ping(ping) => self.ping = Some(ping.nonce),
            Body::Drain(drain) => self.drain(drain),
            Body::Bye(bye) => return Some(farewell(&bye)),
            Body::Welcome(_) => return Some(failed("protocol", "The hub welcomed twice.".to_owned())),
        }
        None
    }

    /// The hub ends: this member goes at a time of its own before the deadline, so that not all come back at once.
    fn drain(&mut self, drain: pb::Drain) {
        let (server, since) = self.began;
        // By the hub's clock, which need not be ours. Who names no times wants us gone now.
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
        let settled = self.shared.outbox.lock().unacknowledged() == 0;
        Some(if settled { leaving.at } else { leaving.deadline })
    }

    /// Says goodbye, and waits a moment for the hub to hear it.
    async fn leave(self, mut inbound: Streaming<pb::HubMessage>) -> Ended {
        let farewell = pb::Bye {
            message: "The member connects elsewhere, as it was asked to.".to_owned(),
            ..pb::Bye::default()
        };
        let _ = self.outbound.try_send(message(member_message::Body::Bye(farewell)));
        let closed = async { while let Ok(Some(_)) = inbound.message().await {} };
        let _ = tokio::time::timeout(CLOSE_WITHIN, closed).await;
        drained(self.leaving.map(|leaving| leaving.target).unwrap_or_default())
    }

    fn refused(&mut self, nack: &pb::Nack) {
        let code = convert::nack_code(nack.code());
        let refused = self.shared.outbox.lock().nack(nack.seq, code);
        self.shared.answered();
        match refused {
            Refused::Outdated => {}
            Refused::Held => {
                // What is refused while others wait goes out with them.
                if self.release.is_none() {
                    self.unavailable = self.unavailable.saturating_add(1);
                }
                let least = Duration::from_millis(nack.retry_after_ms).min(LONGEST_WAIT);
                let wait = UNAVAILABLE.delay(self.unavailable).max(least);
                self.release.get_or_insert(Instant::now() + wait);
            }
            Refused::Final => {
                let Ok(key) = convert::key(nack.key.clone()) else {
                    return;
                };
                self.shared.refused(key, code, &nack.message);
            }
        }
    }
}

/// A message around a body.
pub(super) fn message(body: member_message::Body) -> pb::MemberMessage {
    pb::MemberMessage { body: Some(body) }
}

/// A fresh id of a full sync.
pub(super) fn sync_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
