//! What becomes of a reported change: it is checked, written, and acknowledged or refused.
//!
//! The work per member is bounded: a fixed number of writes at a time, one per record, and nothing more is read while
//! they run. So one noisy member cannot delay the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::{Change, ExportKey, NackCode};
use fairway_core::services::record_name;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use wire::convert;
use wire::member::{self as pb, hub_message};

use super::super::auth::{Auth, Caller, Standing};
use super::super::records::{Records, Refusal, Written};
use super::super::server::message;
use super::super::{Membership, WRITE_DEADLINE};
use super::{Conversation, End, RETRY_AFTER_MS, forbidden, protocol, unauthenticated};

/// Writes of one member at a time.
const WRITES: usize = 16;
/// Acknowledgements are collected for this long at the most (networking 16.4 allows 100 ms).
const ACK_DELAY: Duration = Duration::from_millis(10);

/// The changes of a session that are not acknowledged.
pub(super) struct Changes {
    /// Number of the next change; `None` before the first one of a full sync.
    expected: Option<u64>,
    pub(super) running: JoinSet<Settled>,
    /// Plain names of the records that are being written: two exports may share one.
    busy: BTreeSet<String>,
    /// A change that waits until another one of its record is written.
    held: Option<Arrived>,
    /// The newest acknowledgement that is due, and when.
    ack: Option<(u64, Instant)>,
    /// When each unacknowledged change arrived.
    arrivals: BTreeMap<u64, Instant>,
    /// Reports were refused because the cluster leaves the fleet.
    refused_leaving: bool,
}

/// A change that was received.
pub(super) struct Arrived {
    seq: u64,
    key: ExportKey,
    change: Change,
}

/// A change whose write has come to its end.
pub(super) struct Settled {
    seq: u64,
    key: ExportKey,
    result: Result<Written, Failed>,
}

/// Why a change is not written.
enum Failed {
    /// The change is refused.
    Refused(Refusal),
    /// The hub does not accept the caller's token any more.
    Unauthenticated,
    /// The caller may no longer speak for the cluster.
    Forbidden,
}

impl Changes {
    pub(super) fn new(next_seq: Option<u64>) -> Self {
        Self {
            expected: next_seq,
            running: JoinSet::new(),
            busy: BTreeSet::new(),
            held: None,
            ack: None,
            arrivals: BTreeMap::new(),
            refused_leaving: false,
        }
    }

    /// Whether another change may be read.
    pub(super) fn has_room(&self) -> bool {
        self.held.is_none() && self.running.len() < WRITES
    }

    /// When the next acknowledgement is due.
    pub(super) fn ack_at(&self) -> Option<Instant> {
        self.ack.map(|(_, due)| due)
    }

    /// Takes the change that waits for another one of its record.
    pub(super) fn take_held(&mut self) -> Option<Arrived> {
        self.held.take()
    }

    /// Whether reports were refused because the cluster leaves the fleet; asked once.
    pub(super) fn take_refused_leaving(&mut self) -> bool {
        std::mem::take(&mut self.refused_leaving)
    }
}

impl Conversation {
    /// Takes a change under its number. Numbers grow by one: behind a gap nothing could ever be acknowledged.
    pub(super) fn numbered(&mut self, seq: u64) -> Result<(), End> {
        let expected = self.progress.changes.expected;
        if seq == 0 || seq == u64::MAX || expected.is_some_and(|expected| expected != seq) {
            // What this member holds for sent is not known any more: it is to begin anew.
            self.place.with(|state| state.distrust());
            return Err(protocol("Sequence numbers start at 1 and grow by one."));
        }
        self.progress.changes.expected = Some(seq + 1);
        self.progress.changes.arrivals.insert(seq, Instant::now());
        Ok(())
    }

    pub(super) fn arrived(&mut self, seq: u64, key: ExportKey, change: Change) -> Result<(), End> {
        self.numbered(seq)?;
        self.offer(Arrived { seq, key, change });
        Ok(())
    }

    /// Answers a change that cannot be read. Its number is settled, or no later change could be acknowledged.
    pub(super) async fn malformed(&mut self, seq: u64, missing: &convert::Missing) -> Result<(), End> {
        self.numbered(seq)?;
        let refusal = Refusal {
            code: NackCode::InvalidArgument,
            message: missing.to_string(),
        };
        self.refuse_unread(seq, None, &refusal).await
    }

    /// Answers a change that is larger than the member was told.
    pub(super) async fn too_large(&mut self, seq: u64, key: &ExportKey, size: u64) -> Result<(), End> {
        self.numbered(seq)?;
        let limit = self.config.max_message;
        let refusal = Refusal {
            code: NackCode::TooLarge,
            message: format!("The report has {size} bytes; {limit} are allowed."),
        };
        self.refuse_unread(seq, Some(key), &refusal).await
    }

