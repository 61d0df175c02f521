//! What a change of an export makes of the records of its cluster (networking 9.3, 9.4 and 16.3). The hub agent decides
//! so for its members' sessions, and a member agent that writes its records itself decides the same.

use std::sync::Arc;

use serde_json::{Value, json};

use super::record::{Record, is_recorded, manifest, record_name};
use super::{ExportKey, ExportReport, Facts, PublicIp, PublicIpState};
use crate::link::Refusal;

/// Whose records are written, and how much of a report goes into them.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The member.
    pub cluster: &'a str,
    /// Whether type, weight and public address are recorded.
    pub traffic_manager: bool,
}

/// What is to be done for a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<'a> {
    /// The record says so already.
    Nothing(&'a Record),
    /// A record of the export before is still being deleted.
    Wait(&'a Record),
    /// The record is applied, and what others left in it is removed (see [`surplus`]).
    Apply {
        /// The record of another Service of that name, to be gone before.
        replaces: Option<&'a Record>,
        /// Name of the record.
        name: String,
        /// What is applied.
        object: Value,
    },
}

/// Decides about a report, given all records of the cluster. `address` is the public address that the record is known
/// to describe, where that is known.
pub fn report<'a>(
    scope: Scope<'_>,
    key: &ExportKey,
    report: &ExportReport,
    all: &'a [Arc<Record>],
    address: Option<&str>,
) -> Step<'a> {
    let of_export = || all.iter().map(AsRef::as_ref).filter(|record| record.key == *key);
    let live = of_export().find(|record| !record.deleting);
    let known = live.filter(|record| record.service_uid == report.service.uid);
    if let (None, Some(going)) = (live, of_export().find(|record| record.deleting)) {
        return Step::Wait(going);
    }
    let name = live.map_or_else(
        || {
            let plain = record_name(key, false);
            let taken = all.iter().any(|record| record.name == plain);
            record_name(key, taken)
        },
        |record| record.name.clone(),
    );
    // Where the address is not known any more, the facts are more likely right than wrong.
    let same_address = known.is_some() && address.is_none_or(|address| is_about(&report.public_ip, address));
    let object = manifest(
        scope.cluster,
        &name,
        key,
        report,
        known,
        same_address,
        scope.traffic_manager,
    );
    match known {
        Some(record) if is_recorded(record, &object) => Step::Nothing(record),
        _ => Step::Apply {
            // Another uid under the same name is another Service: its record starts anew.
            replaces: live.filter(|_| known.is_none()),
            name,
            object,
        },
    }
}

/// The records that a withdrawal removes. A Service uid that is named spares the records of other Services.
pub fn withdraw<'a>(
    key: &'a ExportKey,
    service_uid: &'a str,
    all: &'a [Arc<Record>],
) -> impl Iterator<Item = &'a Record> {
    all.iter().map(AsRef::as_ref).filter(move |record| {
        record.key == *key && !record.deleting && (service_uid.is_empty() || service_uid == record.service_uid)
    })
}

/// The refusal of a report that has to wait for this record.
pub fn still_going(record: &Record) -> Refusal {
    Refusal::unavailable(format!(
        "The record {} of the export before is still being deleted.",
        record.name
    ))
}

/// Whether a report may be about this address: one that names none may be about any.
fn is_about(reported: &PublicIp, address: &str) -> bool {
    reported.ip.is_empty() || reported.ip == address
}

/// The address that a record describes once a report is written; none when it describes none.
pub fn address_of(reported: &PublicIp, before: Option<String>) -> Option<String> {
    match reported.state {
        PublicIpState::Found => Some(reported.ip.clone()),
        PublicIpState::LookupFailed | PublicIpState::LookupPending => {
            before.filter(|before| is_about(reported, before))
        }
        PublicIpState::NotApplicable | PublicIpState::PendingIngress | PublicIpState::NotFound => None,
    }
}

