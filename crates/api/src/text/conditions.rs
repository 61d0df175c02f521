//! Condition types.

/// Which placement kind a condition type belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementKind {
    /// ClusterResourcePlacement.
    Cluster,
    /// ResourcePlacement.
    Namespaced,
}

/// Generic type of a placement condition; the full type carries the kind's prefix (placement-api 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlacementCondition {
    /// All clusters that the policy requires are found.
    Scheduled,
    /// All clusters move to the observed resources.
    RolloutStarted,
    /// Overrides are evaluated.
    Overridden,
    /// All Works match the observed resources.
    WorkSynchronized,
    /// Everything is applied.
    Applied,
    /// Everything is available.
    Available,
    /// All differences are reported.
    DiffReported,
    /// The status is mirrored into the selected namespace.
    StatusSynced,
}

impl PlacementCondition {
    /// All types, in order of evaluation.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::RolloutStarted,
        Self::Overridden,
        Self::WorkSynchronized,
        Self::Applied,
        Self::Available,
        Self::DiffReported,
        Self::StatusSynced,
    ];

    /// The type on the wire for a kind of placement.
    pub const fn on(self, kind: PlacementKind) -> &'static str {
        match kind {
            PlacementKind::Cluster => match self {
                Self::Scheduled => "ClusterResourcePlacementScheduled",
                Self::RolloutStarted => "ClusterResourcePlacementRolloutStarted",
                Self::Overridden => "ClusterResourcePlacementOverridden",
                Self::WorkSynchronized => "ClusterResourcePlacementWorkSynchronized",
                Self::Applied => "ClusterResourcePlacementApplied",
                Self::Available => "ClusterResourcePlacementAvailable",
                Self::DiffReported => "ClusterResourcePlacementDiffReported",
                Self::StatusSynced => "ClusterResourcePlacementStatusSynced",
            },
            PlacementKind::Namespaced => match self {
                Self::Scheduled => "ResourcePlacementScheduled",
                Self::RolloutStarted => "ResourcePlacementRolloutStarted",
                Self::Overridden => "ResourcePlacementOverridden",
                Self::WorkSynchronized => "ResourcePlacementWorkSynchronized",
                Self::Applied => "ResourcePlacementApplied",
                Self::Available => "ResourcePlacementAvailable",
                Self::DiffReported => "ResourcePlacementDiffReported",
                Self::StatusSynced => "ResourcePlacementStatusSynced",
            },
        }
    }

    /// The type without prefix, as in per-cluster entries and on bindings.
    pub const fn per_cluster(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::RolloutStarted => "RolloutStarted",
            Self::Overridden => "Overridden",
            Self::WorkSynchronized => "WorkSynchronized",
            Self::Applied => "Applied",
            Self::Available => "Available",
            Self::DiffReported => "DiffReported",
            Self::StatusSynced => "StatusSynced",
        }
    }
}

/// Per-cluster entries of a placement status, and bindings (placement-api 5.4).
pub mod cluster {
    /// The cluster is picked; in placement status only.
    pub const SCHEDULED: &str = "Scheduled";

    /// The cluster moves to the latest resources.
    pub const ROLLOUT_STARTED: &str = "RolloutStarted";

    /// Overrides are evaluated.
    pub const OVERRIDDEN: &str = "Overridden";

    /// The Works are complete and current.
    pub const WORK_SYNCHRONIZED: &str = "WorkSynchronized";

    /// All Works are applied.
    pub const APPLIED: &str = "Applied";

    /// All Works are available.
    pub const AVAILABLE: &str = "Available";

    /// All Works have reported differences.
    pub const DIFF_REPORTED: &str = "DiffReported";
}

/// Works and their manifests (placement-api 7.2).
pub mod work {
    /// Everything is applied.
    pub const APPLIED: &str = "Applied";

    /// Everything is available.
    pub const AVAILABLE: &str = "Available";

    /// Differences are reported.
    pub const DIFF_REPORTED: &str = "DiffReported";

    /// Details were cut to keep the object small.
    pub const STATUS_TRIMMED: &str = "StatusTrimmed";

    /// Changes of the placed objects are noticed at once. Written only while they are not.
    pub const WATCHED: &str = "Watched";

    /// Somebody else writes the same fields of a placed object. Fairway's own, on manifests.
    pub const CONTESTED: &str = "Contested";
}

/// Member clusters and their agents (placement-api 4.1).
pub mod member {
    /// The hub side is prepared.
    pub const READY_TO_JOIN: &str = "ReadyToJoin";

    /// All expected agents have joined, or the agent has.
    pub const JOINED: &str = "Joined";

    /// The agent reaches its API server.
    pub const HEALTHY: &str = "Healthy";

    /// The property provider runs.
    pub const CLUSTER_PROPERTY_PROVIDER_STARTED: &str = "ClusterPropertyProviderStarted";

    /// Properties were collected.
    pub const CLUSTER_PROPERTY_COLLECTION_SUCCEEDED: &str = "ClusterPropertyCollectionSucceeded";

    /// All namespaces were listed.
    pub const NAMESPACE_COLLECTION_SUCCEEDED: &str = "NamespaceCollectionSucceeded";

    /// Costs were computed.
    pub const AKS_CLUSTER_COST_PROPERTIES_COLLECTION_SUCCEEDED: &str = "AKSClusterCostPropertiesCollectionSucceeded";
}

/// Policy snapshots (placement-api 6.1).
pub mod snapshot {
    /// The scheduler has decided.
    pub const SCHEDULED: &str = "Scheduled";
}

/// Evictions (placement-api 9.1).
pub mod eviction {
    /// The eviction names a placed cluster.
    pub const VALID: &str = "Valid";

    /// The placement was removed from the cluster.
    pub const EXECUTED: &str = "Executed";
}

/// Staged update runs, their stages, clusters and tasks, and approval requests (placement-api 10.4, 10.5).
pub mod update_run {
    /// The run is planned.
    pub const INITIALIZED: &str = "Initialized";

    /// The run or stage is moving.
    pub const PROGRESSING: &str = "Progressing";

    /// It is finished.
    pub const SUCCEEDED: &str = "Succeeded";

    /// A cluster's update has begun.
    pub const STARTED: &str = "Started";

    /// A task has requested approval.
    pub const APPROVAL_REQUEST_CREATED: &str = "ApprovalRequestCreated";

    /// A task's request was approved.
    pub const APPROVAL_REQUEST_APPROVED: &str = "ApprovalRequestApproved";

    /// A task's time is over.
    pub const WAIT_TIME_ELAPSED: &str = "WaitTimeElapsed";

    /// A user approves the request.
    pub const APPROVED: &str = "Approved";

    /// The hub has taken the approval.
    pub const APPROVAL_ACCEPTED: &str = "ApprovalAccepted";
}

/// ClusterProfile (placement-api 11.2).
pub mod inventory {
    /// The member's API server is healthy.
    pub const CONTROL_PLANE_HEALTHY: &str = "ControlPlaneHealthy";
}

/// Networking kinds (networking 2.4).
pub mod networking {
    /// The export or service can be used.
    pub const VALID: &str = "Valid";

    /// The export contradicts others of the same name.
    pub const CONFLICT: &str = "Conflict";

    /// The profile exists in Azure.
    pub const PROGRAMMED: &str = "Programmed";

    /// The backend's endpoints exist in Azure.
    pub const ACCEPTED: &str = "Accepted";
}
