//! Snapshots of selected resources (placement-api 6.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Condition;
use crate::root::root_kind;
use crate::serde_util::null_default;

/// Selected resources as they were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSnapshotSpec {
    /// Sanitised manifests in selection order; may be empty.
    #[serde(deserialize_with = "null_default")]
    #[schemars(schema_with = "crate::schema::embedded_list")]
    pub selected_resources: Vec<Value>,
}

/// Never written; exists for completeness.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSnapshotStatus {
    /// Conditions.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

root_kind! {
    /// Resources selected by a ClusterResourcePlacement, frozen. Large selections are split over several objects of one index.
    #[derive(Default)]
    ClusterResourceSnapshot, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourcesnapshots", ClusterResourceScope {
        /// The resources.
        spec: ResourceSnapshotSpec,
        /// Never written.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ResourceSnapshotStatus>,
    }
}

root_kind! {
    /// Resources selected by a ResourcePlacement, frozen. Large selections are split over several objects of one index.
    #[derive(Default)]
    ResourceSnapshot, "placement.kubernetes-fleet.io", "v1beta1", "resourcesnapshots", NamespaceResourceScope {
        /// The resources.
        spec: ResourceSnapshotSpec,
        /// Never written.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ResourceSnapshotStatus>,
    }
}
