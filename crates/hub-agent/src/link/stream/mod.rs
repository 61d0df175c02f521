//! One session after its greeting: changes come in and are written, acknowledgements and verdicts go out.
//!
//! This is the loop; [`changes`] writes and answers what the member reports, [`syncs`] ends full syncs and asks for them.

mod changes;
mod syncs;

use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::Change;
use jiff::SignedDuration;
use kit::clock::{Clock, until};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use wire::convert;
use wire::member::{self as pb, hub_message, member_message};

use super::auth::{Auth, Caller, Standing};
use super::metrics::Metrics;
use super::records::Records;
use super::server::{Outbound, bye, message, not_a_member};
use super::sessions::{Place, Sessions};
use super::{Config, LONGEST_DRAIN, Members, Membership};
use changes::{Changes, Settled};
use syncs::Syncs;

/// Unanswered pings after which a member counts as gone.
const MISSED_PINGS: u32 = 3;
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Wait before an API server that could not be asked about the caller's rights is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(10);
const RETRY_AFTER_MS: u64 = 1000;

/// An open session.
pub(super) struct Conversation {
    pub cluster: String,
    pub caller: Arc<Caller>,
    pub auth: Arc<Auth>,
    pub sessions: Arc<Sessions>,
    pub config: Config,
    pub place: Place,
    pub records: Arc<Records>,
    pub metrics: Metrics,
    pub members: Members,
    pub clock: Clock,
    pub confirm_after: SignedDuration,
    /// When the caller's token or certificate expires.
    pub expires: Option<Instant>,
    pub outbound: Outbound,
    pub stop: CancellationToken,
    pub progress: Progress,
}

/// What the loop keeps beside the session's memory.
pub(super) struct Progress {
    changes: Changes,
    syncs: Syncs,
    unanswered: u32,
    nonce: u64,
    ping_at: Option<Instant>,
    /// When the API server is asked again about the caller, because it could not be asked.
    ask_at: Option<Instant>,
    /// The question, while it is open.
    asking: JoinSet<Result<Standing, kit::Error>>,
    /// Until when the member may settle what is under way, once the hub agent ends.
    drained_at: Option<Instant>,
}

impl Progress {
    /// The beginning of a session whose first change must carry a number, when that is known.
    pub(super) fn new(next_seq: Option<u64>) -> Self {
        Self {
            changes: Changes::new(next_seq),
            syncs: Syncs::default(),
            unanswered: 0,
            nonce: 0,
            ping_at: None,
            ask_at: None,
            asking: JoinSet::new(),
            drained_at: None,
        }
    }
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
    Settled(Result<Settled, JoinError>),
    Acknowledge,
    Verdicts,
    Doubt,
    Resync,
    Ping,
    Ask,
    Standing(Result<Result<Standing, kit::Error>, JoinError>),
    Drained,
}

/// The end of a session, with the farewell if one is due.
type End = Option<pb::Bye>;

impl Conversation {
    /// Runs until the member goes, a newer stream takes over, or the hub ends. Returns the farewell, if one is due.
    pub(super) async fn run(&mut self, mut inbound: Streaming<pb::MemberMessage>) -> End {
        // The stream before may have a write on its way, which must not land after ours.
        let turn = Arc::clone(&self.place.turn);
        let superseded = self.place.signals.superseded.clone();
        let _turn = tokio::select! {
            turn = turn.lock_owned() => turn,
            () = superseded.cancelled() => return Some(self.superseded()),
            () = self.stop.cancelled() => return Some(shutdown()),
        };
        self.progress.ping_at = Some(Instant::now() + self.config.ping_interval);
        let end = loop {
            if let Some(change) = self.progress.changes.take_held() {
                self.offer(change);
            }
            let event = self.next(&mut inbound).await;
            if let Err(end) = self.handle(event).await {
                break end;
            }
        };
        if let Some(farewell) = &end {
            let _ = self
                .outbound
                .try_send(Ok(message(hub_message::Body::Bye(farewell.clone()))));
        }
        // Writes are finished rather than given up: only what has come to its end cannot surprise the next stream.
        while self.progress.changes.running.join_next().await.is_some() {}
        end
    }

