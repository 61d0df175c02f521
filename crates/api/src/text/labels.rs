//! Label keys and their fixed values (placement-api 15.1, networking 2.2).

/// Placement of a snapshot, binding or Work (also of ResourcePlacements).
pub const PARENT_PLACEMENT: &str = "kubernetes-fleet.io/parent-CRP";

/// Whether a snapshot is the newest: `true` or `false`.
pub const IS_LATEST_SNAPSHOT: &str = "kubernetes-fleet.io/is-latest-snapshot";

/// Index of a policy snapshot.
pub const POLICY_INDEX: &str = "kubernetes-fleet.io/policy-index";

/// Index of a group of resource snapshots.
pub const RESOURCE_INDEX: &str = "kubernetes-fleet.io/resource-index";

/// Override of an override snapshot, for both kinds.
pub const PARENT_OVERRIDE: &str = "kubernetes-fleet.io/parent-resource-override";

/// Index of an override snapshot.
pub const OVERRIDE_INDEX: &str = "kubernetes-fleet.io/override-index";

/// Binding of a Work.
pub const PARENT_BINDING: &str = "kubernetes-fleet.io/parent-resource-binding";

/// Namespace of the ResourcePlacement of a Work.
pub const PARENT_NAMESPACE: &str = "kubernetes-fleet.io/parent-placement-namespace";

/// Index of the resource snapshots of a Work.
pub const PARENT_SNAPSHOT_INDEX: &str = "kubernetes-fleet.io/parent-resource-snapshot-index";

/// Kind of the envelope that a Work was made from.
pub const ENVELOPE_KIND: &str = "kubernetes-fleet.io/envelope-work";

/// Name of that envelope.
pub const ENVELOPE_NAME: &str = "kubernetes-fleet.io/envelope-name";

/// Namespace of that envelope, absent for cluster-scoped ones.
pub const ENVELOPE_NAMESPACE: &str = "kubernetes-fleet.io/envelope-namespace";

/// Name of the member cluster, always set by the hub.
pub const MEMBER_NAME: &str = "kubernetes-fleet.io/member-name";

/// Marks namespaces that the fleet owns: `true`.
pub const IS_FLEET_RESOURCE: &str = "kubernetes-fleet.io/is-fleet-resource";

/// Update run of an approval request.
pub const TARGET_UPDATE_RUN: &str = "kubernetes-fleet.io/targetUpdateRun";

/// Stage of an approval request.
pub const TARGET_UPDATING_STAGE: &str = "kubernetes-fleet.io/targetUpdatingStage";

/// `beforeStage` or `afterStage` on an approval request.
pub const TASK_TYPE: &str = "kubernetes-fleet.io/taskType";

/// Marks the approval request in use: `true`.
pub const IS_LATEST_APPROVAL: &str = "kubernetes-fleet.io/isLatestUpdateRunApproval";

/// Manager of a ClusterProfile.
pub const CLUSTER_MANAGER: &str = "x-k8s.io/cluster-manager";

/// Value of [`CLUSTER_MANAGER`].
pub const CLUSTER_MANAGER_VALUE: &str = "KubeFleet";

/// On webhook configurations: keeps managed-cluster enforcers away.
pub const ENFORCER_DISABLED: &str = "admissions.enforcer/disabled";

/// The value `true`.
pub const TRUE: &str = "true";

/// The value `false`.
pub const FALSE: &str = "false";

/// Value of [`TASK_TYPE`].
pub const BEFORE_STAGE: &str = "beforeStage";

/// Value of [`TASK_TYPE`].
pub const AFTER_STAGE: &str = "afterStage";

/// EndpointSlice: name of the Service that it belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// On a MultiClusterService: its derived Service.
pub const DERIVED_SERVICE: &str = "networking.fleet.azure.com/derived-service";

/// On a MultiClusterService: the ServiceImport it owns.
pub const SERVICE_IMPORT: &str = "networking.fleet.azure.com/service-import";

/// On a derived Service: its MultiClusterService.
pub const MCS_NAME: &str = "networking.fleet.azure.com/multi-cluster-service-name";

/// On a derived Service: the namespace of its MultiClusterService.
pub const MCS_NAMESPACE: &str = "networking.fleet.azure.com/multi-cluster-service-namespace";
