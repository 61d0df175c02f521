//! Status of placements and its namespaced mirror (placement-api 5.2, 5.5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DiffedResourcePlacement, DriftedResourcePlacement, FailedResourcePlacement, NamespacedName, ResourceIdentifier,
};
use crate::root::root_kind;
use crate::serde_util::null_default;
use crate::{Condition, Time};

/// What has happened to a placement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// The resources of the observed snapshot.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub selected_resources: Vec<ResourceIdentifier>,
    /// Index of the observed snapshot.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub observed_resource_index: String,
    /// One entry per picked cluster, then one per unfilled slot.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub placement_statuses: Vec<PerClusterPlacementStatus>,
    /// The placement as a whole.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What has happened on one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerClusterPlacementStatus {
    /// The cluster; absent for an unfilled slot.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Index of the snapshot that the cluster is to have.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub observed_resource_index: String,
    /// Snapshots of ResourceOverrides in effect.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub applicable_resource_overrides: Vec<NamespacedName>,
    /// Snapshots of ClusterResourceOverrides in effect.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub applicable_cluster_resource_overrides: Vec<String>,
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
    pub conditions: Vec<Condition>,
}

root_kind! {
    /// The status of a ClusterResourcePlacement, readable in the namespace that it places.
    ClusterResourcePlacementStatus, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourceplacementstatuses", NamespaceResourceScope {
        /// Copy of the status, without the condition about this copy.
        source_status: PlacementStatus,
        /// When the copy was written.
        last_updated_time: Time,
    }
}
