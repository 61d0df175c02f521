//! Follows ServiceExports and their Services: keeps conditions and finalizers as decided, and the outbox filled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::condition::{self, Condition, ConditionStatus};
use api::text::{conditions, finalizers, groups};
use fairway_core::exports::{self, ExportEvent, ExportView, Finalizer, LinkStep, ServiceView, decide};
use fairway_core::services::{Conflict, ExportKey, WithdrawReason, Withdrawal};
use futures::StreamExt;
use jiff::Timestamp;
use kit::backoff::Backoff;
use kit::clock::Clock;
use kit::events::{Event, Recorder};
use kit::index::Index;
use kit::queue::{Action, Queue, work};
use kit::writer::{Answer, Deletion, Patch, Writer};
use kit::{ObjectKey, Resource};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::departure::{Departure, Stage};
use super::shared::{HubAnswer, Shared};
use super::traffic::{Facts, Traffic};

const EXPORTS: Resource = Resource::namespaced(groups::NETWORKING, "v1beta1", "ServiceExport", "serviceexports");
const SERVICES: Resource = Resource::namespaced("", "v1", "Service", "services");
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
const WORKERS: usize = 4;
/// Name of the controller in metrics; dashboards know it.
const CONTROLLER: &str = "serviceexport";

/// The queue of exports.
pub(super) fn queue() -> Queue<ExportKey> {
    Queue::new(Backoff::new(Duration::from_millis(50), Duration::from_secs(60)))
}

/// The controller of this member's exports.
pub(super) struct Exports {
    shared: Arc<Shared>,
    writer: Writer,
    departure: Arc<Departure>,
    recorder: Recorder,
    clock: Clock,
    /// Name of the cluster, for figures.
    cluster: String,
    /// When the present version of each exported Service was first seen (networking 9.1: kept in memory).
    since: Mutex<BTreeMap<ExportKey, Sight>>,
}

/// The first sight of a version of a Service.
struct Sight {
    uid: String,
    version: String,
    since: Timestamp,
    /// How long its export took is known.
    counted: bool,
}

/// What decisions read.
struct Seen {
    exports: Arc<Index<ExportView>>,
    services: Arc<Index<ServiceView>>,
    /// What is reported for traffic, when it is.
    traffic: Option<Arc<Facts>>,
}

impl Exports {
    pub(super) fn new(shared: Arc<Shared>, cluster: String, parts: &Parts) -> Self {
        Self {
            shared,
            writer: Writer::new(parts.member.clone(), WRITE_DEADLINE),
            departure: Arc::clone(&parts.departure),
            recorder: parts.recorder.clone(),
            clock: parts.clock,
            cluster,
            since: Mutex::default(),
        }
    }

    /// Runs until `stop`. `ready` turns true once every export has been looked at.
    pub(super) async fn run(
        self,
        parts: Parts,
        queue: Queue<ExportKey>,
        ready: watch::Sender<bool>,
        stop: CancellationToken,
    ) {
        let seen = Arc::new(indexes(&queue, parts.traffic, &self.cluster));
        let client = parts.member;
        let watches = async {
            let traffic = async {
                if let Some(facts) = &seen.traffic {
                    Box::pin(facts.run(client.clone(), stop.clone())).await;
                }
            };
            let exports = seen.exports.run(client.clone(), stop.clone());
            let services = seen.services.run(client.clone(), stop.clone());
            tokio::join!(exports, services, traffic);
        };
        let this = Arc::new(self);
        let decide = async {
            let known = async {
                seen.exports.synced().await;
                seen.services.synced().await;
                if let Some(facts) = &seen.traffic {
                    facts.prepared().await;
                }
            };
            if stop.run_until_cancelled(known).await.is_none() {
                return;
            }
            let first: Vec<ExportKey> = seen.exports.all().iter().map(|export| export.key.clone()).collect();
            {
                // Until an export has been judged, a full sync must not withdraw it by leaving it out.
                let mut outbox = this.shared.outbox.lock();
                first.iter().for_each(|key| outbox.keep(key.clone()));
            }
            let looks = futures::stream::iter(first).for_each_concurrent(WORKERS, |key| {
                let (this, seen, queue) = (Arc::clone(&this), Arc::clone(&seen), queue.clone());
                async move {
                    if matches!(this.look(&seen, &key).await, Action::Retry | Action::RetryAfter(_)) {
                        queue.add(key);
                    }
                }
            });
            if stop.run_until_cancelled(looks).await.is_none() {
                return;
            }
            ready.send_replace(true);
            queue.retry_after_outages_of(this.writer.client()).await;
            let everybody = async {
                this.follow_departure(&seen, &queue).await;
                stop.cancelled().await;
            };
            let worked = work(&queue, WORKERS, &stop, |key| {
                let (this, seen, waiting) = (Arc::clone(&this), Arc::clone(&seen), queue.len());
                async move {
                    let looks = this.shared.metrics.looks.as_ref();
                    let begun = looks.map(|looks| looks.begin(CONTROLLER, waiting));
                    let outcome = this.look(&seen, &key).await;
                    if let Some((looks, begun)) = looks.zip(begun) {
                        looks.end(CONTROLLER, begun, waiting, outcome);
                    }
                    outcome
                }
            });
            tokio::join!(everybody, worked);
        };
        let decide = async {
            tokio::select! { () = decide => {}, () = stop.cancelled() => {} }
        };
        tokio::join!(watches, decide);
    }

