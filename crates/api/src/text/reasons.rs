//! Condition reasons. What each means stands in the catalogue placement-api 14; constant names follow the texts.

/// Placement level (placement-api 14.1).
pub mod placement {
    /// Scheduling policy fulfilled.
    pub const SCHEDULING_POLICY_FULFILLED: &str = "SchedulingPolicyFulfilled";

    /// Scheduling policy unfulfilled.
    pub const SCHEDULING_POLICY_UNFULFILLED: &str = "SchedulingPolicyUnfulfilled";

    /// Invalid resource selectors.
    pub const INVALID_RESOURCE_SELECTORS: &str = "InvalidResourceSelectors";

    /// Schedule pending.
    pub const SCHEDULE_PENDING: &str = "SchedulePending";

    /// Rollout started.
    pub const ROLLOUT_STARTED: &str = "RolloutStarted";

    /// Rollout not started yet.
    pub const ROLLOUT_NOT_STARTED_YET: &str = "RolloutNotStartedYet";

    /// Rollout started unknown.
    pub const ROLLOUT_STARTED_UNKNOWN: &str = "RolloutStartedUnknown";

    /// Rollout controlled by external controller.
    pub const ROLLOUT_CONTROLLED_BY_EXTERNAL_CONTROLLER: &str = "RolloutControlledByExternalController";

    /// Overridden succeeded.
    pub const OVERRIDDEN_SUCCEEDED: &str = "OverriddenSucceeded";

    /// No override specified.
    pub const NO_OVERRIDE_SPECIFIED: &str = "NoOverrideSpecified";

    /// Overridden failed.
    pub const OVERRIDDEN_FAILED: &str = "OverriddenFailed";

    /// Overridden pending.
    pub const OVERRIDDEN_PENDING: &str = "OverriddenPending";

    /// Work synchronized.
    pub const WORK_SYNCHRONIZED: &str = "WorkSynchronized";

    /// Work not synchronized yet.
    pub const WORK_NOT_SYNCHRONIZED_YET: &str = "WorkNotSynchronizedYet";

    /// Work synchronized unknown.
    pub const WORK_SYNCHRONIZED_UNKNOWN: &str = "WorkSynchronizedUnknown";

    /// Apply succeeded.
    pub const APPLY_SUCCEEDED: &str = "ApplySucceeded";

    /// Apply failed.
    pub const APPLY_FAILED: &str = "ApplyFailed";

    /// Apply pending.
    pub const APPLY_PENDING: &str = "ApplyPending";

    /// Resource available.
    pub const RESOURCE_AVAILABLE: &str = "ResourceAvailable";

    /// Resource not available yet.
    pub const RESOURCE_NOT_AVAILABLE_YET: &str = "ResourceNotAvailableYet";

    /// Resource available unknown.
    pub const RESOURCE_AVAILABLE_UNKNOWN: &str = "ResourceAvailableUnknown";

    /// Diff reporting completed.
    pub const DIFF_REPORTING_COMPLETED: &str = "DiffReportingCompleted";

    /// Diff reporting incomplete or failed.
    pub const DIFF_REPORTING_INCOMPLETE_OR_FAILED: &str = "DiffReportingIncompleteOrFailed";

    /// Diff reporting pending.
    pub const DIFF_REPORTING_PENDING: &str = "DiffReportingPending";

    /// Status sync succeeded.
    pub const STATUS_SYNC_SUCCEEDED: &str = "StatusSyncSucceeded";

    /// Status sync failed.
    pub const STATUS_SYNC_FAILED: &str = "StatusSyncFailed";
}

/// Cluster level: per-cluster entries and bindings (placement-api 14.2).
pub mod cluster {
    /// Scheduled.
    pub const SCHEDULED: &str = "Scheduled";

    /// Schedule failed.
    pub const SCHEDULE_FAILED: &str = "ScheduleFailed";

    /// Rollout started.
    pub const ROLLOUT_STARTED: &str = "RolloutStarted";

    /// Rollout not started yet.
    pub const ROLLOUT_NOT_STARTED_YET: &str = "RolloutNotStartedYet";

    /// Rollout started unknown.
    pub const ROLLOUT_STARTED_UNKNOWN: &str = "RolloutStartedUnknown";

