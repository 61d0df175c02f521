//! One pass over a Work: prepare, apply wave by wave, report (member-behaviour 4.2).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use api::condition;
use api::kinds;
use api::placement::v1beta1::WorkStatus;
use api::text::conditions::work as types;
use api::text::reasons::manifest as reasons;
use fairway_core::apply::{
    self, Answer, Entry, Failure, FailureKind, Finding, Identity, ManifestResult, Next, Owner, Pipeline, Record,
    Request, ResultType, Subject, Terms, Work, WriteHistory,
};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use kit::queue::Action;
use kit::{Error, ObjectKey};
use serde_json::Value;

use super::handover::{self, PlacementWorks};
use super::namespaces;
use super::preconditions::Preconditions;
use super::unwatched;
use super::work_state::{Need, PassResult};
use super::{Applier, Item, MANIFESTS_AT_ONCE};
use crate::member::ObjectRef;

/// Requests for one manifest in one pass at most; the longest way through a pipeline takes fewer than ten.
const MAX_REQUESTS: usize = 64;

/// How soon a kind that the Work itself defines is looked for again.
const DEFINITION_PENDING: Duration = Duration::from_millis(500);

impl Applier {
    pub(super) async fn pass(&self, key: &ObjectKey, item: &Item) -> Result<Action, Error> {
        let taken = item.manifests.lock().take();
        let manifests = match taken {
            Some(manifests) => manifests,
            None => match self.fetch(key, &item.work).await? {
                Some(manifests) => manifests,
                // It has changed: the watch delivers that and causes the next turn.
                None => return Ok(Action::Retry),
            },
        };
        let work = &item.work;
        let mut records: Vec<_> = manifests
            .into_iter()
            .enumerate()
            .map(|(n, m)| Record::decode(n, m))
            .collect();
        self.map_kinds(&mut records).await;
        let ended = self.process(key, work, &mut records).await;
        let fine = matches!(&ended, Ok((_, true)));
        self.put_back(key, work, records, fine);
        ended.map(|(outcome, _)| outcome)
    }

    /// The manifests of this generation of a Work, from the hub.
    async fn fetch(&self, key: &ObjectKey, work: &Work) -> Result<Option<Vec<Value>>, Error> {
        let object = match self.hub.get(&kinds::WORK, key).await {
            Ok(object) => object,
            Err(err) if err.is_not_found() => return Ok(None),
            Err(err) => return Err(err),
        };
        let fresh = Work::decode(object).map_err(|err| Error::Answer {
            what: format!("get Work {key}"),
            cause: err.to_string(),
        })?;
        Ok((fresh.uid == work.uid && fresh.generation == work.generation).then_some(fresh.manifests))
    }

    /// Keeps the manifests in state while the Work needs attention, and drops them once it is fine.
    fn put_back(&self, key: &ObjectKey, work: &Work, records: Vec<Record>, fine: bool) {
        let Some(current) = self.works.get(key) else { return };
        if current.work.uid != work.uid || current.work.generation != work.generation {
            return;
        }
        let manifests = (!fine).then(|| records.into_iter().map(|record| record.manifest).collect());
        *current.manifests.lock() = manifests;
    }

    /// Finds the resources of all records that have none yet. One discovery request is sent for each kind.
    async fn map_kinds(&self, records: &mut [Record]) {
        let mut missing: BTreeMap<[String; 3], String> = BTreeMap::new();
        for record in records.iter_mut().filter(|record| record.is_unmapped()) {
            let Some(identity) = &record.identity else { continue };
            let kind = [&identity.group, &identity.version, &identity.kind].map(Clone::clone);
            if let Some(why) = missing.get(&kind) {
                record.not_found(why);
                continue;
            }
            match self.mapper.find(identity).await {
                Ok(resource) => record.found(resource),
                Err(why) => {
                    let why = why.to_string();
                    record.not_found(&why);
                    missing.insert(kind, why);
                }
            }
        }
        apply::refuse_nameless_and_duplicates(records);
    }

