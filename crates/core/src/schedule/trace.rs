//! Why the scheduler decides as it does.

use api::placement::v1beta1::PlacementType;
use serde::Serialize;

use crate::trace::Bounded;

/// What one run of the scheduler went by.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// Name of the current policy snapshot.
    pub policy_snapshot: String,
    /// Whether the cycle had to run. If not, nothing happened that it has to answer, and all else here is empty.
    pub due: bool,
    /// The policy's type.
    pub placement_type: Option<PlacementType>,
    /// How many clusters the policy requires, where it gives a number.
    pub wanted: Option<usize>,
    /// The clusters that the current policy holds already.
    pub held: Bounded<String>,
    /// What became of every other cluster, by name.
    pub clusters: Bounded<ClusterTrace>,
}

/// What became of one cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTrace {
    /// Its name.
    pub cluster: String,
    /// How the filters judged it.
    #[serde(flatten)]
    pub result: FilterResult,
}

/// How the filters judged a cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FilterResult {
    /// A filter refused it.
    Refused {
        /// Which one.
        filter: Filter,
        /// The refusal as the policy snapshot's status gives it.
        reason: String,
        /// What was compared.
        compared: Bounded<Comparison>,
    },
    /// It passed all filters.
    Passed {
        /// Its score by cluster affinity.
        affinity_score: i64,
        /// What the affinity score is made of: one entry for each preferred term that adds to it.
        affinity: Bounded<TermScore>,
        /// Its score by topology spread.
        topology_score: i64,
        /// What the topology score is made of: one entry for each constraint in whose domains the cluster lies.
        topology: Bounded<SpreadScore>,
        /// Whether a binding of an older policy holds it, which decides between equal scores.
        obsolete: bool,
        /// Whether it was picked.
        picked: bool,
    },
}

/// The filters in their order (hub-behaviour 4.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Filter {
    /// Required cluster affinity.
    ClusterAffinity,
    /// Membership, heartbeat and health.
    Eligibility,
    /// The namespace of a ResourcePlacement must exist.
    NamespaceAffinity,
    /// Taints without toleration.
    Taints,
    /// Topology spread constraints that must hold.
    TopologySpread,
    /// PickFixed names a cluster that does not exist.
    Existence,
}

/// A value that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// What was looked at, such as `label region`.
    pub subject: String,
    /// What the filter requires, such as `In [eu, us]`.
    pub wanted: String,
    /// What the cluster has; `None` when it has nothing of the kind.
    pub found: Option<String>,
    /// Whether that is enough.
    pub holds: bool,
}

/// What one preferred term adds to the affinity score.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TermScore {
    /// Position of the term in the policy, from 0.
    pub term: usize,
    /// Its weight.
    pub weight: i32,
    /// The property by which the term sorts, with its value on the cluster and the extremes in the fleet.
    pub sorted_by: Option<SortedBy>,
    /// What it adds.
    pub score: i64,
}

/// How a term that sorts by a property sees a cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SortedBy {
    /// The property.
    pub property: String,
    /// Its value on the cluster.
    pub value: Option<f64>,
    /// The smallest value in the fleet.
    pub smallest: Option<f64>,
    /// The largest value in the fleet.
    pub largest: Option<f64>,
}

/// What one topology spread constraint adds to the topology score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpreadScore {
    /// The label whose values are the domains.
    pub key: String,
    /// The cluster's domain.
    pub domain: String,
    /// Picked clusters in that domain.
    pub count: i64,
    /// Difference between the fullest and the emptiest domain before this pick.
    pub skew: i64,
    /// How the pick would change the skew.
    pub change: i64,
    /// The largest skew that the constraint allows.
    pub max_skew: i64,
    /// What it adds.
    pub score: i64,
}
