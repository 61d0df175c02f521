//! Writes the member's InternalServiceExports without a session, as agents that know no sessions do (networking 9.3 to
//! 9.5): the way of `--export-report=objects`.
//!
//! It empties the same outbox as a session, one change at a time, and reads verdicts from the records' conditions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::condition::{self, Condition, ConditionStatus};
use api::names::member_namespace;
use api::text::{conditions, groups};
use fairway_core::link::outbox::{Outgoing, Refused, Resume};
use fairway_core::link::{Change, Conflict, ExportKey, NackCode, Verdict};
use fairway_core::services::{self, MEMBER_MANAGER, Record, Scope, Step};
use kit::backoff::Backoff;
use kit::clock::until;
use kit::index::{self, Index, Origin};
use kit::writer::{Answer, Deletion, Patch, Writer};
use kit::{ObjectKey, Resource};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::talk::{UNAVAILABLE, sync_id};
use super::{Objects, Shared};

const RECORDS: Resource = Resource::namespaced(
    groups::NETWORKING,
    "v1alpha1",
    "InternalServiceExport",
    "internalserviceexports",
);
/// Time for one write on the hub.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// Changes are written one after the other: two exports may share the plain name of their record.
const WINDOW: usize = 1;
/// Waits before records that somebody else changed are looked at: who keeps changing them must not keep us busy.
const REPAIR: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(60));
/// After this long without trouble the waits begin anew.
const REPAIR_FORGIVEN: Duration = Duration::from_secs(300);

/// Why a change is not written.
struct Failure {
    code: NackCode,
    text: String,
}

/// Keeps the records as the outbox says until `stop`.
pub(super) async fn run(
    objects: Objects,
    shared: Arc<Shared>,
    mut ready: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let changed = Arc::new(Mutex::new(BTreeSet::new()));
    let index = records(&objects.cluster, &shared, &changed);
    let watching = index.run(objects.hub.clone(), stop.clone());
    let writing = async {
        // What is left over can be told only once everything is known on either side.
        let known = async {
            index.synced().await;
            ready.wait_for(|ready| *ready).await.is_ok()
        };
        if stop.run_until_cancelled(known).await != Some(true) {
            return;
        }
        let mut keeper = Keeper {
            writer: Writer::new(objects.hub.clone(), WRITE_DEADLINE),
            objects,
            shared,
            index: Arc::clone(&index),
            changed,
            repair: Repair::default(),
            release: None,
            failures: 0,
        };
        stop.run_until_cancelled(keeper.keep()).await;
    };
    tokio::join!(watching, writing);
}

/// The records of the member, whose verdicts are told and whose changes by others are noted.
fn records(cluster: &str, shared: &Arc<Shared>, changed: &Arc<Mutex<BTreeSet<ExportKey>>>) -> Arc<Index<Record>> {
    let scope = index::Scope {
        namespace: Some(member_namespace(cluster)),
        ..index::Scope::default()
    };
    let (shared, changed) = (Arc::clone(shared), Arc::clone(changed));
    let verdicts = AtomicU64::new(0);
    Index::builder(RECORDS, |value| {
        let managed = Record::is_managed(&value, MEMBER_MANAGER);
        Ok(Some(Record::from_value(&value, managed)))
    })
    .scope(scope)
    .keep_managers()
    .on_change(move |change| {
        let of = |record: &Option<Arc<Record>>| record.as_ref().map(|record| (record.version(), record.deleting));
        if change.origin == Origin::Watch && of(&change.old) != of(&change.new) {
            let keys = change.old.iter().chain(&change.new).map(|record| record.key.clone());
            changed.lock().extend(keys);
            shared.wake.notify_one();
        }
        if let Some(record) = change.new.as_ref().filter(|record| !record.deleting)
            && let Some(verdict) = verdict(record)
        {
            let seq = verdicts.fetch_add(1, Ordering::Relaxed) + 1;
            shared.judged(record.key.clone(), seq, verdict);
        }
    })
    .build()
}

