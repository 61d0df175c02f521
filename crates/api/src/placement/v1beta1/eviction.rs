//! Evictions and disruption budgets (placement-api 9).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;
use crate::{Condition, IntOrString};

/// What to evict. Immutable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementEvictionSpec {
    /// The ClusterResourcePlacement.
    #[schemars(length(max = 255))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "The PlacementName field is immutable")])))]
    pub placement_name: String,
    /// The cluster that it should leave.
    #[schemars(length(max = 255))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "The ClusterName field is immutable")])))]
    pub cluster_name: String,
}

/// What became of the eviction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementEvictionStatus {
    /// Valid and Executed; final once decided.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// How much may be missing. At most one of the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(ONE_OF_TWO)))]
pub struct PlacementDisruptionBudgetSpec {
    /// How many clusters may be without the placement: a count or a percentage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules(AMOUNT)))]
    pub max_unavailable: Option<IntOrString>,
    /// How many clusters must keep the placement: a count or a percentage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules(AMOUNT)))]
    pub min_available: Option<IntOrString>,
}

const ONE_OF_TWO: &[(&str, &str)] = &[(
    "!(has(self.maxUnavailable) && has(self.minAvailable))",
    "Both MaxUnavailable and MinAvailable cannot be specified",
)];
const AMOUNT: &[(&str, &str)] = &[(
    "type(self) == string ? self.matches('^(100|[0-9]{1,2})%$') : self >= 0",
    "If supplied value is String should match regex '^(100|[0-9]{1,2})%$' or If supplied value is Integer must be \
     greater than or equal to 0",
)];

root_kind! {
    /// Removes a ClusterResourcePlacement from one cluster, as far as its budget allows.
    #[derive(Default)]
    ClusterResourcePlacementEviction, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourceplacementevictions", ClusterResourceScope {
        /// What to evict.
        spec: PlacementEvictionSpec,
        /// What became of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<PlacementEvictionStatus>,
    }
}

root_kind! {
    /// Limits evictions of the ClusterResourcePlacement of the same name.
    #[derive(Default)]
    ClusterResourcePlacementDisruptionBudget, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourceplacementdisruptionbudgets", ClusterResourceScope {
        /// How much may be missing.
        spec: PlacementDisruptionBudgetSpec,
    }
}