    /// Everything between reading the manifests and the next look. Answers also whether all is as wanted.
    async fn process(&self, key: &ObjectKey, work: &Work, records: &mut [Record]) -> Result<(Action, bool), Error> {
        let placement_works = self.placement_works(work);
        let (applied_work, status, kept) = match self.prepare(key, work, records, &placement_works).await? {
            Preconditions::Met {
                applied_work,
                status,
                kept,
            } => (applied_work, status, kept),
            Preconditions::Wait(wait) => return Ok((Action::After(wait), false)),
        };
        let terms = Terms {
            owner: Owner {
                name: applied_work.name.clone(),
                uid: applied_work.uid.clone(),
            },
            strategy: work.strategy.clone(),
            mirror: work.mirror,
        };
        self.placed.register(&work.name, object_refs(records), work.mirror);
        let mut ends = self
            .apply_in_waves((work, &placement_works), &terms, &status, records)
            .await;
        let mut entries: Vec<_> = records
            .iter()
            .map(|record| Entry {
                identifier: record.identifier(),
                outcome: end_of(record, &mut ends),
            })
            .collect();
        for (entry, record) in entries.iter_mut().zip(&*records) {
            if let Some(object_ref) = object_ref_of(record) {
                self.placed.refresh_entry(entry, &object_ref, work.mirror);
            }
        }
        let subject = Subject::of(work);
        let mut report = apply::report(&subject, &status, &entries, &self.now());
        let refused = self.placed.refused_kinds(&work.name);
        unwatched::note(&mut report, &refused, subject.generation, &self.now());
        let only_reports = subject.only_reports;
        let keeps = !kept.is_empty();
        let result = PassResult {
            subject,
            entries: entries.clone(),
            kept,
            owner: terms.owner.uid.clone(),
        };
        self.work_states.note_result(&work.name, result);
        if report.must_write {
            self.write_status(key, work, &report.status).await?;
        }
        if only_reports {
            // Nothing was recorded beforehand, so what is owned is recorded at once.
            self.record_applied(&applied_work, true, &entries, &[]).await?;
        }
        self.counters.pass(&report.status, work.generation);
        let fine = is_fine(&report.status, work.generation);
        let finding = Finding {
            generation: work.generation,
            results: digest(&entries),
            fine,
        };
        let mut wait = self
            .work_states
            .finish_pass(&work.name, &self.settings.requeue, &finding);
        self.pending.add(&work.name);
        if let Some(soon) = entries.iter().filter_map(|entry| entry.outcome.look_again).min() {
            wait = wait.min(soon);
            self.work_states.bring_forward(&work.name, wait);
        }
        if defines_unmapped(records) {
            wait = wait.min(DEFINITION_PENDING);
            self.work_states.bring_forward(&work.name, wait);
        }
        wait = wait.min(self.hand_over(work, &placement_works, keeps, &entries));
        self.enqueue_waiting_for_namespaces(&entries);
        if self.waits_no_longer(&work.name, &entries).await {
            self.work_states.bring_forward(&work.name, Duration::ZERO);
            wait = Duration::ZERO;
        }
        // Changes that arrived while the pass was going on woke nobody.
        for (entry, record) in entries.iter_mut().zip(&*records) {
            if let Some(object_ref) = object_ref_of(record) {
                self.enqueue_changed(&work.name, self.placed.refresh_entry(entry, &object_ref, work.mirror));
            }
        }
        Ok((Action::After(wait), fine))
    }

