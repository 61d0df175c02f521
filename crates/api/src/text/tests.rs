//! Every constant, written out once more: users' scripts match these texts.

use super::conditions::{PlacementCondition, PlacementKind};
use super::*;

/// Compares constants with texts, and their number with the constants of the file, so that none is left out.
macro_rules! pins {
    ($test:ident, $file:literal, [$($constant:path = $text:literal,)*]) => {
        #[test]
        fn $test() {
            let table = [$((stringify!($constant), $constant, $text)),*];
            for (name, constant, text) in table {
                assert_eq!(constant, text, "{name}");
            }
            let texts = |line: &&str| line.trim_start().starts_with("pub const ") && line.contains(": &str");
            let declared = include_str!($file).lines().filter(texts).count();
            assert_eq!(table.len(), declared, "constants of {}", $file);
        }
    };
}

mod multicluster;
mod traffic;

pins!(
    groups_managers_and_properties_are_pinned,
    "mod.rs",
    [
        PREFIX = "kubernetes-fleet.io/",
        groups::PLACEMENT = "placement.kubernetes-fleet.io",
        groups::CLUSTER = "cluster.kubernetes-fleet.io",
        groups::NETWORKING = "networking.fleet.azure.com",
        groups::INVENTORY = "multicluster.x-k8s.io",
        groups::KUBEFLEET = "placement.kubefleet.dev",
        groups::MULTICLUSTER = "kube-vip.io",
        managers::WORK_AGENT = "work-api-agent",
        managers::MEMBER_CLUSTER = "member-cluster-controller",
        managers::OVERRIDE = "override-controller",
        managers::UPDATE_RUN = "cluster-staged-update-run-controller",
        properties::NODE_COUNT = "kubernetes-fleet.io/node-count",
        properties::KUBERNETES_VERSION = "k8s.io/k8s-version",
        properties::ENTRY_POINT = "k8s.io/cluster-entrypoint",
        properties::CA_DATA = "k8s.io/cluster-certificate-authority-data",
        properties::CPU_COST = "kubernetes.azure.com/per-cpu-core-cost",
        properties::MEMORY_COST = "kubernetes.azure.com/per-gb-memory-cost",
        properties::SIZE_PREFIX = "kubernetes.azure.com/vm-sizes/",
        properties::SIZE_SUFFIX = "/count",
        properties::RESOURCE_PREFIX = "resources.kubernetes-fleet.io/",
    ]
);

pins!(
    labels_are_pinned,
    "labels.rs",
    [
        labels::PARENT_PLACEMENT = "kubernetes-fleet.io/parent-CRP",
        labels::IS_LATEST_SNAPSHOT = "kubernetes-fleet.io/is-latest-snapshot",
        labels::POLICY_INDEX = "kubernetes-fleet.io/policy-index",
        labels::RESOURCE_INDEX = "kubernetes-fleet.io/resource-index",
        labels::PARENT_OVERRIDE = "kubernetes-fleet.io/parent-resource-override",
        labels::OVERRIDE_INDEX = "kubernetes-fleet.io/override-index",
        labels::PARENT_BINDING = "kubernetes-fleet.io/parent-resource-binding",
        labels::PARENT_NAMESPACE = "kubernetes-fleet.io/parent-placement-namespace",
        labels::PARENT_SNAPSHOT_INDEX = "kubernetes-fleet.io/parent-resource-snapshot-index",
        labels::ENVELOPE_KIND = "kubernetes-fleet.io/envelope-work",
        labels::ENVELOPE_NAME = "kubernetes-fleet.io/envelope-name",
        labels::ENVELOPE_NAMESPACE = "kubernetes-fleet.io/envelope-namespace",
        labels::MEMBER_NAME = "kubernetes-fleet.io/member-name",
        labels::IS_FLEET_RESOURCE = "kubernetes-fleet.io/is-fleet-resource",
        labels::TARGET_UPDATE_RUN = "kubernetes-fleet.io/targetUpdateRun",
        labels::TARGET_UPDATING_STAGE = "kubernetes-fleet.io/targetUpdatingStage",
        labels::TASK_TYPE = "kubernetes-fleet.io/taskType",
        labels::IS_LATEST_APPROVAL = "kubernetes-fleet.io/isLatestUpdateRunApproval",
        labels::CLUSTER_MANAGER = "x-k8s.io/cluster-manager",
        labels::CLUSTER_MANAGER_VALUE = "KubeFleet",
        labels::ENFORCER_DISABLED = "admissions.enforcer/disabled",
        labels::TRUE = "true",
        labels::FALSE = "false",
        labels::BEFORE_STAGE = "beforeStage",
        labels::AFTER_STAGE = "afterStage",
        labels::SERVICE_NAME = "kubernetes.io/service-name",
        labels::DERIVED_SERVICE = "networking.fleet.azure.com/derived-service",
        labels::SERVICE_IMPORT = "networking.fleet.azure.com/service-import",
        labels::MCS_NAME = "networking.fleet.azure.com/multi-cluster-service-name",
        labels::MCS_NAMESPACE = "networking.fleet.azure.com/multi-cluster-service-namespace",
    ]
);

