//! The kinds that agents write, as descriptors. The list is for convenience: nothing needs to know all of them, and a
//! kind of any other API is described by a [`Resource`] of its own.

use crate::resource::Resource;
use crate::text::groups;

/// ClusterResourcePlacement.
pub const CLUSTER_RESOURCE_PLACEMENT: Resource = placement("ClusterResourcePlacement", "clusterresourceplacements");
/// ResourcePlacement.
pub const RESOURCE_PLACEMENT: Resource = in_namespace("ResourcePlacement", "resourceplacements");
/// ClusterSchedulingPolicySnapshot.
pub const CLUSTER_SCHEDULING_POLICY_SNAPSHOT: Resource =
    placement("ClusterSchedulingPolicySnapshot", "clusterschedulingpolicysnapshots");
/// SchedulingPolicySnapshot.
pub const SCHEDULING_POLICY_SNAPSHOT: Resource = in_namespace("SchedulingPolicySnapshot", "schedulingpolicysnapshots");
/// ClusterResourceSnapshot.
pub const CLUSTER_RESOURCE_SNAPSHOT: Resource = placement("ClusterResourceSnapshot", "clusterresourcesnapshots");
/// ResourceSnapshot.
pub const RESOURCE_SNAPSHOT: Resource = in_namespace("ResourceSnapshot", "resourcesnapshots");
/// ClusterResourceBinding.
pub const CLUSTER_RESOURCE_BINDING: Resource = placement("ClusterResourceBinding", "clusterresourcebindings");
/// ResourceBinding.
pub const RESOURCE_BINDING: Resource = in_namespace("ResourceBinding", "resourcebindings");
/// ClusterResourcePlacementStatus, the copy of a placement's status in a namespace.
pub const CLUSTER_RESOURCE_PLACEMENT_STATUS: Resource =
    in_namespace("ClusterResourcePlacementStatus", "clusterresourceplacementstatuses");
/// ClusterResourceOverride.
pub const CLUSTER_RESOURCE_OVERRIDE: Resource = placement("ClusterResourceOverride", "clusterresourceoverrides");
/// ResourceOverride.
pub const RESOURCE_OVERRIDE: Resource = in_namespace("ResourceOverride", "resourceoverrides");
/// ClusterResourceOverrideSnapshot.
pub const CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT: Resource =
    placement("ClusterResourceOverrideSnapshot", "clusterresourceoverridesnapshots");
/// ResourceOverrideSnapshot.
pub const RESOURCE_OVERRIDE_SNAPSHOT: Resource = in_namespace("ResourceOverrideSnapshot", "resourceoverridesnapshots");
/// Work, on the hub.
pub const WORK: Resource = in_namespace("Work", "works");
/// AppliedWork, on members.
pub const APPLIED_WORK: Resource = placement("AppliedWork", "appliedworks");
/// MemberCluster.
pub const MEMBER_CLUSTER: Resource = Resource::cluster(groups::CLUSTER, "v1beta1", "MemberCluster", "memberclusters");
/// InternalMemberCluster.
pub const INTERNAL_MEMBER_CLUSTER: Resource = Resource::namespaced(
    groups::CLUSTER,
    "v1beta1",
    "InternalMemberCluster",
    "internalmemberclusters",
);
/// InternalServiceExport, the hub's record of what a member exports.
pub const INTERNAL_SERVICE_EXPORT: Resource = Resource::namespaced(
    groups::NETWORKING,
    "v1alpha1",
    "InternalServiceExport",
    "internalserviceexports",
);
/// TrafficManagerProfile.
pub const TRAFFIC_MANAGER_PROFILE: Resource = Resource::namespaced(
    groups::NETWORKING,
    "v1beta1",
    "TrafficManagerProfile",
    "trafficmanagerprofiles",
);
/// TrafficManagerBackend.
pub const TRAFFIC_MANAGER_BACKEND: Resource = Resource::namespaced(
    groups::NETWORKING,
    "v1beta1",
    "TrafficManagerBackend",
    "trafficmanagerbackends",
);
/// MultiCluster.
pub const MULTI_CLUSTER: Resource =
    Resource::namespaced(groups::MULTICLUSTER, "v1alpha1", "MultiCluster", "multiclusters");
/// Namespace.
pub const NAMESPACE: Resource = Resource::cluster("", "v1", "Namespace", "namespaces");
/// Role.
pub const ROLE: Resource = Resource::namespaced(RBAC, "v1", "Role", "roles");
/// RoleBinding.
pub const ROLE_BINDING: Resource = Resource::namespaced(RBAC, "v1", "RoleBinding", "rolebindings");

const RBAC: &str = "rbac.authorization.k8s.io";

const fn placement(kind: &'static str, plural: &'static str) -> Resource {
    Resource::cluster(groups::PLACEMENT, "v1beta1", kind, plural)
}

const fn in_namespace(kind: &'static str, plural: &'static str) -> Resource {
    Resource::namespaced(groups::PLACEMENT, "v1beta1", kind, plural)
}
