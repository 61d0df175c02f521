//! TrafficManagerProfile (networking 3.9, with its corrections 1 and 2).

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::NAME_RULES;
use crate::Condition;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::{null_default, string_enum};

/// What the profile should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(GROUP_STAYS)))]
pub struct TrafficManagerProfileSpec {
    /// Azure resource group; absent means that of the hub agent. Immutable once set.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 90))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "resourceGroup is immutable")])))]
    pub resource_group: String,
    /// How endpoints are probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor_config: Option<MonitorConfig>,
}

const GROUP_STAYS: &[(&str, &str)] = &[(
    "!has(oldSelf.resourceGroup) || has(self.resourceGroup)",
    "resourceGroup cannot be removed once set",
)];

/// How endpoints are probed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(TIMEOUTS)))]
pub struct MonitorConfig {
    /// Seconds between two probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 30))]
    #[schemars(schema_with = "interval")]
    pub interval_in_seconds: Option<i64>,
    /// Path of the probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "/"))]
    pub path: Option<String>,
    /// Port of the probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 80))]
    pub port: Option<i64>,
    /// Protocol of the probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "HTTP"))]
    pub protocol: Option<MonitorProtocol>,
    /// Headers of the probe.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub custom_headers: Vec<CustomHeader>,
    /// Seconds until a probe fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 10))]
    pub timeout_in_seconds: Option<i64>,
    /// Failed probes in a row that an endpoint may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 3))]
    #[schemars(range(min = 0, max = 9))]
    pub tolerated_number_of_failures: Option<i64>,
}

fn interval(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int64", "enum": [10, 30] })
}

const TIMEOUTS: &[(&str, &str)] = &[
    (
        "self.intervalInSeconds != 30 || !has(self.timeoutInSeconds) || \
         (self.timeoutInSeconds >= 5 && self.timeoutInSeconds <= 10)",
        "timeoutInSeconds must be between 5 and 10 when intervalInSeconds is 30",
    ),
    (
        "self.intervalInSeconds != 10 || !has(self.timeoutInSeconds) || \
         (self.timeoutInSeconds >= 5 && self.timeoutInSeconds <= 9)",
        "timeoutInSeconds must be between 5 and 9 when intervalInSeconds is 10",
    ),
];

string_enum! {
    /// Protocol of a probe.
    MonitorProtocol {
        /// HTTP.
        Http = "HTTP",
        /// HTTPS.
        Https = "HTTPS",
        /// TCP.
        Tcp = "TCP",
    }
}

/// A header of a probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomHeader {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its value.
    #[schemars(length(min = 1))]
    pub value: String,
}

/// What the profile is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficManagerProfileStatus {
    /// Full name by which the profile is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_name: Option<String>,
    /// Azure id.
    #[serde(
        rename = "resourceID",
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub resource_id: String,
    /// Programmed.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

root_kind! {
    /// A DNS name in Azure that spreads clients over exported services.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    TrafficManagerProfile, "networking.fleet.azure.com", "v1beta1", "trafficmanagerprofiles", NamespaceResourceScope {
        /// What the profile should be.
        spec: TrafficManagerProfileSpec,
        /// What it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<TrafficManagerProfileStatus>,
    }
}
