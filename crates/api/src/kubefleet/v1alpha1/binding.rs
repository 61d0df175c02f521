//! PlacementBinding and ClusterPlacementBinding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClusterSelectorTerm, DiffDetails, ObjectReference, SyncStrategy};
use crate::Condition;
use crate::root::root_kind;
use crate::serde_util::null_default;

/// Which resources a cluster should have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementBindingSpec {
    /// The policy.
    pub placement_policy_name: String,
    /// Selectors that picked the cluster, for information.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub cluster_selectors: Vec<BindingClusterSelector>,
    /// The cluster.
    pub cluster_name: String,
    /// Snapshot of the resources.
    pub resource_snapshot_name: String,
    /// How the member takes up the resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_strategy: Option<SyncStrategy>,
    /// Whether nothing is synchronized for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = false))]
    pub suspended: Option<bool>,
}

/// Terms that a cluster matched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingClusterSelector {
    /// The terms.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<ClusterSelectorTerm>,
}

/// What has happened on the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementBindingStatus {
    /// The binding as a whole.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Selected resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected_resources: Option<i32>,
    /// Resources that the member has taken up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronized_resources: Option<i32>,
    /// Resources that are available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_resources: Option<i32>,
    /// Resources with problems.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub failed_resources: Vec<FailedResource>,
}

/// A resource with problems.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedResource {
    /// The resource.
    pub object_ref: ObjectReference,
    /// Its conditions.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_details: Option<DiffDetails>,
}

root_kind! {
    /// A PlacementPolicy on one cluster. No controller reads it yet.
    #[derive(Default)]
    PlacementBinding, "placement.kubefleet.dev", "v1alpha1", "placementbindings", NamespaceResourceScope {
        /// Which resources the cluster should have.
        spec: PlacementBindingSpec,
        /// What has happened on the cluster.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementBindingStatus>,
    }
}

root_kind! {
    /// A ClusterPlacementPolicy on one cluster. No controller reads it yet.
    #[derive(Default)]
    ClusterPlacementBinding, "placement.kubefleet.dev", "v1alpha1", "clusterplacementbindings", ClusterResourceScope {
        /// Which resources the cluster should have.
        spec: PlacementBindingSpec,
        /// What has happened on the cluster.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementBindingStatus>,
    }
}
