//! References to resources and what is wrong with them (placement-api 3.7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::serde_util::{null_default, string_enum};
use crate::{Condition, Time};

/// A namespaced reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedName {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
}

string_enum! {
    /// Kind of an envelope.
    EnvelopeType {
        /// A ConfigMap whose values are manifests.
        ConfigMap,
        /// A ClusterResourceEnvelope.
        ClusterResourceEnvelope,
        /// A ResourceEnvelope.
        ResourceEnvelope,
    }
}

/// The envelope that a manifest came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvelopeIdentifier {
    /// Name.
    pub name: String,
    /// Namespace, absent for cluster-scoped envelopes.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Kind. Always written.
    #[serde(rename = "type", default = "default_envelope")]
    #[schemars(extend("x-default" = "ConfigMap"))]
    pub type_: EnvelopeType,
}

fn default_envelope() -> EnvelopeType {
    EnvelopeType::ConfigMap
}

/// Identifies a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceIdentifier {
    /// API group, absent for the core group.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace, absent for cluster-scoped resources.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The envelope that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envelope: Option<EnvelopeIdentifier>,
}

/// A resource that could not be placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedResourcePlacement {
    /// The resource.
    #[serde(flatten)]
    pub resource: ResourceIdentifier,
    /// The manifest's failed condition, as the member wrote it.
    pub condition: Condition,
}

/// A resource that was changed on the member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftedResourcePlacement {
    /// The resource.
    #[serde(flatten)]
    pub resource: ResourceIdentifier,
    /// When the drift was last looked at.
    pub observation_time: Time,
    /// Generation of the object on the member.
    pub target_cluster_observed_generation: i64,
    /// When the drift was first seen.
    pub first_drifted_observed_time: Time,
    /// The differences.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub observed_drifts: Vec<PatchDetail>,
}

/// A resource that differs from what is on the member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffedResourcePlacement {
    /// The resource.
    #[serde(flatten)]
    pub resource: ResourceIdentifier,
    /// When the difference was last looked at.
    pub observation_time: Time,
    /// Generation of the object on the member; absent when it does not exist there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_cluster_observed_generation: Option<i64>,
    /// When the difference was first seen.
    pub first_diffed_observed_time: Time,
    /// The differences.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub observed_diffs: Vec<PatchDetail>,
}

/// One difference between hub and member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchDetail {
    /// Where, as a JSON pointer.
    pub path: String,
    /// Value on the member, as text; absent when the field is missing there.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub value_in_member: String,
    /// Value on the hub, as text; absent when the field is missing there.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub value_in_hub: String,
}
