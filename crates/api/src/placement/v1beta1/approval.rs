//! Approval requests of staged updates (placement-api 10.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::IMMUTABLE_SPEC;
use crate::Condition;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;

/// What waits for approval. Immutable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequestSpec {
    /// The update run.
    #[serde(rename = "parentStageRollout")]
    pub target_update_run: String,
    /// The stage.
    pub target_stage: String,
}

/// Whether it is approved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequestStatus {
    /// Approved, set by a user for the current generation; ApprovalAccepted, set by the hub.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

root_kind! {
    /// Asks a user to let a staged update of a ClusterResourcePlacement go on.
    #[derive(Default)]
    ClusterApprovalRequest, "placement.kubernetes-fleet.io", "v1beta1", "clusterapprovalrequests", ClusterResourceScope {
        /// What waits for approval.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(IMMUTABLE_SPEC)))]
        spec: ApprovalRequestSpec,
        /// Whether it is approved.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ApprovalRequestStatus>,
    }
}

root_kind! {
    /// Asks a user to let a staged update of a ResourcePlacement go on.
    #[derive(Default)]
    ApprovalRequest, "placement.kubernetes-fleet.io", "v1beta1", "approvalrequests", NamespaceResourceScope {
        /// What waits for approval.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(IMMUTABLE_SPEC)))]
        spec: ApprovalRequestSpec,
        /// Whether it is approved.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ApprovalRequestStatus>,
    }
}
