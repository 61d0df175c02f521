//! Which exports of one service agree (networking 4.1 and 4.4): the ports that were accepted first win, and an export
//! that differs from them is in conflict. An accepted export is never put in conflict by a later one.

use api::condition::{self, Condition, ConditionStatus};
use api::text::{conditions, reasons};
use jiff::Timestamp;

use super::{Conflict, Record};

/// The judgement of one export.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement<'a> {
    /// The judged record.
    pub record: &'a Record,
    /// What is said of it.
    pub conflict: Conflict,
    /// Reason of the condition.
    pub reason: &'static str,
    /// Message of the condition.
    pub message: String,
    /// The condition to write on the record, unless it already says so.
    pub condition: Option<Condition>,
}

/// Judges all records of one service, whatever cluster they come from. Records that are being deleted take no part, and
/// neither do those that pose as another member's.
pub fn resolve<'a>(records: impl IntoIterator<Item = &'a Record>, now: Timestamp) -> Vec<Judgement<'a>> {
    let mut live: Vec<&Record> = records.into_iter().filter(|record| !record.deleting).collect();
    live.sort_by(|a, b| (a.created, &a.cluster, &a.name).cmp(&(b.created, &b.cluster, &b.name)));
    let ports = winner(&live).map(|record| record.ports.clone());
    live.into_iter()
        .map(|record| judge(record, ports.as_ref().is_some_and(|ports| record.ports == *ports), now))
        .collect()
}

/// Whose ports hold: the oldest record that is accepted as it is now; else the oldest that was accepted before it
/// changed, so that a change of anything but the ports never costs an export its place; else the oldest.
fn winner<'a>(live: &[&'a Record]) -> Option<&'a Record> {
    let kind = conditions::networking::CONFLICT;
    let accepted = |record: &Record| condition::is_false(&record.conditions, kind, record.generation);
    let once = |record: &Record| {
        condition::find(&record.conditions, kind).is_some_and(|known| known.status == ConditionStatus::False)
    };
    let first = |fits: &dyn Fn(&Record) -> bool| live.iter().copied().find(|record| !record.forged && fits(record));
    first(&accepted).or_else(|| first(&once)).or_else(|| first(&|_| true))
}

fn judge(record: &Record, agrees: bool, now: Timestamp) -> Judgement<'_> {
    let key = &record.key;
    let (conflict, status, reason, message) = if record.forged {
        let message = format!(
            "service {key} is not taken into account: the export names another member than {}, whose namespace it is in",
            record.cluster
        );
        let reason = reasons::networking::CONFLICT_FOUND;
        (Conflict::Conflict, ConditionStatus::True, reason, message)
    } else if agrees {
        let message = format!("service {key} is exported without conflict");
        let reason = reasons::networking::NO_CONFLICT_FOUND;
        (Conflict::NoConflict, ConditionStatus::False, reason, message)
    } else {
        let message = format!("service {key} is in conflict with other exported services");
        let reason = reasons::networking::CONFLICT_FOUND;
        (Conflict::Conflict, ConditionStatus::True, reason, message)
    };
    let kind = conditions::networking::CONFLICT;
    let desired = Condition::new(kind, status, reason, &message, record.generation, api::Time(now));
    let known = condition::find(&record.conditions, kind);
    let condition = (!known.is_some_and(|known| known.covers(&desired))).then_some(desired);
    Judgement {
        record,
        conflict,
        reason,
        message,
        condition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::{ExportKey, ServicePort};

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
            finalizers: Vec::new(),
            service_uid: "s".into(),
            ports: vec![ServicePort {
                name: String::new(),
                protocol: "TCP".into(),
                app_protocol: None,
                port,
                target_port: None,
            }],
            ours: true,
            forged: false,
            spec: Box::default(),
            facts: crate::services::Facts::default(),
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

    #[test]
    fn a_change_of_anything_but_the_ports_costs_no_export_its_place() {
        let mut records = [record("old", 1, 81), record("b", 2, 80)];
        store(&mut records[1..]);
        store(&mut records);
        let expected = [("old", Conflict::Conflict), ("b", Conflict::NoConflict)];
        assert_eq!(verdicts(&records), expected);
        records[1].generation = 2;
        assert_eq!(verdicts(&records), expected, "its weight changed");
        records[1].ports[0].port = 82;
        records[1].generation = 3;
        assert_eq!(verdicts(&records), expected, "alone as it was, its new ports hold");
    }

    #[test]
    fn rolling_new_ports_through_the_fleet_ends_in_agreement() {
        let mut records = [record("a", 1, 80), record("b", 2, 80), record("c", 3, 80)];
        store(&mut records);
        let mut step = |at: usize| {
            records[at].ports[0].port = 81;
            records[at].generation = 2;
            store(&mut records);
            verdicts(&records)
                .iter()
                .filter(|(_, c)| *c == Conflict::Conflict)
                .count()
        };
        assert_eq!((step(0), step(1), step(2)), (1, 2, 0));
    }

    #[test]
    fn who_poses_as_another_member_takes_no_part() {
        let mut records = [record("thief", 1, 99), record("a", 2, 80)];
        records[0].forged = true;
        let expected = [("thief", Conflict::Conflict), ("a", Conflict::NoConflict)];
        assert_eq!(verdicts(&records), expected);
        records[0].ports[0].port = 80;
        assert_eq!(verdicts(&records), expected);
    }
}
