//! Work: manifests for one member (placement-api 7.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ApplyStrategy, PatchDetail, ReportBackStrategy};
use crate::root::root_kind;
use crate::serde_util::null_default;
use crate::{Condition, Time};

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
    /// Whether the status of placed objects is reported back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_back_strategy: Option<ReportBackStrategy>,
}

/// A list of manifests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadTemplate {
    /// The manifests, in the order of the snapshot.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::embedded_list")]
    pub manifests: Vec<Value>,
}

/// What the member has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkStatus {
    /// The Work as a whole. Always written.
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// One entry per manifest.
    // Written also when it is empty: statuses travel as merge patches, where a list that is absent stays as it was.
    #[serde(default, deserialize_with = "null_default")]
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
    /// Status of the object on the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_reported_status: Option<BackReportedStatus>,
}

/// Identifies a manifest; only the ordinal is there when it cannot be decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkResourceIdentifier {
    /// Position in the list of manifests, from 0.
    #[schemars(schema_with = "crate::schema::plain_integer")]
    pub ordinal: i64,
    /// API group.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Plural resource name.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Namespace.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// How an object has drifted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftDetails {
    /// When it was last looked at.
    pub observation_time: Time,
    /// Generation of the object on the member.
    pub observed_in_member_cluster_generation: i64,
    /// When the drift was first seen.
    pub first_drifted_observed_time: Time,
    /// The differences.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub observed_drifts: Vec<PatchDetail>,
}

/// How an object differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffDetails {
    /// When it was last looked at.
    pub observation_time: Time,
    /// Generation of the object on the member; absent when it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_in_member_cluster_generation: Option<i64>,
    /// When the difference was first seen.
    pub first_diffed_observed_time: Time,
    /// The differences.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub observed_diffs: Vec<PatchDetail>,
}

/// Status of a placed object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackReportedStatus {
    /// An object that holds `apiVersion`, `kind` and `status`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(schema_with = "crate::schema::embedded")]
    pub observed_status: Value,
    /// When it was read.
    pub observation_time: Time,
}

root_kind! {
    /// Manifests for one member cluster, in the member's namespace on the hub.
    #[derive(Default)]
    Work, "placement.kubernetes-fleet.io", "v1beta1", "works", NamespaceResourceScope {
        /// What the member should have.
        #[serde(default)]
        spec: WorkSpec,
        /// What the member has done.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<WorkStatus>,
    }
}