    /// Has everything looked at again whenever the cluster begins to leave, has left, or stays after all.
    async fn follow_departure(&self, seen: &Seen, queue: &Queue<ExportKey>) {
        let mut stages = self.departure.stages();
        // Everything was just looked at as the exports of a member.
        let mut known = Stage::Member;
        loop {
            let stage = *stages.borrow_and_update();
            if stage != known {
                known = stage;
                let all: BTreeSet<ExportKey> = seen.exports.all().iter().map(|export| export.key.clone()).collect();
                if stage == Stage::Leaving {
                    self.departure.begin(all.clone(), self.open_withdrawals(seen));
                }
                all.into_iter().for_each(|key| queue.add(key));
            }
            if stages.changed().await.is_err() {
                return;
            }
        }
    }

    /// Exports that are still there, and withdrawals that the hub has not acknowledged.
    fn open_withdrawals(&self, seen: &Seen) -> usize {
        seen.exports.len() + self.shared.outbox.lock().open_removals()
    }

    async fn look(&self, seen: &Seen, key: &ExportKey) -> Action {
        match self.reconcile(seen, key).await {
            Err(error) if !error.is_not_found() => {
                tracing::info!(export = %key, %error, "A ServiceExport is looked at again later.");
                error.retry_after().map_or(Action::Retry, Action::RetryAfter)
            }
            Ok(()) | Err(_) => {
                if self.departure.stage() != Stage::Member {
                    self.departure.looked(key, self.open_withdrawals(seen));
                }
                Action::Done
            }
        }
    }

    async fn reconcile(&self, seen: &Seen, key: &ExportKey) -> Result<(), kit::Error> {
        let object_key = ObjectKey::namespaced(&key.namespace, &key.name);
        let Some(export) = seen.exports.get(&object_key) else {
            if let Some(facts) = &seen.traffic {
                facts.forget(key);
            }
            self.vanished(key);
            return Ok(());
        };
        let service = seen.services.get(&object_key);
        let now = self.clock.now();
        let since = self.seen_since(&export, service.as_deref(), now);
        let stage = self.departure.stage();
        if stage == Stage::Leaving && !export.deleting {
            // A cluster that leaves keeps what was placed, but not the fleet's own kinds (networking 11).
            return self.remove(seen, &object_key, &export).await;
        }
        let decision = decide(&export, service.as_deref(), stage != Stage::Member, since, now);
        let decision = match &seen.traffic {
            Some(facts) => facts.add_to(decision, key, service.as_deref(), now),
            None => decision.without_traffic(),
        };
        let mut export = ExportView::clone(&export);
        if decision.finalizer == Finalizer::Add {
            let mut all = export.finalizers.clone();
            all.push(finalizers::SERVICE_EXPORT.to_owned());
            self.set_finalizers(seen, &object_key, &mut export, &all).await?;
        }
        // The report goes first: the hub must not wait for a status that cannot be written.
        self.send_to_hub(&export, &decision.link);
        let mut events = decision.events;
        let mut wanted = decision.conditions;
        let mut shown = None;
        if !matches!(decision.link, LinkStep::Withdraw(_)) && export.has_finalizer() {
            let uid = service.as_deref().map(|service| service.uid.as_str());
            shown = self.show_answer(uid, &mut export, &mut wanted, &mut events, now);
        }
        if let Some(conditions) = wanted {
            self.set_conditions(seen, &object_key, &mut export, &conditions).await?;
            events
                .into_iter()
                .for_each(|event| self.record(&object_key, &export.uid, event));
        }
        if let Some(seq) = shown {
            self.shown(key, seq);
        }
        // The records of a cluster that has left go with its namespace, whether or not the hub could say so.
        let may_go = || stage == Stage::Left || self.shared.outbox.lock().is_removed(key);
        if decision.finalizer == Finalizer::RemoveOnceWithdrawn && may_go() {
            self.shared.answers.lock().remove(key);
            let mut others = export.finalizers.clone();
            others.retain(|name| name != finalizers::SERVICE_EXPORT);
            self.set_finalizers(seen, &object_key, &mut export, &others).await?;
        }
        Ok(())
    }

