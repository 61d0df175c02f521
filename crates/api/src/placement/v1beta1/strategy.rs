//! How changes reach the picked clusters (placement-api 3.5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ApplyStrategy;
use super::rules::STRATEGY_TYPE;
use crate::intstr::IntOrString;
use crate::schema::rules;
use crate::serde_util::string_enum;

string_enum! {
    /// Who moves clusters to new resources.
    RolloutStrategyType {
        /// The hub agent, within budgets.
        RollingUpdate,
        /// Staged update runs or another controller.
        External,
    }
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
    /// What happens to placed resources when the placement is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_strategy: Option<DeleteStrategy>,
    /// Whether members report the status of placed objects back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules(REPORT_BACK_RULES)))]
    pub report_back_strategy: Option<ReportBackStrategy>,
}

const REPORT_BACK_RULES: &[(&str, &str)] = &[(
    "(self == null) || (self.type == 'Mirror' ? size(self.destination) != 0 : true)",
    "when reportBackStrategy.type is 'Mirror', a destination must be specified",
)];

/// Budgets of a rolling update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollingUpdateConfig {
    /// How many clusters may be unavailable meanwhile: a count, or a percentage of the wanted clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "25%"))]
    #[schemars(extend("pattern" = BUDGET_PATTERN))]
    pub max_unavailable: Option<IntOrString>,
    /// How many clusters may be added beyond the wanted number meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "25%"))]
    #[schemars(extend("pattern" = BUDGET_PATTERN))]
    pub max_surge: Option<IntOrString>,
    /// Seconds after which resources count as available where availability cannot be tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 60))]
    #[schemars(schema_with = "crate::schema::plain_integer")]
    #[schemars(range(min = 0))]
    pub unavailable_period_seconds: Option<i64>,
}

const BUDGET_PATTERN: &str = "^((100|[0-9]{1,2})%|[0-9]+)$";

string_enum! {
    /// What happens to placed resources when the placement is deleted.
    PropagationPolicy {
        /// They stay on the members.
        Abandon,
        /// They are deleted.
        Delete,
    }
}

/// What happens to placed resources when the placement is deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteStrategy {
    /// Keep or delete them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Delete"))]
    pub propagation_policy: Option<PropagationPolicy>,
}

string_enum! {
    /// Whether members report the status of placed objects back.
    ReportBackStrategyType {
        /// They do not.
        Disabled,
        /// They do, as it is.
        Mirror,
    }
}

string_enum! {
    /// Where a mirrored status goes.
    ReportBackDestination {
        /// To the status of the original object on the hub.
        OriginalResource,
        /// To the status of the Work only.
        WorkAPI,
    }
}

/// Whether and where members report the status of placed objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportBackStrategy {
    /// Whether they do.
    #[schemars(extend("x-default" = "Disabled"))]
    #[serde(rename = "type")]
    pub type_: ReportBackStrategyType,
    /// Where it goes; needed for Mirror.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<ReportBackDestination>,
}
