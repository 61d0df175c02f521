//! MemberCluster (placement-api 4.1).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::placement::v1beta1::TaintEffect;
use crate::quantity::Quantity;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::{null_default, string_enum};
use crate::{Condition, Time};

/// How a member joins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterSpec {
    /// Identity of the member agent on the hub.
    pub identity: Subject,
    /// Seconds between two heartbeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 60))]
    #[schemars(range(min = 1, max = 600))]
    pub heartbeat_period_seconds: Option<i32>,
    /// What keeps placements away that do not tolerate it. Never evicts.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub taints: Vec<Taint>,
    /// What is checked when the member is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_options: Option<DeleteOptions>,
}

/// An RBAC subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct Subject {
    /// User, Group or ServiceAccount.
    pub kind: String,
    /// API group of the kind.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// Name.
    pub name: String,
    /// Namespace, for a ServiceAccount.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// Keeps placements away from a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What the taint does.
    pub effect: TaintEffect,
}

string_enum! {
    /// Whether deletion is checked.
    DeleteValidationMode {
        /// It is not.
        Skip,
        /// Exported services must be gone.
        Strict,
    }
}

/// What is checked when a member is deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteOptions {
    /// Whether deletion is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Strict"))]
    pub validation_mode: Option<DeleteValidationMode>,
}

/// How a member is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterStatus {
    /// The member as a whole.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Facts about the member, by name.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub properties: BTreeMap<String, PropertyValue>,
    /// What the member has and what is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_usage: Option<ResourceUsage>,
    /// Namespaces of the member and the Work that created each (empty: not ours).
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub namespaces: BTreeMap<String, String>,
    /// One entry per agent.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub agent_status: Vec<AgentStatus>,
}

/// A fact and when it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PropertyValue {
    /// The value.
    pub value: String,
    /// When it was seen.
    pub observation_time: Time,
}

/// Amounts by resource name.
pub type ResourceList = BTreeMap<String, Quantity>;

/// What a member has and what is free.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUsage {
    /// Capacity of all nodes.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub capacity: ResourceList,
    /// What pods can use.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub allocatable: ResourceList,
    /// What pods do not request yet.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub available: ResourceList,
    /// When it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation_time: Option<Time>,
}

string_enum! {
    /// Kind of an agent.
    AgentType {
        /// The member agent.
        MemberAgent,
        /// The agent for multi-cluster services.
        MultiClusterServiceAgent,
        /// The agent for exports and imports of services.
        ServiceExportImportAgent,
    }
}

/// What one agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// Kind of the agent.
    #[serde(rename = "type")]
    #[schemars(schema_with = "crate::schema::text")]
    pub type_: AgentType,
    /// Its conditions.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Time of its last heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_received_heartbeat: Option<Time>,
}

pub(crate) const NAME_RULES: &[(&str, &str)] = &[("size(self.metadata.name) < 64", "metadata.name max length is 63")];

root_kind! {
    /// A cluster of the fleet.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    MemberCluster, "cluster.kubernetes-fleet.io", "v1beta1", "memberclusters", ClusterResourceScope {
        /// How the member joins.
        spec: MemberClusterSpec,
        /// How it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<MemberClusterStatus>,
    }
}