    /// Enqueues Works whose objects were taken, and notes whether this one waits for others. Answers when the next pass is due.
    fn hand_over(&self, work: &Work, placement_works: &PlacementWorks, keeps: bool, entries: &[Entry]) -> Duration {
        let is_owned = |entry: &Entry| entry.outcome.live.as_ref().is_some_and(|live| live.owned);
        let owned = entries.iter().enumerate().filter(|(_, entry)| is_owned(entry));
        self.enqueue_waiting(work, &placement_works.yielded(owned.map(|(ordinal, _)| ordinal)));
        let waits = keeps || placement_works.is_refused();
        let has_changed = self.handovers.wait(work, waits, placement_works.changes);
        let wait = match (has_changed, keeps) {
            (true, _) => Duration::ZERO,
            (false, true) => handover::LOOK_AGAIN,
            (false, false) => return Duration::MAX,
        };
        self.work_states.bring_forward(&work.name, wait);
        wait
    }

    /// Enqueues the Works that waited for a namespace that this pass created.
    fn enqueue_waiting_for_namespaces(&self, entries: &[Entry]) {
        for work in self.waiting.take(&namespaces::brought(entries)) {
            self.work_states.need(&work, Need::Pass);
            self.queue.add(work);
        }
    }

    /// Notes for which namespaces a Work waits. Answers whether one of them exists already.
    async fn waits_no_longer(&self, work: &str, entries: &[Entry]) -> bool {
        let missing = namespaces::missing(entries);
        self.waiting.set(work, &missing);
        for namespace in &missing {
            let found = self
                .member
                .writer()
                .get(&kinds::NAMESPACE, &ObjectKey::cluster(namespace))
                .await;
            if found.is_ok() {
                return true;
            }
        }
        false
    }

    /// Applies the records in ascending waves; what depends on definitions of an earlier wave is found in between.
    async fn apply_in_waves(
        &self,
        among: (&Work, &PlacementWorks),
        terms: &Terms,
        status: &WorkStatus,
        records: &mut [Record],
    ) -> BTreeMap<usize, ManifestResult> {
        let seen = seen(status);
        let histories = self.work_states.histories(&terms.owner.name);
        let mut ends = BTreeMap::new();
        // Each round ends one record at least.
        for _ in 0..=records.len() {
            let open = |record: &&Record| record.refusal.is_none() && !ends.contains_key(&record.ordinal);
            let wave_of = |record: &Record| {
                record
                    .resource
                    .as_ref()
                    .filter(|_| !terms.strategy.only_reports())
                    .map_or(0, |r| apply::wave(&r.group, &r.plural))
            };
            let Some(wave) = records.iter().filter(open).map(wave_of).min() else {
                return ends;
            };
            let current: Vec<_> = records
                .iter()
                .filter(open)
                .filter(|record| wave_of(record) == wave)
                .collect();
            let defines = current.iter().any(|record| is_definition(record));
            let work: Vec<_> = current
                .into_iter()
                .filter_map(|record| {
                    let object_ref = object_ref_of(record)?;
                    let unseen = record.identity.as_ref().is_none_or(|identity| !seen.contains(identity));
                    let history = record.identity.as_ref().and_then(|identity| histories.get(identity));
                    let history = history.cloned().unwrap_or_default();
                    Some(
                        async move {
                            let end = self
                                .run_pipeline(among, terms, record, (&object_ref, unseen, history))
                                .await;
                            (record.ordinal, end)
                        }
                        .boxed(),
                    )
                })
                .collect();
            let done: Vec<_> = stream::iter(work).buffer_unordered(MANIFESTS_AT_ONCE).collect().await;
            ends.extend(done);
            if defines && records.iter().any(Record::is_unmapped) {
                self.map_kinds(records).await;
            }
        }
        tracing::error!(
            owner = terms.owner.name,
            "A pass does not come to an end; what is left is reported as failed."
        );
        ends
    }