    /// Overridden succeeded.
    pub const OVERRIDDEN_SUCCEEDED: &str = "OverriddenSucceeded";

    /// No override specified.
    pub const NO_OVERRIDE_SPECIFIED: &str = "NoOverrideSpecified";

    /// Overridden failed.
    pub const OVERRIDDEN_FAILED: &str = "OverriddenFailed";

    /// Overridden pending.
    pub const OVERRIDDEN_PENDING: &str = "OverriddenPending";

    /// All work synced.
    pub const ALL_WORK_SYNCED: &str = "AllWorkSynced";

    /// Sync work failed.
    pub const SYNC_WORK_FAILED: &str = "SyncWorkFailed";

    /// Work synchronized unknown.
    pub const WORK_SYNCHRONIZED_UNKNOWN: &str = "WorkSynchronizedUnknown";

    /// All work have been applied.
    pub const ALL_WORK_HAVE_BEEN_APPLIED: &str = "AllWorkHaveBeenApplied";

    /// Not all work have been applied.
    pub const NOT_ALL_WORK_HAVE_BEEN_APPLIED: &str = "NotAllWorkHaveBeenApplied";

    /// Apply in progress.
    pub const APPLY_IN_PROGRESS: &str = "ApplyInProgress";

    /// Apply pending.
    pub const APPLY_PENDING: &str = "ApplyPending";

    /// All work are available.
    pub const ALL_WORK_ARE_AVAILABLE: &str = "AllWorkAreAvailable";

    /// Not all work are available.
    pub const NOT_ALL_WORK_ARE_AVAILABLE: &str = "NotAllWorkAreAvailable";

    /// Not all work are availability trackable.
    pub const NOT_ALL_WORK_ARE_AVAILABILITY_TRACKABLE: &str = "NotAllWorkAreAvailabilityTrackable";

    /// Resource available unknown.
    pub const RESOURCE_AVAILABLE_UNKNOWN: &str = "ResourceAvailableUnknown";

    /// All work have diff reported.
    pub const ALL_WORK_HAVE_DIFF_REPORTED: &str = "AllWorkHaveDiffReported";

    /// Not all work have diff reported.
    pub const NOT_ALL_WORK_HAVE_DIFF_REPORTED: &str = "NotAllWorkHaveDiffReported";

    /// Diff report in progress.
    pub const DIFF_REPORT_IN_PROGRESS: &str = "DiffReportInProgress";

    /// Diff reporting pending.
    pub const DIFF_REPORTING_PENDING: &str = "DiffReportingPending";
}

/// Work level (placement-api 14.3).
pub mod work {
    /// All manifests applied.
    pub const ALL_MANIFESTS_APPLIED: &str = "AllManifestsApplied";

    /// Some manifests are not applied.
    pub const SOME_MANIFESTS_ARE_NOT_APPLIED: &str = "SomeManifestsAreNotApplied";

    /// All manifests available.
    pub const ALL_MANIFESTS_AVAILABLE: &str = "AllManifestsAvailable";

    /// Work not trackable.
    pub const WORK_NOT_TRACKABLE: &str = "WorkNotTrackable";

    /// Some manifests are not availability trackable.
    pub const SOME_MANIFESTS_ARE_NOT_AVAILABILITY_TRACKABLE: &str = "SomeManifestsAreNotAvailabilityTrackable";

    /// Some manifests are not available.
    pub const SOME_MANIFESTS_ARE_NOT_AVAILABLE: &str = "SomeManifestsAreNotAvailable";

    /// All manifests diff reported.
    pub const ALL_MANIFESTS_DIFF_REPORTED: &str = "AllManifestsDiffReported";

    /// Some manifests have not reported diff.
    pub const SOME_MANIFESTS_HAVE_NOT_REPORTED_DIFF: &str = "SomeManifestsHaveNotReportedDiff";

    /// Oversized.
    pub const OVERSIZED: &str = "Oversized";

    /// The member cluster does not let the agent watch some of the placed objects.
    pub const WATCH_REFUSED: &str = "WatchRefused";

    /// The Work is being deleted, and objects on the member hold that up. Ours (docs/decisions/0013).
    pub const DELETION_BLOCKED: &str = "DeletionBlocked";
}

