//! What the hub agent does about one exported service: each record says whether its export is in conflict, and its member
//! learns it (networking 4.4).

use std::sync::Arc;

use api::text::finalizers;
use api::{condition, kinds, names};
use jiff::Timestamp;
use serde_json::json;

use super::{ExportKey, Judgement, Record, Verdict, resolve};
use crate::effects::{self, Target, Write};

/// The plan for one exported service.
pub type Plan = effects::Plan<Vec<Judged>>;

/// A verdict on an export, for its member.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The member.
    pub cluster: String,
    /// The export.
    pub key: ExportKey,
    /// What is said of it.
    pub verdict: Verdict,
    /// The record. The verdict holds only once it says so.
    pub record: Target,
    /// Whether the plan writes it; otherwise it says so already.
    pub is_written: bool,
}

/// Decides about all records of one service, whatever cluster they come from. One that cannot be written holds no other
/// up.
pub fn plan(records: &[Arc<Record>], now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut writes = Vec::new();
    for judgement in resolve(records.iter().map(AsRef::as_ref), now) {
        let record = target(judgement.record);
        let write = write(&judgement, &record);
        plan.facts.push(Judged {
            cluster: judgement.record.cluster.clone(),
            key: judgement.record.key.clone(),
            is_written: write.is_some(),
            verdict: verdict(judgement),
            record,
        });
        writes.extend(write);
    }
    writes.extend(records.iter().filter_map(|record| release(record)));
    plan.step(writes);
    plan
}

fn target(record: &Record) -> Target {
    let namespace = names::member_namespace(&record.cluster);
    Target::new(kinds::INTERNAL_SERVICE_EXPORT, Some(&namespace), &record.name)
}

/// The write of the condition, unless the record already says so. It replaces the list of conditions, so it holds for
/// this version of the record only.
fn write(judgement: &Judgement<'_>, target: &Target) -> Option<Write> {
    let mut conditions = judgement.record.conditions.clone();
    condition::set(&mut conditions, judgement.condition.clone()?);
    Some(Write::MergePatch {
        target: target.clone(),
        body: json!({"status": {"conditions": conditions}}),
        status: true,
        resource_version: Some(judgement.record.resource_version.clone()),
    })
}

/// Lets a record go that carries the finalizer of the hub's side: fleet-networking's hub agent sets it on every record, and
/// nobody else would take it away once this one runs in its place. An export that is being deleted counts no more.
fn release(record: &Record) -> Option<Write> {
    let is_ours = |name: &&String| *name == finalizers::INTERNAL_SERVICE_EXPORT;
    if !record.deleting || !record.finalizers.iter().any(|name| is_ours(&name)) {
        return None;
    }
    let rest: Vec<&String> = record.finalizers.iter().filter(|name| !is_ours(name)).collect();
    Some(Write::MergePatch {
        target: target(record),
        body: json!({"metadata": {"finalizers": rest}}),
        status: false,
        resource_version: Some(record.resource_version.clone()),
    })
}

fn verdict(judgement: Judgement<'_>) -> Verdict {
    Verdict {
        service_uid: judgement.record.service_uid.clone(),
        conflict: judgement.conflict,
        reason: judgement.reason.to_owned(),
        message: judgement.message,
        for_seq: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Conflict;

    fn record(cluster: &str, created: i64, port: i32) -> Arc<Record> {
        let created = Timestamp::from_second(created).unwrap();
        let object = json!({
            "metadata": {
                "namespace": names::member_namespace(cluster), "name": "app-web", "uid": cluster, "generation": 1,
                "resourceVersion": format!("{created}"), "creationTimestamp": created.to_string(),
            },
            "spec": {
                "serviceReference": {"clusterId": cluster, "namespace": "app", "name": "web", "uid": "s"},
                "ports": [{"protocol": "TCP", "port": port}],
            },
        });
        Arc::new(Record::from_value(&object, true))
    }

    /// The record once a plan is carried out.
    fn written(record: &Record, plan: &Plan) -> Arc<Record> {
        let target = target(record);
        let mut record = record.clone();
        for write in plan.writes().filter(|write| *write.target() == target) {
            let Write::MergePatch { body, .. } = write else {
                panic!("{write:?}")
            };
            record.conditions = serde_json::from_value(body["status"]["conditions"].clone()).unwrap();
        }
        Arc::new(record)
    }

    #[test]
    fn every_record_gets_its_condition_in_one_step_and_a_second_plan_writes_nothing() {
        let records = [record("a", 1, 80), record("b", 2, 81)];
        let first = plan(&records, Timestamp::UNIX_EPOCH);
        assert_eq!(first.steps.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
        let verdicts = |plan: &Plan| {
            let all = plan.facts.iter();
            all.map(|judged| (judged.cluster.clone(), judged.verdict.conflict, judged.is_written))
                .collect::<Vec<_>>()
        };
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(
            verdicts(&first),
            [
                (a.clone(), Conflict::NoConflict, true),
                (b.clone(), Conflict::Conflict, true)
            ]
        );
        let Write::MergePatch {
            status,
            resource_version,
            target,
            ..
        } = &first.steps[0][0]
        else {
            panic!("{first:?}")
        };
        assert_eq!(
            (*status, resource_version),
            (true, &Some(records[0].resource_version.clone()))
        );
        assert_eq!(target, &first.facts[0].record);
        let records = records.map(|record| written(&record, &first));
        let second = plan(&records, Timestamp::UNIX_EPOCH);
        assert!(second.steps.is_empty());
        assert_eq!(
            verdicts(&second),
            [(a, Conflict::NoConflict, false), (b, Conflict::Conflict, false)],
            "members that may have missed a verdict get it again"
        );
    }

    #[test]
    fn a_record_that_is_deleted_is_not_held_for_another_hub_agent() {
        let ours = "networking.fleet.azure.com/internal-svc-export-cleanup".to_owned();
        let held = |deleting, finalizers: &[&String]| {
            let mut record = Record::clone(&record("a", 1, 80));
            record.deleting = deleting;
            record.finalizers = finalizers.iter().map(|name| (*name).clone()).collect();
            [Arc::new(record)]
        };
        let other = "example.com/mine".to_owned();
        let released = |records: &[Arc<Record>]| {
            let plan = plan(records, Timestamp::UNIX_EPOCH);
            let all = plan.writes().filter_map(|write| match write {
                Write::MergePatch {
                    body, status: false, ..
                } => Some(body.clone()),
                _ => None,
            });
            all.collect::<Vec<_>>()
        };
        assert_eq!(
            released(&held(true, &[&ours, &other])),
            [json!({"metadata": {"finalizers": [other]}})],
            "those of others stay"
        );
        assert_eq!(released(&held(true, &[&other])).len(), 0);
        assert_eq!(
            released(&held(false, &[&ours])).len(),
            0,
            "a record that stays keeps it"
        );
        assert_eq!(
            plan(&held(true, &[&ours]), Timestamp::UNIX_EPOCH).facts.len(),
            0,
            "it is not judged"
        );
    }

    #[test]
    fn a_service_that_nobody_exports_any_more_needs_nothing() {
        assert_eq!(plan(&[], Timestamp::UNIX_EPOCH), Plan::default());
    }
}
