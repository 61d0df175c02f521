//! Bindings: one placement on one cluster (placement-api 6.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ApplyStrategy, ClusterDecision, DiffedResourcePlacement, DriftedResourcePlacement, FailedResourcePlacement,
    NamespacedName,
};
use crate::Condition;
use crate::root::root_kind;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// How far a binding is. Plain text in the schema; other values are errors.
    BindingState {
        /// Picked by the scheduler, not yet rolled out.
        Scheduled,
        /// Rolled out.
        Bound,
        /// No longer picked.
        Unscheduled,
    }
}

/// Which resources a cluster should have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceBindingSpec {
    /// How far the binding is.
    #[schemars(schema_with = "crate::schema::text")]
    pub state: BindingState,
    /// Master snapshot of the resources; empty until rolled out.
    pub resource_snapshot_name: String,
    /// Snapshots of ResourceOverrides in effect.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub resource_override_snapshots: Vec<NamespacedName>,
    /// Snapshots of ClusterResourceOverrides in effect.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_override_snapshots: Vec<String>,
    /// Policy snapshot that picked the cluster.
    pub scheduling_policy_snapshot_name: String,
    /// The cluster.
    pub target_cluster: String,
    /// The scheduler's decision.
    pub cluster_decision: ClusterDecision,
    /// How the member applies the resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply_strategy: Option<ApplyStrategy>,
}

/// What has happened on the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceBindingStatus {
    /// Resources that could not be placed, the first 100.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub failed_placements: Vec<FailedResourcePlacement>,
    /// Resources changed on the member, the first 100.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub drifted_placements: Vec<DriftedResourcePlacement>,
    /// Resources that differ from the member's, the first 100.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub diffed_placements: Vec<DiffedResourcePlacement>,
    /// The placement on this cluster.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

root_kind! {
    /// A ClusterResourcePlacement on one cluster.
    ClusterResourceBinding, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourcebindings", ClusterResourceScope {
        /// Which resources the cluster should have.
        spec: ResourceBindingSpec,
        /// What has happened on the cluster.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ResourceBindingStatus>,
    }
}

root_kind! {
    /// A ResourcePlacement on one cluster.
    ResourceBinding, "placement.kubernetes-fleet.io", "v1beta1", "resourcebindings", NamespaceResourceScope {
        /// Which resources the cluster should have.
        spec: ResourceBindingSpec,
        /// What has happened on the cluster.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ResourceBindingStatus>,
    }
}
