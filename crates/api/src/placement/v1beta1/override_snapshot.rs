//! Snapshots of overrides (placement-api 8.2).

use k8s_openapi::ByteString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::OVERRIDE_PLACEMENT;
use super::{ClusterResourceOverrideSpec, ResourceOverrideSpec};
use crate::root::root_kind;
use crate::schema::rules;

/// A ClusterResourceOverride as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterResourceOverrideSnapshotSpec {
    /// Copy of the spec.
    #[schemars(extend("x-kubernetes-validations" = rules(OVERRIDE_PLACEMENT)))]
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
    #[schemars(extend("x-kubernetes-validations" = rules(OVERRIDE_PLACEMENT)))]
    pub override_spec: ResourceOverrideSpec,
    /// Hash text of the spec.
    #[schemars(schema_with = "crate::schema::bytes")]
    pub override_hash: ByteString,
}

root_kind! {
    /// A ClusterResourceOverride, frozen.
    #[derive(Default)]
    ClusterResourceOverrideSnapshot, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourceoverridesnapshots", ClusterResourceScope {
        /// The frozen override.
        spec: ClusterResourceOverrideSnapshotSpec,
    }
}

root_kind! {
    /// A ResourceOverride, frozen.
    #[derive(Default)]
    ResourceOverrideSnapshot, "placement.kubernetes-fleet.io", "v1beta1", "resourceoverridesnapshots", NamespaceResourceScope {
        /// The frozen override.
        spec: ResourceOverrideSnapshotSpec,
    }
}
