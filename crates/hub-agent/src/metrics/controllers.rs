//! The names of KubeFleet's controllers, which dashboards use to select the series of work (hub-behaviour 11.1).

use api::kinds;
use api::resource::Resource;
use fairway_core::objects::PlacementKey;
use fairway_core::placement::Stages;

/// ClusterResourcePlacements.
pub const CLUSTER_PLACEMENT: &str = "cluster-resource-placement-controller-v1beta1";
/// ResourcePlacements.
pub const PLACEMENT: &str = "resource-placement-controller";
/// Changes of selectable resources.
pub const RESOURCE_CHANGE: &str = "resource-change-controller";
/// MemberClusters.
pub const MEMBER: &str = "membercluster-controller";
/// ClusterResourceOverrides.
pub const CLUSTER_OVERRIDE: &str = "clusterresourceoverride-controller";
/// ResourceOverrides.
pub const OVERRIDE: &str = "resourceoverride-controller";
/// Exported services.
pub const EXPORT: &str = "internalserviceexport";
/// TrafficManagerProfiles.
pub const TRAFFIC_PROFILE: &str = "trafficmanagerprofile";
/// TrafficManagerBackends.
pub const TRAFFIC_BACKEND: &str = "trafficmanagerbackend";
/// Copies of statuses in namespaces, of which only the end matters.
pub const STATUS_COPY_WATCHER: &str = "clusterresourceplacementstatus-watcher";
/// Members, on the scheduler's behalf.
pub const MEMBER_WATCHER: &str = "membercluster-scheduler-watcher";

/// The watchers of one kind of objects: on the placement controller's behalf, and on the scheduler's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchers {
    /// The placement controller's.
    pub placement: &'static str,
    /// The scheduler's.
    pub scheduler: &'static str,
}

const ALL: [(Resource, Watchers); 6] = [
    (
        kinds::CLUSTER_RESOURCE_PLACEMENT,
        watchers(
            "clusterresourceplacement-watcher",
            "clusterresourceplacement-scheduler-watcher",
        ),
    ),
    (
        kinds::RESOURCE_PLACEMENT,
        watchers("resourceplacement-watcher", "resourceplacement-scheduler-watcher"),
    ),
    (
        kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
        watchers(
            "clusterschedulingpolicysnapshot-watcher",
            "clusterschedulingpolicysnapshot-scheduler-watcher",
        ),
    ),
    (
        kinds::SCHEDULING_POLICY_SNAPSHOT,
        watchers(
            "schedulingpolicysnapshot-watcher",
            "schedulingpolicysnapshot-scheduler-watcher",
        ),
    ),
    (
        kinds::CLUSTER_RESOURCE_BINDING,
        watchers(
            "cluster-resource-binding-watcher",
            "clusterresourcebinding-scheduler-watcher",
        ),
    ),
    (
        kinds::RESOURCE_BINDING,
        watchers("resource-binding-watcher", "resourcebinding-scheduler-watcher"),
    ),
];

const fn watchers(placement: &'static str, scheduler: &'static str) -> Watchers {
    Watchers { placement, scheduler }
}

/// The watchers of a kind.
pub fn of_kind(kind: &Resource) -> Option<Watchers> {
    ALL.iter().find(|(other, _)| other == kind).map(|(_, found)| *found)
}

/// All watchers; those of kinds in namespaces only if such placements are served.
pub fn all_watchers(namespaced: bool) -> Vec<&'static str> {
    let mut all = vec![STATUS_COPY_WATCHER, MEMBER_WATCHER];
    for (kind, found) in ALL {
        if namespaced || !kind.namespaced {
            all.extend([found.placement, found.scheduler]);
        }
    }
    all
}

/// The controllers whose work one pass over a placement does.
pub fn of_pass(key: &PlacementKey, stages: Stages) -> Vec<&'static str> {
    of_scope(key.namespace.is_some(), stages)
}

/// The controllers whose work passes over placements of one scope do.
pub fn of_scope(namespaced: bool, stages: Stages) -> Vec<&'static str> {
    let pick = |cluster, in_namespace| if namespaced { in_namespace } else { cluster };
    let all = [
        (stages.placement, pick(CLUSTER_PLACEMENT, PLACEMENT)),
        (
            stages.rollout,
            pick(
                "cluster-resource-placement-rollout-controller",
                "resource-placement-rollout-controller",
            ),
        ),
        (
            stages.work,
            pick(
                "cluster-resource-binding-work-generator",
                "resource-binding-work-generator",
            ),
        ),
    ];
    all.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect()
}

/// Whether a controller has a queue of its own, and series with the prefix `fleet_workload`.
pub(super) fn has_own_queue(controller: &str) -> bool {
    matches!(controller, CLUSTER_PLACEMENT | PLACEMENT | RESOURCE_CHANGE)
}