pins!(
    annotations_are_pinned,
    "annotations.rs",
    [
        annotations::PLACEMENT_GENERATION = "kubernetes-fleet.io/CRP-generation",
        annotations::NUMBER_OF_CLUSTERS = "kubernetes-fleet.io/number-of-clusters",
        annotations::RESOURCE_HASH = "kubernetes-fleet.io/resource-hash",
        annotations::NUMBER_OF_SNAPSHOTS = "kubernetes-fleet.io/number-of-resource-snapshots",
        annotations::NUMBER_OF_ENVELOPES = "kubernetes-fleet.io/number-of-enveloped-object",
        annotations::NEXT_SNAPSHOT_DETECTION_TIME =
            "kubernetes-fleet.io/next-resource-snapshot-candidate-detection-time",
        annotations::SNAPSHOT_SUBINDEX = "kubernetes-fleet.io/subindex-of-resource-snapshot",
        annotations::PREVIOUS_BINDING_STATE = "kubernetes-fleet.io/previous-binding-state",
        annotations::PARENT_SNAPSHOT_NAME = "kubernetes-fleet.io/parent-resource-snapshot-name",
        annotations::CLUSTER_OVERRIDE_HASH = "kubernetes-fleet.io/parent-cluster-resource-override-snapshot-hash",
        annotations::OVERRIDE_HASH = "kubernetes-fleet.io/parent-resource-override-snapshot-hash",
        annotations::NUMBER_OF_WORKS = "kubernetes-fleet.io/number-of-works",
        annotations::ABANDON_ON_DELETE = "kubernetes-fleet.io/abandon-on-delete",
        annotations::SPEC_HASH = "kubernetes-fleet.io/spec-hash",
        annotations::LAST_APPLIED = "kubernetes-fleet.io/last-applied-configuration",
        annotations::ENVELOPE_CONFIGMAP = "kubernetes-fleet.io/envelope-configmap",
        annotations::FLEET_CLUSTER_PREFIX = "fleet.azure.com",
        annotations::KUBECTL_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration",
        annotations::INJECT_CA = "cert-manager.io/inject-ca-from",
        annotations::EXPORT_WEIGHT = "networking.fleet.azure.com/weight",
        annotations::SERVICE_IN_USE_BY = "networking.fleet.azure.com/service-in-use-by",
        annotations::FLEET_UNIQUE_NAME = "networking.fleet.azure.com/fleet-unique-name",
        annotations::LAST_SEEN_RESOURCE_VERSION = "networking.fleet.azure.com/last-seen-resource-version",
        annotations::LAST_SEEN_GENERATION = "networking.fleet.azure.com/last-seen-generation",
        annotations::LAST_SEEN_TIMESTAMP = "networking.fleet.azure.com/last-seen-timestamp",
        annotations::LAST_OBSERVED_RESOURCE_VERSION = "networking.fleet.azure.com/last-observed-resource-version",
        annotations::LAST_OBSERVED_GENERATION = "networking.fleet.azure.com/last-observed-generation",
        annotations::MCS_INTERNAL_LOAD_BALANCER = "networking.fleet.azure.com/azure-load-balancer-internal",
        annotations::EXPORT_READY = "networking.fleet.azure.com/service-ready",
        annotations::EXPORT_LOOKUP_ERROR = "networking.fleet.azure.com/public-ip-lookup-error",
        annotations::AZURE_INTERNAL_LOAD_BALANCER = "service.beta.kubernetes.io/azure-load-balancer-internal",
        annotations::AZURE_RESOURCE_GROUP = "service.beta.kubernetes.io/azure-load-balancer-resource-group",
        annotations::AZURE_DNS_LABEL = "service.beta.kubernetes.io/azure-dns-label-name",
        annotations::ENDPOINT_PRIORITY = "networking.fleet.azure.com/endpoint-priority",
        annotations::ENDPOINT_LOCATION = "networking.fleet.azure.com/endpoint-location",
        annotations::TRAFFIC_TTL_SECONDS = "networking.fleet.azure.com/ttl-seconds",
        annotations::TRAFFIC_PROBE_INTERVAL_SECONDS = "networking.fleet.azure.com/probe-interval-seconds",
        annotations::TRAFFIC_FAST_DEGRADATION = "networking.fleet.azure.com/fast-degradation",
        annotations::TRAFFIC_ROUTING_METHOD = "networking.fleet.azure.com/routing-method",
    ]
);

