//! Which exports of one service agree (networking 4.1 and 4.4): the ports that were accepted first win, and an export
//! that differs from them is in conflict. An accepted export is never put in conflict by a later one.

use api::condition::{self, Condition, ConditionStatus};
use api::text::{conditions, reasons};
use jiff::Timestamp;

use super::Record;
use crate::link::Conflict;

/// The judgement of one export.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement<'a> {
    /// The judged record.
    pub record: &'a Record,
    /// What is said of it.
    pub conflict: Conflict,
    /// The condition to write on the record, unless it already says so.
    pub condition: Option<Condition>,
}

/// Judges all records of one service, whatever cluster they come from. Records that are being deleted take no part.
pub fn resolve<'a>(records: impl IntoIterator<Item = &'a Record>, now: Timestamp) -> Vec<Judgement<'a>> {
    let mut live: Vec<&Record> = records.into_iter().filter(|record| !record.deleting).collect();
    live.sort_by(|a, b| (a.created, &a.cluster, &a.name).cmp(&(b.created, &b.cluster, &b.name)));
    let accepted = live.iter().find(|record| is_accepted(record)).or_else(|| live.first());
    let Some(ports) = accepted.map(|record| record.ports.clone()) else {
        return Vec::new();
    };
    live.into_iter()
        .map(|record| judge(record, record.ports == ports, now))
        .collect()
}

/// Whether the record was judged free of conflict in its present form.
fn is_accepted(record: &Record) -> bool {
    condition::is_false(&record.conditions, conditions::networking::CONFLICT, record.generation)
}

fn judge(record: &Record, agrees: bool, now: Timestamp) -> Judgement<'_> {
    let key = &record.key;
    let (conflict, status, reason, message) = if agrees {
        let message = format!("service {key} is exported without conflict");
        (
            Conflict::NoConflict,
            ConditionStatus::False,
            reasons::networking::NO_CONFLICT_FOUND,
            message,
        )
    } else {
        let message = format!("service {key} is in conflict with other exported services");
        (
            Conflict::Conflict,
            ConditionStatus::True,
            reasons::networking::CONFLICT_FOUND,
            message,
        )
    };
    let kind = conditions::networking::CONFLICT;
    let desired = Condition::new(kind, status, reason, message, record.generation, api::Time(now));
    let known = condition::find(&record.conditions, kind);
    let condition = (!known.is_some_and(|known| known.covers(&desired))).then_some(desired);
    Judgement {
        record,
        conflict,
        condition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{ExportKey, ServicePort};
    use serde_json::Value;

    fn record(cluster: &str, created: i64, port: i32) -> Record {
        Record {
            name: "app-web".into(),
            cluster: cluster.into(),
            key: ExportKey {
                namespace: "app".into(),
                name: "web".into(),
            },
            uid: String::new(),
            resource_version: String::new(),
            generation: 1,
            created: Timestamp::from_second(created).ok(),
            deleting: false,
            service_uid: "s".into(),
            ports: vec![ServicePort {
                name: String::new(),
                protocol: "TCP".into(),
                app_protocol: None,
                port,
                target_port: None,
            }],
            ours: true,
            spec: Value::Null,
            conditions: Vec::new(),
        }
    }

    fn verdicts(records: &[Record]) -> Vec<(&str, Conflict)> {
        resolve(records, Timestamp::UNIX_EPOCH)
            .into_iter()
            .map(|j| (j.record.cluster.as_str(), j.conflict))
            .collect()
    }

    fn store(records: &mut [Record]) {
        let fresh: Vec<_> = resolve(&*records, Timestamp::UNIX_EPOCH)
            .into_iter()
            .filter_map(|j| Some((j.record.cluster.clone(), j.condition?)))
            .collect();
        for (cluster, condition) in fresh {
            let record = records.iter_mut().find(|record| record.cluster == cluster).unwrap();
            condition::set(&mut record.conditions, condition);
        }
    }

    #[test]
    fn the_oldest_export_wins_and_stays_the_winner() {
        let mut records = [record("b", 1, 80), record("a", 2, 81), record("c", 3, 80)];
        let expected = vec![
            ("b", Conflict::NoConflict),
            ("a", Conflict::Conflict),
            ("c", Conflict::NoConflict),
        ];
        assert_eq!(verdicts(&records), expected);
        store(&mut records);
        assert!(
            resolve(&records, Timestamp::UNIX_EPOCH)
                .iter()
                .all(|j| j.condition.is_none()),
            "a second look writes nothing"
        );
        // The first exporter changes its ports: those that agree with each other keep theirs.
        records[0].ports[0].port = 99;
        records[0].generation = 2;
        assert_eq!(
            verdicts(&records),
            [
                ("b", Conflict::Conflict),
                ("a", Conflict::Conflict),
                ("c", Conflict::NoConflict)
            ]
        );
    }

    #[test]
    fn a_conflict_ends_when_the_others_are_gone() {
        let mut records = [record("a", 1, 80), record("b", 2, 81)];
        store(&mut records);
        records[0].deleting = true;
        assert_eq!(verdicts(&records), [("b", Conflict::NoConflict)]);
    }
}
