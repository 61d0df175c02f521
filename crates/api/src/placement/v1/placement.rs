//! ClusterResourcePlacement and ResourcePlacement without delete and report-back strategies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PlacementStatus;
use crate::Time;
use crate::placement::v1beta1::rules::{
    CLUSTER_PLACEMENT, NAME_OR_LABELS, NAMESPACED_PLACEMENT, POLICY, STRATEGY_TYPE,
};
use crate::placement::v1beta1::{
    ApplyStrategy, PlacementPolicy, ResourceSelectorTerm, RollingUpdateConfig, RolloutStrategyType,
    StatusReportingScope,
};
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;

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

/// How changes reach the picked clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStrategy {
    /// Who moves clusters. External can never change back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "RollingUpdate"))]
    #[schemars(extend("x-kubernetes-validations" = rules(STRATEGY_TYPE)))]
    #[serde(rename = "type")]
    pub type_: Option<RolloutStrategyType>,
    /// Budgets, for RollingUpdate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdateConfig>,
    /// How members apply resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply_strategy: Option<ApplyStrategy>,
}

root_kind! {
    /// Places cluster-scoped resources, and namespaces with what is in them, on member clusters.
    #[derive(Default)]
    ClusterResourcePlacement, "placement.kubernetes-fleet.io", "v1", "clusterresourceplacements", ClusterResourceScope {
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
    ResourcePlacement, "placement.kubernetes-fleet.io", "v1", "resourceplacements", NamespaceResourceScope {
        /// What to place, and where.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(NAMESPACED_PLACEMENT)))]
        spec: PlacementSpec,
        /// What has happened so far.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementStatus>,
    }
}

root_kind! {
    /// The status of a ClusterResourcePlacement, readable in the namespace that it places.
    ClusterResourcePlacementStatus, "placement.kubernetes-fleet.io", "v1", "clusterresourceplacementstatuses", NamespaceResourceScope {
        /// Copy of the status, without the condition about this copy.
        source_status: PlacementStatus,
        /// When the copy was written.
        last_updated_time: Time,
    }
}