/// Manifest level (placement-api 14.3).
pub mod manifest {
    /// Somebody else writes the same fields. Fairway's own.
    pub const ANOTHER_MANAGER_WRITES: &str = "AnotherManagerWrites";

    /// Applied.
    pub const APPLIED: &str = "Applied";

    /// Applied with failed drift detection.
    pub const APPLIED_WITH_FAILED_DRIFT_DETECTION: &str = "AppliedWithFailedDriftDetection";

    /// Preparing to process.
    pub const PREPARING_TO_PROCESS: &str = "PreparingToProcess";

    /// Decoding erred.
    pub const DECODING_ERRED: &str = "DecodingErred";

    /// Found generate name.
    pub const FOUND_GENERATE_NAME: &str = "FoundGenerateName";

    /// Duplicated.
    pub const DUPLICATED: &str = "Duplicated";

    /// Failed to find obj in member cluster.
    pub const FAILED_TO_FIND_OBJ_IN_MEMBER_CLUSTER: &str = "FailedToFindObjInMemberCluster";

    /// Failed to take over.
    pub const FAILED_TO_TAKE_OVER: &str = "FailedToTakeOver";

    /// Not taken over.
    pub const NOT_TAKEN_OVER: &str = "NotTakenOver";

    /// Failed to run drift detection.
    pub const FAILED_TO_RUN_DRIFT_DETECTION: &str = "FailedToRunDriftDetection";

    /// Found drifts.
    pub const FOUND_DRIFTS: &str = "FoundDrifts";

    /// Found drifts in degraded mode.
    pub const FOUND_DRIFTS_IN_DEGRADED_MODE: &str = "FoundDriftsInDegradedMode";

    /// Manifest apply failed.
    pub const MANIFEST_APPLY_FAILED: &str = "ManifestApplyFailed";

    /// Available.
    pub const AVAILABLE: &str = "Available";

    /// Not trackable.
    pub const NOT_TRACKABLE: &str = "NotTrackable";

    /// Manifest not available yet.
    pub const MANIFEST_NOT_AVAILABLE_YET: &str = "ManifestNotAvailableYet";

    /// Failed.
    pub const FAILED: &str = "Failed";

    /// No diff found.
    pub const NO_DIFF_FOUND: &str = "NoDiffFound";

    /// Found diff.
    pub const FOUND_DIFF: &str = "FoundDiff";

    /// Found diff in degraded mode.
    pub const FOUND_DIFF_IN_DEGRADED_MODE: &str = "FoundDiffInDegradedMode";

    /// Failed to report diff.
    pub const FAILED_TO_REPORT_DIFF: &str = "FailedToReportDiff";
}

/// Membership (placement-api 14.4).
pub mod member {
    /// Member cluster ready to join.
    pub const MEMBER_CLUSTER_READY_TO_JOIN: &str = "MemberClusterReadyToJoin";

    /// Member cluster not ready to join.
    pub const MEMBER_CLUSTER_NOT_READY_TO_JOIN: &str = "MemberClusterNotReadyToJoin";

    /// Member cluster joined.
    pub const MEMBER_CLUSTER_JOINED: &str = "MemberClusterJoined";

    /// Member cluster left.
    pub const MEMBER_CLUSTER_LEFT: &str = "MemberClusterLeft";

    /// Member cluster join state unknown.
    pub const MEMBER_CLUSTER_JOIN_STATE_UNKNOWN: &str = "MemberClusterJoinStateUnknown";

    /// Internal member cluster joined.
    pub const INTERNAL_MEMBER_CLUSTER_JOINED: &str = "InternalMemberClusterJoined";

    /// Internal member cluster failed to join.
    pub const INTERNAL_MEMBER_CLUSTER_FAILED_TO_JOIN: &str = "InternalMemberClusterFailedToJoin";

    /// Internal member cluster left.
    pub const INTERNAL_MEMBER_CLUSTER_LEFT: &str = "InternalMemberClusterLeft";

    /// Internal member cluster failed to leave.
    pub const INTERNAL_MEMBER_CLUSTER_FAILED_TO_LEAVE: &str = "InternalMemberClusterFailedToLeave";

    /// Internal member cluster healthy.
    pub const INTERNAL_MEMBER_CLUSTER_HEALTHY: &str = "InternalMemberClusterHealthy";

