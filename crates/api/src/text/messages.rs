//! Messages that scripts and tests match (placement-api 6.1, 9.1, 14.7). Every other message is free.

/// Placement Scheduled, True.
pub fn scheduled(clusters: usize) -> String {
    format!("found all cluster needed as specified by the scheduling policy, found {clusters} cluster(s)")
}

/// Placement Scheduled, False.
pub fn not_scheduled(clusters: usize) -> String {
    format!(
        "could not find all clusters needed as specified by the scheduling policy, found {clusters} cluster(s) instead"
    )
}

/// Placement RolloutStarted, True.
pub fn rollout_started(clusters: usize) -> String {
    format!("All {clusters} cluster(s) start rolling out the latest resource")
}

/// Placement Overridden, True, where any cluster has an override.
pub fn overridden(clusters: usize) -> String {
    format!("The selected resources are successfully overridden in {clusters} cluster(s)")
}

/// Placement WorkSynchronized, True.
pub fn work_synchronized(clusters: usize) -> String {
    format!("Work(s) are successfully created or updated in {clusters} target cluster(s)' namespaces")
}

/// Placement Applied, True.
pub fn applied(clusters: usize) -> String {
    format!("The selected resources are successfully applied to {clusters} cluster(s)")
}

/// Placement Available, True.
pub fn available(clusters: usize) -> String {
    format!("The selected resources in {clusters} cluster(s) are available now")
}

/// Placement and cluster Overridden, True, where nothing is overridden.
pub const NO_OVERRIDE: &str = "No override rules are configured for the selected resources";
/// Cluster RolloutStarted, True.
pub const CLUSTER_ROLLOUT_STARTED: &str = "Detected the new changes on the resources and started the rollout process";
/// Cluster Overridden, True.
pub const CLUSTER_OVERRIDDEN: &str = "Successfully applied the override rules on the resources";
/// Cluster WorkSynchronized, True.
pub const CLUSTER_WORK_SYNCHRONIZED: &str = "All of the works are synchronized to the latest";
/// Cluster Applied, True.
pub const CLUSTER_APPLIED: &str = "All corresponding work objects are applied";
/// Cluster Available, True.
pub const CLUSTER_AVAILABLE: &str = "All corresponding work objects are available";

/// Cluster RolloutStarted, True, when an update run did it.
pub fn cluster_rollout_started_by_run(snapshot_index: &str, run: &str) -> String {
    format!("{CLUSTER_ROLLOUT_STARTED}, resourceSnapshotIndex: {snapshot_index}, updateRun: {run}")
}

/// Scheduler's decision: picked by score.
pub fn picked_by_score(cluster: &str, affinity: i32, spread: i32) -> String {
    format!(
        "Successfully scheduled resources for placement in \"{cluster}\" (affinity score: {affinity}, topology spread \
         score: {spread}): picked by scheduling policy"
    )
}

/// Scheduler's decision: a PickFixed cluster.
pub fn picked(cluster: &str) -> String {
    format!("Successfully scheduled resources for placement in \"{cluster}\": picked by scheduling policy")
}

/// Scheduler's decision: others score higher.
pub fn not_picked(cluster: &str, affinity: i32, spread: i32) -> String {
    format!(
        "Cluster \"{cluster}\" does not score high enough (affinity score: {affinity}, topology spread score: {spread})"
    )
}

/// Scheduler's decision: a PickFixed cluster that may not be used.
pub fn not_eligible(cluster: &str, why: &str) -> String {
    format!("Cluster \"{cluster}\" is not eligible for resource placement yet: {why}")
}

/// Scheduler's decision: a PickFixed cluster that does not exist.
pub fn not_found(cluster: &str) -> String {
    format!("Specified cluster \"{cluster}\" is not found")
}

/// Messages of evictions (placement-api 9.1).
pub mod eviction {
    /// Valid, True.
    pub const VALID: &str = "Eviction is valid";
    /// Valid, False: no such placement.
    pub const MISSING_PLACEMENT: &str = "Failed to find ClusterResourcePlacement targeted by eviction";
    /// Valid, False: the placement is being deleted.
    pub const DELETING_PLACEMENT: &str = "Found deleting ClusterResourcePlacement targeted by eviction";
    /// Valid, False: PickFixed placements cannot be evicted.
    pub const PICK_FIXED: &str = "Found ClusterResourcePlacement with PickFixed placement type targeted by eviction";
    /// Valid, False: the cluster was not picked.
    pub const MISSING_BINDING: &str = "Failed to find scheduler decision for placement in cluster targeted by eviction";
    /// Valid, False: the cluster was picked more than once.
    pub const SEVERAL_BINDINGS: &str =
        "Found more than one scheduler decision for placement in cluster targeted by eviction";
    /// Executed, True: nothing limits it.
    pub const NO_BUDGET: &str = "Eviction is allowed, no ClusterResourcePlacementDisruptionBudget specified";
    /// Executed, True: the placement is leaving the cluster anyway.
    pub const BEING_REMOVED: &str = "Eviction is allowed, resources propagated by placement is currently being \
        removed from cluster targeted by eviction";
    /// Executed, True: the placement has failed there.
    pub const FAILED_PLACEMENT: &str = "Eviction is allowed, placement has failed";
    /// Executed, False: there is nothing to evict yet.
    pub const NOT_PLACED: &str = "Eviction is blocked, placement has not propagated resources to target cluster yet";
    /// Executed, False: the budget does not fit the placement type.
    pub const BAD_BUDGET: &str = "Eviction is blocked by misconfigured ClusterResourcePlacementDisruptionBudget, \
        either MaxUnavailable is specified or MinAvailable is specified as a percentage for PickAll \
        ClusterResourcePlacement";

    /// Executed, True: the budget allows it.
    pub fn allowed(available: i64, total: i64) -> String {
        format!(
            "Eviction is allowed by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: \
             {available}, totalPlacements: {total}"
        )
    }

    /// Executed, False: the budget forbids it.
    pub fn blocked(available: i64, total: i64) -> String {
        format!(
            "Eviction is blocked by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: \
             {available}, totalPlacements: {total}"
        )
    }
}