/// What the hub says of a record, if it has said something.
fn verdict(record: &Record) -> Option<Verdict> {
    let Condition {
        status,
        reason,
        message,
        ..
    } = condition::find(&record.conditions, conditions::networking::CONFLICT)?;
    Some(Verdict {
        service_uid: record.service_uid.clone(),
        conflict: match status {
            ConditionStatus::True => Conflict::Conflict,
            ConditionStatus::False => Conflict::NoConflict,
            ConditionStatus::Unknown => Conflict::Unknown,
        },
        reason: reason.clone(),
        message: message.clone(),
        for_seq: 0,
    })
}

struct Keeper {
    objects: Objects,
    writer: Writer,
    shared: Arc<Shared>,
    index: Arc<Index<Record>>,
    /// Exports whose records somebody else changed or deleted.
    changed: Arc<Mutex<BTreeSet<ExportKey>>>,
    repair: Repair,
    /// When what could not be written is tried again.
    release: Option<Instant>,
    failures: u32,
}

/// When records that somebody else changed are looked at.
#[derive(Default)]
struct Repair {
    due: Option<Instant>,
    times: u32,
    last: Option<Instant>,
}

impl Repair {
    fn soon(&mut self) {
        if self.due.is_some() {
            return;
        }
        let now = Instant::now();
        if self.last.is_none_or(|last| now.duration_since(last) > REPAIR_FORGIVEN) {
            self.times = 0;
        }
        self.times += 1;
        self.last = Some(now);
        self.due = Some(now + REPAIR.delay(self.times));
    }
}

