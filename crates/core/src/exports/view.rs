//! What decisions read of a ServiceExport and of its Service.

use api::condition::Condition;
use api::text::{annotations, finalizers};
use serde_json::Value;

use crate::services::read::{list, port, text};
use crate::services::{EndpointSettings, ExportKey, ServicePort};

/// A ServiceExport on the member.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportView {
    /// Namespace and name.
    pub key: ExportKey,
    /// Uid of the ServiceExport.
    pub uid: String,
    /// Version of the whole object, for preconditions.
    pub resource_version: String,
    /// Generation, which its conditions observe.
    pub generation: i64,
    /// Deletion was requested.
    pub deleting: bool,
    /// All finalizers.
    pub finalizers: Vec<String>,
    /// The weight annotation as written.
    pub weight: Option<String>,
    /// What users choose of the endpoint, or why that cannot be used.
    pub endpoint: Result<EndpointSettings, String>,
    /// The stored conditions.
    pub conditions: Vec<Condition>,
}

/// The Service of the same name.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    /// Uid of the Service.
    pub uid: String,
    /// Version of the Service.
    pub resource_version: String,
    /// Deletion was requested.
    pub deleting: bool,
    /// `spec.type`; absent means `ClusterIP`.
    pub service_type: String,
    /// `spec.clusterIP`; `None` in words means headless.
    pub cluster_ip: String,
    /// It selects pods, so that the cluster keeps its EndpointSlices.
    pub has_selector: bool,
    /// Ports in order.
    pub ports: Vec<ServicePort>,
    /// Addresses of the load balancer, those with a host name only left out.
    pub ingress_ips: Vec<String>,
    /// Host names of the load balancer, where an entry has no address.
    pub ingress_hosts: Vec<String>,
    /// Cloud resource group of the public address; `None` for that of the cloud config.
    pub resource_group: Option<String>,
    /// The annotation that asks for a DNS label; empty asks for none.
    pub dns_label: Option<String>,
    /// The annotation that requests an internal load balancer is exactly `true`.
    pub internal_load_balancer: bool,
}

impl ExportView {
    /// Reads a ServiceExport. Conditions that do not have a condition's shape are skipped.
    pub fn from_value(value: &Value) -> Self {
        let conditions = value.pointer("/status/conditions").and_then(Value::as_array);
        Self {
            key: ExportKey {
                namespace: text(value, "/metadata/namespace"),
                name: text(value, "/metadata/name"),
            },
            uid: text(value, "/metadata/uid"),
            resource_version: text(value, "/metadata/resourceVersion"),
            generation: value
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            deleting: value
                .pointer("/metadata/deletionTimestamp")
                .is_some_and(|time| !time.is_null()),
            finalizers: list(value, "/metadata/finalizers")
                .iter()
                .filter_map(|f| f.as_str().map(str::to_owned))
                .collect(),
            weight: annotation(value, annotations::EXPORT_WEIGHT).map(str::to_owned),
            endpoint: EndpointSettings::of(|name| annotation(value, name)),
            conditions: conditions
                .map(|all| {
                    all.iter()
                        .filter_map(|one| serde_json::from_value(one.clone()).ok())
                        .collect()
                })
                .unwrap_or_default(),
        }
    }

    /// Whether the export may be known to the hub: the finalizer is set before the first report.
    pub fn has_finalizer(&self) -> bool {
        self.finalizers.iter().any(|name| name == finalizers::SERVICE_EXPORT)
    }
}

impl ServiceView {
    /// Reads a Service.
    pub fn from_value(value: &Value) -> Self {
        let service_type = match text(value, "/spec/type") {
            empty if empty.is_empty() => "ClusterIP".to_owned(),
            named => named,
        };
        let ingress = list(value, "/status/loadBalancer/ingress");
        Self {
            uid: text(value, "/metadata/uid"),
            resource_version: text(value, "/metadata/resourceVersion"),
            deleting: value
                .pointer("/metadata/deletionTimestamp")
                .is_some_and(|time| !time.is_null()),
            service_type,
            cluster_ip: text(value, "/spec/clusterIP"),
            has_selector: value
                .pointer("/spec/selector")
                .and_then(Value::as_object)
                .is_some_and(|selector| !selector.is_empty()),
            ports: list(value, "/spec/ports").iter().map(port).collect(),
            ingress_ips: ingress
                .iter()
                .map(|one| text(one, "/ip"))
                .filter(|ip| !ip.is_empty())
                .collect(),
            ingress_hosts: ingress
                .iter()
                .filter(|one| text(one, "/ip").is_empty())
                .map(|one| text(one, "/hostname"))
                .filter(|host| !host.is_empty())
                .collect(),
            resource_group: annotation(value, annotations::AZURE_RESOURCE_GROUP)
                .map(str::trim)
                .filter(|group| !group.is_empty())
                .map(str::to_owned),
            dns_label: annotation(value, annotations::AZURE_DNS_LABEL).map(|label| label.trim().to_owned()),
            internal_load_balancer: annotation(value, annotations::AZURE_INTERNAL_LOAD_BALANCER) == Some("true"),
        }
    }

    /// Whether it has, or is to have, an address that everybody can reach.
    pub fn is_public_load_balancer(&self) -> bool {
        self.service_type == "LoadBalancer" && !self.internal_load_balancer
    }

    /// Whether the Service can be exported: it has an address of its own in the cluster.
    pub fn is_eligible(&self) -> bool {
        self.service_type != "ExternalName" && self.cluster_ip != "None"
    }
}

fn annotation<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get("metadata")?.get("annotations")?.get(key)?.as_str()
}
