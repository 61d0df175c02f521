//! The scheduling policy of a placement (placement-api 3.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::TOLERATIONS;
use crate::schema::rules;
use crate::selector::LabelSelector;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// How clusters are picked.
    PlacementType {
        /// Every eligible cluster.
        PickAll,
        /// A number of clusters, best first.
        PickN,
        /// The named clusters.
        PickFixed,
    }
}

/// Which clusters a placement goes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementPolicy {
    /// How clusters are picked. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "PickAll"))]
    pub placement_type: Option<PlacementType>,
    /// Names of the clusters, for PickFixed.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub cluster_names: Vec<String>,
    /// How many clusters to pick, for PickN.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub number_of_clusters: Option<i32>,
    /// What clusters must or should be like, for PickAll and PickN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How to spread over groups of clusters, for PickN.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Taints that do not keep the placement away, for PickAll and PickN. They may only be added to.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(extend("x-kubernetes-validations" = rules(TOLERATIONS)))]
    pub tolerations: Vec<Toleration>,
}

/// What clusters must or should be like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Affinity {
    /// By labels and properties of clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_affinity: Option<ClusterAffinity>,
}

/// Requirements and preferences about clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAffinity {
    /// What a cluster must satisfy when the scheduler looks at it; later changes do not evict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_during_scheduling_ignored_during_execution: Option<ClusterSelector>,
    /// What raises the score of a cluster.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub preferred_during_scheduling_ignored_during_execution: Vec<PreferredClusterSelector>,
}

/// A cluster is selected when any of the terms holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSelector {
    /// The terms, ORed.
    #[serde(deserialize_with = "null_default")]
    #[schemars(length(max = 10))]
    pub cluster_selector_terms: Vec<ClusterSelectorTerm>,
}

/// A preference and its weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreferredClusterSelector {
    /// What the preference adds to the score at most.
    #[schemars(range(min = -100, max = 100))]
    pub weight: i32,
    /// The preferred clusters.
    pub preference: ClusterSelectorTerm,
}

/// Conditions on one cluster, ANDed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSelectorTerm {
    /// On the labels of the MemberCluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// On its properties; in required terms only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_selector: Option<PropertySelector>,
    /// Ranks clusters by a property; in preferred terms only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_sorter: Option<PropertySorter>,
}

/// Conditions on cluster properties, ANDed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PropertySelector {
    /// The conditions.
    #[serde(deserialize_with = "null_default")]
    pub match_expressions: Vec<PropertySelectorRequirement>,
}

/// A comparison of a property with a quantity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PropertySelectorRequirement {
    /// Name of the property.
    pub name: String,
    /// Gt, Ge, Eq, Ne, Lt or Le.
    pub operator: String,
    /// Exactly one quantity.
    #[serde(deserialize_with = "null_default")]
    #[schemars(length(max = 1))]
    pub values: Vec<String>,
}

/// Ranks clusters by a property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PropertySorter {
    /// Name of the property.
    pub name: String,
    /// Which end is preferred.
    pub sort_order: PropertySortOrder,
}

string_enum! {
    /// Which end of a property's range is preferred.
    PropertySortOrder {
        /// Small values.
        Ascending,
        /// Large values.
        Descending,
    }
}

/// Spreads a placement over the values of a cluster label.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologySpreadConstraint {
    /// Largest allowed difference between the numbers of picked clusters per label value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    #[schemars(extend("x-default" = 1))]
    pub max_skew: Option<i32>,
    /// The label.
    pub topology_key: String,
    /// What happens when the difference would be larger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "DoNotSchedule"))]
    pub when_unsatisfiable: Option<UnsatisfiableConstraintAction>,
}

string_enum! {
    /// What a spread constraint does with a cluster that violates it.
    UnsatisfiableConstraintAction {
        /// The cluster is not picked.
        DoNotSchedule,
        /// The cluster scores lower.
        ScheduleAnyway,
    }
}

string_enum! {
    /// What a taint does.
    TaintEffect {
        /// Placements without toleration are not scheduled to the cluster.
        NoSchedule,
    }
}

string_enum! {
    /// How a toleration compares.
    TolerationOperator {
        /// Key and value must be equal.
        Equal,
        /// The key must be there; an empty key tolerates everything.
        Exists,
    }
}

/// A taint that does not keep the placement away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint; empty means every key and needs the operator Exists.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// How key and value are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Equal"))]
    pub operator: Option<TolerationOperator>,
    /// Value of the taint, for Equal.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Effect of the taint; absent means every effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}