    /// Internal member cluster unhealthy.
    pub const INTERNAL_MEMBER_CLUSTER_UNHEALTHY: &str = "InternalMemberClusterUnhealthy";

    /// Started.
    pub const STARTED: &str = "Started";

    /// Timed out.
    pub const TIMED_OUT: &str = "TimedOut";

    /// Failed to start.
    pub const FAILED_TO_START: &str = "FailedToStart";

    /// Properties collected.
    pub const PROPERTIES_COLLECTED: &str = "PropertiesCollected";

    /// Too many calls.
    pub const TOO_MANY_CALLS: &str = "TooManyCalls";

    /// Succeeded.
    pub const SUCCEEDED: &str = "Succeeded";

    /// Degraded.
    pub const DEGRADED: &str = "Degraded";

    /// Costs calculated.
    pub const COSTS_CALCULATED: &str = "CostsCalculated";

    /// Costs calculation degraded.
    pub const COSTS_CALCULATION_DEGRADED: &str = "CostsCalculationDegraded";

    /// Costs calculation failed.
    pub const COSTS_CALCULATION_FAILED: &str = "CostsCalculationFailed";

    /// Agent joined.
    pub const AGENT_JOINED: &str = "AgentJoined";

    /// Agent left.
    pub const AGENT_LEFT: &str = "AgentLeft";
}

/// ClusterProfile health (placement-api 11.2).
pub mod inventory {
    /// Member cluster apiserver healthy.
    pub const MEMBER_CLUSTER_API_SERVER_HEALTHY: &str = "MemberClusterAPIServerHealthy";

    /// Member cluster apiserver unhealthy.
    pub const MEMBER_CLUSTER_API_SERVER_UNHEALTHY: &str = "MemberClusterAPIServerUnhealthy";

    /// Member agent heartbeat lost.
    pub const MEMBER_AGENT_HEARTBEAT_LOST: &str = "MemberAgentHeartbeatLost";

    /// Member agent reported no status.
    pub const MEMBER_AGENT_REPORTED_NO_STATUS: &str = "MemberAgentReportedNoStatus";

    /// Member agent reported no health info.
    pub const MEMBER_AGENT_REPORTED_NO_HEALTH_INFO: &str = "MemberAgentReportedNoHealthInfo";
}

/// Evictions (placement-api 9.1).
pub mod eviction {
    /// Cluster resource placement eviction valid.
    pub const CLUSTER_RESOURCE_PLACEMENT_EVICTION_VALID: &str = "ClusterResourcePlacementEvictionValid";

    /// Cluster resource placement eviction invalid.
    pub const CLUSTER_RESOURCE_PLACEMENT_EVICTION_INVALID: &str = "ClusterResourcePlacementEvictionInvalid";

    /// Cluster resource placement eviction executed.
    pub const CLUSTER_RESOURCE_PLACEMENT_EVICTION_EXECUTED: &str = "ClusterResourcePlacementEvictionExecuted";

    /// Cluster resource placement eviction not executed.
    pub const CLUSTER_RESOURCE_PLACEMENT_EVICTION_NOT_EXECUTED: &str = "ClusterResourcePlacementEvictionNotExecuted";
}

/// Staged updates (placement-api 10.5).
pub mod update_run {
    /// Update run initialized successfully.
    pub const UPDATE_RUN_INITIALIZED_SUCCESSFULLY: &str = "UpdateRunInitializedSuccessfully";

    /// Update run initialized failed.
    pub const UPDATE_RUN_INITIALIZED_FAILED: &str = "UpdateRunInitializedFailed";

    /// Update run progressing.
    pub const UPDATE_RUN_PROGRESSING: &str = "UpdateRunProgressing";

    /// Update run waiting.
    pub const UPDATE_RUN_WAITING: &str = "UpdateRunWaiting";

    /// Update run stuck.
    pub const UPDATE_RUN_STUCK: &str = "UpdateRunStuck";

    /// Update run stopped.
    pub const UPDATE_RUN_STOPPED: &str = "UpdateRunStopped";

    /// Update run stopping.
    pub const UPDATE_RUN_STOPPING: &str = "UpdateRunStopping";

    /// Update run succeeded.
    pub const UPDATE_RUN_SUCCEEDED: &str = "UpdateRunSucceeded";

