//! InternalServiceExport: what a member reports about an exported Service (networking 3.5, 3.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::root::root_kind;
use crate::serde_util::{null_default, string_enum};
use crate::{Condition, IntOrString, Time};

string_enum! {
    /// Transport protocol of a port.
    Protocol {
        /// TCP.
        Tcp = "TCP",
        /// UDP.
        Udp = "UDP",
        /// SCTP.
        Sctp = "SCTP",
    }
}

/// A port of an exported Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Name of the port.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Transport protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "TCP"))]
    pub protocol: Option<Protocol>,
    /// Application protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
    /// Number of the port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Port of the pods: number or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_port: Option<IntOrString>,
}

/// An object of a member that was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct ExportedObjectReference {
    /// The member.
    pub cluster_id: String,
    /// API version of the object.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Version of the object that was reported.
    pub resource_version: String,
    /// Its generation; 0 for Services, which have none.
    pub generation: i64,
    /// Its UID.
    pub uid: String,
    /// Namespace and name, separated by a slash.
    pub namespaced_name: String,
    /// Since when it is exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported_since: Option<Time>,
}

/// What the member reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InternalServiceExportSpec {
    /// Ports of the Service, in its order.
    #[serde(deserialize_with = "null_default")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ports: Vec<ServicePort>,
    /// The Service.
    pub service_reference: ExportedObjectReference,
    /// Type of the Service; written only where traffic management is on.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether its public address has a DNS label.
    #[serde(
        rename = "isDNSLabelConfigured",
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_dns_label_configured: bool,
    /// Whether its load balancer is internal.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_internal_load_balancer: bool,
    /// Azure id of its public address.
    #[serde(rename = "publicIPResourceID", skip_serializing_if = "Option::is_none")]
    pub public_ip_resource_id: Option<String>,
    /// Weight of the export; absent counts as 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
}

/// What the hub decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InternalServiceExportStatus {
    /// Conflict.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

root_kind! {
    /// A Service exported by a member, in the member's namespace on the hub.
    #[derive(Default)]
    InternalServiceExport, "networking.fleet.azure.com", "v1alpha1", "internalserviceexports", NamespaceResourceScope {
        /// What the member reports.
        #[serde(skip_serializing_if = "Option::is_none")]
        spec: Option<InternalServiceExportSpec>,
        /// What the hub decided.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<InternalServiceExportStatus>,
    }
}