pins!(
    finalizers_are_pinned,
    "finalizers.rs",
    [
        finalizers::MEMBER_CLUSTER = "kubernetes-fleet.io/membercluster-finalizer",
        finalizers::CLUSTER_PROFILE = "kubernetes-fleet.io/cluster-profile-cleanup",
        finalizers::PLACEMENT = "kubernetes-fleet.io/crp-cleanup",
        finalizers::SCHEDULER = "kubernetes-fleet.io/scheduler-cleanup",
        finalizers::SCHEDULER_BINDING = "kubernetes-fleet.io/scheduler-crb-cleanup",
        finalizers::WORK = "kubernetes-fleet.io/work-cleanup",
        finalizers::OVERRIDE = "kubernetes-fleet.io/override-cleanup",
        finalizers::UPDATE_RUN = "kubernetes-fleet.io/stagedupdaterun-finalizer",
        finalizers::SERVICE_EXPORT = "networking.fleet.azure.com/svc-export-cleanup",
        finalizers::INTERNAL_SERVICE_EXPORT = "networking.fleet.azure.com/internal-svc-export-cleanup",
        finalizers::INTERNAL_SERVICE_IMPORT = "networking.fleet.azure.com/internalsvcimport-cleanup",
        finalizers::SERVICE_IMPORT = "networking.fleet.azure.com/serviceimport-cleanup",
        finalizers::ENDPOINT_SLICE_EXPORT = "networking.fleet.azure.com/endpointsliceexport-cleanup",
        finalizers::ENDPOINT_SLICE_IMPORT = "networking.fleet.azure.com/endpointsliceimport-cleanup",
        finalizers::MULTI_CLUSTER_SERVICE = "networking.fleet.azure.com/service-resources-cleanup",
        finalizers::METRICS = "networking.fleet.azure.com/metrics-cleanup",
        finalizers::TRAFFIC_MANAGER_PROFILE = "networking.fleet.azure.com/traffic-manager-profile-cleanup",
        finalizers::TRAFFIC_MANAGER_BACKEND = "networking.fleet.azure.com/traffic-manager-backend-cleanup",
    ]
);

pins!(
    conditions_are_pinned,
    "conditions.rs",
    [
        conditions::cluster::SCHEDULED = "Scheduled",
        conditions::cluster::ROLLOUT_STARTED = "RolloutStarted",
        conditions::cluster::OVERRIDDEN = "Overridden",
        conditions::cluster::WORK_SYNCHRONIZED = "WorkSynchronized",
        conditions::cluster::APPLIED = "Applied",
        conditions::cluster::AVAILABLE = "Available",
        conditions::cluster::DIFF_REPORTED = "DiffReported",
        conditions::work::APPLIED = "Applied",
        conditions::work::AVAILABLE = "Available",
        conditions::work::DIFF_REPORTED = "DiffReported",
        conditions::work::STATUS_TRIMMED = "StatusTrimmed",
        conditions::work::WATCHED = "Watched",
        conditions::work::CONTESTED = "Contested",
        conditions::member::READY_TO_JOIN = "ReadyToJoin",
        conditions::member::JOINED = "Joined",
        conditions::member::HEALTHY = "Healthy",
        conditions::member::CLUSTER_PROPERTY_PROVIDER_STARTED = "ClusterPropertyProviderStarted",
        conditions::member::CLUSTER_PROPERTY_COLLECTION_SUCCEEDED = "ClusterPropertyCollectionSucceeded",
        conditions::member::NAMESPACE_COLLECTION_SUCCEEDED = "NamespaceCollectionSucceeded",
        conditions::member::AKS_CLUSTER_COST_PROPERTIES_COLLECTION_SUCCEEDED =
            "AKSClusterCostPropertiesCollectionSucceeded",
        conditions::snapshot::SCHEDULED = "Scheduled",
        conditions::eviction::VALID = "Valid",
        conditions::eviction::EXECUTED = "Executed",
        conditions::update_run::INITIALIZED = "Initialized",
        conditions::update_run::PROGRESSING = "Progressing",
        conditions::update_run::SUCCEEDED = "Succeeded",
        conditions::update_run::STARTED = "Started",
        conditions::update_run::APPROVAL_REQUEST_CREATED = "ApprovalRequestCreated",
        conditions::update_run::APPROVAL_REQUEST_APPROVED = "ApprovalRequestApproved",
        conditions::update_run::WAIT_TIME_ELAPSED = "WaitTimeElapsed",
        conditions::update_run::APPROVED = "Approved",
        conditions::update_run::APPROVAL_ACCEPTED = "ApprovalAccepted",
        conditions::inventory::CONTROL_PLANE_HEALTHY = "ControlPlaneHealthy",
        conditions::networking::VALID = "Valid",
        conditions::networking::CONFLICT = "Conflict",
        conditions::networking::PROGRAMMED = "Programmed",
        conditions::networking::ACCEPTED = "Accepted",
    ]
);