    async fn run_pipeline(
        &self,
        (work, placement_works): (&Work, &PlacementWorks),
        terms: &Terms,
        record: &Record,
        (object_ref, unseen, history): (&ObjectRef, bool, WriteHistory),
    ) -> ManifestResult {
        let object = record.identity.clone().unwrap_or_default();
        let mut pipeline = Pipeline::new(terms, &record.manifest, &object_ref.resource, history, self.clock.now());
        let first = pipeline.start(unseen);
        let target = (record.ordinal, &object, object_ref);
        let decide = |answer| pipeline.answer(answer);
        if let Some(end) = self.drive((work, placement_works), target, first, decide).await {
            return end;
        }
        let reason = format!("the manifest is not applied after {MAX_REQUESTS} requests");
        tracing::error!(
            owner = terms.owner.name,
            ordinal = record.ordinal,
            reason,
            "A manifest is given up for now."
        );
        ManifestResult::new(ResultType::ManifestApplyFailed, reason)
    }

    /// Sends requests and hands in their answers until a manifest is done. `None` when [`MAX_REQUESTS`] do not suffice.
    async fn drive(
        &self,
        (work, placement_works): (&Work, &PlacementWorks),
        (ordinal, object, object_ref): (usize, &Identity, &ObjectRef),
        mut next: Next,
        mut decide: impl FnMut(Answer) -> Next + Send,
    ) -> Option<ManifestResult> {
        for _ in 0..MAX_REQUESTS {
            let answer = match next {
                Next::Done(end) => return Some(end),
                Next::Send(Request::Works(names)) => {
                    match self.claims(work, placement_works, (ordinal, object), names).await {
                        Ok(claims) => Answer::Works(claims),
                        Err(err) => Answer::Failed(Failure {
                            kind: FailureKind::Other,
                            message: err.to_string(),
                        }),
                    }
                }
                Next::Send(request) => self.member.send(object_ref, request).await,
            };
            next = decide(answer);
        }
        None
    }
}

fn object_ref_of(record: &Record) -> Option<ObjectRef> {
    Some(ObjectRef::new(record.resource.as_ref()?, record.identity.as_ref()?)).filter(|_| record.refusal.is_none())
}

fn object_refs(records: &[Record]) -> BTreeSet<ObjectRef> {
    records.iter().filter_map(object_ref_of).collect()
}

/// The end of a record: its pipeline's, or its refusal.
fn end_of(record: &Record, ends: &mut BTreeMap<usize, ManifestResult>) -> ManifestResult {
    ends.remove(&record.ordinal).unwrap_or_else(|| match &record.refusal {
        Some(refusal) => ManifestResult::new(refusal.result, refusal.error.clone()),
        None => ManifestResult::new(ResultType::ManifestApplyFailed, "the manifest was not processed"),
    })
}

/// Identities whose objects were applied before, so that they most likely exist.
fn seen(status: &WorkStatus) -> BTreeSet<Identity> {
    let is_new = |conditions: &[api::Condition]| {
        condition::find(conditions, types::APPLIED).is_some_and(|c| c.reason == reasons::PREPARING_TO_PROCESS)
    };
    let entries = status
        .manifest_conditions
        .iter()
        .filter(|entry| !is_new(&entry.conditions));
    entries.filter_map(|entry| Identity::of(&entry.identifier)).collect()
}

fn is_definition(record: &Record) -> bool {
    record
        .resource
        .as_ref()
        .is_some_and(|r| r.group == "apiextensions.k8s.io" && r.plural == "customresourcedefinitions")
}

/// Whether a definition in the Work itself will serve a record that cannot be mapped yet.
fn defines_unmapped(records: &[Record]) -> bool {
    let names = |record: &Record, path: &str| record.manifest.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let defined: BTreeSet<_> = records
        .iter()
        .filter(|record| is_definition(record))
        .filter_map(|record| Some((names(record, "/spec/group")?, names(record, "/spec/names/kind")?)))
        .collect();
    let unmapped = records
        .iter()
        .filter(|record| record.is_unmapped())
        .filter_map(|record| record.identity.as_ref());
    unmapped
        .into_iter()
        .any(|identity| defined.contains(&(identity.group.clone(), identity.kind.clone())))
}

