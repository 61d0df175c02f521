//! How members apply resources (placement-api 3.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// What counts as a difference.
    ComparisonOption {
        /// Only fields of the hub manifest.
        PartialComparison,
        /// All fields.
        FullComparison,
    }
}

string_enum! {
    /// When a manifest is applied.
    WhenToApply {
        /// Always.
        Always,
        /// Not where the object has drifted.
        IfNotDrifted,
    }
}

string_enum! {
    /// How a manifest is applied.
    ApplyStrategyType {
        /// Three-way merge by the agent.
        ClientSideApply,
        /// Server-side apply.
        ServerSideApply,
        /// Compare and report, never write.
        ReportDiff,
    }
}

string_enum! {
    /// What happens to an object that exists and is not ours.
    WhenToTakeOver {
        /// Take it over.
        Always,
        /// Take it over when it does not differ.
        IfNoDiff,
        /// Leave it alone.
        Never,
    }
}

/// How members apply resources. Compared after defaulting, field by field in this order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyStrategy {
    /// What counts as drift or difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "PartialComparison"))]
    pub comparison_option: Option<ComparisonOption>,
    /// Whether drifted objects are applied again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Always"))]
    pub when_to_apply: Option<WhenToApply>,
    /// How manifests are applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "ClientSideApply"))]
    #[serde(rename = "type")]
    pub type_: Option<ApplyStrategyType>,
    /// Whether our owner reference may stand beside those of others.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub allow_co_ownership: bool,
    /// For ServerSideApply only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply_config: Option<ServerSideApplyConfig>,
    /// What happens to existing objects that are not ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Always"))]
    pub when_to_take_over: Option<WhenToTakeOver>,
}

/// Settings of server-side apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerSideApplyConfig {
    /// Take over conflicting fields.
    #[serde(default, deserialize_with = "null_default", rename = "force")]
    pub force_conflicts: bool,
}
