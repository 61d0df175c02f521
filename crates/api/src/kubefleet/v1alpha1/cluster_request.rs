//! ClusterRequest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClusterSelectorTerm, ObjectReference};
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;
use crate::{Condition, Time};

/// What kind of cluster is needed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRequestSpec {
    /// The policy that needs it. Immutable.
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "the placementPolicyRef field is immutable")])))]
    pub placement_policy_ref: ObjectReference,
    /// What the cluster must be like. Immutable once set.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "the clusterSelectorTerms field is immutable")])))]
    pub cluster_selector_terms: Vec<ClusterSelectorTerm>,
}

/// What became of the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRequestStatus {
    /// Completed.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The new cluster.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub provisioned_cluster_name: String,
    /// Creation time of the newest cluster when the request was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_observed_most_recent_cluster_creation_timestamp: Option<Time>,
}

root_kind! {
    /// Asks for a new cluster. No controller reads it yet.
    #[derive(Default)]
    ClusterRequest, "placement.kubefleet.dev", "v1alpha1", "clusterrequests", ClusterResourceScope {
        /// What kind of cluster is needed.
        spec: ClusterRequestSpec,
        /// What became of the request.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ClusterRequestStatus>,
    }
}
