//! Staged update runs (placement-api 10.1, 10.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::NAME_63;
use super::{ApplyStrategy, NamespacedName, StageTaskType, UpdateStrategySpec};
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::{null_default, string_enum};
use crate::{Condition, Time};

string_enum! {
    /// What a run should do.
    UpdateRunState {
        /// Plan only.
        Initialize,
        /// Go on.
        Run,
        /// Stop after the clusters that have begun.
        Stop,
    }
}

/// What to roll out, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(STATE_RULES)))]
pub struct UpdateRunSpec {
    /// The placement. Immutable.
    #[schemars(length(max = 255))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "placementName is immutable")])))]
    pub placement_name: String,
    /// Index of the resource snapshot; absent means the newest. Immutable.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "resourceSnapshotIndex is immutable")])))]
    pub resource_snapshot_index: String,
    /// The strategy. Immutable.
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "stagedRolloutStrategyName is immutable")])))]
    #[serde(rename = "stagedRolloutStrategyName")]
    pub staged_update_strategy_name: String,
    /// What the run should do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Initialize"))]
    pub state: Option<UpdateRunState>,
}

const STATE_RULES: &[(&str, &str)] = &[
    (
        "!(has(oldSelf.state) && oldSelf.state == 'Initialize' && self.state == 'Stop')",
        "invalid state transition: cannot transition from Initialize to Stop",
    ),
    (
        "!(has(oldSelf.state) && oldSelf.state == 'Run' && self.state == 'Initialize')",
        "invalid state transition: cannot transition from Run to Initialize",
    ),
    (
        "!(has(oldSelf.state) && oldSelf.state == 'Stop' && self.state == 'Initialize')",
        "invalid state transition: cannot transition from Stop to Initialize",
    ),
];

/// How far the run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRunStatus {
    /// Index of the policy snapshot at initialization.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub policy_snapshot_index_used: String,
    /// Clusters picked at initialization.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "crate::schema::plain_integer")]
    pub policy_observed_cluster_count: i64,
    /// Index of the resource snapshot that is rolled out.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub resource_snapshot_index_used: String,
    /// How members apply resources, as it was at initialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "appliedStrategy")]
    pub apply_strategy: Option<ApplyStrategy>,
    /// The strategy, as it was at initialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "stagedUpdateStrategySnapshot")]
    pub update_strategy_snapshot: Option<UpdateStrategySpec>,
    /// One entry per stage.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub stages_status: Vec<StageUpdatingStatus>,
    /// The stage that removes the placement from clusters no longer picked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_stage_status: Option<StageUpdatingStatus>,
    /// The run as a whole.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// How far a stage is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageUpdatingStatus {
    /// Name of the stage.
    pub stage_name: String,
    /// Its clusters, in order.
    #[serde(deserialize_with = "null_default")]
    pub clusters: Vec<ClusterUpdatingStatus>,
    /// Tasks after the stage.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[serde(rename = "afterStageTaskStatus")]
    pub after_stage_task_status: Vec<StageTaskStatus>,
    /// Tasks before the stage.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1))]
    #[serde(rename = "beforeStageTaskStatus")]
    pub before_stage_task_status: Vec<StageTaskStatus>,
    /// When the stage began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the stage ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// The stage as a whole.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How far a cluster is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterUpdatingStatus {
    /// The cluster.
    pub cluster_name: String,
    /// Snapshots of ResourceOverrides in effect.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub resource_override_snapshots: Vec<NamespacedName>,
    /// Snapshots of ClusterResourceOverrides in effect.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_override_snapshots: Vec<String>,
    /// The update of this cluster.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageTaskStatus {
    /// Kind of the task.
    #[serde(rename = "type")]
    pub type_: StageTaskType,
    /// Its approval request.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub approval_request_name: String,
    /// The task.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

root_kind! {
    /// Moves the clusters of a ClusterResourcePlacement to one resource snapshot, stage by stage.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_63)))]
    ClusterStagedUpdateRun, "placement.kubernetes-fleet.io", "v1beta1", "clusterstagedupdateruns", ClusterResourceScope {
        /// What to roll out, and how.
        spec: UpdateRunSpec,
        /// How far the run is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<UpdateRunStatus>,
    }
}

root_kind! {
    /// Moves the clusters of a ResourcePlacement to one resource snapshot, stage by stage.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_63)))]
    StagedUpdateRun, "placement.kubernetes-fleet.io", "v1beta1", "stagedupdateruns", NamespaceResourceScope {
        /// What to roll out, and how.
        spec: UpdateRunSpec,
        /// How far the run is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<UpdateRunStatus>,
    }
}
