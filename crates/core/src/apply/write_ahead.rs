//! What must be on record before anything is applied, and which objects must go (member-behaviour 4.6).
//!
//! A crash between applying and reporting must never orphan an object: every manifest is recorded before it is applied, and
//! objects of manifests that are no longer wanted are found in that record. The record is an annotation of the AppliedWork,
//! which a first pass creates anyway; only what does not fit there is announced in the Work's status
//! (docs/decisions/0006).

use std::collections::{BTreeMap, BTreeSet};

use api::placement::v1beta1::{AppliedResourceMeta, ManifestCondition, WorkResourceIdentifier};
use api::text::{conditions::work as types, reasons::manifest as reasons};
use api::{Condition, ConditionStatus, Time};
use serde_json::Value;

use super::identity::{Identity, Record};
use super::owners::{self, Owner};
use super::work::{AppliedWork, Work, json_size};
use crate::meta;

/// Longest record that is kept as an annotation, in bytes of JSON: half of what the API allows all annotations together.
pub(super) const RECORD_LIMIT: usize = 128 * 1024;

/// Where the manifests of a pass are recorded before they are applied.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Announcement {
    /// They are on record already.
    #[default]
    Known,
    /// In the AppliedWork's annotation, as its new list.
    Held(Vec<AppliedResourceMeta>),
    /// In the statuses, because they are too many for an annotation.
    Statuses {
        /// New list of the Work's status; `None` when it is there already.
        conditions: Option<Vec<ManifestCondition>>,
        /// New list of the AppliedWork's status; `None` when it is there already.
        applied: Option<Vec<AppliedResourceMeta>>,
    },
}

/// What has to be written before the records are applied. `kept` are objects of earlier manifests that stay on record,
/// because they are to be handed over to another Work.
pub fn announcement(
    work: &Work,
    applied_work: &AppliedWork,
    records: &[Record],
    kept: &[WorkResourceIdentifier],
    now: &Time,
) -> Announcement {
    if work.strategy.only_reports() {
        return Announcement::Known;
    }
    let held_now = identities(applied_work.held.iter().map(|item| &item.identifier));
    let applied_now = identities(applied_work.applied.iter().map(|item| &item.identifier));
    let wanted: BTreeSet<_> = listed(records).filter_map(|record| record.identity.clone()).collect();
    let keeps = identities(kept.iter());
    let known = identities(recorded(work, applied_work));
    let is_outdated = held_now
        .iter()
        .any(|held| !wanted.contains(held) && !keeps.contains(held));
    let is_known = is_processed(work) || wanted.is_subset(&known);
    if is_known && !is_outdated && keeps.is_subset(&held_now) {
        return Announcement::Known;
    }
    let meta = |identifier: WorkResourceIdentifier| AppliedResourceMeta {
        identifier,
        uid: String::new(),
    };
    let all = listed(records).map(Record::identifier).chain(kept.iter().cloned());
    let held: Vec<_> = all.map(meta).collect();
    if json_size(&held) <= RECORD_LIMIT {
        return Announcement::Held(held);
    }
    let list = prepared_list(work, records, now);
    let conditions = (!is_processed(work) && list != work.status.manifest_conditions).then_some(list);
    let applied = (!keeps.is_subset(&applied_now)).then(|| {
        let missing = kept
            .iter()
            .filter(|k| Identity::of(k).is_some_and(|k| !applied_now.contains(&k)));
        let missing = missing.cloned().map(meta);
        applied_work.applied.iter().cloned().chain(missing).collect()
    });
    match (conditions, applied) {
        (None, None) => Announcement::Known,
        (conditions, applied) => Announcement::Statuses { conditions, applied },
    }
}

/// Whether the generation was applied and reported before.
fn is_processed(work: &Work) -> bool {
    api::condition::find(&work.status.conditions, types::APPLIED)
        .is_some_and(|condition| condition.observed_generation == work.generation)
}

fn identities<'a>(identifiers: impl Iterator<Item = &'a WorkResourceIdentifier>) -> BTreeSet<Identity> {
    identifiers.filter_map(Identity::of).collect()
}