pins!(
    reasons_are_pinned,
    "reasons.rs",
    [
        reasons::placement::SCHEDULING_POLICY_FULFILLED = "SchedulingPolicyFulfilled",
        reasons::placement::SCHEDULING_POLICY_UNFULFILLED = "SchedulingPolicyUnfulfilled",
        reasons::placement::INVALID_RESOURCE_SELECTORS = "InvalidResourceSelectors",
        reasons::placement::SCHEDULE_PENDING = "SchedulePending",
        reasons::placement::ROLLOUT_STARTED = "RolloutStarted",
        reasons::placement::ROLLOUT_NOT_STARTED_YET = "RolloutNotStartedYet",
        reasons::placement::ROLLOUT_STARTED_UNKNOWN = "RolloutStartedUnknown",
        reasons::placement::ROLLOUT_CONTROLLED_BY_EXTERNAL_CONTROLLER = "RolloutControlledByExternalController",
        reasons::placement::OVERRIDDEN_SUCCEEDED = "OverriddenSucceeded",
        reasons::placement::NO_OVERRIDE_SPECIFIED = "NoOverrideSpecified",
        reasons::placement::OVERRIDDEN_FAILED = "OverriddenFailed",
        reasons::placement::OVERRIDDEN_PENDING = "OverriddenPending",
        reasons::placement::WORK_SYNCHRONIZED = "WorkSynchronized",
        reasons::placement::WORK_NOT_SYNCHRONIZED_YET = "WorkNotSynchronizedYet",
        reasons::placement::WORK_SYNCHRONIZED_UNKNOWN = "WorkSynchronizedUnknown",
        reasons::placement::APPLY_SUCCEEDED = "ApplySucceeded",
        reasons::placement::APPLY_FAILED = "ApplyFailed",
        reasons::placement::APPLY_PENDING = "ApplyPending",
        reasons::placement::RESOURCE_AVAILABLE = "ResourceAvailable",
        reasons::placement::RESOURCE_NOT_AVAILABLE_YET = "ResourceNotAvailableYet",
        reasons::placement::RESOURCE_AVAILABLE_UNKNOWN = "ResourceAvailableUnknown",
        reasons::placement::DIFF_REPORTING_COMPLETED = "DiffReportingCompleted",
        reasons::placement::DIFF_REPORTING_INCOMPLETE_OR_FAILED = "DiffReportingIncompleteOrFailed",
        reasons::placement::DIFF_REPORTING_PENDING = "DiffReportingPending",
        reasons::placement::STATUS_SYNC_SUCCEEDED = "StatusSyncSucceeded",
        reasons::placement::STATUS_SYNC_FAILED = "StatusSyncFailed",
        reasons::cluster::SCHEDULED = "Scheduled",
        reasons::cluster::SCHEDULE_FAILED = "ScheduleFailed",
        reasons::cluster::ROLLOUT_STARTED = "RolloutStarted",
        reasons::cluster::ROLLOUT_NOT_STARTED_YET = "RolloutNotStartedYet",
        reasons::cluster::ROLLOUT_STARTED_UNKNOWN = "RolloutStartedUnknown",
        reasons::cluster::OVERRIDDEN_SUCCEEDED = "OverriddenSucceeded",
        reasons::cluster::NO_OVERRIDE_SPECIFIED = "NoOverrideSpecified",
        reasons::cluster::OVERRIDDEN_FAILED = "OverriddenFailed",
        reasons::cluster::OVERRIDDEN_PENDING = "OverriddenPending",
        reasons::cluster::ALL_WORK_SYNCED = "AllWorkSynced",
        reasons::cluster::SYNC_WORK_FAILED = "SyncWorkFailed",
        reasons::cluster::WORK_SYNCHRONIZED_UNKNOWN = "WorkSynchronizedUnknown",
        reasons::cluster::ALL_WORK_HAVE_BEEN_APPLIED = "AllWorkHaveBeenApplied",
        reasons::cluster::NOT_ALL_WORK_HAVE_BEEN_APPLIED = "NotAllWorkHaveBeenApplied",
        reasons::cluster::APPLY_IN_PROGRESS = "ApplyInProgress",
        reasons::cluster::APPLY_PENDING = "ApplyPending",
        reasons::cluster::ALL_WORK_ARE_AVAILABLE = "AllWorkAreAvailable",
        reasons::cluster::NOT_ALL_WORK_ARE_AVAILABLE = "NotAllWorkAreAvailable",
        reasons::cluster::NOT_ALL_WORK_ARE_AVAILABILITY_TRACKABLE = "NotAllWorkAreAvailabilityTrackable",
        reasons::cluster::RESOURCE_AVAILABLE_UNKNOWN = "ResourceAvailableUnknown",
        reasons::cluster::ALL_WORK_HAVE_DIFF_REPORTED = "AllWorkHaveDiffReported",
        reasons::cluster::NOT_ALL_WORK_HAVE_DIFF_REPORTED = "NotAllWorkHaveDiffReported",
        reasons::cluster::DIFF_REPORT_IN_PROGRESS = "DiffReportInProgress",
        reasons::cluster::DIFF_REPORTING_PENDING = "DiffReportingPending",
        reasons::work::ALL_MANIFESTS_APPLIED = "AllManifestsApplied",
        reasons::work::SOME_MANIFESTS_ARE_NOT_APPLIED = "SomeManifestsAreNotApplied",
        reasons::work::ALL_MANIFESTS_AVAILABLE = "AllManifestsAvailable",
        reasons::work::WORK_NOT_TRACKABLE = "WorkNotTrackable",
        reasons::work::SOME_MANIFESTS_ARE_NOT_AVAILABILITY_TRACKABLE = "SomeManifestsAreNotAvailabilityTrackable",
        reasons::work::SOME_MANIFESTS_ARE_NOT_AVAILABLE = "SomeManifestsAreNotAvailable",
        reasons::work::ALL_MANIFESTS_DIFF_REPORTED = "AllManifestsDiffReported",
        reasons::work::SOME_MANIFESTS_HAVE_NOT_REPORTED_DIFF = "SomeManifestsHaveNotReportedDiff",
        reasons::work::OVERSIZED = "Oversized",
        reasons::work::WATCH_REFUSED = "WatchRefused",
        reasons::work::DELETION_BLOCKED = "DeletionBlocked",
        reasons::manifest::ANOTHER_MANAGER_WRITES = "AnotherManagerWrites",
        reasons::manifest::APPLIED = "Applied",
        reasons::manifest::APPLIED_WITH_FAILED_DRIFT_DETECTION = "AppliedWithFailedDriftDetection",
        reasons::manifest::PREPARING_TO_PROCESS = "PreparingToProcess",
        reasons::manifest::DECODING_ERRED = "DecodingErred",
        reasons::manifest::FOUND_GENERATE_NAME = "FoundGenerateName",
        reasons::manifest::DUPLICATED = "Duplicated",
        reasons::manifest::FAILED_TO_FIND_OBJ_IN_MEMBER_CLUSTER = "FailedToFindObjInMemberCluster",
        reasons::manifest::FAILED_TO_TAKE_OVER = "FailedToTakeOver",
        reasons::manifest::NOT_TAKEN_OVER = "NotTakenOver",
        reasons::manifest::FAILED_TO_RUN_DRIFT_DETECTION = "FailedToRunDriftDetection",
        reasons::manifest::FOUND_DRIFTS = "FoundDrifts",
        reasons::manifest::FOUND_DRIFTS_IN_DEGRADED_MODE = "FoundDriftsInDegradedMode",
        reasons::manifest::MANIFEST_APPLY_FAILED = "ManifestApplyFailed",
        reasons::manifest::AVAILABLE = "Available",
        reasons::manifest::NOT_TRACKABLE = "NotTrackable",
        reasons::manifest::MANIFEST_NOT_AVAILABLE_YET = "ManifestNotAvailableYet",
        reasons::manifest::FAILED = "Failed",
        reasons::manifest::NO_DIFF_FOUND = "NoDiffFound",
        reasons::manifest::FOUND_DIFF = "FoundDiff",
        reasons::manifest::FOUND_DIFF_IN_DEGRADED_MODE = "FoundDiffInDegradedMode",
        reasons::manifest::FAILED_TO_REPORT_DIFF = "FailedToReportDiff",
        reasons::member::MEMBER_CLUSTER_READY_TO_JOIN = "MemberClusterReadyToJoin",
        reasons::member::MEMBER_CLUSTER_NOT_READY_TO_JOIN = "MemberClusterNotReadyToJoin",
        reasons::member::MEMBER_CLUSTER_JOINED = "MemberClusterJoined",
        reasons::member::MEMBER_CLUSTER_LEFT = "MemberClusterLeft",
        reasons::member::MEMBER_CLUSTER_JOIN_STATE_UNKNOWN = "MemberClusterJoinStateUnknown",
        reasons::member::INTERNAL_MEMBER_CLUSTER_JOINED = "InternalMemberClusterJoined",
        reasons::member::INTERNAL_MEMBER_CLUSTER_FAILED_TO_JOIN = "InternalMemberClusterFailedToJoin",
        reasons::member::INTERNAL_MEMBER_CLUSTER_LEFT = "InternalMemberClusterLeft",
        reasons::member::INTERNAL_MEMBER_CLUSTER_FAILED_TO_LEAVE = "InternalMemberClusterFailedToLeave",
        reasons::member::INTERNAL_MEMBER_CLUSTER_HEALTHY = "InternalMemberClusterHealthy",
        reasons::member::INTERNAL_MEMBER_CLUSTER_UNHEALTHY = "InternalMemberClusterUnhealthy",
        reasons::member::STARTED = "Started",
        reasons::member::TIMED_OUT = "TimedOut",
        reasons::member::FAILED_TO_START = "FailedToStart",
        reasons::member::PROPERTIES_COLLECTED = "PropertiesCollected",
        reasons::member::TOO_MANY_CALLS = "TooManyCalls",
        reasons::member::SUCCEEDED = "Succeeded",
        reasons::member::DEGRADED = "Degraded",
        reasons::member::COSTS_CALCULATED = "CostsCalculated",
        reasons::member::COSTS_CALCULATION_DEGRADED = "CostsCalculationDegraded",
        reasons::member::COSTS_CALCULATION_FAILED = "CostsCalculationFailed",
        reasons::member::AGENT_JOINED = "AgentJoined",
        reasons::member::AGENT_LEFT = "AgentLeft",
        reasons::inventory::MEMBER_CLUSTER_API_SERVER_HEALTHY = "MemberClusterAPIServerHealthy",
        reasons::inventory::MEMBER_CLUSTER_API_SERVER_UNHEALTHY = "MemberClusterAPIServerUnhealthy",
        reasons::inventory::MEMBER_AGENT_HEARTBEAT_LOST = "MemberAgentHeartbeatLost",
        reasons::inventory::MEMBER_AGENT_REPORTED_NO_STATUS = "MemberAgentReportedNoStatus",
        reasons::inventory::MEMBER_AGENT_REPORTED_NO_HEALTH_INFO = "MemberAgentReportedNoHealthInfo",
        reasons::eviction::CLUSTER_RESOURCE_PLACEMENT_EVICTION_VALID = "ClusterResourcePlacementEvictionValid",
        reasons::eviction::CLUSTER_RESOURCE_PLACEMENT_EVICTION_INVALID = "ClusterResourcePlacementEvictionInvalid",
        reasons::eviction::CLUSTER_RESOURCE_PLACEMENT_EVICTION_EXECUTED = "ClusterResourcePlacementEvictionExecuted",
        reasons::eviction::CLUSTER_RESOURCE_PLACEMENT_EVICTION_NOT_EXECUTED =
            "ClusterResourcePlacementEvictionNotExecuted",
        reasons::update_run::UPDATE_RUN_INITIALIZED_SUCCESSFULLY = "UpdateRunInitializedSuccessfully",
        reasons::update_run::UPDATE_RUN_INITIALIZED_FAILED = "UpdateRunInitializedFailed",
        reasons::update_run::UPDATE_RUN_PROGRESSING = "UpdateRunProgressing",
        reasons::update_run::UPDATE_RUN_WAITING = "UpdateRunWaiting",
        reasons::update_run::UPDATE_RUN_STUCK = "UpdateRunStuck",
        reasons::update_run::UPDATE_RUN_STOPPED = "UpdateRunStopped",
        reasons::update_run::UPDATE_RUN_STOPPING = "UpdateRunStopping",
        reasons::update_run::UPDATE_RUN_SUCCEEDED = "UpdateRunSucceeded",
        reasons::update_run::UPDATE_RUN_FAILED = "UpdateRunFailed",
        reasons::update_run::STAGE_UPDATING_STARTED = "StageUpdatingStarted",
        reasons::update_run::STAGE_UPDATING_WAITING = "StageUpdatingWaiting",
        reasons::update_run::STAGE_UPDATING_STOPPED = "StageUpdatingStopped",
        reasons::update_run::STAGE_UPDATING_STOPPING = "StageUpdatingStopping",
        reasons::update_run::STAGE_UPDATING_SUCCEEDED = "StageUpdatingSucceeded",
        reasons::update_run::STAGE_UPDATING_SKIPPED_NO_CLUSTERS = "StageUpdatingSkippedNoClusters",
        reasons::update_run::STAGE_UPDATING_FAILED = "StageUpdatingFailed",
        reasons::update_run::CLUSTER_UPDATING_STARTED = "ClusterUpdatingStarted",
        reasons::update_run::CLUSTER_UPDATING_SUCCEEDED = "ClusterUpdatingSucceeded",
        reasons::update_run::CLUSTER_UPDATING_FAILED = "ClusterUpdatingFailed",
        reasons::update_run::STAGE_TASK_APPROVAL_REQUEST_CREATED = "StageTaskApprovalRequestCreated",
        reasons::update_run::STAGE_TASK_APPROVAL_REQUEST_APPROVED = "StageTaskApprovalRequestApproved",
        reasons::update_run::AFTER_STAGE_TASK_WAIT_TIME_ELAPSED = "AfterStageTaskWaitTimeElapsed",
        reasons::update_run::APPROVAL_REQUEST_APPROVAL_ACCEPTED = "ApprovalRequestApprovalAccepted",
        reasons::update_run::CLUSTER_APPROVAL_REQUEST_APPROVED = "ClusterApprovalRequestApproved",
        reasons::update_run::APPROVAL_REQUEST_APPROVED = "ApprovalRequestApproved",
        reasons::networking::SERVICE_IS_VALID = "ServiceIsValid",
        reasons::networking::SERVICE_NOT_FOUND = "ServiceNotFound",
        reasons::networking::SERVICE_INELIGIBLE = "ServiceIneligible",
        reasons::networking::SERVICE_EXPORT_INVALID_WEIGHT_ANNOTATION = "ServiceExportInvalidWeightAnnotation",
        reasons::networking::SERVICE_EXPORT_INVALID_ENDPOINT_ANNOTATION = "ServiceExportInvalidEndpointAnnotation",
        reasons::networking::SERVICE_PENDING_CONFLICT_RESOLUTION = "ServicePendingConflictResolution",
        reasons::networking::NO_CONFLICT_FOUND = "NoConflictFound",
        reasons::networking::CONFLICT_FOUND = "ConflictFound",
        reasons::networking::FOUND_SERVICE_IMPORT = "FoundServiceImport",
        reasons::networking::UNKNOWN_SERVICE_IMPORT = "UnknownServiceImport",
        reasons::networking::PROGRAMMED = "Programmed",
        reasons::networking::INVALID = "Invalid",
        reasons::networking::DNS_NAME_NOT_AVAILABLE = "DNSNameNotAvailable",
        reasons::networking::PENDING = "Pending",
        reasons::networking::ACCEPTED = "Accepted",
    ]
);