    /// Update run failed.
    pub const UPDATE_RUN_FAILED: &str = "UpdateRunFailed";

    /// Stage updating started.
    pub const STAGE_UPDATING_STARTED: &str = "StageUpdatingStarted";

    /// Stage updating waiting.
    pub const STAGE_UPDATING_WAITING: &str = "StageUpdatingWaiting";

    /// Stage updating stopped.
    pub const STAGE_UPDATING_STOPPED: &str = "StageUpdatingStopped";

    /// Stage updating stopping.
    pub const STAGE_UPDATING_STOPPING: &str = "StageUpdatingStopping";

    /// Stage updating succeeded.
    pub const STAGE_UPDATING_SUCCEEDED: &str = "StageUpdatingSucceeded";

    /// Stage updating skipped no clusters.
    pub const STAGE_UPDATING_SKIPPED_NO_CLUSTERS: &str = "StageUpdatingSkippedNoClusters";

    /// Stage updating failed.
    pub const STAGE_UPDATING_FAILED: &str = "StageUpdatingFailed";

    /// Cluster updating started.
    pub const CLUSTER_UPDATING_STARTED: &str = "ClusterUpdatingStarted";

    /// Cluster updating succeeded.
    pub const CLUSTER_UPDATING_SUCCEEDED: &str = "ClusterUpdatingSucceeded";

    /// Cluster updating failed.
    pub const CLUSTER_UPDATING_FAILED: &str = "ClusterUpdatingFailed";

    /// Stage task approval request created.
    pub const STAGE_TASK_APPROVAL_REQUEST_CREATED: &str = "StageTaskApprovalRequestCreated";

    /// Stage task approval request approved.
    pub const STAGE_TASK_APPROVAL_REQUEST_APPROVED: &str = "StageTaskApprovalRequestApproved";

    /// After stage task wait time elapsed.
    pub const AFTER_STAGE_TASK_WAIT_TIME_ELAPSED: &str = "AfterStageTaskWaitTimeElapsed";

    /// Approval request approval accepted.
    pub const APPROVAL_REQUEST_APPROVAL_ACCEPTED: &str = "ApprovalRequestApprovalAccepted";

    /// Cluster approval request approved.
    pub const CLUSTER_APPROVAL_REQUEST_APPROVED: &str = "ClusterApprovalRequestApproved";

    /// Approval request approved.
    pub const APPROVAL_REQUEST_APPROVED: &str = "ApprovalRequestApproved";
}

/// Networking kinds (networking 2.4).
pub mod networking {
    /// Service is valid.
    pub const SERVICE_IS_VALID: &str = "ServiceIsValid";

    /// Service not found.
    pub const SERVICE_NOT_FOUND: &str = "ServiceNotFound";

    /// Service ineligible.
    pub const SERVICE_INELIGIBLE: &str = "ServiceIneligible";

    /// Service export invalid weight annotation.
    pub const SERVICE_EXPORT_INVALID_WEIGHT_ANNOTATION: &str = "ServiceExportInvalidWeightAnnotation";

    /// Service export invalid endpoint annotation: priority or location. Ours.
    pub const SERVICE_EXPORT_INVALID_ENDPOINT_ANNOTATION: &str = "ServiceExportInvalidEndpointAnnotation";

    /// Service pending conflict resolution.
    pub const SERVICE_PENDING_CONFLICT_RESOLUTION: &str = "ServicePendingConflictResolution";

    /// No conflict found.
    pub const NO_CONFLICT_FOUND: &str = "NoConflictFound";

    /// Conflict found.
    pub const CONFLICT_FOUND: &str = "ConflictFound";

    /// Found service import.
    pub const FOUND_SERVICE_IMPORT: &str = "FoundServiceImport";

    /// Unknown service import.
    pub const UNKNOWN_SERVICE_IMPORT: &str = "UnknownServiceImport";

    /// Programmed.
    pub const PROGRAMMED: &str = "Programmed";

    /// Invalid.
    pub const INVALID: &str = "Invalid";

    /// Dnsname not available.
    pub const DNS_NAME_NOT_AVAILABLE: &str = "DNSNameNotAvailable";

    /// Pending.
    pub const PENDING: &str = "Pending";

    /// Accepted.
    pub const ACCEPTED: &str = "Accepted";
}
