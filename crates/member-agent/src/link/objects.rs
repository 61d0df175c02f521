//! Writes the member's InternalServiceExports without a session, as agents that know no sessions do (networking 9.3 to
//! 9.5): the way of `--export-report=objects`.
//!
//! It empties the same outbox as a session, one change at a time, and reads verdicts from the records' conditions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::condition::{self, Condition, ConditionStatus};
use api::kinds;
use api::names::member_namespace;
use api::text::conditions;
use fairway_core::link::outbox::{Outgoing, Refused, Resume};
use fairway_core::link::{Change, Refusal};
use fairway_core::services::{self, Conflict, ExportChange, ExportKey, MEMBER_MANAGER, Record, Scope, Step, Verdict};
use kit::ObjectKey;
use kit::backoff::Backoff;
use kit::clock::until;
use kit::index::{self, Index, Origin};
use kit::link::{sync_id, wait_to_repeat};
use kit::managed::Managed;
use kit::repair::RepairTimer;
use kit::writer::Writer;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::channel::Sender as _;
use super::config::Objects;
use super::shared::Shared;

/// Time for one write on the hub.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// Wait before a write that was not answered is tried again.
const UNANSWERED: Duration = Duration::from_secs(1);
/// Changes are written one after the other: two exports may share the plain name of their record.
const WINDOW: usize = 1;
/// Waits before records that somebody else changed are looked at: who keeps changing them must not keep us busy.
const REPAIR: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(60));
/// After this long without trouble the waits begin anew.
const REPAIR_FORGIVEN: Duration = Duration::from_secs(300);

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
        // What is left over is known only once everything is known on either side.
        let known = async {
            index.synced().await;
            ready.wait_for(|ready| *ready).await.is_ok()
        };
        if stop.run_until_cancelled(known).await != Some(true) {
            return;
        }
        let writer = Writer::new(objects.hub.clone(), WRITE_DEADLINE);
        let mut keeper = Keeper {
            store: Managed::new(writer, Arc::clone(&index), MEMBER_MANAGER),
            objects,
            shared,
            changed,
            repair: RepairTimer::new(REPAIR, REPAIR_FORGIVEN),
            release: None,
            failures: 0,
        };
        stop.run_until_cancelled(keeper.keep()).await;
    };
    tokio::join!(watching, writing);
}

