//! The exported service behind a backend: which clusters are accepted as its exporters, and which of them can be
//! endpoints (networking 7.3).

use std::collections::BTreeSet;

use api::condition::{self, ConditionStatus};
use api::text::conditions::networking::CONFLICT;
use api::text::messages::backend as messages;
use jiff::Timestamp;
use serde_json::Value;

use crate::services::{EndpointSettings, Record};

/// A service that exists in the fleet. It stands for a ServiceImport: until those are resolved on the hub it is made
/// from the records of the exports, by [`Service::of_records`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// The clusters that are accepted as exporters, in order of acceptance.
    pub exporters: Vec<Exporter>,
}

/// A cluster that is accepted as an exporter.
#[derive(Debug, Clone, PartialEq)]
pub struct Exporter {
    /// Its name.
    pub cluster: String,
    /// What it exports; `None` when there is no record of it.
    pub export: Option<Export>,
}

/// What a cluster exports, as far as traffic is concerned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Export {
    /// Type of the Service; empty when the member reports nothing for traffic.
    pub service_type: String,
    /// The load balancer is internal.
    pub is_internal: bool,
    /// Id of the public address; empty while it is not known.
    pub public_ip: String,
    /// The public address has a DNS label.
    pub has_dns_label: bool,
    /// Weight of the export; 0 means that it is not wanted.
    pub weight: i64,
    /// Why the public address is not known, where more is known than that.
    pub lookup_error: Option<String>,
    /// Whether the Service has an endpoint that is ready; `None` where the member does not report it.
    pub is_ready: Option<bool>,
    /// What users choose of the endpoint.
    pub endpoint: EndpointSettings,
}

impl Service {
    /// The service that the records of its exports stand for. `None` when no record is left: the service does not
    /// exist.
    ///
    /// Records that are being deleted, that pose as another member's, or that are those of a member that leaves the
    /// fleet take no part. A conflict is judged by what is stored, whatever its generation: a change of a weight does
    /// not withdraw an export until the judge has seen it.
    pub fn of_records<'a>(records: impl IntoIterator<Item = &'a Record>, leaving: &BTreeSet<String>) -> Option<Self> {
        let takes_part = |record: &&Record| !record.deleting && !record.forged && !leaving.contains(&record.cluster);
        let live: Vec<&Record> = records.into_iter().filter(takes_part).collect();
        if live.is_empty() {
            return None;
        }
        let mut accepted: Vec<(Timestamp, &Record)> = live
            .into_iter()
            .filter_map(|record| {
                let known = condition::find(&record.conditions, CONFLICT)?;
                (known.status == ConditionStatus::False).then_some((known.last_transition_time.0, record))
            })
            .collect();
        accepted.sort_by(|(a, x), (b, y)| (a, x.created, &x.cluster).cmp(&(b, y.created, &y.cluster)));
        // One member has one export of a service; a second record, under another name, is about to be removed.
        let mut seen = BTreeSet::new();
        accepted.retain(|(_, record)| seen.insert(record.cluster.as_str()));
        let exporters = accepted
            .into_iter()
            .map(|(_, record)| Exporter {
                cluster: record.cluster.clone(),
                export: Some(Export::of_record(record)),
            })
            .collect();
        Some(Self { exporters })
    }
}

impl Export {
    /// Reads what a record says.
    pub fn of_record(record: &Record) -> Self {
        let spec: Value = serde_json::from_str(&record.spec).unwrap_or_default();
        let text = |key: &str| spec.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is = |key: &str| spec.get(key).and_then(Value::as_bool).unwrap_or_default();
        Self {
            service_type: text("type"),
            is_internal: is("isInternalLoadBalancer"),
            public_ip: text("publicIPResourceID"),
            has_dns_label: is("isDNSLabelConfigured"),
            weight: spec.get("weight").and_then(Value::as_i64).unwrap_or(1),
            lookup_error: record
                .facts
                .lookup_error
                .as_deref()
                .map(|error| messages::lookup_failed(&record.cluster, error)),
            is_ready: record.facts.is_ready,
            endpoint: record.facts.endpoint.clone(),
        }
    }

