//! ServiceImport and InternalServiceImport (networking 3.3, 3.7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ExportedObjectReference, ServicePort};
use crate::networking::v1beta1::NAME_RULES;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// How an imported service is reached.
    ServiceImportType {
        /// Through one address.
        ClusterSetIP,
        /// Through the addresses of its pods.
        Headless,
    }
}

/// What the exporting clusters agree on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceImportStatus {
    /// Never set.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1))]
    pub ips: Vec<String>,
    /// How the service is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "type")]
    pub type_: Option<ServiceImportType>,
    /// Never set.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub session_affinity: String,
    /// Never set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_affinity_config: Option<SessionAffinityConfig>,
    /// Ports that all clusters export.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ports: Vec<ServicePort>,
    /// Exporting clusters, in order of acceptance.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["cluster"]))]
    pub clusters: Vec<ClusterStatus>,
}

/// Settings of session affinity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionAffinityConfig {
    /// By address of the client.
    #[serde(rename = "clientIP", skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<ClientIPConfig>,
}

/// Affinity by address of the client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientIPConfig {
    /// How long the affinity lasts, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i32>,
}

/// An exporting cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The cluster.
    pub cluster: String,
}

/// Which import a member wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InternalServiceImportSpec {
    /// The ServiceImport on the member.
    pub service_import_reference: ExportedObjectReference,
}

root_kind! {
    /// A service that other members export.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    ServiceImport, "networking.fleet.azure.com", "v1alpha1", "serviceimports", NamespaceResourceScope {
        /// What the exporting clusters agree on.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ServiceImportStatus>,
    }
}

root_kind! {
    /// A member's request to import a service, in the member's namespace on the hub.
    #[derive(Default)]
    InternalServiceImport, "networking.fleet.azure.com", "v1alpha1", "internalserviceimports", NamespaceResourceScope {
        /// Which import the member wants.
        spec: InternalServiceImportSpec,
        /// What the exporting clusters agree on.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ServiceImportStatus>,
    }
}
