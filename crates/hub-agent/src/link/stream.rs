//! One session after its greeting: changes come in and are written, acknowledgements and verdicts go out.
//!
//! The work per member is bounded: a fixed number of writes at a time, one per record, and nothing more is read while
//! they run. So one noisy member cannot delay the others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::session::{SyncEnd, SyncOutcome};
use fairway_core::link::{Change, ExportKey, NackCode};
use fairway_core::services::record_name;
use futures::stream::{self, StreamExt};
use jiff::SignedDuration;
use kit::backoff::Backoff;
use kit::clock::Clock;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use wire::convert;
use wire::member::{self as pb, hub_message, member_message};

use super::auth::{Auth, Caller};
use super::metrics::Metrics;
use super::records::{Records, Refusal, Written};
use super::server::{Outbound, bye, message};
use super::sessions::Place;
use super::{Members, Membership};

/// Writes of one member at a time.
const WRITES: usize = 16;
/// Acknowledgements are collected for this long at the most (networking 16.4 allows 100 ms).
const ACK_DELAY: Duration = Duration::from_millis(10);
/// Unanswered pings after which a member counts as gone.
const MISSED_PINGS: u32 = 3;
const SEND_WITHIN: Duration = Duration::from_secs(30);
const RETRY_AFTER_MS: u64 = 1000;
/// Waits before the member is asked for everything again: somebody who keeps changing records must not keep it busy.
const RESYNC: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(60));
/// After this long without trouble the waits begin anew.
const RESYNC_FORGIVEN: Duration = Duration::from_secs(300);

/// An open session.
pub(super) struct Conversation {
    pub cluster: String,
    pub caller: Arc<Caller>,
    pub auth: Arc<Auth>,
    pub place: Place,
    pub records: Arc<Records>,
    pub metrics: Metrics,
    pub members: Members,
    pub clock: Clock,
    pub ping_interval: Duration,
    pub confirm_after: SignedDuration,
    /// When the caller's token expires.
    pub expires: Option<Instant>,
    pub outbound: Outbound,
    pub stop: CancellationToken,
    pub progress: Progress,
}

/// What the loop keeps beside the session's memory.
#[derive(Default)]
pub(super) struct Progress {
    running: JoinSet<Settled>,
    /// Plain names of the records that are being written: two exports may share one.
    busy: BTreeSet<String>,
    /// A change that waits until another one of its record is written.
    held: Option<Arrived>,
    ack: Option<(u64, Instant)>,
    unanswered: u32,
    nonce: u64,
    ping_at: Option<Instant>,
    /// When the member is asked to report everything again.
    resync_at: Option<Instant>,
    resyncs: u32,
    resynced: Option<Instant>,
    /// Reports were refused because the cluster leaves the fleet.
    refused_leaving: bool,
}

/// A change that was received.
struct Arrived {
    seq: u64,
    key: ExportKey,
    change: Change,
}

struct Settled {
    seq: u64,
    key: ExportKey,
    arrived: Instant,
    result: Result<Written, Failed>,
}

