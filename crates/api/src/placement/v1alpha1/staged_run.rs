//! Staged updates in their first form: no state, no tasks before a stage, one cluster at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::placement::v1beta1::rules::{IMMUTABLE_SPEC, NAME_127};
use crate::placement::v1beta1::{ApplyStrategy, ClusterUpdatingStatus, StageTaskStatus, StageTaskType};
use crate::root::root_kind;
use crate::schema::rules;
use crate::selector::LabelSelector;
use crate::serde_util::null_default;
use crate::{Condition, Time};

/// What to roll out, and how. Immutable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRunSpec {
    /// The placement.
    #[schemars(length(max = 255))]
    pub placement_name: String,
    /// Index of the resource snapshot.
    pub resource_snapshot_index: String,
    /// The strategy.
    pub staged_rollout_strategy_name: String,
}

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
    /// How members apply resources, as it was at initialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_strategy: Option<ApplyStrategy>,
    /// The strategy, as it was at initialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged_update_strategy_snapshot: Option<UpdateStrategySpec>,
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
    pub after_stage_task_status: Vec<StageTaskStatus>,
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

/// Stages, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategySpec {
    /// The stages.
    #[serde(deserialize_with = "null_default")]
    #[schemars(length(max = 31))]
    pub stages: Vec<StageConfig>,
}

/// A group of clusters that is updated together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageConfig {
    /// Name, unique within the strategy.
    #[schemars(length(max = 63))]
    #[schemars(extend("pattern" = "^[a-z0-9]+$"))]
    pub name: String,
    /// The clusters: absent means none, empty means every picked cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// Label with an integer value by which the clusters are ordered; otherwise by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sorting_label_key: Option<String>,
    /// What must happen after the clusters are updated.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub after_stage_tasks: Vec<StageTask>,
}

/// Something that must happen after a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageTask {
    /// Kind of the task.
    #[serde(rename = "type")]
    pub type_: StageTaskType,
    /// How long to wait, for TimedWait: `0`, or numbers with the units s, m and h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = r"^(?:0|(?:(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:s|m|h))+)$"))]
    pub wait_time: Option<String>,
}

root_kind! {
    /// Moves the clusters of a ClusterResourcePlacement to one resource snapshot, stage by stage.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_127)))]
    ClusterStagedUpdateRun, "placement.kubernetes-fleet.io", "v1alpha1", "clusterstagedupdateruns", ClusterResourceScope {
        /// What to roll out, and how.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(IMMUTABLE_SPEC)))]
        spec: UpdateRunSpec,
        /// How far the run is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<UpdateRunStatus>,
    }
}

root_kind! {
    /// Order in which clusters take up changes of ClusterResourcePlacements.
    #[derive(Default)]
    ClusterStagedUpdateStrategy, "placement.kubernetes-fleet.io", "v1alpha1", "clusterstagedupdatestrategies", ClusterResourceScope {
        /// The stages.
        spec: UpdateStrategySpec,
    }
}
