//! MultiClusterService (networking 3.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;
use crate::networking::v1beta1::NAME_RULES;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;

/// Which service to bring to this cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MultiClusterServiceSpec {
    /// The import; without it the service waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_import: Option<ServiceImportRef>,
}

/// Refers to a ServiceImport of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceImportRef {
    /// Its name.
    #[schemars(length(max = 63))]
    #[schemars(extend("pattern" = "^([a-z]([-a-z0-9]*[a-z0-9])?)$"))]
    pub name: String,
}

/// How the service is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MultiClusterServiceStatus {
    /// Addresses of the load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancerStatus>,
    /// Valid.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Addresses of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerStatus {
    /// The addresses.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ingress: Vec<LoadBalancerIngress>,
}

/// One address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerIngress {
    /// By IP.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// By name.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// How the address behaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_mode: Option<String>,
    /// Its ports.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ports: Vec<PortStatus>,
}

/// A port of an address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortStatus {
    /// Number of the port.
    pub port: i32,
    /// Transport protocol.
    pub protocol: String,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

root_kind! {
    /// Makes a service of other members reachable through a load balancer of this one.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    MultiClusterService, "networking.fleet.azure.com", "v1alpha1", "multiclusterservices", NamespaceResourceScope {
        /// Which service to bring here.
        spec: MultiClusterServiceSpec,
        /// How it is reached.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<MultiClusterServiceStatus>,
    }
}
