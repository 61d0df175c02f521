//! EndpointSliceExport and EndpointSliceImport (networking 3.8).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ExportedObjectReference;
use crate::root::root_kind;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// Family of addresses.
    AddressType {
        /// IPv4.
        IPv4,
    }
}

/// Endpoints of an exported service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSliceSpec {
    /// Family of the addresses.
    #[schemars(extend("x-default" = "IPv4"))]
    pub address_type: AddressType,
    /// The endpoints.
    #[serde(deserialize_with = "null_default")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub endpoints: Vec<Endpoint>,
    /// Their ports.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ports: Vec<EndpointPort>,
    /// The slice on the exporting member.
    pub endpoint_slice_reference: ExportedObjectReference,
    /// The exported service.
    pub owner_service_reference: OwnerServiceReference,
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its addresses.
    #[serde(deserialize_with = "null_default")]
    pub addresses: Vec<String>,
}

/// A port of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointPort {
    /// Name of the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Transport protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Number of the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Application protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

/// Refers to an exported service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerServiceReference {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Namespace and name, separated by a slash.
    pub namespaced_name: String,
}

root_kind! {
    /// Endpoints that a member exports, in the member's namespace on the hub.
    EndpointSliceExport, "networking.fleet.azure.com", "v1alpha1", "endpointsliceexports", NamespaceResourceScope {
        /// The endpoints.
        spec: EndpointSliceSpec,
    }
}

root_kind! {
    /// Endpoints that a member imports, in the member's namespace on the hub.
    EndpointSliceImport, "networking.fleet.azure.com", "v1alpha1", "endpointsliceimports", NamespaceResourceScope {
        /// The endpoints.
        spec: EndpointSliceSpec,
    }
}
