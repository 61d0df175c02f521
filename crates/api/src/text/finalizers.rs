//! Finalizers (placement-api 15.4, networking 2.1).

/// MemberCluster: until its namespace is gone.
pub const MEMBER_CLUSTER: &str = "kubernetes-fleet.io/membercluster-finalizer";

/// MemberCluster: until its ClusterProfile is deleted.
pub const CLUSTER_PROFILE: &str = "kubernetes-fleet.io/cluster-profile-cleanup";

/// Both placement kinds: until the snapshots are deleted.
pub const PLACEMENT: &str = "kubernetes-fleet.io/crp-cleanup";

/// Both placement kinds: until the bindings are deleted.
pub const SCHEDULER: &str = "kubernetes-fleet.io/scheduler-cleanup";

/// Bindings, from creation: until the scheduler has seen the deletion.
pub const SCHEDULER_BINDING: &str = "kubernetes-fleet.io/scheduler-crb-cleanup";

/// Bindings: until no Work is left that is not being deleted. Works: until the member has cleaned up.
pub const WORK: &str = "kubernetes-fleet.io/work-cleanup";

/// Overrides: until their snapshots are deleted.
pub const OVERRIDE: &str = "kubernetes-fleet.io/override-cleanup";

/// Update runs: until their approval requests are deleted.
pub const UPDATE_RUN: &str = "kubernetes-fleet.io/stagedupdaterun-finalizer";

/// ServiceExport on the member: until its report is withdrawn.
pub const SERVICE_EXPORT: &str = "networking.fleet.azure.com/svc-export-cleanup";

/// InternalServiceExport: until the cluster has left the ServiceImport.
pub const INTERNAL_SERVICE_EXPORT: &str = "networking.fleet.azure.com/internal-svc-export-cleanup";

/// InternalServiceImport: until its claim is withdrawn.
pub const INTERNAL_SERVICE_IMPORT: &str = "networking.fleet.azure.com/internalsvcimport-cleanup";

/// ServiceImport, on the hub and on the importing member.
pub const SERVICE_IMPORT: &str = "networking.fleet.azure.com/serviceimport-cleanup";

/// EndpointSliceExport: until its copies are deleted.
pub const ENDPOINT_SLICE_EXPORT: &str = "networking.fleet.azure.com/endpointsliceexport-cleanup";

/// EndpointSliceImport: until the imported slice is deleted.
pub const ENDPOINT_SLICE_IMPORT: &str = "networking.fleet.azure.com/endpointsliceimport-cleanup";

/// MultiClusterService: until what was derived from it is deleted.
pub const MULTI_CLUSTER_SERVICE: &str = "networking.fleet.azure.com/service-resources-cleanup";

/// Traffic manager objects: until their metrics are dropped.
pub const METRICS: &str = "networking.fleet.azure.com/metrics-cleanup";

/// TrafficManagerProfile: from right before the first write in Azure.
pub const TRAFFIC_MANAGER_PROFILE: &str = "networking.fleet.azure.com/traffic-manager-profile-cleanup";

/// TrafficManagerBackend: from right before endpoint work.
pub const TRAFFIC_MANAGER_BACKEND: &str = "networking.fleet.azure.com/traffic-manager-backend-cleanup";