    async fn next(&mut self, inbound: &mut Streaming<pb::MemberMessage>) -> Event {
        let progress = &mut self.progress;
        let room = progress.changes.has_room();
        let ack_at = progress.changes.ack_at();
        let signals = &self.place.signals;
        let goes_on = progress.drained_at.is_none();
        tokio::select! {
            () = self.stop.cancelled(), if goes_on => Event::Stop,
            () = until(progress.drained_at) => Event::Drained,
            () = signals.superseded.cancelled() => Event::Superseded,
            () = until(self.expires) => Event::Expired,
            received = inbound.message(), if room => Event::Received(Box::new(received)),
            Some(settled) = progress.changes.running.join_next() => Event::Settled(settled),
            () = until(ack_at) => Event::Acknowledge,
            () = signals.verdicts.notified() => Event::Verdicts,
            () = signals.doubt.notified(), if goes_on => Event::Doubt,
            () = until(progress.syncs.due), if goes_on => Event::Resync,
            () = until(progress.ping_at) => Event::Ping,
            () = signals.rights.notified(), if progress.asking.is_empty() => Event::Ask,
            () = until(progress.ask_at), if progress.asking.is_empty() => Event::Ask,
            Some(standing) = progress.asking.join_next() => Event::Standing(standing),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Stop => self.drain().await,
            Event::Drained => Err(Some(shutdown())),
            Event::Superseded => Err(Some(self.superseded())),
            Event::Expired => {
                let text = "The token or certificate of this session has expired; connect again with the fresh one.";
                Err(Some(bye(pb::ByeReason::Unauthenticated, text)))
            }
            Event::Received(received) => self.received(*received).await,
            Event::Settled(settled) => self.settle(settled).await,
            Event::Acknowledge => self.acknowledge().await,
            Event::Verdicts => {
                while let Some((seq, key, verdict)) = self.place.with(|state| state.next_verdict()).flatten() {
                    self.send(convert::verdict_to_wire(seq, &key, &verdict)).await?;
                }
                Ok(())
            }
            Event::Doubt => {
                self.resync_soon();
                Ok(())
            }
            Event::Resync => self.ask_for_sync().await,
            Event::Ping => self.ping().await,
            Event::Ask => {
                self.progress.ask_at = None;
                let (auth, caller) = (Arc::clone(&self.auth), Arc::clone(&self.caller));
                let cluster = self.cluster.clone();
                let asking = async move { auth.standing_now(&caller, &cluster).await };
                self.progress.asking.spawn(asking);
                Ok(())
            }
            Event::Standing(standing) => self.stands(standing),
        }
    }

    /// Tells the member that the hub agent ends, and gives it time to settle what is under way and to leave.
    async fn drain(&mut self) -> Result<(), End> {
        let open = u32::try_from(self.sessions.open()).unwrap_or(u32::MAX);
        let time = self
            .config
            .drain
            .saturating_add(self.config.drain_each.saturating_mul(open));
        let time = time.min(LONGEST_DRAIN);
        self.progress.drained_at = Some(Instant::now() + time);
        let deadline = SignedDuration::try_from(time).ok();
        let deadline = deadline.and_then(|time| self.clock.now().checked_add(time).ok());
        self.send(message(hub_message::Body::Drain(pb::Drain {
            deadline: deadline.map(convert::time_to_wire),
            target: String::new(),
        })))
        .await
    }

    /// Takes in how the caller stands. An API server that cannot be asked is no reason to end a session.
    fn stands(&mut self, standing: Result<Result<Standing, kit::Error>, JoinError>) -> Result<(), End> {
        match standing {
            Ok(Ok(Standing::Fine)) => return Ok(()),
            Ok(Ok(Standing::Unauthenticated)) => return Err(Some(unauthenticated())),
            Ok(Ok(Standing::Forbidden)) => return Err(Some(forbidden(&self.cluster))),
            Ok(Err(error)) => {
                tracing::info!(cluster = self.cluster, %error, "The rights of an open session cannot be checked now.");
            }
            Err(_) => {}
        }
        self.progress.ask_at = Some(Instant::now() + ASK_AGAIN);
        Ok(())
    }

    /// Takes what came from the member: a message, or the end of the stream.
    async fn received(&mut self, received: Result<Option<pb::MemberMessage>, Status>) -> Result<(), End> {
        match received {
            Ok(Some(pb::MemberMessage { body })) => {
                self.progress.unanswered = 0;
                match body {
                    Some(body) => self.take(body).await,
                    // A message of a newer protocol.
                    None => Ok(()),
                }
            }
            Ok(None) => Err(None),
            Err(status) => {
                tracing::info!(cluster = self.cluster, %status, "A session broke.");
                Err(None)
            }
        }
    }

