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

/// Messages of TrafficManagerProfiles (networking 6.3). An error is that of the traffic manager.
pub mod profile {
    /// Programmed, True.
    pub const PROGRAMMED: &str = "Successfully configured the Azure Traffic Manager profile";
    /// Programmed, False: somebody else has the domain name.
    pub const DNS_NAME_NOT_AVAILABLE: &str =
        "Domain name is not available. Please choose a different profile name or namespace";

    /// Programmed, False: the profile was refused.
    pub fn invalid(error: &str) -> String {
        format!("Invalid profile: {error}")
    }

    /// Programmed, Unknown: the call is repeated.
    pub fn pending(error: &str) -> String {
        format!("Failed to configure profile and retrying: {error}")
    }
}

/// Messages of TrafficManagerBackends (networking 7.2, 7.3 and 7.5). An error is that of the traffic manager.
pub mod backend {
    /// Accepted, Unknown: no cluster is accepted as an exporter yet.
    pub const EXPORTING: &str = "In the process of exporting the services";
    /// Why an export is no endpoint: its load balancer is internal.
    pub const INTERNAL_LOAD_BALANCER: &str = "internal load balancer is not supported";
    /// Why an export is no endpoint: its public address is not known yet.
    pub const PUBLIC_IP_PENDING: &str = "in the processing of configuring public IP";
    /// Why an export is no endpoint: its public address has no DNS label.
    pub const NO_DNS_LABEL: &str = "DNS label is not configured to the public IP";

    /// Why an export is no endpoint: its member cannot look the public address up.
    pub fn lookup_failed(cluster: &str, error: &str) -> String {
        format!("public IP lookup failed on {cluster}: {error}")
    }

    /// Why an export is no endpoint: the Service is no load balancer.
    pub fn unsupported_type(service_type: &str) -> String {
        format!("unsupported service type {service_type:?}")
    }

    /// Accepted, False: there is no such profile.
    pub fn profile_not_found(profile: &str) -> String {
        format!("TrafficManagerProfile {profile:?} is not found")
    }

    /// Accepted, False: the profile is not programmed and will not be by itself.
    pub fn invalid_profile(profile: &str) -> String {
        format!("Invalid trafficManagerProfile {profile:?}, please check the trafficManagerProfile status")
    }

    /// Accepted, False: an annotation of the backend cannot be used. Ours.
    pub fn invalid(error: &str) -> String {
        format!("Invalid backend: {error}")
    }

    /// Accepted, Unknown: the profile is not programmed yet.
    pub fn profile_in_process(profile: &str) -> String {
        format!("In the processing of trafficManagerProfile {profile:?}")
    }

    /// Accepted, False: the traffic manager does not have the profile.
    pub fn azure_profile_not_found(profile: &str, group: &str) -> String {
        format!("Azure Traffic Manager profile {profile:?} under {group:?} is not found")
    }

    /// Accepted, Unknown: the profile cannot be read.
    pub fn azure_profile_unreadable(profile: &str, group: &str, error: &str) -> String {
        format!("Failed to get the Azure Traffic Manager profile {profile:?} under {group:?}: {error}")
    }

    /// Accepted, False: no cluster exports the service.
    pub fn service_not_found(service: &str) -> String {
        format!("ServiceImport {service:?} is not found")
    }

    /// Accepted, Unknown: an accepted export has no record.
    pub fn export_not_found(namespace: &str, service: &str, cluster: &str) -> String {
        format!(
            "Failed to find the exported service \"{namespace}/{service}\" for {cluster:?}: its InternalServiceExport does not exist"
        )
    }

    /// Accepted, True.
    pub fn accepted(endpoints: usize) -> String {
        format!("{endpoints} service(s) exported from clusters have been accepted as Traffic Manager endpoints")
    }

    /// Accepted, Unknown: an endpoint cannot be deleted yet.
    pub fn not_cleaned_up(endpoint: &str, profile: &str, error: &str) -> String {
        format!("Failed to cleanup the existing {endpoint:?} for {profile:?}: {error}")
    }

    /// Accepted, Unknown: an endpoint cannot be written yet.
    pub fn not_written(endpoint: &str, profile: &str, error: &str) -> String {
        format!("Failed to create or update {endpoint:?} for {profile:?}: {error}")
    }

    /// Accepted, False: endpoints were refused. What [`not_exposed`] says may follow.
    pub fn refused(endpoints: usize, first_error: &str) -> String {
        format!(
            "{endpoints} endpoint(s) failed to be created/updated in the Azure Traffic Manager, for example, {first_error}; "
        )
    }

    /// Accepted, False: exports that can be no endpoints.
    pub fn not_exposed(services: usize, cluster: &str, reason: &str) -> String {
        format!(
            "{services} service(s) exported from clusters cannot be exposed as the Azure Traffic Manager, for example, service \
             exported from {cluster} is invalid: {reason}"
        )
    }
}