    /// Whether it can be an endpoint.
    ///
    /// # Errors
    /// The first reason why not.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.service_type != "LoadBalancer" {
            return Err(messages::unsupported_type(&self.service_type));
        }
        if self.is_internal {
            return Err(messages::INTERNAL_LOAD_BALANCER.to_owned());
        }
        if self.public_ip.is_empty() {
            let more = self.lookup_error.clone();
            return Err(more.unwrap_or_else(|| messages::PUBLIC_IP_PENDING.to_owned()));
        }
        if !self.has_dns_label {
            return Err(messages::NO_DNS_LABEL.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use api::condition::Condition;
    use serde_json::json;

    use super::*;

    /// A record of a cluster whose conflict has the given status since the given second.
    fn record(cluster: &str, conflict: &str, since: i64) -> Record {
        let at = Timestamp::from_second(since).unwrap().to_string();
        Record::from_value(
            &json!({
                "metadata": {"namespace": format!("fleet-member-{cluster}"), "name": "app-web", "generation": 3},
                "spec": {
                    "serviceReference": {"clusterId": cluster, "namespace": "app", "name": "web"},
                    "ports": [],
                    "type": "LoadBalancer",
                    "weight": 7,
                    "publicIPResourceID": "/ip",
                    "isDNSLabelConfigured": true,
                },
                "status": {"conditions": [{
                    "type": "Conflict", "status": conflict, "reason": "R", "message": "", "observedGeneration": 2,
                    "lastTransitionTime": at,
                }]},
            }),
            true,
        )
    }

    fn clusters(records: &[Record], leaving: &[&str]) -> Option<Vec<String>> {
        let leaving = leaving.iter().map(|cluster| (*cluster).to_owned()).collect();
        let service = Service::of_records(records, &leaving)?;
        Some(service.exporters.into_iter().map(|exporter| exporter.cluster).collect())
    }

    #[test]
    fn exporters_are_those_without_conflict_in_order_of_acceptance() {
        let mut records = vec![
            record("a", "False", 9),
            record("b", "False", 5),
            record("c", "True", 1),
            record("d", "Unknown", 1),
        ];
        assert_eq!(clusters(&records, &[]).unwrap(), ["b", "a"]);
        assert_eq!(
            clusters(&records, &["b"]).unwrap(),
            ["a"],
            "a member that leaves withdraws"
        );
        records[0].deleting = true;
        assert_eq!(clusters(&records, &[]).unwrap(), ["b"]);
        records[1].forged = true;
        assert_eq!(
            clusters(&records, &[]).unwrap(),
            Vec::<String>::new(),
            "it exists all the same"
        );
        assert_eq!(clusters(&records, &["c", "d"]), None);
        assert_eq!(clusters(&[], &[]), None);
        let condition: Condition = records[0].conditions[0].clone();
        assert_eq!(condition.observed_generation, 2, "a changed weight keeps its verdict");
    }

    #[test]
    fn a_member_has_one_export_of_a_service() {
        let records = [record("a", "False", 1), record("a", "False", 2)];
        assert_eq!(clusters(&records, &[]).unwrap(), ["a"]);
    }

    #[test]
    fn facts_beside_the_spec_reach_the_export() {
        let mut with = record("a", "False", 1);
        assert_eq!(
            (Export::of_record(&with).is_ready, Export::of_record(&with).lookup_error),
            (None, None),
            "an older member"
        );
        with.facts.is_ready = Some(false);
        with.facts.lookup_error = Some("403 AuthorizationFailed".into());
        let mut export = Export::of_record(&with);
        assert_eq!(export.is_ready, Some(false));
        assert_eq!(export.check(), Ok(()), "what was known before still counts");
        export.public_ip.clear();
        assert_eq!(
            export.check(),
            Err("public IP lookup failed on a: 403 AuthorizationFailed".to_owned())
        );
    }

    #[test]
    fn which_exports_count() {
        let good = Export::of_record(&record("a", "False", 1));
        assert_eq!((good.weight, good.public_ip.as_str()), (7, "/ip"));
        assert_eq!(good.check(), Ok(()));
        type Change = fn(&mut Export);
        let table: [(Change, &str); 6] = [
            (
                |e| e.service_type = "ClusterIP".into(),
                "unsupported service type \"ClusterIP\"",
            ),
            (|e| *e = Export::default(), "unsupported service type \"\""),
            (|e| e.is_internal = true, "internal load balancer is not supported"),
            (|e| e.public_ip.clear(), "in the processing of configuring public IP"),
            (
                |e| {
                    e.public_ip.clear();
                    e.lookup_error = Some("public IP lookup failed on a: 403 AuthorizationFailed".into());
                },
                "public IP lookup failed on a: 403 AuthorizationFailed",
            ),
            (
                |e| e.has_dns_label = false,
                "DNS label is not configured to the public IP",
            ),
        ];
        for (change, reason) in table {
            let mut export = good.clone();
            change(&mut export);
            assert_eq!(export.check(), Err(reason.to_owned()));
        }
    }
}