    /// Puts into the outbox what the hub is to know.
    fn send_to_hub(&self, export: &ExportView, link: &LinkStep) {
        let key = &export.key;
        let mut outbox = self.shared.outbox.lock();
        let changed = match link {
            LinkStep::Keep => {
                if export.has_finalizer() {
                    outbox.keep(key.clone());
                } else {
                    outbox.forget(key);
                }
                false
            }
            LinkStep::Report(report) => outbox.set(key.clone(), report.clone()),
            LinkStep::Withdraw(withdrawal) => {
                let new = !outbox.is_removing(key) && !outbox.is_removed(key);
                if new {
                    outbox.remove(key.clone(), withdrawal.clone());
                }
                new
            }
        };
        drop(outbox);
        if changed {
            self.shared.waits(key.clone(), self.clock.now());
        }
    }

    /// Users see a verdict: the hub need not send it again.
    fn shown(&self, key: &ExportKey, seq: u64) {
        if let Some(HubAnswer::Verdict {
            seq: newest,
            acknowledged,
            verdict,
        }) = self.shared.answers.lock().get_mut(key)
            && *newest == seq
            && !*acknowledged
        {
            *acknowledged = true;
            self.shared.shown.lock().insert(key.clone(), seq);
            self.shared.wake.notify_one();
            if verdict.conflict != Conflict::Unknown {
                self.count(key);
            }
        }
    }

    /// An export that went without us: somebody took our finalizer away.
    fn vanished(&self, key: &ExportKey) {
        self.since.lock().remove(key);
        self.shared.answers.lock().remove(key);
        let mut outbox = self.shared.outbox.lock();
        if outbox.is_known(key) {
            let withdrawal = Withdrawal {
                service_uid: String::new(),
                reason: WithdrawReason::ExportDeleted,
            };
            outbox.remove(key.clone(), withdrawal);
            drop(outbox);
            self.shared.waits(key.clone(), self.clock.now());
        } else {
            outbox.forget(key);
        }
    }

    fn seen_since(&self, export: &ExportView, service: Option<&ServiceView>, now: Timestamp) -> Timestamp {
        let Some(service) = service else { return now };
        let mut all = self.since.lock();
        let known = all.get(&export.key);
        if let Some(sight) = known
            && sight.uid == service.uid
            && sight.version == service.resource_version
        {
            return sight.since;
        }
        // Of what was judged before this process began nobody knows how long it took.
        let judged = condition::find(&export.conditions, conditions::networking::CONFLICT)
            .is_some_and(|conflict| conflict.status != ConditionStatus::Unknown);
        let sight = Sight {
            uid: service.uid.clone(),
            version: service.resource_version.clone(),
            since: now,
            counted: known.is_none() && judged,
        };
        all.insert(export.key.clone(), sight);
        now
    }

    /// Counts how long an export took, once for each version of its Service.
    fn count(&self, key: &ExportKey) {
        if let Some(sight) = self.since.lock().get_mut(key)
            && !sight.counted
        {
            sight.counted = true;
            let took = self.clock.now().duration_since(sight.since).as_millis();
            let took = i64::try_from(took).unwrap_or(i64::MAX);
            self.shared.metrics.exported_within(&self.cluster, took);
        }
    }

