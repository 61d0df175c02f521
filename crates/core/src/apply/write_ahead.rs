//! What the status must say before anything is applied, and which objects must go (member-behaviour 4.6).
//!
//! A crash between applying and reporting must never orphan an object: every manifest is listed before it is applied, and
//! objects of manifests that are no longer wanted are found in that list.

use std::collections::BTreeMap;

use api::placement::v1beta1::{ManifestCondition, WorkResourceIdentifier};
use api::text::{conditions::work as types, reasons::manifest as reasons};
use api::{Condition, ConditionStatus, Time};
use serde_json::Value;

use super::identity::{Identity, Record};
use super::owners::{self, Owner};
use super::work::{AppliedWork, Work};

/// The first step of a pass that will apply something.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WriteAhead {
    /// The list that must be in the status before anything is applied; `None` when it is there already.
    pub manifest_conditions: Option<Vec<ManifestCondition>>,
    /// Objects of earlier manifests, to be released or deleted first. Each names its kind; the plural may be unknown.
    pub left_overs: Vec<WorkResourceIdentifier>,
}

/// What to write and remove before the records are applied.
pub fn write_ahead(work: &Work, applied_work: &AppliedWork, records: &[Record], now: &Time) -> WriteAhead {
    let processed = api::condition::find(&work.status.conditions, types::APPLIED)
        .is_some_and(|condition| condition.observed_generation == work.generation);
    if work.strategy.only_reports() || processed {
        return WriteAhead::default();
    }
    let list = prepared_list(work, records, now);
    let known = &work.status.manifest_conditions;
    let same = list.len() == known.len() && list.iter().zip(known).all(|(a, b)| a == b);
    WriteAhead {
        manifest_conditions: (!same).then_some(list),
        left_overs: left_overs(work, applied_work, records),
    }
}

/// Whether a record is to be listed: it can be applied, or will be once its kind is served.
fn is_listed(record: &Record) -> bool {
    record.refusal.is_none() || record.is_unmapped()
}

fn prepared_list(work: &Work, records: &[Record], now: &Time) -> Vec<ManifestCondition> {
    let mut known = BTreeMap::new();
    for entry in &work.status.manifest_conditions {
        if let Some(identity) = Identity::of(&entry.identifier) {
            known.entry(identity).or_insert(entry);
        }
    }
    let listed = records.iter().filter(|record| is_listed(record));
    listed
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

/// Everything that may exist because of an earlier state of the Work and is no longer wanted.
///
/// All entries count, whatever their conditions say: the owner of the live object decides what may be removed.
fn left_overs(work: &Work, applied_work: &AppliedWork, records: &[Record]) -> Vec<WorkResourceIdentifier> {
    let wanted: std::collections::BTreeSet<_> = records.iter().filter_map(|record| record.identity.clone()).collect();
    let entries = work.status.manifest_conditions.iter().map(|entry| &entry.identifier);
    let owned = applied_work
        .applied
        .iter()
        .chain(&applied_work.held)
        .map(|entry| &entry.identifier);
    let mut found: BTreeMap<Identity, WorkResourceIdentifier> = BTreeMap::new();
    for identifier in entries.chain(owned) {
        let Some(identity) = Identity::of(identifier) else {
            continue;
        };
        if identity.name.is_empty() || identity.kind.is_empty() || wanted.contains(&identity) {
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
    /// Nobody else owns it: delete it if it still has this UID.
    Delete {
        /// Identity of the incarnation that we saw.
        uid: String,
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
        let uid = live
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        return Release::Delete { uid };
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

    #[test]
    fn new_manifests_are_announced_and_known_ones_kept() {
        let work = work(2, 1, &[entry("ConfigMap", "a", "configmaps", "Applied")]);
        let records = records(
            &[
                manifest("ConfigMap", "b"),
                manifest("ConfigMap", "a"),
                manifest("ConfigMap", "a"),
            ],
            "",
        );
        let plan = write_ahead(&work, &AppliedWork::default(), &records, &now());
        let list = plan.manifest_conditions.unwrap();
        assert_eq!(list.len(), 2, "the duplicate is left out");
        assert_eq!(list[0].conditions[0].reason, "PreparingToProcess");
        assert_eq!(
            (list[0].identifier.ordinal, list[0].conditions[0].observed_generation),
            (0, 2)
        );
        assert_eq!(
            list[1], work.status.manifest_conditions[0],
            "unchanged, with its old ordinal"
        );
        assert!(plan.left_overs.is_empty());
    }

    #[test]
    fn nothing_to_do_where_the_generation_was_processed_or_only_reported() {
        let entries = [entry("ConfigMap", "gone", "configmaps", "Applied")];
        let records = records(&[manifest("ConfigMap", "a")], "");
        assert_eq!(
            write_ahead(&work(2, 2, &entries), &AppliedWork::default(), &records, &now()),
            WriteAhead::default()
        );
        let mut reports = work(2, 1, &entries);
        reports.strategy.apply = crate::apply::strategy::ApplyType::ReportDiff;
        assert_eq!(
            write_ahead(&reports, &AppliedWork::default(), &records, &now()),
            WriteAhead::default()
        );
        let same = work(2, 1, &[entry("ConfigMap", "a", "configmaps", "Applied")]);
        assert_eq!(
            write_ahead(&same, &AppliedWork::default(), &records, &now()),
            WriteAhead::default()
        );
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
        let object = |references: Value, extra: Value| json!({"metadata": {"uid": "x", "ownerReferences": references, "deletionTimestamp": extra}});
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
            Release::Delete { uid: "x".into() }
        );
        let Release::Disown(object) = release(&object(json!([owner.reference(), foreign]), none), &owner) else {
            panic!("others own it too");
        };
        assert_eq!(object["metadata"]["ownerReferences"], json!([foreign]));
    }
}
