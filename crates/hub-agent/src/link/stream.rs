//! One session after its greeting: changes come in and are written, acknowledgements and verdicts go out.
//!
//! The work per member is bounded: a fixed number of writes at a time, one per export, and nothing more is read while
//! they run. So one noisy member cannot delay the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::session::SyncOutcome;
use fairway_core::link::{Change, ExportKey, NackCode, WithdrawReason, Withdrawal};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kit::clock::Clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use wire::convert;
use wire::member::{self as pb, hub_message, member_message};

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

/// An open session.
pub(super) struct Conversation {
    pub cluster: String,
    pub place: Place,
    pub records: Arc<Records>,
    pub metrics: Metrics,
    pub members: Members,
    pub clock: Clock,
    pub ping_interval: Duration,
    pub outbound: Outbound,
}

struct Settled {
    seq: u64,
    key: ExportKey,
    arrived: Instant,
    result: Result<Written, Refusal>,
}

/// What the loop keeps beside the session's memory.
struct Progress {
    running: FuturesUnordered<BoxFuture<'static, Settled>>,
    busy: BTreeSet<ExportKey>,
    arrivals: BTreeMap<u64, Instant>,
    ack: Option<u64>,
    pings: u32,
    nonce: u64,
    /// When the member is to sync again, to confirm a large removal.
    confirm: Option<Instant>,
}

type End = Option<pb::Bye>;

