//! Work of this group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DiffDetails, SyncStrategy};
use crate::Condition;
use crate::root::root_kind;
use crate::serde_util::null_default;

/// What the member should have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkSpec {
    /// The manifests.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::embedded_list")]
    pub manifests: Vec<Value>,
    /// How the member takes them up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_strategy: Option<SyncStrategy>,
}

/// What the member has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkStatus {
    /// The Work as a whole.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// One entry per manifest.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<ManifestStatus>,
}

/// What has happened to one manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestStatus {
    /// Which manifest.
    pub identifier: ManifestIdentifier,
    /// Its conditions.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How the object differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_details: Option<DiffDetails>,
}

/// Identifies a manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestIdentifier {
    /// Position in the list of manifests, from 0.
    #[schemars(schema_with = "crate::schema::plain_integer")]
    pub ordinal: i64,
    /// Namespace, absent for cluster-scoped objects.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// API group, absent for the core group.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// API version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Plural resource name.
    pub resource: String,
}

root_kind! {
    /// Manifests for one cluster. No controller reads it yet.
    #[derive(Default)]
    Work, "placement.kubefleet.dev", "v1alpha1", "works", NamespaceResourceScope {
        /// What the member should have.
        spec: WorkSpec,
        /// What the member has done.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<WorkStatus>,
    }
}
