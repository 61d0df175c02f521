//! Work without report-back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;
use crate::placement::v1beta1::{ApplyStrategy, DiffDetails, DriftDetails, WorkResourceIdentifier, WorkloadTemplate};
use crate::root::root_kind;
use crate::serde_util::null_default;

/// What the member should have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkSpec {
    /// The manifests.
    #[serde(default, deserialize_with = "null_default")]
    pub workload: WorkloadTemplate,
    /// How they are applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply_strategy: Option<ApplyStrategy>,
}

/// What the member has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkStatus {
    /// The Work as a whole. Always written.
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// One entry per manifest.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub manifest_conditions: Vec<ManifestCondition>,
}

/// What has happened to one manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestCondition {
    /// Which manifest.
    pub identifier: WorkResourceIdentifier,
    /// Its conditions. Always written.
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// How the object has drifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_details: Option<DriftDetails>,
    /// How the object differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_details: Option<DiffDetails>,
}

root_kind! {
    /// Manifests for one member cluster, in the member's namespace on the hub.
    #[derive(Default)]
    Work, "placement.kubernetes-fleet.io", "v1", "works", NamespaceResourceScope {
        /// What the member should have.
        #[serde(default)]
        spec: WorkSpec,
        /// What the member has done.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<WorkStatus>,
    }
}
