//! Strategies of staged updates (placement-api 10.3).

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::IntOrString;
use crate::root::root_kind;
use crate::schema::rules;
use crate::selector::LabelSelector;
use crate::serde_util::{null_default, string_enum};

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
    /// How many clusters are updated at a time: a count or a percentage of the stage, rounded down, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 1))]
    #[schemars(schema_with = "max_concurrency")]
    pub max_concurrency: Option<IntOrString>,
    /// What must happen after the clusters are updated.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[schemars(extend("x-kubernetes-validations" = rules(AFTER_RULES)))]
    pub after_stage_tasks: Vec<StageTask>,
    /// What must happen before the first cluster is updated.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1))]
    #[schemars(extend("x-kubernetes-validations" = rules(BEFORE_RULES)))]
    pub before_stage_tasks: Vec<StageTask>,
}

fn max_concurrency(_: &mut SchemaGenerator) -> Schema {
    let mut schema = crate::schema::int_or_string(Some("^(100|[1-9][0-9]?)%$"));
    let rule = (
        "self == null || type(self) != int || self >= 1",
        "maxConcurrency must be at least 1",
    );
    schema.insert("x-kubernetes-validations".into(), rules(&[rule]));
    schema
}

const NO_WAIT_TIME: (&str, &str) = (
    "!self.exists(e, e.type == 'Approval' && has(e.waitTime))",
    "AfterStageTaskType is Approval, waitTime is not allowed",
);
const AFTER_RULES: &[(&str, &str)] = &[
    NO_WAIT_TIME,
    (
        "!self.exists(e, e.type == 'TimedWait' && !has(e.waitTime))",
        "AfterStageTaskType is TimedWait, waitTime is required",
    ),
];
const BEFORE_RULES: &[(&str, &str)] = &[
    NO_WAIT_TIME,
    (
        "!self.exists(e, e.type == 'TimedWait')",
        "BeforeStageTaskType cannot be TimedWait",
    ),
];

string_enum! {
    /// Kind of a task.
    StageTaskType {
        /// Wait for a time.
        TimedWait,
        /// Wait for a user.
        Approval,
    }
}

/// Something that must happen before or after a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageTask {
    /// Kind of the task.
    #[serde(rename = "type")]
    pub type_: StageTaskType,
    /// How long to wait, for TimedWait: numbers with the units s, m and h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = r"^(?:(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:s|m|h))+$"))]
    pub wait_time: Option<String>,
}

root_kind! {
    /// Order in which clusters take up changes of ClusterResourcePlacements.
    #[derive(Default)]
    ClusterStagedUpdateStrategy, "placement.kubernetes-fleet.io", "v1beta1", "clusterstagedupdatestrategies", ClusterResourceScope {
        /// The stages.
        spec: UpdateStrategySpec,
    }
}

root_kind! {
    /// Order in which clusters take up changes of ResourcePlacements.
    #[derive(Default)]
    StagedUpdateStrategy, "placement.kubernetes-fleet.io", "v1beta1", "stagedupdatestrategies", NamespaceResourceScope {
        /// The stages.
        spec: UpdateStrategySpec,
    }
}
