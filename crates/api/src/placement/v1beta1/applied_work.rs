//! AppliedWork: owner of placed objects on a member (placement-api 7.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WorkResourceIdentifier;
use crate::root::root_kind;
use crate::serde_util::null_default;

/// The Work on the hub.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedWorkSpec {
    /// Its name.
    pub work_name: String,
    /// Its namespace on the hub.
    pub work_namespace: String,
}

/// What was applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedWorkStatus {
    /// The objects.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub applied_resources: Vec<AppliedResourceMeta>,
}

/// One applied object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedResourceMeta {
    /// Which manifest.
    #[serde(flatten)]
    pub identifier: WorkResourceIdentifier,
    /// UID of the object.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

root_kind! {
    /// Represents a Work on the member and owns every object that was placed by it.
    #[derive(Default)]
    AppliedWork, "placement.kubernetes-fleet.io", "v1beta1", "appliedworks", ClusterResourceScope {
        /// The Work on the hub.
        spec: AppliedWorkSpec,
        /// What was applied.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<AppliedWorkStatus>,
    }
}
