//! Overrides, whose placement may still change in this version, and kinds whose content is that of `v1beta1`.

use k8s_openapi::ByteString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::placement::v1beta1::rules::{CLUSTER_OVERRIDE, IMMUTABLE_SPEC};
use crate::placement::v1beta1::{
    ApprovalRequestSpec, ApprovalRequestStatus, ClusterResourceOverrideSpec, PlacementDisruptionBudgetSpec,
    PlacementEvictionSpec, PlacementEvictionStatus, ResourceOverrideSpec,
};
use crate::root::root_kind;
use crate::schema::rules;

/// A ClusterResourceOverride as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterResourceOverrideSnapshotSpec {
    /// Copy of the spec.
    pub override_spec: ClusterResourceOverrideSpec,
    /// Hash text of the spec.
    #[schemars(schema_with = "crate::schema::bytes")]
    pub override_hash: ByteString,
}

/// A ResourceOverride as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceOverrideSnapshotSpec {
    /// Copy of the spec.
    pub override_spec: ResourceOverrideSpec,
    /// Hash text of the spec.
    #[schemars(schema_with = "crate::schema::bytes")]
    pub override_hash: ByteString,
}

root_kind! {
    /// Changes cluster-scoped resources per cluster while they are placed.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(CLUSTER_OVERRIDE)))]
    ClusterResourceOverride, "placement.kubernetes-fleet.io", "v1alpha1", "clusterresourceoverrides", ClusterResourceScope {
        /// What to change.
        spec: ClusterResourceOverrideSpec,
    }
}

root_kind! {
    /// Changes resources of its namespace per cluster while they are placed.
    #[derive(Default)]
    ResourceOverride, "placement.kubernetes-fleet.io", "v1alpha1", "resourceoverrides", NamespaceResourceScope {
        /// What to change.
        spec: ResourceOverrideSpec,
    }
}

root_kind! {
    /// A ClusterResourceOverride, frozen.
    #[derive(Default)]
    ClusterResourceOverrideSnapshot, "placement.kubernetes-fleet.io", "v1alpha1", "clusterresourceoverridesnapshots", ClusterResourceScope {
        /// The frozen override.
        spec: ClusterResourceOverrideSnapshotSpec,
    }
}

root_kind! {
    /// A ResourceOverride, frozen.
    #[derive(Default)]
    ResourceOverrideSnapshot, "placement.kubernetes-fleet.io", "v1alpha1", "resourceoverridesnapshots", NamespaceResourceScope {
        /// The frozen override.
        spec: ResourceOverrideSnapshotSpec,
    }
}

root_kind! {
    /// Removes a ClusterResourcePlacement from one cluster, as far as its budget allows.
    #[derive(Default)]
    ClusterResourcePlacementEviction, "placement.kubernetes-fleet.io", "v1alpha1", "clusterresourceplacementevictions", ClusterResourceScope {
        /// What to evict.
        spec: PlacementEvictionSpec,
        /// What became of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementEvictionStatus>,
    }
}

root_kind! {
    /// Limits evictions of the ClusterResourcePlacement of the same name.
    #[derive(Default)]
    ClusterResourcePlacementDisruptionBudget, "placement.kubernetes-fleet.io", "v1alpha1", "clusterresourceplacementdisruptionbudgets", ClusterResourceScope {
        /// How much may be missing.
        spec: PlacementDisruptionBudgetSpec,
    }
}

root_kind! {
    /// Asks a user to let a staged update of a ClusterResourcePlacement go on.
    #[derive(Default)]
    ClusterApprovalRequest, "placement.kubernetes-fleet.io", "v1alpha1", "clusterapprovalrequests", ClusterResourceScope {
        /// What waits for approval.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(IMMUTABLE_SPEC)))]
        spec: ApprovalRequestSpec,
        /// Whether it is approved.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ApprovalRequestStatus>,
    }
}
