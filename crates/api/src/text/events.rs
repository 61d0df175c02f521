//! Reasons of events (placement-api 14.8). Membership events reuse `reasons::member`.

/// Placements, on the change to True.
pub mod placement {
    /// Placement rollout started.
    pub const PLACEMENT_ROLLOUT_STARTED: &str = "PlacementRolloutStarted";

    /// Placement overridden succeeded.
    pub const PLACEMENT_OVERRIDDEN_SUCCEEDED: &str = "PlacementOverriddenSucceeded";

    /// Placement work synchronized.
    pub const PLACEMENT_WORK_SYNCHRONIZED: &str = "PlacementWorkSynchronized";

    /// Placement applied.
    pub const PLACEMENT_APPLIED: &str = "PlacementApplied";

    /// Placement available.
    pub const PLACEMENT_AVAILABLE: &str = "PlacementAvailable";

    /// Placement diff reported.
    pub const PLACEMENT_DIFF_REPORTED: &str = "PlacementDiffReported";

    /// Placement rollout completed.
    pub const PLACEMENT_ROLLOUT_COMPLETED: &str = "PlacementRolloutCompleted";

    /// Placement cleanup finalizer removed.
    pub const PLACEMENT_CLEANUP_FINALIZER_REMOVED: &str = "PlacementCleanupFinalizerRemoved";
}

/// Warnings about what a user has to correct. They go beyond the contract.
pub mod warning {
    /// The name of the object does not fit.
    pub const INVALID_NAME: &str = "InvalidName";

    /// The resource selectors of a placement cannot be used.
    pub const INVALID_RESOURCE_SELECTORS: &str = "InvalidResourceSelectors";

    /// The policy of a placement cannot be evaluated.
    pub const INVALID_POLICY: &str = "InvalidPolicy";

    /// The rollout strategy of a placement cannot be used.
    pub const INVALID_STRATEGY: &str = "InvalidStrategy";

    /// Statuses cannot be reported back from the clusters that a placement selects.
    pub const INVALID_REPORT_BACK_STRATEGY: &str = "InvalidReportBackStrategy";

    /// A property of a member cluster cannot be compared, or cannot be stored.
    pub const INVALID_CLUSTER_PROPERTY: &str = "InvalidClusterProperty";

    /// A cluster selector of an override cannot be evaluated.
    pub const INVALID_CLUSTER_SELECTOR: &str = "InvalidClusterSelector";

    /// Something on a member holds up the deletion of what a placement had there.
    pub const DELETION_BLOCKED: &str = "DeletionBlocked";

    /// A reference of an override can never match anything.
    pub const REFERENCE_NEVER_MATCHES: &str = "ReferenceNeverMatches";
}

/// Bindings.
pub mod binding {
    /// Duplicate envelope works.
    pub const DUPLICATE_ENVELOPE_WORKS: &str = "DuplicateEnvelopeWorks";
}

/// Member clusters.
pub mod member {
    /// Namespace created.
    pub const NAMESPACE_CREATED: &str = "NamespaceCreated";

    /// Namespace patched.
    pub const NAMESPACE_PATCHED: &str = "NamespacePatched";

    /// Role created.
    pub const ROLE_CREATED: &str = "RoleCreated";

    /// Role updated.
    pub const ROLE_UPDATED: &str = "RoleUpdated";

    /// Role binding created.
    pub const ROLE_BINDING_CREATED: &str = "RoleBindingCreated";

    /// Role binding updated.
    pub const ROLE_BINDING_UPDATED: &str = "RoleBindingUpdated";

    /// Internal member cluster created.
    pub const INTERNAL_MEMBER_CLUSTER_CREATED: &str = "InternalMemberClusterCreated";

    /// Internal member cluster spec updated.
    pub const INTERNAL_MEMBER_CLUSTER_SPEC_UPDATED: &str = "InternalMemberClusterSpecUpdated";
}

/// Service exports (networking 13.7).
pub mod export {
    /// Component of events about an export and its Service.
    pub const CONTROLLER: &str = "serviceexport-controller";

    /// Component of events about the hub's verdict on an export.
    pub const FEEDBACK_CONTROLLER: &str = "internalserviceexport-controller";

    /// There is no Service of that name.
    pub const SERVICE_NOT_FOUND: &str = "ServiceNotFound";

    /// The Service cannot be exported.
    pub const SERVICE_NOT_ELIGIBLE: &str = "ServiceNotEligible";

    /// The Service has weight 0 and is not exported.
    pub const WEIGHTLESS: &str = "Service";

    /// The Service is exported.
    pub const VALID: &str = "ValidServiceExport";

    /// The hub has no verdict on the export yet.
    pub const PENDING: &str = "PendingExportConflictResolution";

    /// The export conflicts with others.
    pub const CONFLICT_FOUND: &str = "ServiceExportConflictFound";

    /// The export agrees with the others.
    pub const NO_CONFLICT_FOUND: &str = "NoServiceExportConflictFound";
}

/// TrafficManagerProfiles and TrafficManagerBackends (networking 13.7).
pub mod traffic {
    /// Component of events about a TrafficManagerProfile.
    pub const PROFILE_CONTROLLER: &str = "trafficmanagerprofile-controller";

    /// Component of events about a TrafficManagerBackend.
    pub const BACKEND_CONTROLLER: &str = "trafficmanagerbackend-controller";

    /// The traffic manager refused a call or did not answer it.
    pub const AZURE_API_ERROR: &str = "AzureAPIError";

    /// The profile is as it should be in the traffic manager.
    pub const PROGRAMMED: &str = "Programmed";

    /// The endpoints of the backend are as they should be in the traffic manager.
    pub const ACCEPTED: &str = "Accepted";

    /// The profile, or the backend's endpoints, are gone from the traffic manager.
    pub const DELETED: &str = "Deleted";

    /// An endpoint is degraded without waiting for probes. Ours, one for each cluster.
    pub const ENDPOINT_DEGRADED: &str = "EndpointDegraded";

    /// An exported Service cannot be an endpoint. Ours, one for each cluster.
    pub const ENDPOINT_NOT_ACCEPTED: &str = "EndpointNotAccepted";
}
