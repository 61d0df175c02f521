//! Who takes part in a fleet, and in which order they come.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Identity of a member: UID of its cluster's `kube-system` namespace, namespace and name of its MultiCluster object,
/// with `/` between them (multicluster-failover B.3).
///
/// It survives restarts and the object's re-creation; two members never share one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(String);

impl MemberId {
    /// The identity of the object `namespace`/`name` in the cluster `cluster_uid`.
    pub fn new(cluster_uid: &str, namespace: &str, name: &str) -> Self {
        Self(format!("{cluster_uid}/{namespace}/{name}"))
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part that names the cluster.
    pub fn cluster(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl From<&str> for MemberId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identity of a fleet: a UUID that is made once, when the fleet is created.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FleetId(String);

impl FleetId {
    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for FleetId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for FleetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FleetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sorts members by who leads first: the higher rank, then the smaller identity (multicluster-failover B.7).
pub fn precedence(rank: i64, id: &MemberId) -> (Reverse<i64>, &MemberId) {
    (Reverse(rank), id)
}

/// Whether a member of this rank may lead; others only vote (multicluster-failover B.7).
pub const fn may_lead(rank: i64) -> bool {
    rank > 0
}