pins!(
    events_are_pinned,
    "events.rs",
    [
        events::export::CONTROLLER = "serviceexport-controller",
        events::export::FEEDBACK_CONTROLLER = "internalserviceexport-controller",
        events::export::SERVICE_NOT_FOUND = "ServiceNotFound",
        events::export::SERVICE_NOT_ELIGIBLE = "ServiceNotEligible",
        events::export::WEIGHTLESS = "Service",
        events::export::VALID = "ValidServiceExport",
        events::export::PENDING = "PendingExportConflictResolution",
        events::export::CONFLICT_FOUND = "ServiceExportConflictFound",
        events::export::NO_CONFLICT_FOUND = "NoServiceExportConflictFound",
        events::traffic::PROFILE_CONTROLLER = "trafficmanagerprofile-controller",
        events::traffic::BACKEND_CONTROLLER = "trafficmanagerbackend-controller",
        events::traffic::AZURE_API_ERROR = "AzureAPIError",
        events::traffic::PROGRAMMED = "Programmed",
        events::traffic::ACCEPTED = "Accepted",
        events::traffic::DELETED = "Deleted",
        events::traffic::ENDPOINT_DEGRADED = "EndpointDegraded",
        events::traffic::ENDPOINT_NOT_ACCEPTED = "EndpointNotAccepted",
        events::placement::PLACEMENT_ROLLOUT_STARTED = "PlacementRolloutStarted",
        events::placement::PLACEMENT_OVERRIDDEN_SUCCEEDED = "PlacementOverriddenSucceeded",
        events::placement::PLACEMENT_WORK_SYNCHRONIZED = "PlacementWorkSynchronized",
        events::placement::PLACEMENT_APPLIED = "PlacementApplied",
        events::placement::PLACEMENT_AVAILABLE = "PlacementAvailable",
        events::placement::PLACEMENT_DIFF_REPORTED = "PlacementDiffReported",
        events::placement::PLACEMENT_ROLLOUT_COMPLETED = "PlacementRolloutCompleted",
        events::placement::PLACEMENT_CLEANUP_FINALIZER_REMOVED = "PlacementCleanupFinalizerRemoved",
        events::warning::INVALID_NAME = "InvalidName",
        events::warning::INVALID_RESOURCE_SELECTORS = "InvalidResourceSelectors",
        events::warning::INVALID_POLICY = "InvalidPolicy",
        events::warning::INVALID_STRATEGY = "InvalidStrategy",
        events::warning::INVALID_REPORT_BACK_STRATEGY = "InvalidReportBackStrategy",
        events::warning::INVALID_CLUSTER_PROPERTY = "InvalidClusterProperty",
        events::warning::INVALID_CLUSTER_SELECTOR = "InvalidClusterSelector",
        events::warning::DELETION_BLOCKED = "DeletionBlocked",
        events::warning::REFERENCE_NEVER_MATCHES = "ReferenceNeverMatches",
        events::binding::DUPLICATE_ENVELOPE_WORKS = "DuplicateEnvelopeWorks",
        events::member::NAMESPACE_CREATED = "NamespaceCreated",
        events::member::NAMESPACE_PATCHED = "NamespacePatched",
        events::member::ROLE_CREATED = "RoleCreated",
        events::member::ROLE_UPDATED = "RoleUpdated",
        events::member::ROLE_BINDING_CREATED = "RoleBindingCreated",
        events::member::ROLE_BINDING_UPDATED = "RoleBindingUpdated",
        events::member::INTERNAL_MEMBER_CLUSTER_CREATED = "InternalMemberClusterCreated",
        events::member::INTERNAL_MEMBER_CLUSTER_SPEC_UPDATED = "InternalMemberClusterSpecUpdated",
    ]
);

