//! The InternalServiceExport of a report.

use api::condition::Condition;
use api::text::groups;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::read::{list, port, text};
use super::{ExportKey, ExportReport, Facts, PublicIpState, ServicePort, TargetPort};

/// Field manager of the hub agent's writes. A full sync removes only records that this manager owns (16.1).
pub const HUB_MANAGER: &str = "hub-agent-service-exports";

/// Field manager of a member agent that writes its records itself.
pub const MEMBER_MANAGER: &str = "member-agent-service-exports";

/// What decisions read of a stored InternalServiceExport.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Name of the object.
    pub name: String,
    /// The member, from the object's namespace: who may write there is that member, whatever the object says.
    pub cluster: String,
    /// The object names another member than the one whose namespace it lies in (networking 13.5).
    pub forged: bool,
    /// The export it records.
    pub key: ExportKey,
    /// Uid of the object.
    pub uid: String,
    /// Version of the whole object.
    pub resource_version: String,
    /// Generation, which its conditions observe.
    pub generation: i64,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Deletion was requested.
    pub deleting: bool,
    /// All finalizers.
    pub finalizers: Vec<String>,
    /// Uid of the recorded Service.
    pub service_uid: String,
    /// Recorded ports.
    pub ports: Vec<ServicePort>,
    /// Whoever reads it wrote its spec: the hub agent, or a member agent that writes its records itself.
    pub ours: bool,
    /// The spec as stored, as text: a tree would take several times the memory.
    pub spec: Box<str>,
    /// What it says beside its spec.
    pub facts: Facts,
    /// The stored conditions.
    pub conditions: Vec<Condition>,
}

impl Record {
    /// Reads an InternalServiceExport. `managed` determines from its managed fields, before they are trimmed, whether the
    /// reader's own manager owns the spec.
    pub fn from_value(value: &Value, managed: bool) -> Self {
        let created = value.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
        let namespace = text(value, "/metadata/namespace");
        let cluster = api::names::member_of_namespace(&namespace).unwrap_or_default();
        Self {
            name: text(value, "/metadata/name"),
            forged: text(value, "/spec/serviceReference/clusterId") != cluster,
            cluster: cluster.to_owned(),
            key: ExportKey {
                namespace: text(value, "/spec/serviceReference/namespace"),
                name: text(value, "/spec/serviceReference/name"),
            },
            uid: text(value, "/metadata/uid"),
            resource_version: text(value, "/metadata/resourceVersion"),
            generation: value
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            created: created.and_then(|time| time.parse().ok()),
            deleting: value
                .pointer("/metadata/deletionTimestamp")
                .is_some_and(|time| !time.is_null()),
            finalizers: list(value, "/metadata/finalizers")
                .iter()
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect(),
            service_uid: text(value, "/spec/serviceReference/uid"),
            ports: list(value, "/spec/ports").iter().map(port).collect(),
            ours: managed,
            spec: value.get("spec").map(Value::to_string).unwrap_or_default().into(),
            facts: Facts::of_object(value),
            conditions: list(value, "/status/conditions")
                .iter()
                .filter_map(|one| serde_json::from_value(one.clone()).ok())
                .collect(),
        }
    }

    /// The spec as stored.
    fn spec(&self) -> Value {
        serde_json::from_str(&self.spec).unwrap_or_default()
    }

    /// Uid, facts beside the spec, and generation, which stay the same for as long as nobody changes what the record says.
    pub fn version(&self) -> (String, i64) {
        (format!("{}{}", self.uid, self.facts), self.generation)
    }

    /// Whether the object's managed fields say that this manager applied it.
    pub fn is_managed(value: &Value, manager: &str) -> bool {
        list(value, "/metadata/managedFields")
            .iter()
            .any(|entry| text(entry, "/manager") == manager && text(entry, "/operation") == "Apply")
    }
}

/// Name of the record of an export. Two keys can share the plain name (`a-b`/`c` and `a`/`b-c`); `taken` says that the
/// plain name belongs to another export, and then a hash distinguishes them (networking 9.3).
pub fn record_name(key: &ExportKey, taken: bool) -> String {
    let plain = api::names::internal_service(&key.namespace, &key.name);
    if !taken {
        return plain;
    }
    let mut hex = api::hash::hex(&Sha256::digest(key.to_string().as_bytes()));
    hex.truncate(8);
    format!("{plain}-{hex}")
}

/// The object to apply for a report. `same_address` says that the report describes the address that the record
/// describes, so that facts survive a lookup that is pending or failed (networking 16.3).
pub fn manifest(
    cluster: &str,
    name: &str,
    key: &ExportKey,
    report: &ExportReport,
    known: Option<&Record>,
    same_address: bool,
    traffic_manager: bool,
) -> Value {
    let mut object = json!({
        "apiVersion": format!("{}/v1alpha1", groups::NETWORKING),
        "kind": "InternalServiceExport",
        "metadata": {"namespace": api::names::member_namespace(cluster), "name": name},
        "spec": spec(cluster, key, report, known, same_address, traffic_manager),
    });
    if traffic_manager {
        let before = known.filter(|_| same_address).map(|record| &record.facts);
        Facts::of_report(report, before).write(&mut object);
    }
    object
}