    /// Takes one message.
    async fn take(&mut self, body: member_message::Body) -> Result<(), End> {
        use member_message::Body;
        match body {
            Body::Export(report) => {
                let (seq, in_sync) = (report.seq, !report.sync_id.is_empty());
                let size = convert::size(&report);
                match convert::report(report) {
                    Ok((key, report)) => {
                        if in_sync {
                            self.place.with(|state| state.sync_report(&key, &report));
                        }
                        if size > u64::from(self.config.max_message) {
                            return self.too_large(seq, &key, size).await;
                        }
                        self.arrived(seq, key, Change::Report(report))
                    }
                    Err(missing) => self.malformed(seq, &missing).await,
                }
            }
            Body::Withdraw(withdraw) => {
                let seq = withdraw.seq;
                match convert::withdrawal(withdraw) {
                    Ok((key, withdrawal)) => {
                        self.place.with(|state| state.sync_withdraw(&key));
                        self.arrived(seq, key, Change::Withdraw(withdrawal))
                    }
                    Err(missing) => self.malformed(seq, &missing).await,
                }
            }
            Body::SyncBegin(begin) => {
                self.place.with(|state| state.sync_begin(&begin.sync_id));
                Ok(())
            }
            Body::SyncEnd(end) => self.end_sync(end).await,
            Body::VerdictAck(ack) => {
                if let Ok(key) = convert::key(ack.key) {
                    self.place.with(|state| {
                        let before = state.open_count();
                        state.verdict_acked(&key, ack.verdict_seq);
                        self.metrics.count_verdicts(before, state.open_count());
                    });
                }
                Ok(())
            }
            Body::Bye(_) => Err(None),
            Body::Hello(_) => Err(protocol("Hello is sent once, as the first message.")),
            Body::Pong(_) => Ok(()),
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        let progress = &mut self.progress;
        progress.ping_at = Some(Instant::now() + self.config.ping_interval);
        if progress.unanswered >= MISSED_PINGS {
            tracing::info!(
                cluster = self.cluster,
                "A session is given up: the member does not answer."
            );
            return Err(None);
        }
        progress.unanswered += 1;
        progress.nonce += 1;
        let nonce = progress.nonce;
        match (self.members)(&self.cluster) {
            Membership::None => return Err(Some(not_a_member(&self.cluster))),
            Membership::Leaving => {}
            // The cluster has come back: what was refused meanwhile counts again.
            Membership::Member if progress.changes.take_refused_leaving() => self.resync_soon(),
            Membership::Member => {}
        }
        self.send(message(hub_message::Body::Ping(pb::Ping { nonce }))).await
    }

    fn superseded(&self) -> pb::Bye {
        let text = format!("A newer connection of {} took over.", self.cluster);
        bye(pb::ByeReason::Superseded, text)
    }

    /// A member that does not read for this long is as good as gone. What ends the session does not wait for it.
    async fn send(&self, message: pb::HubMessage) -> Result<(), End> {
        tokio::select! {
            // What can be said is said, also when the end has come meanwhile.
            biased;
            sent = tokio::time::timeout(SEND_WITHIN, self.outbound.send(Ok(message))) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(None),
            },
            () = self.place.signals.superseded.cancelled() => Err(Some(self.superseded())),
            () = self.ending() => Err(Some(shutdown())),
        }
    }

    /// Waits until the hub agent ends, or until the time that it gives its members then is over.
    async fn ending(&self) {
        match self.progress.drained_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => self.stop.cancelled().await,
        }
    }
}

/// The farewell when the hub agent ends.
pub(super) fn shutdown() -> pb::Bye {
    pb::Bye {
        retry_after_ms: RETRY_AFTER_MS,
        ..bye(pb::ByeReason::Shutdown, "The hub agent ends; connect again.")
    }
}

/// The farewell to a caller whose token is not accepted any more.
fn unauthenticated() -> pb::Bye {
    let text = "The hub does not accept the token of this session any more; connect again with a fresh one.";
    bye(pb::ByeReason::Unauthenticated, text)
}

/// The farewell to a caller who has lost its rights.
fn forbidden(cluster: &str) -> pb::Bye {
    let text = format!("The caller may no longer report the exports of {cluster}.");
    bye(pb::ByeReason::Forbidden, text)
}

fn protocol(text: &str) -> End {
    Some(bye(pb::ByeReason::Protocol, text))
}