#[test]
fn placement_conditions_are_pinned() {
    let names = [
        "Scheduled",
        "RolloutStarted",
        "Overridden",
        "WorkSynchronized",
        "Applied",
        "Available",
        "DiffReported",
        "StatusSynced",
    ];
    for (condition, name) in PlacementCondition::ALL.into_iter().zip(names) {
        assert_eq!(condition.per_cluster(), name);
        assert_eq!(
            condition.on(PlacementKind::Cluster),
            format!("ClusterResourcePlacement{name}")
        );
        assert_eq!(
            condition.on(PlacementKind::Namespaced),
            format!("ResourcePlacement{name}")
        );
    }
}

#[test]
fn messages_are_pinned() {
    use super::messages::*;
    let table = [
        (
            scheduled(2),
            "found all cluster needed as specified by the scheduling policy, found 2 cluster(s)",
        ),
        (
            not_scheduled(2),
            "could not find all clusters needed as specified by the scheduling policy, found 2 cluster(s) instead",
        ),
        (
            rollout_started(2),
            "All 2 cluster(s) start rolling out the latest resource",
        ),
        (
            overridden(2),
            "The selected resources are successfully overridden in 2 cluster(s)",
        ),
        (
            work_synchronized(2),
            "Work(s) are successfully created or updated in 2 target cluster(s)' namespaces",
        ),
        (
            applied(2),
            "The selected resources are successfully applied to 2 cluster(s)",
        ),
        (available(2), "The selected resources in 2 cluster(s) are available now"),
        (
            NO_OVERRIDE.to_owned(),
            "No override rules are configured for the selected resources",
        ),
        (
            CLUSTER_ROLLOUT_STARTED.to_owned(),
            "Detected the new changes on the resources and started the rollout process",
        ),
        (
            CLUSTER_OVERRIDDEN.to_owned(),
            "Successfully applied the override rules on the resources",
        ),
        (
            CLUSTER_WORK_SYNCHRONIZED.to_owned(),
            "All of the works are synchronized to the latest",
        ),
        (CLUSTER_APPLIED.to_owned(), "All corresponding work objects are applied"),
        (
            CLUSTER_AVAILABLE.to_owned(),
            "All corresponding work objects are available",
        ),
        (
            cluster_rollout_started_by_run("3", "run"),
            "Detected the new changes on the resources and started the rollout process, resourceSnapshotIndex: 3, updateRun: run",
        ),
        (
            picked_by_score("c", 5, -1),
            "Successfully scheduled resources for placement in \"c\" (affinity score: 5, topology spread score: -1): picked by scheduling policy",
        ),
        (
            picked("c"),
            "Successfully scheduled resources for placement in \"c\": picked by scheduling policy",
        ),
        (
            not_picked("c", 5, -1),
            "Cluster \"c\" does not score high enough (affinity score: 5, topology spread score: -1)",
        ),
        (
            not_eligible("c", "why"),
            "Cluster \"c\" is not eligible for resource placement yet: why",
        ),
        (not_found("c"), "Specified cluster \"c\" is not found"),
    ];
    for (message, text) in table {
        assert_eq!(message, text);
    }
}