/// Every object that a Work has or may have placed, wherever that is on record; some of them more than once.
pub fn recorded<'a>(work: &'a Work, applied_work: &'a AppliedWork) -> impl Iterator<Item = &'a WorkResourceIdentifier> {
    let entries = work.status.manifest_conditions.iter().map(|entry| &entry.identifier);
    let owned = applied_work.applied.iter().chain(&applied_work.held);
    entries.chain(owned.map(|item| &item.identifier))
}

/// Whether a record is to be listed: it can be applied, or will be once its kind is served.
fn is_listed(record: &&Record) -> bool {
    record.refusal.is_none() || record.is_unmapped()
}

fn listed(records: &[Record]) -> impl Iterator<Item = &Record> {
    records.iter().filter(is_listed)
}

fn prepared_list(work: &Work, records: &[Record], now: &Time) -> Vec<ManifestCondition> {
    let mut known = BTreeMap::new();
    for entry in &work.status.manifest_conditions {
        if let Some(identity) = Identity::of(&entry.identifier) {
            known.entry(identity).or_insert(entry);
        }
    }
    listed(records)
        .map(|record| {
            let old = record.identity.as_ref().and_then(|identity| known.get(identity));
            old.map_or_else(|| preparing(record, work.generation, now), |entry| (*entry).clone())
        })
        .collect()
}

fn preparing(record: &Record, generation: i64, now: &Time) -> ManifestCondition {
    let condition = Condition::new(
        types::APPLIED,
        ConditionStatus::False,
        reasons::PREPARING_TO_PROCESS,
        "The manifest is being prepared for processing.",
        generation,
        now.clone(),
    );
    ManifestCondition {
        identifier: record.identifier(),
        conditions: vec![condition],
        ..ManifestCondition::default()
    }
}

/// Everything that may exist because of an earlier state of the Work and is no longer wanted: objects to be released or
/// deleted, or kept for another Work. Each names its kind; the plural may be unknown.
///
/// All entries count, whatever their conditions say: the owner of the live object decides what may be removed. An object
/// that is wanted in another version of its API is the same object. Once the generation was processed, only what was kept
/// then is left, which is on record in the AppliedWork.
pub fn left_overs(work: &Work, applied_work: &AppliedWork, records: &[Record]) -> Vec<WorkResourceIdentifier> {
    if work.strategy.only_reports() {
        return Vec::new();
    }
    let wanted: BTreeSet<_> = records
        .iter()
        .filter_map(|record| Some(record.identity.clone()?.of_any_version()))
        .collect();
    let in_status = work.status.manifest_conditions.iter().map(|entry| &entry.identifier);
    let in_status = in_status.filter(|_| !is_processed(work));
    let metas = applied_work.applied.iter().chain(&applied_work.held);
    let mut found: BTreeMap<Identity, WorkResourceIdentifier> = BTreeMap::new();
    for identifier in in_status.chain(metas.map(|meta| &meta.identifier)) {
        let Some(identity) = Identity::of(identifier) else {
            continue;
        };
        if identity.name.is_empty() || identity.kind.is_empty() || wanted.contains(&identity.clone().of_any_version()) {
            continue;
        }
        let known = found.entry(identity).or_insert_with(|| identifier.clone());
        if known.resource.is_empty() {
            known.resource = identifier.resource.clone();
        }
    }
    found.into_values().collect()
}

/// How an object is let go.
#[derive(Debug, Clone, PartialEq)]
pub enum Release {
    /// It is not ours, or going already.
    Leave,
    /// Others own it too: replace it by this, without our reference.
    Disown(Value),
    /// Nobody else owns it: delete it if it is still the same and nobody has changed it, its owners for example.
    Delete {
        /// Identity of the incarnation that we saw.
        uid: String,
        /// Version that we saw.
        resource_version: String,
    },
}

