//! Version `v1`: what [`super::v1beta1`] was before delete options and the list of namespaces (placement-api 2.2).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::v1beta1::{
    AgentStatus, InternalMemberClusterSpec, NAME_RULES, PropertyValue, ResourceUsage, Subject, Taint,
};
use crate::Condition;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;

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
    /// One entry per agent.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub agent_status: Vec<AgentStatus>,
}

/// What the member reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InternalMemberClusterStatus {
    /// The member as a whole.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
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
    /// One entry per agent.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub agent_status: Vec<AgentStatus>,
}

root_kind! {
    /// A cluster of the fleet.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    MemberCluster, "cluster.kubernetes-fleet.io", "v1", "memberclusters", ClusterResourceScope {
        /// How the member joins.
        spec: MemberClusterSpec,
        /// How it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<MemberClusterStatus>,
    }
}

root_kind! {
    /// What hub and member agree on: the hub writes the spec, the member the status.
    InternalMemberCluster, "cluster.kubernetes-fleet.io", "v1", "internalmemberclusters", NamespaceResourceScope {
        /// What the hub wants.
        spec: InternalMemberClusterSpec,
        /// What the member reports.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<InternalMemberClusterStatus>,
    }
}