fn spec(
    cluster: &str,
    key: &ExportKey,
    report: &ExportReport,
    known: Option<&Record>,
    same_address: bool,
    traffic_manager: bool,
) -> Value {
    let service = &report.service;
    let mut reference = json!({
        "clusterId": cluster,
        "apiVersion": service.api_version,
        "kind": service.kind,
        "namespace": key.namespace,
        "name": key.name,
        "resourceVersion": service.resource_version,
        // Services carry no generation.
        "generation": 0,
        "uid": service.uid,
        "namespacedName": key.to_string(),
    });
    if let Some(since) = exported_since(report, known) {
        reference["exportedSince"] = since;
    }
    let ports: Vec<Value> = report.ports.iter().map(port_value).collect();
    let mut spec = Map::from_iter([
        ("ports".to_owned(), json!(ports)),
        ("serviceReference".to_owned(), reference),
    ]);
    // A member whose traffic manager feature is off names no type.
    if traffic_manager && !report.service_type.is_empty() {
        spec.insert("type".to_owned(), json!(report.service_type));
        spec.insert("weight".to_owned(), json!(report.weight.unwrap_or(1)));
        if report.service_type == "LoadBalancer" {
            spec.insert(
                "isInternalLoadBalancer".to_owned(),
                json!(report.internal_load_balancer),
            );
        }
        public_address(&mut spec, report, known, same_address);
    }
    Value::Object(spec)
}