/// How to let go of the live object of a left-over.
pub fn release(live: &Value, owner: &Owner) -> Release {
    let deleting = live
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|time| !time.is_null());
    if deleting || !owner.owns(live) {
        return Release::Leave;
    }
    let others = owner.others(live);
    if others.is_empty() {
        let text = |path: &str| meta::text(live, path).to_owned();
        return Release::Delete {
            uid: text("/metadata/uid"),
            resource_version: text("/metadata/resourceVersion"),
        };
    }
    Release::Disown(owners::with_references(live, others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::identity::{Resource, refuse_nameless_and_duplicates};
    use serde_json::json;

    fn now() -> Time {
        serde_json::from_value(json!("2025-01-01T00:00:00Z")).unwrap()
    }

    fn manifest(kind: &str, name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})
    }

    fn records(manifests: &[Value], unmapped: &str) -> Vec<Record> {
        let mut records: Vec<_> = manifests
            .iter()
            .cloned()
            .enumerate()
            .map(|(n, m)| Record::decode(n, m))
            .collect();
        for record in &mut records {
            let kind = record.identity.as_ref().map(|i| i.kind.clone()).unwrap_or_default();
            if kind == unmapped {
                record.not_found("no match");
            } else {
                let plural = format!("{}s", kind.to_lowercase());
                record.found(Resource {
                    group: String::new(),
                    version: "v1".into(),
                    kind,
                    plural,
                    namespaced: true,
                });
            }
        }
        refuse_nameless_and_duplicates(&mut records);
        records
    }

    fn entry(kind: &str, name: &str, resource: &str, reason: &str) -> Value {
        let mut conditions = vec![];
        if !reason.is_empty() {
            conditions.push(json!({"type": "Applied", "status": if reason == "Applied" { "True" } else { "False" }, "reason": reason,
                "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"}));
        }
        let mut identifier = json!({"ordinal": 9, "version": "v1", "kind": kind, "name": name});
        if !resource.is_empty() {
            identifier["resource"] = json!(resource);
        }
        json!({"identifier": identifier, "conditions": conditions})
    }

    fn work(generation: i64, applied_at: i64, entries: &[Value]) -> Work {
        Work::decode(json!({"metadata": {"name": "w", "generation": generation}, "status": {
            "conditions": [{"type": "Applied", "status": "True", "reason": "x", "message": "", "observedGeneration": applied_at,
                "lastTransitionTime": "2024-01-01T00:00:00Z"}],
            "manifestConditions": entries
        }}))
        .unwrap()
    }

    struct Plan {
        announcement: Announcement,
        left_overs: Vec<WorkResourceIdentifier>,
    }

    fn write_ahead(work: &Work, applied_work: &AppliedWork, records: &[Record], now: &Time) -> Plan {
        Plan {
            announcement: announcement(work, applied_work, records, &[], now),
            left_overs: left_overs(work, applied_work, records),
        }
    }

    impl Plan {
        fn is_nothing(&self) -> bool {
            self.announcement == Announcement::Known && self.left_overs.is_empty()
        }
    }

    fn names(held: &[AppliedResourceMeta]) -> Vec<&str> {
        held.iter().map(|item| item.identifier.name.as_str()).collect()
    }

    fn held(names: &[&str]) -> AppliedWork {
        let item = |name: &&str| json!({"ordinal": 0, "version": "v1", "kind": "ConfigMap", "name": name});
        AppliedWork {
            held: serde_json::from_value(names.iter().map(item).collect()).unwrap(),
            ..AppliedWork::default()
        }
    }

    #[test]
    fn new_manifests_are_recorded_before_they_are_applied() {
        let work = work(2, 1, &[entry("ConfigMap", "a", "configmaps", "Applied")]);
        let twice = records(
            &[
                manifest("ConfigMap", "b"),
                manifest("ConfigMap", "a"),
                manifest("ConfigMap", "a"),
                manifest("Odd", "o"),
            ],
            "Odd",
        );
        let plan = write_ahead(&work, &AppliedWork::default(), &twice, &now());
        let Announcement::Held(list) = plan.announcement else {
            panic!("they fit into the annotation");
        };
        assert_eq!(names(&list), ["b", "a", "o"], "the duplicate is left out");
        assert!(plan.left_overs.is_empty());
        let recorded = AppliedWork {
            held: list,
            ..AppliedWork::default()
        };
        assert!(write_ahead(&work, &recorded, &twice, &now()).is_nothing());
    }

    #[test]
    fn a_record_of_what_is_gone_is_replaced() {
        let entries = [
            entry("ConfigMap", "a", "configmaps", "Applied"),
            entry("ConfigMap", "b", "configmaps", "Applied"),
        ];
        let plan = write_ahead(
            &work(2, 1, &entries),
            &held(&["a", "b"]),
            &records(&[manifest("ConfigMap", "a")], ""),
            &now(),
        );
        assert!(matches!(plan.announcement, Announcement::Held(list) if names(&list) == ["a"]));
        assert_eq!(plan.left_overs.len(), 1);
    }

    #[test]
    fn what_is_too_long_for_an_annotation_is_announced_in_the_status() {
        let many: Vec<_> = (0..RECORD_LIMIT / 80)
            .map(|n| manifest("ConfigMap", &format!("config-{n:060}")))
            .collect();
        let many = records(&many, "");
        let mut work = work(2, 1, &[entry("ConfigMap", "a", "configmaps", "Applied")]);
        let plan = write_ahead(&work, &AppliedWork::default(), &many, &now());
        let Announcement::Statuses {
            conditions: Some(list),
            applied: None,
        } = plan.announcement
        else {
            panic!("they do not fit into the annotation");
        };
        assert_eq!(list.len(), many.len());
        assert_eq!(
            (
                list[0].conditions[0].reason.as_str(),
                list[0].conditions[0].observed_generation
            ),
            ("PreparingToProcess", 2)
        );
        work.status.manifest_conditions = list;
        let plan = write_ahead(&work, &AppliedWork::default(), &many, &now());
        assert_eq!(plan.announcement, Announcement::Known);
    }

    #[test]
    fn nothing_to_do_where_the_generation_was_processed_or_only_reported() {
        let entries = [entry("ConfigMap", "gone", "configmaps", "Applied")];
        let records = records(&[manifest("ConfigMap", "a")], "");
        assert!(write_ahead(&work(2, 2, &entries), &AppliedWork::default(), &records, &now()).is_nothing());
        let mut reports = work(2, 1, &entries);
        reports.strategy.apply = crate::apply::strategy::ApplyType::ReportDiff;
        assert!(write_ahead(&reports, &AppliedWork::default(), &records, &now()).is_nothing());
        let same = work(2, 1, &[entry("ConfigMap", "a", "configmaps", "Applied")]);
        assert!(write_ahead(&same, &AppliedWork::default(), &records, &now()).is_nothing());
    }

    #[test]
    fn what_is_kept_for_another_work_stays_on_record_until_it_is_taken() {
        let work_now = work(
            2,
            1,
            &[
                entry("ConfigMap", "a", "configmaps", "Applied"),
                entry("ConfigMap", "x", "configmaps", "Applied"),
            ],
        );
        let records = records(&[manifest("ConfigMap", "a")], "");
        let kept = left_overs(&work_now, &AppliedWork::default(), &records);
        assert_eq!(kept.len(), 1);
        let planned = announcement(&work_now, &AppliedWork::default(), &records, &kept, &now());
        let Announcement::Held(list) = planned else {
            panic!("the status that names it is about to be replaced: {planned:?}");
        };
        assert_eq!(names(&list), ["a", "x"]);
        // The pass has ended: the status says nothing of it any more.
        let later = work(2, 2, &[entry("ConfigMap", "a", "configmaps", "Applied")]);
        let applied_work = AppliedWork {
            held: list,
            ..AppliedWork::default()
        };
        assert_eq!(left_overs(&later, &applied_work, &records), kept);
        assert_eq!(
            announcement(&later, &applied_work, &records, &kept, &now()),
            Announcement::Known
        );
        // It was taken: nothing of it remains.
        let planned = announcement(&later, &applied_work, &records, &[], &now());
        assert!(matches!(planned, Announcement::Held(list) if names(&list) == ["a"]));
    }

    #[test]
    fn what_is_kept_goes_into_the_status_where_the_annotation_is_full() {
        let many: Vec<_> = (0..RECORD_LIMIT / 80)
            .map(|n| manifest("ConfigMap", &format!("config-{n:060}")))
            .collect();
        let records = records(&many, "");
        let work = work(2, 1, &[entry("ConfigMap", "x", "configmaps", "Applied")]);
        let kept = left_overs(&work, &AppliedWork::default(), &records);
        let planned = announcement(&work, &AppliedWork::default(), &records, &kept, &now());
        let Announcement::Statuses {
            conditions: Some(_),
            applied: Some(applied),
        } = planned
        else {
            panic!("both lists are new: {planned:?}");
        };
        assert_eq!(names(&applied), ["x"]);
    }

    #[test]
    fn an_object_in_another_version_is_no_left_over() {
        let mut old = entry("Deployment", "a", "deployments", "Applied");
        old["identifier"]["group"] = json!("apps");
        old["identifier"]["version"] = json!("v1beta2");
        let new = Record::decode(
            0,
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}),
        );
        let plan = write_ahead(&work(2, 1, &[old]), &AppliedWork::default(), &[new], &now());
        assert_eq!(plan.left_overs, []);
    }

    #[test]
    fn left_overs_come_from_every_entry_and_record() {
        let entries = [
            entry("ConfigMap", "applied", "configmaps", "Applied"),
            entry("ConfigMap", "prepared", "configmaps", "PreparingToProcess"),
            entry("ConfigMap", "drifted", "configmaps", "FoundDrifts"),
            entry("ConfigMap", "twice", "", "Applied"),
            entry("ConfigMap", "twice", "configmaps", "Duplicated"),
            entry("ConfigMap", "reported", "configmaps", ""),
            entry("ConfigMap", "kept", "configmaps", "Applied"),
            entry("Odd", "unmapped", "", "Applied"),
            json!({"identifier": {"ordinal": 3}, "conditions": []}),
        ];
        let records = records(&[manifest("ConfigMap", "kept"), manifest("Odd", "unmapped")], "Odd");
        let held = AppliedWork {
            held: vec![
                serde_json::from_value(
                    json!({"ordinal": 0, "version": "v1", "kind": "Secret", "name": "held", "uid": "x"}),
                )
                .unwrap(),
            ],
            ..AppliedWork::default()
        };
        let plan = write_ahead(&work(2, 1, &entries), &held, &records, &now());
        let names: Vec<_> = plan
            .left_overs
            .iter()
            .map(|i| (i.name.as_str(), i.resource.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("applied", "configmaps"),
                ("drifted", "configmaps"),
                ("prepared", "configmaps"),
                ("reported", "configmaps"),
                ("twice", "configmaps"),
                ("held", "")
            ]
        );
    }

    #[test]
    fn release_respects_other_owners() {
        let owner = Owner {
            name: "w".into(),
            uid: "u".into(),
        };
        let foreign = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p"});
        let object = |references: Value, extra: Value| json!({"metadata": {"uid": "x", "resourceVersion": "7", "ownerReferences": references, "deletionTimestamp": extra}});
        let none = Value::Null;
        assert_eq!(release(&object(json!([]), none.clone()), &owner), Release::Leave);
        assert_eq!(
            release(
                &object(json!([owner.reference()]), json!("2025-01-01T00:00:00Z")),
                &owner
            ),
            Release::Leave
        );
        assert_eq!(
            release(&object(json!([owner.reference()]), none.clone()), &owner),
            Release::Delete {
                uid: "x".into(),
                resource_version: "7".into()
            }
        );
        let Release::Disown(object) = release(&object(json!([owner.reference(), foreign]), none), &owner) else {
            panic!("others own it too");
        };
        assert_eq!(object["metadata"]["ownerReferences"], json!([foreign]));
    }
}