impl Keeper {
    async fn keep(&mut self) {
        let resume = Resume::FullSync { sync_id: sync_id() };
        let withdrawn = self.shared.outbox.lock().connected(resume, WINDOW);
        self.shared.revisit_all(withdrawn);
        loop {
            // Nobody waits to be told that users see a verdict.
            self.shared.shown.lock().clear();
            let next = self.shared.outbox.lock().pop();
            match next {
                Some(Outgoing::SyncBegin { .. }) => {}
                Some(Outgoing::Change { seq, key, change, .. }) => self.write(seq, key, &change).await,
                Some(Outgoing::SyncEnd { kept, .. }) => self.clean(&kept.into_iter().collect()).await,
                None => self.wait().await,
            }
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) {
        if !self.changed.lock().is_empty() {
            self.repair.soon();
        }
        tokio::select! {
            () = self.shared.wake.notified() => {}
            () = until(self.release) => {
                self.release = None;
                self.shared.outbox.lock().release();
            }
            () = until(self.repair.due) => {
                self.repair.due = None;
                self.repair();
            }
        }
    }

    /// Reports again what somebody else changed, and removes records that stand for no export.
    fn repair(&self) {
        let changed = std::mem::take(&mut *self.changed.lock());
        let mut outbox = self.shared.outbox.lock();
        let is_left_over = |key: &ExportKey| !outbox.is_known(key) && self.records(key).next().is_some();
        if changed.iter().any(is_left_over) {
            // Its end removes what nobody exports.
            outbox.start_sync(sync_id());
        } else {
            changed.iter().for_each(|key| outbox.repeat(key));
        }
    }

    fn records(&self, key: &ExportKey) -> impl Iterator<Item = Arc<Record>> {
        let all = self.index.in_namespace(&member_namespace(&self.objects.cluster));
        all.into_iter()
            .filter(move |record| record.key == *key && !record.deleting)
    }

    async fn write(&mut self, seq: u64, key: ExportKey, change: &Change) {
        self.shared.sent(&key);
        match self.apply(&key, change).await {
            Ok(()) => {
                self.failures = 0;
                let withdrawn = self.shared.outbox.lock().ack(seq);
                self.shared.revisit_all(withdrawn);
            }
            Err(Failure { code, text }) => {
                tracing::info!(export = %key, text, "The record of an export cannot be written.");
                let refused = self.shared.outbox.lock().nack(seq, code);
                match refused {
                    Refused::Outdated => {}
                    Refused::Held => {
                        self.failures = self.failures.saturating_add(1);
                        self.release
                            .get_or_insert(Instant::now() + UNAVAILABLE.delay(self.failures));
                    }
                    Refused::Final => self.shared.refused(key, code, &text),
                }
                // The number is settled either way.
                let withdrawn = self.shared.outbox.lock().ack(seq);
                self.shared.revisit_all(withdrawn);
            }
        }
        self.shared.answered();
    }

    async fn apply(&self, key: &ExportKey, change: &Change) -> Result<(), Failure> {
        let cluster = &self.objects.cluster;
        let all = self.index.in_namespace(&member_namespace(cluster));
        let report = match change {
            Change::Withdraw(withdrawal) => {
                for record in services::withdraw(key, &withdrawal.service_uid, &all) {
                    self.delete(record).await?;
                }
                return Ok(());
            }
            Change::Report(report) => report,
        };
        let scope = Scope {
            cluster,
            traffic_manager: self.objects.traffic_manager,
        };
        let (replaces, name, object) = match services::report(scope, key, report, &all, None) {
            Step::Nothing(_) => return Ok(()),
            Step::Wait(going) => return Err(still_going(going)),
            Step::Apply { replaces, name, object } => (replaces, name, object),
        };
        if let Some(stale) = replaces
            && !self.delete(stale).await?
        {
            return Err(still_going(stale));
        }
        let place = ObjectKey::namespaced(&member_namespace(cluster), &name);
        let patch = Patch::Apply {
            manager: MEMBER_MANAGER,
            force: true,
        };
        let answer = self.writer.patch(&RECORDS, &place, None, patch, &object).await;
        let mut answer = answer.map_err(failure)?;
        if let Some(removal) = services::surplus(&object, &answer) {
            let cleaned = self.writer.patch(&RECORDS, &place, None, Patch::Merge, &removal).await;
            answer = cleaned.map_err(failure)?;
        }
        self.fold(answer, true);
        Ok(())
    }

    /// Deletes the records that stand for no export of this member.
    async fn clean(&self, kept: &BTreeSet<ExportKey>) {
        for record in self.index.in_namespace(&member_namespace(&self.objects.cluster)) {
            let exported = {
                let outbox = self.shared.outbox.lock();
                kept.contains(&record.key) || outbox.is_known(&record.key) || outbox.is_withdrawing(&record.key)
            };
            if exported || record.deleting {
                continue;
            }
            if let Err(Failure { text, .. }) = self.delete(&record).await {
                tracing::warn!(
                    record = record.name,
                    text,
                    "A record that stands for no export is still there."
                );
                self.changed.lock().insert(record.key.clone());
            }
        }
    }

    /// Deletes a record. Returns whether it is gone already.
    async fn delete(&self, record: &Record) -> Result<bool, Failure> {
        let place = ObjectKey::namespaced(&member_namespace(&record.cluster), &record.name);
        let how = Deletion {
            uid: Some(&record.uid),
            ..Deletion::default()
        };
        match self.writer.delete(&RECORDS, &place, how).await {
            Ok(Answer::Gone(_)) => self.index.fold_deleted(&place, Some(&record.uid)),
            Ok(Answer::Object(object)) => {
                self.fold(object, record.ours);
                return Ok(false);
            }
            // Another incarnation took its place: what was to go is gone.
            Err(error) if error.is_conflict() => {}
            // A deletion is tried until it succeeds.
            Err(error) => {
                return Err(Failure {
                    code: NackCode::Unavailable,
                    text: error.to_string(),
                });
            }
        }
        Ok(true)
    }

    /// Takes in an answer, which comes without managed fields.
    fn fold(&self, mut answer: Value, ours: bool) {
        if ours {
            Record::claim(&mut answer, MEMBER_MANAGER);
        }
        if let Err(reason) = self.index.fold(answer) {
            tracing::warn!(reason, "A written export record cannot be read back.");
        }
    }
}

fn still_going(record: &Record) -> Failure {
    Failure {
        code: NackCode::Unavailable,
        text: services::still_going(record),
    }
}

fn failure(error: kit::Error) -> Failure {
    Failure {
        code: NackCode::of_answer(error.code()),
        text: error.to_string(),
    }
}
