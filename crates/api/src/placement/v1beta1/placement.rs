//! ClusterResourcePlacement and ResourcePlacement (placement-api 5.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{CLUSTER_PLACEMENT, NAME_OR_LABELS, NAMESPACED_PLACEMENT, POLICY};
use super::{PlacementPolicy, PlacementStatus, ResourceSelectorTerm, RolloutStrategy};
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// Where the status of a placement can be read.
    StatusReportingScope {
        /// On the cluster-scoped placement only.
        ClusterScopeOnly,
        /// Also in the selected namespace.
        NamespaceAccessible,
    }
}

/// What to place, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementSpec {
    /// The resources, ORed.
    #[serde(deserialize_with = "null_default")]
    #[schemars(length(min = 1, max = 100))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[NAME_OR_LABELS])))]
    pub resource_selectors: Vec<ResourceSelectorTerm>,
    /// The clusters. Absent means every cluster; cannot be removed once set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules(POLICY)))]
    pub policy: Option<PlacementPolicy>,
    /// How changes reach the clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RolloutStrategy>,
    /// Snapshots kept per kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 10))]
    #[schemars(range(min = 1, max = 1000))]
    pub revision_history_limit: Option<i32>,
    /// Where the status can be read. Immutable on a ClusterResourcePlacement, without meaning on a ResourcePlacement.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "ClusterScopeOnly"))]
    pub status_reporting_scope: Option<StatusReportingScope>,
}

root_kind! {
    /// Places cluster-scoped resources, and namespaces with what is in them, on member clusters.
    #[derive(Default)]
    ClusterResourcePlacement, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourceplacements", ClusterResourceScope {
        /// What to place, and where.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(CLUSTER_PLACEMENT)))]
        spec: PlacementSpec,
        /// What has happened so far.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementStatus>,
    }
}

root_kind! {
    /// Places resources of its own namespace on member clusters.
    #[derive(Default)]
    ResourcePlacement, "placement.kubernetes-fleet.io", "v1beta1", "resourceplacements", NamespaceResourceScope {
        /// What to place, and where.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(NAMESPACED_PLACEMENT)))]
        spec: PlacementSpec,
        /// What has happened so far.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementStatus>,
    }
}
