//! The settings of a member, and the health of its cluster.

use std::time::Duration;

use crate::configuration::Availability;
use crate::member::MemberId;

/// The object's spec and annotations, with defaults applied (multicluster-failover A.2, B.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub rank: i64,
    /// A fleet may be created when none is found.
    pub ready: bool,
    /// `host:port` that others reach this member at.
    pub address: Option<String>,
    /// Addresses of members of an existing fleet.
    pub seeds: Vec<String>,
    pub lease: Duration,
    pub renew: Duration,
    /// What this cluster needs to remove the payload.
    pub fence: Duration,
    pub handover_timeout: Duration,
    pub preemption: Preemption,
    /// How long a higher-ranked member has to acknowledge renewals before it takes over.
    pub stable: Duration,
    pub availability: Availability,
    /// The hub as a witness; none when the cluster has joined no hub or the object wants none.
    pub hub: Option<MemberId>,
    /// A hook has to confirm that the old leader is fenced.
    pub has_fence_hook: bool,
    /// The payload's revision: a number that changes whenever the payload does.
    pub payload: u64,
    /// Hash of the payload, hexadecimal.
    pub payload_hash: String,
    pub is_paused: bool,
    /// The object is being deleted.
    pub is_deleted: bool,
    pub requests: Requests,
}

/// Values of the operator's annotations; each value is executed once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    pub promote: Option<String>,
    pub force_promote: Option<String>,
    pub forget: Option<String>,
}

/// Names of the annotations under which handled values are recorded.
pub const PROMOTE: &str = "kube-vip.io/promote";
pub const FORCE_PROMOTE: &str = "kube-vip.io/force-promote";
pub const FORGET: &str = "kube-vip.io/forget-member";

/// When a higher-ranked member takes over from a healthy leader (multicluster-failover B.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preemption {
    Immediate,
    AfterStable,
    Never,
}

/// What the member's surroundings are like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The cluster's API server answers.
    pub api: bool,
    /// The payload decodes, every kind maps, its dry run succeeded and no foreign workload is in the way.
    pub payload: bool,
}