#[test]
fn messages_of_evictions_are_pinned() {
    use super::messages::eviction;
    let table = [
        (eviction::VALID.to_owned(), "Eviction is valid"),
        (
            eviction::MISSING_PLACEMENT.to_owned(),
            "Failed to find ClusterResourcePlacement targeted by eviction",
        ),
        (
            eviction::DELETING_PLACEMENT.to_owned(),
            "Found deleting ClusterResourcePlacement targeted by eviction",
        ),
        (
            eviction::PICK_FIXED.to_owned(),
            "Found ClusterResourcePlacement with PickFixed placement type targeted by eviction",
        ),
        (
            eviction::MISSING_BINDING.to_owned(),
            "Failed to find scheduler decision for placement in cluster targeted by eviction",
        ),
        (
            eviction::SEVERAL_BINDINGS.to_owned(),
            "Found more than one scheduler decision for placement in cluster targeted by eviction",
        ),
        (
            eviction::NO_BUDGET.to_owned(),
            "Eviction is allowed, no ClusterResourcePlacementDisruptionBudget specified",
        ),
        (
            eviction::BEING_REMOVED.to_owned(),
            "Eviction is allowed, resources propagated by placement is currently being removed from cluster targeted by eviction",
        ),
        (
            eviction::FAILED_PLACEMENT.to_owned(),
            "Eviction is allowed, placement has failed",
        ),
        (
            eviction::NOT_PLACED.to_owned(),
            "Eviction is blocked, placement has not propagated resources to target cluster yet",
        ),
        (
            eviction::BAD_BUDGET.to_owned(),
            "Eviction is blocked by misconfigured ClusterResourcePlacementDisruptionBudget, either MaxUnavailable is specified or MinAvailable is specified as a percentage for PickAll ClusterResourcePlacement",
        ),
        (
            eviction::allowed(1, 2),
            "Eviction is allowed by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: 1, totalPlacements: 2",
        ),
        (
            eviction::blocked(1, 2),
            "Eviction is blocked by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: 1, totalPlacements: 2",
        ),
    ];
    for (message, text) in table {
        assert_eq!(message, text);
    }
}