    /// Adds what the hub answered to the conditions that are to be written. Returns the verdict to acknowledge. A verdict on
    /// another Service of that name says nothing about the present one, whose uid is given.
    fn show_answer(
        &self,
        uid: Option<&str>,
        export: &mut ExportView,
        wanted: &mut Option<Vec<Condition>>,
        events: &mut Vec<ExportEvent>,
        now: Timestamp,
    ) -> Option<u64> {
        let answer = self.shared.answers.lock().get(&export.key).cloned()?;
        if let Some(conditions) = wanted {
            export.conditions.clone_from(conditions);
        }
        let (change, seq) = match &answer {
            HubAnswer::Verdict { verdict, .. } if uid != Some(verdict.service_uid.as_str()) => return None,
            HubAnswer::Verdict { seq, verdict, .. } => (exports::verdict(export, verdict, now), Some(*seq)),
            HubAnswer::Refused(why) => (exports::refused(export, why, now), None),
        };
        if let Some((conditions, event)) = change {
            *wanted = Some(conditions);
            events.push(event);
        }
        seq
    }

    /// Deletes a ServiceExport. While our finalizer holds it, the next look withdraws it from the hub.
    async fn remove(&self, seen: &Seen, object_key: &ObjectKey, export: &ExportView) -> Result<(), kit::Error> {
        let how = Deletion {
            uid: Some(&export.uid),
            ..Deletion::default()
        };
        match self.writer.delete(&EXPORTS, object_key, how).await? {
            Answer::Gone(_) => seen.exports.fold_deleted(object_key, Some(&export.uid)),
            Answer::Object(object) => {
                if let Err(reason) = seen.exports.fold(object) {
                    tracing::warn!(reason, "A deleted ServiceExport cannot be read back.");
                }
            }
        }
        Ok(())
    }

    async fn set_finalizers(
        &self,
        seen: &Seen,
        object_key: &ObjectKey,
        export: &mut ExportView,
        all: &[String],
    ) -> Result<(), kit::Error> {
        let body = json!({"metadata": {"resourceVersion": export.resource_version, "finalizers": all}});
        let answer = self
            .writer
            .patch(&EXPORTS, object_key, None, Patch::Merge, &body)
            .await?;
        self.take(seen, export, answer);
        Ok(())
    }

    async fn set_conditions(
        &self,
        seen: &Seen,
        object_key: &ObjectKey,
        export: &mut ExportView,
        conditions: &[Condition],
    ) -> Result<(), kit::Error> {
        let body = json!({
            "metadata": {"resourceVersion": export.resource_version},
            "status": {"conditions": conditions},
        });
        let answer = self
            .writer
            .patch(&EXPORTS, object_key, Some("status"), Patch::Merge, &body)
            .await?;
        self.take(seen, export, answer);
        Ok(())
    }

    fn take(&self, seen: &Seen, export: &mut ExportView, answer: Value) {
        *export = ExportView::from_value(&answer);
        if let Err(reason) = seen.exports.fold(answer) {
            tracing::warn!(reason, "A written ServiceExport cannot be read back.");
        }
    }

    fn record(&self, object_key: &ObjectKey, uid: &str, event: ExportEvent) {
        self.recorder.record(Event {
            api_version: EXPORTS.api_version(),
            kind: EXPORTS.kind.to_string(),
            key: object_key.clone(),
            uid: uid.to_owned(),
            warning: event.warning,
            reason: event.reason.to_owned(),
            message: event.note,
            component: event.source,
        });
    }
}

/// Indexes whose changes bring the export of that name back into the queue.
fn indexes(queue: &Queue<ExportKey>, traffic: Traffic, cluster: &str) -> Seen {
    let key = |object_key: &ObjectKey| ExportKey {
        namespace: object_key.namespace.clone().unwrap_or_default(),
        name: object_key.name.clone(),
    };
    let (of_export, of_service) = (queue.clone(), queue.clone());
    let exports = Index::builder(EXPORTS, |value| Ok(Some(ExportView::from_value(&value))))
        .on_change(move |change| of_export.add(key(&change.key)))
        .build();
    let known = Arc::clone(&exports);
    let services = Index::builder(SERVICES, |value| Ok(Some(ServiceView::from_value(&value))))
        .on_change(move |change| {
            // Most Services are not exported; a pass over them would find nothing to do.
            if known.get(&change.key).is_some() {
                of_service.add(key(&change.key));
            }
        })
        .build();
    let traffic = match traffic {
        Traffic::Off => None,
        Traffic::On(cloud) => {
            let exports = Arc::clone(&exports);
            Some(Facts::new(cloud, cluster.to_owned(), exports, queue.clone()))
        }
    };
    Seen {
        exports,
        services,
        traffic,
    }
}
