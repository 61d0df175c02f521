//! Snapshots of scheduling policies (placement-api 6.1).

use k8s_openapi::ByteString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PlacementPolicy;
use crate::Condition;
use crate::root::root_kind;
use crate::serde_util::null_default;

/// A policy as it was at one generation of its placement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulingPolicySnapshotSpec {
    /// The policy. The annotation with the number of clusters wins over `numberOfClusters`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PlacementPolicy>,
    /// Hash text of the policy without `numberOfClusters`.
    #[schemars(schema_with = "crate::schema::bytes")]
    pub policy_hash: ByteString,
}

/// What the scheduler decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulingPolicySnapshotStatus {
    /// Placement generation that the scheduler has handled.
    #[serde(rename = "observedCRPGeneration")]
    pub observed_crp_generation: i64,
    /// Whether the policy is fulfilled.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Decisions: picked clusters first, then the most telling others.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    #[serde(rename = "targetClusters")]
    pub cluster_decisions: Vec<ClusterDecision>,
}

/// The scheduler's decision about one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDecision {
    /// The cluster.
    pub cluster_name: String,
    /// Whether it is picked.
    pub selected: bool,
    /// Its score, where it was scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_score: Option<ClusterScore>,
    /// Why, as a sentence for users.
    pub reason: String,
}

/// Score of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterScore {
    /// From preferred affinity terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity_score: Option<i32>,
    /// From topology spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "priorityScore")]
    pub topology_spread_score: Option<i32>,
}

root_kind! {
    /// A scheduling policy of a ClusterResourcePlacement, frozen, with the scheduler's decisions.
    #[derive(Default)]
    ClusterSchedulingPolicySnapshot, "placement.kubernetes-fleet.io", "v1beta1", "clusterschedulingpolicysnapshots", ClusterResourceScope {
        /// The policy.
        spec: SchedulingPolicySnapshotSpec,
        /// The decisions.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<SchedulingPolicySnapshotStatus>,
    }
}

root_kind! {
    /// A scheduling policy of a ResourcePlacement, frozen, with the scheduler's decisions.
    #[derive(Default)]
    SchedulingPolicySnapshot, "placement.kubernetes-fleet.io", "v1beta1", "schedulingpolicysnapshots", NamespaceResourceScope {
        /// The policy.
        spec: SchedulingPolicySnapshotSpec,
        /// The decisions.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<SchedulingPolicySnapshotStatus>,
    }
}
