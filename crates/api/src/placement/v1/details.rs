//! References to resources; envelopes of this version are never ConfigMaps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::placement::v1beta1::{NamespacedName, PatchDetail};
use crate::serde_util::{null_default, string_enum};
use crate::{Condition, Time};

string_enum! {
    /// Kind of an envelope.
    EnvelopeType {
        /// A ClusterResourceEnvelope.
        ClusterResourceEnvelope,
        /// A ResourceEnvelope.
        ResourceEnvelope,
    }
}

/// The envelope that a manifest came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvelopeIdentifier {
    /// Name.
    pub name: String,
    /// Namespace, absent for cluster-scoped envelopes.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "type")]
    pub type_: Option<EnvelopeType>,
}

/// Identifies a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceIdentifier {
    /// API group, absent for the core group.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace, absent for cluster-scoped resources.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The envelope that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envelope: Option<EnvelopeIdentifier>,
}

/// A resource that could not be placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedResourcePlacement {
    /// The resource.
    #[serde(flatten)]
    pub resource: ResourceIdentifier,
    /// The manifest's failed condition, as the member wrote it.
    pub condition: Condition,
}

/// A resource that was changed on the member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftedResourcePlacement {
    /// The resource.
    #[serde(flatten)]
    pub resource: ResourceIdentifier,
    /// When the drift was last looked at.
    pub observation_time: Time,
    /// Generation of the object on the member.
    pub target_cluster_observed_generation: i64,
    /// When the drift was first seen.
    pub first_drifted_observed_time: Time,
    /// The differences.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub observed_drifts: Vec<PatchDetail>,
}

/// A resource that differs from what is on the member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffedResourcePlacement {
    /// The resource.
    #[serde(flatten)]
    pub resource: ResourceIdentifier,
    /// When the difference was last looked at.
    pub observation_time: Time,
    /// Generation of the object on the member; absent when it does not exist there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_cluster_observed_generation: Option<i64>,
    /// When the difference was first seen.
    pub first_diffed_observed_time: Time,
    /// The differences.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub observed_diffs: Vec<PatchDetail>,
}

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

/// What has happened on the cluster of a binding.
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
