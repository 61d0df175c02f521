//! PlacementPolicy and ClusterPlacementPolicy.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{ClusterSelectorTerm, ObjectReference, SyncStrategy};
use crate::placement::v1beta1::rules::NAME_OR_LABELS;
use crate::placement::v1beta1::{TaintEffect, TolerationOperator};
use crate::root::root_kind;
use crate::schema::rules;
use crate::selector::LabelSelector;
use crate::serde_util::{null_default, string_enum};
use crate::{Condition, IntOrString};

/// What to place, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementPolicySpec {
    /// The clusters; absent means all.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10))]
    pub cluster_selectors: Vec<ClusterSelector>,
    /// The resources.
    #[serde(deserialize_with = "null_default")]
    #[schemars(length(min = 1, max = 10))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[NAME_OR_LABELS])))]
    pub resource_selectors: Vec<ResourceSelector>,
    /// Snapshots of resources that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 3))]
    #[schemars(range(min = 1, max = 20))]
    pub resource_revision_history_limit: Option<i32>,
    /// How members take up the resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_strategy: Option<SyncStrategy>,
    /// Taints that do not keep the placement away.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[schemars(extend("x-kubernetes-validations" = rules(TOLERATIONS)))]
    pub tolerations: Vec<Toleration>,
}

string_enum! {
    /// What happens when there are too few clusters.
    WhenUnfulfilled {
        /// New clusters are requested.
        RequestCluster,
        /// Nothing but waiting.
        KeepSearching,
    }
}

/// A number of clusters that match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(COUNTS)))]
pub struct ClusterSelector {
    /// The terms, ORed; absent means all clusters.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub terms: Vec<ClusterSelectorTerm>,
    /// How many clusters: a number, or All.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 1))]
    #[schemars(schema_with = "count")]
    pub count: Option<IntOrString>,
    /// How many clusters at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 999))]
    pub min_count: Option<i32>,
    /// What happens when there are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "RequestCluster"))]
    pub when_unfulfilled: Option<WhenUnfulfilled>,
}

fn count(_: &mut SchemaGenerator) -> Schema {
    crate::schema::int_or_string(Some("^([1-9][0-9]{0,2}|All)$"))
}

const COUNTS: &[(&str, &str)] = &[(
    "!has(self.minCount) || !has(self.count) || (type(self.count) == string && self.count == 'All') || \
     (type(self.count) == int && self.minCount <= self.count) || \
     (type(self.count) == string && self.count.matches('^[0-9]+$') && self.minCount <= int(self.count))",
    "minCount must be less than or equal to count when count is not All",
)];
const TOLERATIONS: &[(&str, &str)] = &[
    (
        "self.all(t, t.key != '' || (t.operator == 'Exists' && t.value == ''))",
        "operator must be Exists and value must be empty when key is empty",
    ),
    (
        "self.all(t, t.operator != 'Exists' || t.value == '')",
        "value must be empty when operator is Exists",
    ),
];

/// Selects resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSelector {
    /// API group, absent for the core group.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// API version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name of one object. Excludes a label selector.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Labels of the objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// Namespace of the objects.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// A taint that does not keep the placement away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How key and value are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Equal"))]
    pub operator: Option<TolerationOperator>,
    /// Value of the taint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Effect of the taint.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "NoSchedule"))]
    pub effect: Option<TaintEffect>,
}

/// What has happened so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementPolicyStatus {
    /// The policy as a whole.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Newest snapshot of resources.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub latest_resource_revision_name: String,
    /// Wanted clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_clusters: Option<i32>,
    /// Picked clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_clusters: Option<i32>,
    /// Clusters that have taken up the resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronized_clusters: Option<i32>,
    /// Clusters where the resources are available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources_available_clusters: Option<i32>,
    /// Requests for new clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ongoing_cluster_requests: Option<i32>,
    /// Who manages the bindings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding_manager: Option<BindingManager>,
}

/// Who manages the bindings of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingManager {
    /// Name of the controller.
    pub controller_name: String,
    /// Objects that it works from.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub object_refs: Vec<ObjectReference>,
}

root_kind! {
    /// Places resources of its namespace. No controller reads it yet.
    #[derive(Default)]
    PlacementPolicy, "placement.kubefleet.dev", "v1alpha1", "placementpolicies", NamespaceResourceScope {
        /// What to place, and where.
        spec: PlacementPolicySpec,
        /// What has happened so far.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementPolicyStatus>,
    }
}

root_kind! {
    /// Places resources of any scope. No controller reads it yet.
    #[derive(Default)]
    ClusterPlacementPolicy, "placement.kubefleet.dev", "v1alpha1", "clusterplacementpolicies", ClusterResourceScope {
        /// What to place, and where.
        spec: PlacementPolicySpec,
        /// What has happened so far.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementPolicyStatus>,
    }
}