/// Whether the Work is available, or has reported its differences.
pub(super) fn is_fine(status: &WorkStatus, generation: i64) -> bool {
    [types::AVAILABLE, types::DIFF_REPORTED]
        .iter()
        .any(|kind| condition::is_true(&status.conditions, kind, generation))
}

/// Digest of all results, to notice that something has changed.
pub(super) fn digest(entries: &[Entry]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for Entry { outcome, .. } in entries {
        (outcome.result.reason(), outcome.availability.word()).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::args::Settings;
    use crate::member::Member;
    use crate::metrics::Counters;
    use crate::works::Parts;
    use kit::clock::Clock;
    use kit::metrics::Metrics;
    use kit::writer::Writer;
    use serde_json::json;

    /// An applier that knows no objects, and a Work of one ConfigMap.
    fn applier() -> (Arc<Applier>, Work, Record) {
        let client = apiserver::ApiServer::builder().build().unwrap().client();
        let writer = Writer::new(client.clone(), Duration::from_secs(1));
        let applier = Applier::new(Parts {
            namespace: "fleet-member-m".to_owned(),
            hub: writer.clone(),
            member: Member::new(client, writer),
            clock: Clock::System,
            settings: Settings::default(),
            counters: Counters::new(&Metrics::new().unwrap()).unwrap(),
        });
        let work = Work::decode(json!({"metadata": {"name": "w", "namespace": "fleet-member-m", "uid": "u"}})).unwrap();
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}});
        (applier, work, Record::decode(0, manifest))
    }

    #[tokio::test]
    async fn a_record_that_no_wave_ends_does_not_keep_a_pass_from_its_end() {
        let (applier, work, record) = applier();
        let placement_works = applier.placement_works(&work);
        let terms = Terms {
            owner: Owner {
                name: "w".to_owned(),
                uid: "o".to_owned(),
            },
            strategy: work.strategy.clone(),
            mirror: false,
        };
        // Nobody has looked for its resource, so there is nothing to send and no refusal either.
        let mut records = vec![record];
        let status = WorkStatus::default();
        let mut ends = applier
            .apply_in_waves((&work, &placement_works), &terms, &status, &mut records)
            .await;
        assert!(ends.is_empty(), "{ends:?}");
        let end = end_of(&records[0], &mut ends);
        assert_eq!(end.result, ResultType::ManifestApplyFailed);
    }

    #[tokio::test]
    async fn requests_for_one_manifest_are_bounded() {
        let (applier, work, record) = applier();
        let placement_works = applier.placement_works(&work);
        let object = record.identity.unwrap();
        let resource = apply::Resource {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            plural: "configmaps".to_owned(),
            namespaced: true,
        };
        let object_ref = ObjectRef::new(&resource, &object);
        let again = || Next::Send(Request::Works(Vec::new()));
        let mut answers = 0;
        let endless = |_| {
            answers += 1;
            again()
        };
        let end = applier
            .drive((&work, &placement_works), (0, &object, &object_ref), again(), endless)
            .await;
        assert!(end.is_none(), "{end:?}");
        assert_eq!(answers, MAX_REQUESTS);
    }

    #[test]
    fn own_definitions_are_recognised() {
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "odds.x.io"},
            "spec": {"group": "x.io", "names": {"kind": "Odd"}}});
        let odd = |group: &str| json!({"apiVersion": format!("{group}/v1"), "kind": "Odd", "metadata": {"name": "a"}});
        let records = |other: Value| {
            let mut records = vec![Record::decode(0, crd.clone()), Record::decode(1, other)];
            records[0].found(apply::Resource {
                group: "apiextensions.k8s.io".into(),
                version: "v1".into(),
                kind: "CustomResourceDefinition".into(),
                plural: "customresourcedefinitions".into(),
                namespaced: false,
            });
            records[1].not_found("no match");
            records
        };
        assert!(defines_unmapped(&records(odd("x.io"))));
        assert!(!defines_unmapped(&records(odd("y.io"))));
    }
}