/// The records of the member, whose verdicts are passed on and whose changes by others are noted.
fn records(cluster: &str, shared: &Arc<Shared>, changed: &Arc<Mutex<BTreeSet<ExportKey>>>) -> Arc<Index<Record>> {
    let scope = index::Scope {
        namespace: Some(member_namespace(cluster)),
        ..index::Scope::default()
    };
    let (shared, changed) = (Arc::clone(shared), Arc::clone(changed));
    let verdicts = AtomicU64::new(0);
    Index::builder(kinds::INTERNAL_SERVICE_EXPORT, |value| {
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

/// The verdict on a record, if there is one.
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
    store: Managed<Record>,
    shared: Arc<Shared>,
    /// Exports whose records somebody else changed or deleted.
    changed: Arc<Mutex<BTreeSet<ExportKey>>>,
    /// When those are looked at.
    repair: RepairTimer,
    /// When what could not be written is tried again.
    release: Option<Instant>,
    failures: u32,
}

impl Keeper {
    async fn keep(&mut self) {
        let resume = Resume::FullSync { sync_id: sync_id() };
        let removed = self.shared.outbox.lock().connected(resume, WINDOW);
        self.shared.removed(removed);
        loop {
            // Nobody waits for the acknowledgement of a verdict.
            self.shared.shown.lock().clear();
            let next = self.shared.outbox.lock().pop();
            match next {
                Some(Outgoing::SyncBegin { .. }) => {}
                Some(Outgoing::Change { seq, key, change, .. }) => self.write(seq, key, &change).await,
                Some(Outgoing::SyncEnd(end)) => self.clean(&end.kept).await,
                None => self.wait().await,
            }
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) {
        if !self.changed.lock().is_empty() {
            self.repair.request();
        }
        tokio::select! {
            () = self.shared.wake.notified() => {}
            () = until(self.release) => {
                self.release = None;
                self.shared.outbox.lock().release();
            }
            () = until(self.repair.due()) => {
                self.repair.done();
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
        let all = self
            .store
            .index()
            .in_namespace(&member_namespace(&self.objects.cluster));
        all.into_iter()
            .filter(move |record| record.key == *key && !record.deleting)
    }

    async fn write(&mut self, seq: u64, key: ExportKey, change: &ExportChange) {
        self.shared.sending(&key);
        match self.carry_out(&key, change).await {
            Ok(()) => self.failures = 0,
            Err(Refusal {
                code,
                message,
                unanswered,
            }) => {
                tracing::info!(export = %key, message, "The record of an export cannot be written.");
                let refused = self.shared.outbox.lock().nack(seq, code);
                match refused {
                    Refused::Outdated => {}
                    Refused::Held => {
                        self.failures = self.failures.saturating_add(1);
                        let soon = unanswered.then_some(UNANSWERED);
                        let wait = wait_to_repeat(soon, self.failures);
                        self.release.get_or_insert(Instant::now() + wait);
                    }
                    Refused::Final => self.shared.refused(key, code, &message),
                }
            }
        }
        // The number is settled either way.
        let removed = self.shared.outbox.lock().ack(seq);
        self.shared.removed(removed);
        self.shared.answered();
    }

    async fn carry_out(&self, key: &ExportKey, change: &ExportChange) -> Result<(), Refusal> {
        let cluster = &self.objects.cluster;
        let all = self.store.index().in_namespace(&member_namespace(cluster));
        let report = match change {
            Change::Remove(withdrawal) => {
                for record in services::withdraw(key, &withdrawal.service_uid, &all) {
                    self.delete(record).await?;
                }
                return Ok(());
            }
            Change::Set(report) => report,
        };
        let scope = Scope {
            cluster,
            traffic_manager: self.objects.traffic_manager,
        };
        let (replaces, name, object) = match services::report(scope, key, report, &all, None) {
            Step::Nothing(_) => return Ok(()),
            Step::Wait(going) => return Err(services::still_going(going)),
            Step::Apply { replaces, name, object } => (replaces, name, object),
        };
        if let Some(stale) = replaces
            && !self.delete(stale).await?
        {
            return Err(services::still_going(stale));
        }
        let at = ObjectKey::namespaced(&member_namespace(cluster), &name);
        let applied = self.store.apply(&at, &object, services::surplus).await;
        applied.map_err(|error| Refusal::of_answer(error.code(), error.to_string()))?;
        Ok(())
    }

    /// Deletes the records that stand for no export of this member.
    async fn clean(&self, kept: &BTreeSet<ExportKey>) {
        for record in self
            .store
            .index()
            .in_namespace(&member_namespace(&self.objects.cluster))
        {
            let exported = {
                let outbox = self.shared.outbox.lock();
                kept.contains(&record.key) || outbox.is_known(&record.key) || outbox.is_removing(&record.key)
            };
            if exported || record.deleting {
                continue;
            }
            if let Err(Refusal { message, .. }) = self.delete(&record).await {
                tracing::warn!(
                    record = record.name,
                    message,
                    "A record that stands for no export is still there."
                );
                self.changed.lock().insert(record.key.clone());
            }
        }
    }

    /// Deletes a record. Returns whether it is gone already. A deletion is right whatever the API server says of it now:
    /// it is tried until it succeeds.
    async fn delete(&self, record: &Record) -> Result<bool, Refusal> {
        let at = ObjectKey::namespaced(&member_namespace(&record.cluster), &record.name);
        let deleted = self.store.delete(&at, &record.uid, record.ours).await;
        deleted.map_err(|error| match error.code() {
            Some(_) => Refusal::unavailable(error.to_string()),
            None => Refusal::unanswered(error.to_string()),
        })
    }
}