impl Conversation {
    /// Runs until the member goes, a newer stream takes over, or the hub ends. Returns the farewell, if one is due.
    pub(super) async fn run(mut self, mut inbound: Streaming<pb::MemberMessage>, stop: &CancellationToken) -> End {
        let mut progress = Progress {
            running: FuturesUnordered::new(),
            busy: BTreeSet::new(),
            arrivals: BTreeMap::new(),
            ack: None,
            pings: 0,
            nonce: 0,
            confirm: None,
        };
        for (seq, key, verdict) in self.place.with(|state| state.open_verdicts()).unwrap_or_default() {
            if self.send(convert::verdict_to_wire(seq, &key, &verdict)).await.is_err() {
                return None;
            }
        }
        let mut held: Option<(u64, ExportKey, Change)> = None;
        let mut ping = tokio::time::interval_at(Instant::now() + self.ping_interval, self.ping_interval);
        let ack_timer = tokio::time::sleep(ACK_DELAY);
        tokio::pin!(ack_timer);
        let superseded = self.place.superseded.clone();
        loop {
            if let Some((seq, key, change)) = held.take_if(|(_, key, _)| !progress.busy.contains(key)) {
                self.begin(&mut progress, seq, key, change);
            }
            let room = held.is_none() && progress.running.len() < WRITES;
            tokio::select! {
                () = stop.cancelled() => {
                    let mut farewell = bye(pb::ByeReason::Shutdown, "The hub agent ends; connect again.");
                    farewell.retry_after_ms = RETRY_AFTER_MS;
                    return Some(farewell);
                }
                () = superseded.cancelled() => {
                    let text = format!("A newer connection of {} took over.", self.cluster);
                    return Some(bye(pb::ByeReason::Superseded, text));
                }
                received = inbound.message(), if room => match received {
                    Ok(Some(pb::MemberMessage { body: Some(body) })) => {
                        progress.pings = 0;
                        match self.take(&mut progress, body).await {
                            Ok(next) => held = next,
                            Err(end) => return end,
                        }
                    }
                    // A message of a newer protocol without a body that we know.
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(status) => {
                        tracing::info!(cluster = self.cluster, %status, "A session broke.");
                        return None;
                    }
                },
                Some(settled) = progress.running.next(), if !progress.running.is_empty() => {
                    let first = progress.ack.is_none();
                    if self.settle(&mut progress, settled).await.is_err() {
                        return None;
                    }
                    if first && progress.ack.is_some() {
                        ack_timer.as_mut().reset(Instant::now() + ACK_DELAY);
                    }
                }
                () = &mut ack_timer, if progress.ack.is_some() => {
                    if self.acknowledge(&mut progress).await.is_err() {
                        return None;
                    }
                }
                Some((seq, key, verdict)) = self.place.verdicts.recv() => {
                    if self.send(convert::verdict_to_wire(seq, &key, &verdict)).await.is_err() {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(progress.confirm.unwrap_or_else(Instant::now)), if progress.confirm.is_some() => {
                    progress.confirm = None;
                    if self.resync("The removal of most exports needs a second full sync.").await.is_err() {
                        return None;
                    }
                }
                _ = ping.tick() => {
                    if progress.pings >= MISSED_PINGS {
                        tracing::info!(cluster = self.cluster, "A session is given up: the member does not answer.");
                        return None;
                    }
                    progress.pings += 1;
                    progress.nonce += 1;
                    let body = hub_message::Body::Ping(pb::Ping { nonce: progress.nonce });
                    if self.send(message(body)).await.is_err() {
                        return None;
                    }
                }
            }
        }
    }

    /// Takes one message. A change whose export is being written is handed back to wait.
    async fn take(
        &self,
        progress: &mut Progress,
        body: member_message::Body,
    ) -> Result<Option<(u64, ExportKey, Change)>, End> {
        use member_message::Body;
        match body {
            Body::Export(report) => {
                let (seq, in_sync) = (report.seq, !report.sync_id.is_empty());
                let (key, report) = match convert::report(report) {
                    Ok(whole) => whole,
                    Err(missing) => return self.malformed(seq, &missing).await,
                };
                if in_sync {
                    self.place.with(|state| state.sync_report(&key, &report));
                }
                Ok(self.offer(progress, seq, key, Change::Report(report)))
            }
            Body::Withdraw(withdraw) => {
                let seq = withdraw.seq;
                match convert::withdrawal(withdraw) {
                    Ok((key, withdrawal)) => {
                        self.place.with(|state| state.sync_withdraw(&key));
                        Ok(self.offer(progress, seq, key, Change::Withdraw(withdrawal)))
                    }
                    Err(missing) => self.malformed(seq, &missing).await,
                }
            }
            Body::SyncBegin(begin) => {
                self.place.with(|state| state.sync_begin(&begin.sync_id));
                Ok(None)
            }
            Body::SyncEnd(end) => self.end_sync(progress, end).await.map(|()| None),
            Body::VerdictAck(ack) => {
                if let Ok(key) = convert::key(ack.key) {
                    self.place.with(|state| {
                        let before = state.open_count();
                        state.verdict_acked(&key, ack.verdict_seq);
                        self.metrics.count_verdicts(before, state.open_count());
                    });
                }
                Ok(None)
            }
            Body::Bye(_) => Err(None),
            Body::Hello(_) => Err(Some(bye(
                pb::ByeReason::Protocol,
                "Hello is sent once, as the first message.",
            ))),
            Body::Pong(_) => Ok(None),
        }
    }

    async fn malformed(&self, seq: u64, missing: &convert::Missing) -> Result<Option<(u64, ExportKey, Change)>, End> {
        let refusal = Refusal {
            code: NackCode::InvalidArgument,
            message: missing.to_string(),
        };
        self.refuse(seq, None, &refusal).await.map_err(|()| None)?;
        Ok(None)
    }

    fn offer(
        &self,
        progress: &mut Progress,
        seq: u64,
        key: ExportKey,
        change: Change,
    ) -> Option<(u64, ExportKey, Change)> {
        if progress.busy.contains(&key) {
            return Some((seq, key, change));
        }
        self.begin(progress, seq, key, change);
        None
    }

    /// Starts the write of a change, unless a newer one of its export came before.
    fn begin(&self, progress: &mut Progress, seq: u64, key: ExportKey, change: Change) {
        let arrived = Instant::now();
        progress.arrivals.insert(seq, arrived);
        let fresh = self.place.with(|state| state.received(seq, &key)).unwrap_or(false);
        progress.busy.insert(key.clone());
        let (records, cluster) = (Arc::clone(&self.records), self.cluster.clone());
        let leaving = (self.members)(&self.cluster) != Membership::Member;
        progress.running.push(Box::pin(async move {
            let result = match &change {
                _ if !fresh => Ok(Written::Unchanged),
                Change::Report(_) if leaving => Err(Refusal {
                    code: NackCode::Forbidden,
                    message: format!("The cluster {cluster} is leaving the fleet: exports can only be withdrawn."),
                }),
                change => records.write(&cluster, &key, change).await,
            };
            Settled {
                seq,
                key,
                arrived,
                result,
            }
        }));
    }

    async fn settle(&self, progress: &mut Progress, settled: Settled) -> Result<(), ()> {
        progress.busy.remove(&settled.key);
        progress.arrivals.remove(&settled.seq);
        let label = match &settled.result {
            Ok(Written::Yes) => "written",
            Ok(Written::Unchanged) => "unchanged",
            Err(refusal) => refusal.code.as_str(),
        };
        self.metrics.changes.with_label_values(&[label]).inc();
        self.metrics
            .report_to_ack
            .observe(settled.arrived.elapsed().as_secs_f64());
        if let Err(refusal) = &settled.result {
            tracing::info!(cluster = self.cluster, export = %settled.key, code = refusal.code.as_str(),
                message = refusal.message, "A report was refused.");
            self.refuse(settled.seq, Some(&settled.key), refusal).await?;
        }
        // A refused change is settled as well: the Nack has said so.
        if let Some(ack) = self.place.with(|state| state.settled(settled.seq)).flatten() {
            progress.ack = Some(ack);
        }
        Ok(())
    }

    async fn refuse(&self, seq: u64, key: Option<&ExportKey>, refusal: &Refusal) -> Result<(), ()> {
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

    async fn acknowledge(&self, progress: &mut Progress) -> Result<(), ()> {
        match progress.ack.take() {
            Some(seq) => self.send(message(hub_message::Body::Ack(pb::Ack { seq }))).await,
            None => Ok(()),
        }
    }

    /// Ends a full sync: waits for its writes, then removes what it did not mention.
    async fn end_sync(&self, progress: &mut Progress, end: pb::SyncEnd) -> Result<(), End> {
        while let Some(settled) = progress.running.next().await {
            self.settle(progress, settled).await.map_err(|()| None)?;
        }
        self.acknowledge(progress).await.map_err(|()| None)?;
        let recorded = self.records.recorded(&self.cluster);
        let now = self.clock.now();
        let outcome = self
            .place
            .with(|state| state.sync_end(&end.sync_id, end.count, &end.digest, &recorded, now));
        let label = match outcome {
            None => return Err(None),
            Some(SyncOutcome::Mismatch) => {
                let reason = "The end of the full sync does not match what the hub received.";
                self.resync(reason).await.map_err(|()| None)?;
                "mismatch"
            }
            Some(SyncOutcome::Held { confirm_at, removals }) => {
                tracing::warn!(cluster = self.cluster, removals, %confirm_at,
                    "A full sync would remove most exports of a cluster; only a second one may do that.");
                let wait = Duration::try_from(confirm_at.duration_since(now)).unwrap_or_default();
                progress.confirm = Some(Instant::now() + wait);
                "held"
            }
            Some(SyncOutcome::Remove(keys)) => {
                self.remove(keys).await;
                "applied"
            }
        };
        self.metrics.syncs.with_label_values(&[label]).inc();
        Ok(())
    }

    async fn remove(&self, keys: BTreeSet<ExportKey>) {
        for key in keys {
            let gone = Change::Withdraw(Withdrawal {
                service_uid: String::new(),
                reason: WithdrawReason::ExportDeleted,
            });
            if let Err(refusal) = self.records.write(&self.cluster, &key, &gone).await {
                // The next full sync finds it again.
                tracing::warn!(cluster = self.cluster, export = %key, message = refusal.message,
                    "An export that is no longer reported could not be removed.");
            }
        }
    }

    async fn resync(&self, reason: &str) -> Result<(), ()> {
        self.send(message(hub_message::Body::Resync(pb::Resync {
            reason: reason.to_owned(),
        })))
        .await
    }

    /// A member that does not read for this long is as good as gone.
    async fn send(&self, message: pb::HubMessage) -> Result<(), ()> {
        match tokio::time::timeout(SEND_WITHIN, self.outbound.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(()),
        }
    }
}
