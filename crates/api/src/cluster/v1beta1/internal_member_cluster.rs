//! InternalMemberCluster (placement-api 4.2).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AgentStatus, PropertyValue, ResourceUsage};
use crate::Condition;
use crate::root::root_kind;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// Whether a member belongs to the fleet. Plain text in the schema; other values are errors.
    ClusterState {
        /// It does.
        Join,
        /// It is leaving.
        Leave,
    }
}

/// What the hub wants of the member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InternalMemberClusterSpec {
    /// Whether the member belongs to the fleet.
    #[schemars(schema_with = "crate::schema::text")]
    pub state: ClusterState,
    /// Seconds between two heartbeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 60))]
    #[schemars(range(min = 1, max = 600))]
    pub heartbeat_period_seconds: Option<i32>,
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

root_kind! {
    /// What hub and member agree on: the hub writes the spec, the member the status.
    InternalMemberCluster, "cluster.kubernetes-fleet.io", "v1beta1", "internalmemberclusters", NamespaceResourceScope {
        /// What the hub wants.
        spec: InternalMemberClusterSpec,
        /// What the member reports.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<InternalMemberClusterStatus>,
    }
}
