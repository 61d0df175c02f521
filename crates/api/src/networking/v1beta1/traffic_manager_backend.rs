//! TrafficManagerBackend (networking 3.10).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NAME_RULES;
use crate::Condition;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;

/// Which services stand behind a profile, and how much of the traffic they get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficManagerBackendSpec {
    /// The TrafficManagerProfile of the same namespace. Immutable.
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "spec.profile is immutable")])))]
    pub profile: TrafficManagerProfileRef,
    /// The ServiceImport of the same namespace. Immutable.
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "spec.backend is immutable")])))]
    pub backend: TrafficManagerBackendRef,
    /// Share of the traffic, relative to other backends of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 1))]
    #[schemars(range(min = 0, max = 1000))]
    pub weight: Option<i64>,
}

/// Refers to a TrafficManagerProfile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficManagerProfileRef {
    /// Its name.
    pub name: String,
}

/// Refers to a ServiceImport.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficManagerBackendRef {
    /// Its name.
    pub name: String,
}

/// What exists in Azure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficManagerBackendStatus {
    /// The endpoints.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<TrafficManagerEndpointStatus>,
    /// Accepted.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// An endpoint in Azure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficManagerEndpointStatus {
    /// Its name.
    pub name: String,
    /// Azure id.
    #[serde(
        rename = "resourceID",
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub resource_id: String,
    /// Where it points to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its share of the traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// The export that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<FromCluster>,
}

/// An export.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FromCluster {
    /// The exporting cluster.
    pub cluster: String,
    /// Weight of the export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
}

root_kind! {
    /// Exported services behind a profile.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    TrafficManagerBackend, "networking.fleet.azure.com", "v1beta1", "trafficmanagerbackends", NamespaceResourceScope {
        /// Which services, and how much of the traffic.
        spec: TrafficManagerBackendSpec,
        /// What exists in Azure.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<TrafficManagerBackendStatus>,
    }
}