enum Failed {
    /// The change is refused.
    Refused(Refusal),
    /// The caller may no longer speak for the cluster.
    Revoked,
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
        self.progress.ping_at = Some(Instant::now() + self.ping_interval);
        let end = loop {
            if let Some(change) = self.progress.held.take() {
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
        while self.progress.running.join_next().await.is_some() {}
        end
    }

    async fn next(&mut self, inbound: &mut Streaming<pb::MemberMessage>) -> Event {
        let progress = &mut self.progress;
        let room = progress.held.is_none() && progress.running.len() < WRITES;
        let signals = &self.place.signals;
        tokio::select! {
            () = self.stop.cancelled() => Event::Stop,
            () = signals.superseded.cancelled() => Event::Superseded,
            () = until(self.expires) => Event::Expired,
            received = inbound.message(), if room => Event::Received(Box::new(received)),
            Some(settled) = progress.running.join_next() => Event::Settled(settled),
            () = until(progress.ack.map(|(_, due)| due)) => Event::Acknowledge,
            () = signals.verdicts.notified() => Event::Verdicts,
            () = signals.doubt.notified() => Event::Doubt,
            () = until(progress.resync_at) => Event::Resync,
            () = until(progress.ping_at) => Event::Ping,
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Stop => Err(Some(shutdown())),
            Event::Superseded => Err(Some(self.superseded())),
            Event::Expired => {
                let text = "The token of this session has expired; connect again with the fresh one.";
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
            Event::Resync => {
                self.progress.resync_at = None;
                self.place.with(|state| state.distrust());
                let reason = "The hub's records may differ from what this member exports.".to_owned();
                self.send(message(hub_message::Body::Resync(pb::Resync { reason })))
                    .await
            }
            Event::Ping => self.ping().await,
        }
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
                match convert::report(report) {
                    Ok((key, report)) => {
                        if in_sync {
                            self.place.with(|state| state.sync_report(&key, &report));
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

    fn arrived(&mut self, seq: u64, key: ExportKey, change: Change) -> Result<(), End> {
        if seq == 0 {
            return Err(protocol("Sequence numbers start at 1."));
        }
        self.offer(Arrived { seq, key, change });
        Ok(())
    }

    /// Answers a change that cannot be read. Its number is settled, or no later change could be acknowledged.
    async fn malformed(&mut self, seq: u64, missing: &convert::Missing) -> Result<(), End> {
        let refusal = Refusal {
            code: NackCode::InvalidArgument,
            message: missing.to_string(),
        };
        self.refuse(seq, None, &refusal).await?;
        let ack = self.place.with(|state| {
            state.arrived(seq);
            state.settled(seq, true)
        });
        self.note_ack(ack.flatten());
        Ok(())
    }

    /// Starts the write of a change, or lets it wait for another one of its record.
    fn offer(&mut self, change: Arrived) {
        let name = record_name(&change.key, false);
        if self.progress.busy.contains(&name) {
            self.progress.held = Some(change);
            return;
        }
        self.progress.busy.insert(name);
        let Arrived { seq, key, change } = change;
        let fresh = self.place.with(|state| state.received(seq, &key)).unwrap_or(false);
        let leaving = (self.members)(&self.cluster) != Membership::Member;
        self.progress.refused_leaving |= leaving;
        let (records, auth) = (Arc::clone(&self.records), Arc::clone(&self.auth));
        let (cluster, caller) = (self.cluster.clone(), Arc::clone(&self.caller));
        let arrived = Instant::now();
        self.progress.running.spawn(async move {
            let work = async {
                match auth.still_may_report(&caller, &cluster).await {
                    Ok(true) => {}
                    Ok(false) => return Err(Failed::Revoked),
                    Err(error) => {
                        return Err(Failed::Refused(Refusal {
                            code: NackCode::Unavailable,
                            message: format!("The hub cannot check the caller's rights now: {error}"),
                        }));
                    }
                }
                match &change {
                    // A newer change of the export came before.
                    _ if !fresh => Ok(Written {
                        changed: false,
                        version: records.version(&cluster, &key),
                    }),
                    Change::Report(_) if leaving => Err(Failed::Refused(Refusal {
                        code: NackCode::Forbidden,
                        message: format!("The cluster {cluster} is leaving the fleet: exports can only be withdrawn."),
                    })),
                    change => records.write(&cluster, &key, change).await.map_err(Failed::Refused),
                }
            };
            let result = work.await;
            Settled {
                seq,
                key,
                arrived,
                result,
            }
        });
    }

    async fn settle(&mut self, settled: Result<Settled, JoinError>) -> Result<(), End> {
        // A write that broke leaves its change unsettled: the member sends it again over the next stream.
        let Ok(settled) = settled else { return Err(None) };
        let Settled {
            seq,
            key,
            arrived,
            result,
        } = settled;
        self.progress.busy.remove(&record_name(&key, false));
        let label = match &result {
            Ok(Written { changed: true, .. }) => "written",
            Ok(Written { changed: false, .. }) => "unchanged",
            Err(Failed::Refused(refusal)) => refusal.code.as_str(),
            Err(Failed::Revoked) => "revoked",
        };
        self.metrics.changes.with_label_values(&[label]).inc();
        self.metrics.report_to_ack.observe(arrived.elapsed().as_secs_f64());
        let refused = match result {
            Ok(written) => {
                let now = self.records.version(&self.cluster, &key);
                let as_written = self.place.with(|state| {
                    state.recorded(&key, written.version);
                    state.is_as_written(&key, now.as_ref())
                });
                if as_written == Some(false) {
                    self.resync_soon();
                }
                false
            }
            Err(Failed::Refused(refusal)) => {
                tracing::info!(cluster = self.cluster, export = %key, code = refusal.code.as_str(),
                    message = refusal.message, "A report was refused.");
                self.refuse(seq, Some(&key), &refusal).await?;
                true
            }
            Err(Failed::Revoked) => {
                let text = format!("The caller may no longer report the exports of {}.", self.cluster);
                return Err(Some(bye(pb::ByeReason::Forbidden, text)));
            }
        };
        // A refused change is settled as well: the Nack has said so.
        let ack = self.place.with(|state| state.settled(seq, refused)).flatten();
        self.note_ack(ack);
        Ok(())
    }

    fn note_ack(&mut self, ack: Option<u64>) {
        if let Some(seq) = ack {
            let due = self
                .progress
                .ack
                .map_or_else(|| Instant::now() + ACK_DELAY, |(_, due)| due);
            self.progress.ack = Some((seq, due));
        }
    }

    async fn refuse(&self, seq: u64, key: Option<&ExportKey>, refusal: &Refusal) -> Result<(), End> {
        let retry = if refusal.code == NackCode::Unavailable {
            RETRY_AFTER_MS
        } else {
            0
        };
        self.send(message(hub_message::Body::Nack(pb::Nack {
            seq,
            key: key.map(Into::into),
            code: convert::nack_code_to_wire(refusal.code).into(),
            message: refusal.message.clone(),
            retry_after_ms: retry,
        })))
        .await
    }

    async fn acknowledge(&mut self) -> Result<(), End> {
        match self.progress.ack.take() {
            Some((seq, _)) => self.send(message(hub_message::Body::Ack(pb::Ack { seq }))).await,
            None => Ok(()),
        }
    }

    /// Ends a full sync: waits for its writes, then removes what it did not mention.
    async fn end_sync(&mut self, end: pb::SyncEnd) -> Result<(), End> {
        while let Some(settled) = self.progress.running.join_next().await {
            self.settle(settled).await?;
        }
        self.acknowledge().await?;
        let recorded = self.records.recorded(&self.cluster);
        let now = self.clock.now();
        let end = SyncEnd {
            id: end.sync_id,
            count: end.count,
            digest: end.digest,
            kept: end
                .kept
                .into_iter()
                .filter_map(|key| convert::key(Some(key)).ok())
                .collect(),
        };
        let outcome = self
            .place
            .with(|state| state.sync_end(&end, &recorded, now, self.confirm_after));
        let label = match outcome {
            None => return Err(Some(self.superseded())),
            Some(SyncOutcome::Mismatch) => {
                self.resync_soon();
                "mismatch"
            }
            Some(SyncOutcome::Held { confirm_at, removals }) => {
                tracing::warn!(cluster = self.cluster, removals, %confirm_at,
                    "A full sync would remove most exports of a cluster; only a second one may do that.");
                let wait = Duration::try_from(confirm_at.duration_since(now)).unwrap_or_default();
                self.progress.resync_at = Some(Instant::now() + wait);
                "held"
            }
            Some(SyncOutcome::Remove(keys)) => {
                if self.remove(keys).await {
                    self.place.with(|state| state.sync_done());
                    "applied"
                } else {
                    self.resync_soon();
                    "incomplete"
                }
            }
        };
        self.metrics.syncs.with_label_values(&[label]).inc();
        Ok(())
    }

    /// Removes records. Returns whether all are gone.
    async fn remove(&self, keys: BTreeSet<ExportKey>) -> bool {
        let (stop, superseded) = (&self.stop, &self.place.signals.superseded);
        let removals = stream::iter(keys).map(|key| async move {
            // Who takes over syncs anew.
            if stop.is_cancelled() || superseded.is_cancelled() {
                return false;
            }
            let removed = self.records.remove(&self.cluster, &key).await;
            if let Err(refusal) = &removed {
                tracing::warn!(cluster = self.cluster, export = %key, message = refusal.message,
                    "An export that is no longer reported could not be removed; the next full sync tries again.");
            }
            removed.is_ok()
        });
        removals
            .buffer_unordered(WRITES)
            .fold(true, |all, one| std::future::ready(all & one))
            .await
    }

    /// Asks the member for everything again, soon, and later each time that it does not help.
    fn resync_soon(&mut self) {
        let progress = &mut self.progress;
        if progress.resync_at.is_some() {
            return;
        }
        let now = Instant::now();
        if progress
            .resynced
            .is_none_or(|last| now.duration_since(last) > RESYNC_FORGIVEN)
        {
            progress.resyncs = 0;
        }
        progress.resyncs += 1;
        progress.resynced = Some(now);
        progress.resync_at = Some(now + RESYNC.delay(progress.resyncs));
        self.place.with(|state| state.distrust());
    }

    async fn ping(&mut self) -> Result<(), End> {
        let progress = &mut self.progress;
        progress.ping_at = Some(Instant::now() + self.ping_interval);
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
        if progress.refused_leaving && (self.members)(&self.cluster) == Membership::Member {
            // The cluster has come back: what was refused meanwhile counts again.
            progress.refused_leaving = false;
            self.resync_soon();
        }
        self.send(message(hub_message::Body::Ping(pb::Ping { nonce }))).await
    }

    fn superseded(&self) -> pb::Bye {
        let text = format!("A newer connection of {} took over.", self.cluster);
        bye(pb::ByeReason::Superseded, text)
    }

    /// A member that does not read for this long is as good as gone.
    async fn send(&self, message: pb::HubMessage) -> Result<(), End> {
        match tokio::time::timeout(SEND_WITHIN, self.outbound.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The farewell when the hub agent ends.
pub(super) fn shutdown() -> pb::Bye {
    pb::Bye {
        retry_after_ms: RETRY_AFTER_MS,
        ..bye(pb::ByeReason::Shutdown, "The hub agent ends; connect again.")
    }
}

fn protocol(text: &str) -> End {
    Some(bye(pb::ByeReason::Protocol, text))
}