    async fn refuse_unread(&mut self, seq: u64, key: Option<&ExportKey>, refusal: &Refusal) -> Result<(), End> {
        self.metrics.changes.with_label_values(&[refusal.code.as_str()]).inc();
        self.refuse(seq, key, refusal).await?;
        let ack = self.place.with(|state| {
            state.arrived(seq);
            state.settled(seq, true)
        });
        self.note_ack(ack.flatten());
        Ok(())
    }

    /// Starts the write of a change, or lets it wait for another one of its record.
    pub(super) fn offer(&mut self, change: Arrived) {
        let name = record_name(&change.key, false);
        let changes = &mut self.progress.changes;
        if changes.busy.contains(&name) {
            changes.held = Some(change);
            self.count_queue();
            return;
        }
        changes.busy.insert(name);
        let Arrived { seq, key, change } = change;
        let fresh = self.place.with(|state| state.received(seq, &key)).unwrap_or(false);
        let leaving = (self.members)(&self.cluster) != Membership::Member;
        changes.refused_leaving |= leaving;
        let (records, auth) = (Arc::clone(&self.records), Arc::clone(&self.auth));
        let (cluster, caller) = (self.cluster.clone(), Arc::clone(&self.caller));
        changes.running.spawn(async move {
            let result = match may_report(&auth, &caller, &cluster).await {
                Err(failed) => Err(failed),
                // A newer change of the export came before.
                Ok(()) if !fresh => Ok(Written {
                    changed: false,
                    version: records.version(&cluster, &key),
                }),
                Ok(()) => write(&records, &cluster, &key, &change, leaving)
                    .await
                    .map_err(Failed::Refused),
            };
            Settled { seq, key, result }
        });
        self.count_queue();
    }

    /// Takes in the end of a write.
    pub(super) async fn settle(&mut self, settled: Result<Settled, JoinError>) -> Result<(), End> {
        // A write that broke leaves its change unsettled: the member sends it again over the next stream.
        let Ok(settled) = settled else { return Err(None) };
        let Settled { seq, key, result } = settled;
        self.progress.changes.busy.remove(&record_name(&key, false));
        self.count_queue();
        let label = match &result {
            Ok(Written { changed: true, .. }) => "written",
            Ok(Written { changed: false, .. }) => "unchanged",
            Err(Failed::Refused(refusal)) => refusal.code.as_str(),
            Err(Failed::Unauthenticated | Failed::Forbidden) => "revoked",
        };
        self.metrics.changes.with_label_values(&[label]).inc();
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
            Err(Failed::Unauthenticated) => return Err(Some(unauthenticated())),
            Err(Failed::Forbidden) => return Err(Some(forbidden(&self.cluster))),
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
                .changes
                .ack_at()
                .unwrap_or_else(|| Instant::now() + ACK_DELAY);
            self.progress.changes.ack = Some((seq, due));
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

    /// Sends the acknowledgement that is due, if any.
    pub(super) async fn acknowledge(&mut self) -> Result<(), End> {
        let Some((seq, _)) = self.progress.changes.ack.take() else {
            return Ok(());
        };
        let open = self.progress.changes.arrivals.split_off(&(seq + 1));
        let acknowledged = std::mem::replace(&mut self.progress.changes.arrivals, open);
        for arrived in acknowledged.into_values() {
            self.metrics.report_to_ack.observe(arrived.elapsed().as_secs_f64());
        }
        self.send(message(hub_message::Body::Ack(pb::Ack { seq }))).await
    }

    fn count_queue(&self) {
        let changes = &self.progress.changes;
        let queued = changes.running.len() + usize::from(changes.held.is_some());
        self.metrics
            .queue
            .with_label_values(&[&self.cluster])
            .set(i64::try_from(queued).unwrap_or(i64::MAX));
    }
}

/// Checks that the caller still speaks for the cluster. An API server that does not answer must not hold up the change
/// for longer than a write may take.
async fn may_report(auth: &Auth, caller: &Caller, cluster: &str) -> Result<(), Failed> {
    let unavailable = |why: String| {
        Failed::Refused(Refusal {
            code: NackCode::Unavailable,
            message: format!("The hub cannot check the caller's rights now: {why}"),
        })
    };
    match tokio::time::timeout(WRITE_DEADLINE, auth.standing(caller, cluster)).await {
        Ok(Ok(Standing::Fine)) => Ok(()),
        Ok(Ok(Standing::Unauthenticated)) => Err(Failed::Unauthenticated),
        Ok(Ok(Standing::Forbidden)) => Err(Failed::Forbidden),
        Ok(Err(error)) => Err(unavailable(error.to_string())),
        Err(_) => Err(unavailable("the API server does not answer in time.".to_owned())),
    }
}

async fn write(
    records: &Records,
    cluster: &str,
    key: &ExportKey,
    change: &Change,
    leaving: bool,
) -> Result<Written, Refusal> {
    if leaving && matches!(change, Change::Report(_)) {
        return Err(Refusal {
            code: NackCode::Forbidden,
            message: format!("The cluster {cluster} is leaving the fleet: exports can only be withdrawn."),
        });
    }
    records.write(cluster, key, change).await
}