/// What an answer to an apply holds beyond what was applied, as the merge patch that removes it: an agent that wrote the
/// record before owns these fields, and applying leaves them alone. None when nothing is left over.
pub fn surplus(applied: &Value, answer: &Value) -> Option<Value> {
    let wanted = applied.get("spec")?.as_object()?;
    let stored = answer.get("spec")?.as_object()?;
    let spec: serde_json::Map<String, Value> = stored
        .keys()
        .filter(|field| !wanted.contains_key(*field))
        .map(|field| (field.clone(), Value::Null))
        .collect();
    let annotations = Facts::surplus(applied, answer);
    if spec.is_empty() && annotations.is_empty() {
        return None;
    }
    let uid = answer.pointer("/metadata/uid").cloned().unwrap_or_default();
    let mut patch = json!({"metadata": {"uid": uid}});
    if !spec.is_empty() {
        patch["spec"] = Value::Object(spec);
    }
    if !annotations.is_empty() {
        patch["metadata"]["annotations"] = Value::Object(annotations);
    }
    Some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::{ServicePort, ServiceRef};

    const SCOPE: Scope<'static> = Scope {
        cluster: "m",
        traffic_manager: true,
    };

    fn key() -> ExportKey {
        ExportKey {
            namespace: "app".into(),
            name: "web".into(),
        }
    }

    fn of(uid: &str, state: PublicIpState, ip: &str) -> ExportReport {
        ExportReport {
            service: ServiceRef {
                uid: uid.into(),
                ..ServiceRef::default()
            },
            exported_since: None,
            ports: vec![ServicePort {
                name: String::new(),
                protocol: "TCP".into(),
                app_protocol: None,
                port: 80,
                target_port: None,
            }],
            service_type: "LoadBalancer".into(),
            weight: None,
            internal_load_balancer: false,
            public_ip: PublicIp {
                state,
                ip: ip.into(),
                resource_id: "/id".into(),
                ..PublicIp::default()
            },
            is_ready: None,
            endpoint: crate::services::EndpointSettings::default(),
        }
    }

    fn stored(report: &ExportReport) -> Arc<Record> {
        let object = manifest("m", "app-web", &key(), report, None, false, true);
        Arc::new(Record::from_value(&object, true))
    }

    #[test]
    fn a_failed_lookup_keeps_the_facts_of_the_address_that_is_recorded_and_of_no_other() {
        let found = of("s", PublicIpState::Found, "1.1.1.1");
        let all = [stored(&found)];
        let recorded = |state, ip, address: Option<&str>| {
            let next = of("s", state, ip);
            match report(SCOPE, &key(), &next, &all, address) {
                Step::Apply { object, .. } => object.pointer("/spec/publicIPResourceID").is_some(),
                Step::Nothing(_) => true,
                step @ Step::Wait(_) => panic!("{step:?}"),
            }
        };
        for state in [PublicIpState::LookupFailed, PublicIpState::LookupPending] {
            assert!(recorded(state, "1.1.1.1", Some("1.1.1.1")), "{state:?}");
            assert!(!recorded(state, "2.2.2.2", Some("1.1.1.1")), "{state:?}");
            assert!(
                recorded(state, "1.1.1.1", None),
                "after a restart the record is all that is known"
            );
            assert!(
                recorded(state, "", Some("1.1.1.1")),
                "a member with several addresses does not know which one it was"
            );
        }
        for state in [
            PublicIpState::NotApplicable,
            PublicIpState::PendingIngress,
            PublicIpState::NotFound,
        ] {
            assert!(!recorded(state, "1.1.1.1", Some("1.1.1.1")), "{state:?}");
        }
        let after = |state, ip| address_of(&of("s", state, ip).public_ip, Some("1.1.1.1".into()));
        assert_eq!(after(PublicIpState::Found, "2.2.2.2").as_deref(), Some("2.2.2.2"));
        assert_eq!(
            after(PublicIpState::LookupFailed, "1.1.1.1").as_deref(),
            Some("1.1.1.1")
        );
        assert_eq!(after(PublicIpState::LookupFailed, "2.2.2.2"), None);
        assert_eq!(after(PublicIpState::NotFound, "1.1.1.1"), None);
    }

    #[test]
    fn another_service_of_that_name_replaces_the_record_and_one_that_goes_is_waited_for() {
        let all = [stored(&of("s", PublicIpState::NotApplicable, ""))];
        let again = of("s", PublicIpState::NotApplicable, "");
        assert_eq!(report(SCOPE, &key(), &again, &all, None), Step::Nothing(&all[0]));
        let other = of("t", PublicIpState::NotApplicable, "");
        let Step::Apply { replaces, name, .. } = report(SCOPE, &key(), &other, &all, None) else {
            panic!("another Service is another record")
        };
        assert_eq!((replaces, name.as_str()), (Some(all[0].as_ref()), "app-web"));
        let going = [Arc::new(Record {
            deleting: true,
            ..Record::clone(&all[0])
        })];
        assert_eq!(report(SCOPE, &key(), &again, &going, None), Step::Wait(&going[0]));
        assert_eq!(withdraw(&key(), "", &all).count(), 1);
        assert_eq!(withdraw(&key(), "s", &all).count(), 1);
        assert_eq!(withdraw(&key(), "t", &all).count(), 0, "it was replaced already");
        assert_eq!(withdraw(&key(), "", &going).count(), 0);
    }

    #[test]
    fn what_another_agent_left_in_a_record_is_removed() {
        let applied = json!({"spec": {"ports": [], "weight": 1}});
        let mut answer = json!({
            "metadata": {"uid": "u"},
            "spec": {"ports": [], "weight": 1, "publicIPResourceID": "/old", "isDNSLabelConfigured": true},
        });
        assert_eq!(
            surplus(&applied, &answer),
            Some(json!({
                "metadata": {"uid": "u"},
                "spec": {"publicIPResourceID": null, "isDNSLabelConfigured": null},
            }))
        );
        answer["spec"] = applied["spec"].clone();
        assert_eq!(surplus(&applied, &answer), None);
        answer["metadata"]["annotations"] = json!({
            "networking.fleet.azure.com/service-ready": "true",
            "networking.fleet.azure.com/last-observed-resource-version": "7",
        });
        assert_eq!(
            surplus(&applied, &answer),
            Some(json!({
                "metadata": {"uid": "u", "annotations": {"networking.fleet.azure.com/service-ready": null}},
            })),
            "the annotations of others stay"
        );
    }
}