/// The time at which this version of the Service was first exported. A member that restarts has forgotten it and names
/// a later one; the record keeps the first.
fn exported_since(report: &ExportReport, known: Option<&Record>) -> Option<Value> {
    let known = known.map(Record::spec);
    let stored = known
        .as_ref()
        .and_then(|spec| spec.get("serviceReference"))
        .filter(|reference| {
            reference.get("uid").and_then(Value::as_str) == Some(&report.service.uid)
                && reference.get("resourceVersion").and_then(Value::as_str) == Some(&report.service.resource_version)
        });
    if let Some(first) = stored.and_then(|reference| reference.get("exportedSince")) {
        return Some(first.clone());
    }
    report
        .exported_since
        .map(|since| json!(since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

fn public_address(spec: &mut Map<String, Value>, report: &ExportReport, known: Option<&Record>, same_address: bool) {
    let ip = &report.public_ip;
    match ip.state {
        PublicIpState::Found => {
            spec.insert("publicIPResourceID".to_owned(), json!(ip.resource_id));
            spec.insert("isDNSLabelConfigured".to_owned(), json!(ip.dns_label_configured));
        }
        PublicIpState::LookupFailed | PublicIpState::LookupPending if same_address => {
            let known = known.map(Record::spec).unwrap_or_default();
            for field in ["publicIPResourceID", "isDNSLabelConfigured"] {
                if let Some(value) = known.get(field) {
                    spec.insert(field.to_owned(), value.clone());
                }
            }
        }
        _ => {}
    }
}

fn port_value(port: &ServicePort) -> Value {
    let mut value = Map::from_iter([
        ("protocol".to_owned(), json!(port.protocol)),
        ("port".to_owned(), json!(port.port)),
    ]);
    if !port.name.is_empty() {
        value.insert("name".to_owned(), json!(port.name));
    }
    if let Some(app) = &port.app_protocol {
        value.insert("appProtocol".to_owned(), json!(app));
    }
    match &port.target_port {
        Some(TargetPort::Number(number)) => {
            value.insert("targetPort".to_owned(), json!(number));
        }
        Some(TargetPort::Name(name)) => {
            value.insert("targetPort".to_owned(), json!(name));
        }
        None => {}
    }
    Value::Object(value)
}

/// Whether the record already says what the manifest would, so that a repeated report writes nothing.
pub fn is_recorded(record: &Record, manifest: &Value) -> bool {
    let says_so = || manifest.get("spec") == Some(&record.spec()) && Facts::of_object(manifest) == record.facts;
    record.ours && !record.deleting && says_so()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::{PublicIp, ServiceRef};

    fn key(namespace: &str, name: &str) -> ExportKey {
        ExportKey {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn report() -> ExportReport {
        ExportReport {
            service: ServiceRef {
                uid: "s".into(),
                resource_version: "7".into(),
                api_version: "v1".into(),
                kind: "Service".into(),
            },
            exported_since: Timestamp::from_second(1_700_000_000).ok(),
            ports: vec![ServicePort {
                name: "web".into(),
                protocol: "TCP".into(),
                app_protocol: None,
                port: 80,
                target_port: Some(TargetPort::Name("http".into())),
            }],
            service_type: "LoadBalancer".into(),
            weight: Some(5),
            internal_load_balancer: false,
            public_ip: PublicIp {
                state: PublicIpState::Found,
                resource_id: "/id".into(),
                dns_label_configured: true,
                ..PublicIp::default()
            },
            is_ready: None,
            endpoint: crate::services::EndpointSettings::default(),
        }
    }

    #[test]
    fn a_report_becomes_the_record_and_is_recognised_in_it() {
        let key = key("app", "web");
        let object = manifest("member-1", "app-web", &key, &report(), None, false, true);
        assert_eq!(
            object,
            json!({
                "apiVersion": "networking.fleet.azure.com/v1alpha1",
                "kind": "InternalServiceExport",
                "metadata": {"namespace": "fleet-member-member-1", "name": "app-web"},
                "spec": {
                    "ports": [{"name": "web", "protocol": "TCP", "port": 80, "targetPort": "http"}],
                    "serviceReference": {
                        "clusterId": "member-1", "apiVersion": "v1", "kind": "Service", "namespace": "app", "name": "web",
                        "resourceVersion": "7", "generation": 0, "uid": "s", "namespacedName": "app/web",
                        "exportedSince": "2023-11-14T22:13:20Z",
                    },
                    "type": "LoadBalancer", "weight": 5, "isInternalLoadBalancer": false,
                    "publicIPResourceID": "/id", "isDNSLabelConfigured": true,
                },
            })
        );
        let record = Record::from_value(&object, true);
        assert_eq!(
            (record.key.clone(), record.cluster.as_str(), record.service_uid.as_str()),
            (key, "member-1", "s")
        );
        assert_eq!(record.ports, report().ports);
        assert!(is_recorded(&record, &object));
        let mut restarted = report();
        restarted.exported_since = Timestamp::from_second(1_800_000_000).ok();
        let again = manifest(
            "member-1",
            "app-web",
            &record.key,
            &restarted,
            Some(&record),
            false,
            true,
        );
        assert!(is_recorded(&record, &again), "a member that restarts changes nothing");
        assert!(
            !is_recorded(&Record { ours: false, ..record }, &object),
            "another agent's record is taken over once"
        );
        let mut elsewhere = object.clone();
        elsewhere["metadata"]["namespace"] = json!("fleet-member-member-2");
        let posing = Record::from_value(&elsewhere, false);
        assert_eq!((posing.cluster.as_str(), posing.forged), ("member-2", true));
    }

    #[test]
    fn readiness_is_part_of_what_is_recorded() {
        let key = key("app", "web");
        let object = |is_ready, traffic_manager| {
            let report = ExportReport { is_ready, ..report() };
            manifest("m", "app-web", &key, &report, None, false, traffic_manager)
        };
        let ready = Record::from_value(&object(Some(true), true), true);
        assert_eq!(ready.facts.is_ready, Some(true));
        assert!(is_recorded(&ready, &object(Some(true), true)));
        for other in [Some(false), None] {
            assert!(!is_recorded(&ready, &object(other, true)), "{other:?}");
            let changed = Record::from_value(&object(other, true), true);
            assert_ne!(
                changed.version(),
                ready.version(),
                "{other:?}: annotations move no generation"
            );
        }
        let off = Record::from_value(&object(Some(true), false), true);
        assert_eq!(
            off.facts,
            Facts::default(),
            "a hub without traffic records nothing of it"
        );
    }

    #[test]
    fn a_member_without_the_traffic_manager_feature_has_no_type_and_no_weight() {
        let off = ExportReport {
            service_type: String::new(),
            weight: None,
            public_ip: PublicIp::default(),
            ..report()
        };
        let object = manifest("m", "app-web", &key("app", "web"), &off, None, false, true);
        let fields: Vec<&String> = object["spec"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["ports", "serviceReference"]);
    }

    #[test]
    fn facts_of_an_address_survive_a_failed_lookup_of_the_same_address_only() {
        let key = key("app", "web");
        let record = Record::from_value(&manifest("m", "app-web", &key, &report(), None, false, true), true);
        let mut failed = report();
        failed.public_ip = PublicIp {
            state: PublicIpState::LookupFailed,
            ..PublicIp::default()
        };
        let spec = |same| manifest("m", "app-web", &key, &failed, Some(&record), same, true)["spec"].clone();
        assert_eq!(spec(true)["publicIPResourceID"], json!("/id"));
        assert_eq!(spec(false).get("publicIPResourceID"), None);
        failed.public_ip.state = PublicIpState::PendingIngress;
        assert_eq!(
            manifest("m", "app-web", &key, &failed, Some(&record), true, true)["spec"].get("publicIPResourceID"),
            None
        );
    }

    #[test]
    fn names_that_would_collide_are_told_apart() {
        let (one, other) = (key("a-b", "c"), key("a", "b-c"));
        assert_eq!(record_name(&one, false), record_name(&other, false));
        assert_ne!(record_name(&one, true), record_name(&other, true));
        assert_eq!(record_name(&one, true).len(), "a-b-c-".len() + 8);
    }
}
