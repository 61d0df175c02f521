//! Overrides: changes to resources per cluster (placement-api 8.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rules::{CLUSTER_OVERRIDE, OVERRIDE_PLACEMENT};
use super::{ClusterSelector, ResourceSelectorTerm};
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// Scope of a placement.
    ResourceScope {
        /// A ClusterResourcePlacement.
        Cluster,
        /// A ResourcePlacement of the same namespace.
        Namespaced,
    }
}

/// The only placement that an override applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementRef {
    /// Name of the placement.
    pub name: String,
    /// Scope of the placement.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Cluster"))]
    pub scope: Option<ResourceScope>,
}

/// Changes to cluster-scoped resources, and to everything in selected namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterResourceOverrideSpec {
    /// The only placement it applies to; absent means every placement. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementRef>,
    /// The resources, by name.
    #[serde(deserialize_with = "null_default")]
    #[schemars(length(min = 1, max = 20))]
    pub cluster_resource_selectors: Vec<ResourceSelectorTerm>,
    /// The changes.
    pub policy: OverridePolicy,
}

/// Changes to resources of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceOverrideSpec {
    /// The only placement it applies to; absent means every placement. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementRef>,
    /// The resources, by name.
    #[serde(deserialize_with = "null_default")]
    #[schemars(length(min = 1, max = 20))]
    pub resource_selectors: Vec<ResourceSelector>,
    /// The changes.
    pub policy: OverridePolicy,
}

/// Names a resource of the override's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSelector {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// Rules, applied in order; later ones win.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverridePolicy {
    /// The rules.
    #[serde(deserialize_with = "null_default")]
    #[schemars(length(min = 1, max = 20))]
    pub override_rules: Vec<OverrideRule>,
}

string_enum! {
    /// What a rule does.
    OverrideType {
        /// Patches the resource.
        JSONPatch,
        /// Keeps the resource away from the cluster.
        Delete,
    }
}

/// A change on some clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverrideRule {
    /// The clusters: absent means none, an empty list of terms means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_selector: Option<ClusterSelector>,
    /// What the rule does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "JSONPatch"))]
    pub override_type: Option<OverrideType>,
    /// The patch, applied in order.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 20))]
    #[serde(rename = "jsonPatchOverrides")]
    pub json_patch_overrides: Vec<JSONPatchOverride>,
}

string_enum! {
    /// Operation of a patch.
    JSONPatchOverrideOperator {
        /// Adds or replaces.
        Add = "add",
        /// Removes.
        Remove = "remove",
        /// Replaces what is there.
        Replace = "replace",
    }
}

/// One operation of RFC 6902.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JSONPatchOverride {
    /// The operation.
    #[serde(rename = "op")]
    pub operator: JSONPatchOverrideOperator,
    /// JSON pointer to the field.
    pub path: String,
    /// The new value; `null` where there is none. Texts may hold `${MEMBER-CLUSTER-NAME}` and
    /// `${MEMBER-CLUSTER-LABEL-KEY-<key>}`.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::any_value")]
    pub value: Value,
}

root_kind! {
    /// Changes cluster-scoped resources per cluster while they are placed.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(CLUSTER_OVERRIDE)))]
    ClusterResourceOverride, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourceoverrides", ClusterResourceScope {
        /// What to change.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(OVERRIDE_PLACEMENT)))]
        spec: ClusterResourceOverrideSpec,
    }
}

root_kind! {
    /// Changes resources of its namespace per cluster while they are placed.
    #[derive(Default)]
    ResourceOverride, "placement.kubernetes-fleet.io", "v1beta1", "resourceoverrides", NamespaceResourceScope {
        /// What to change.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(OVERRIDE_PLACEMENT)))]
        spec: ResourceOverrideSpec,
    }
}
