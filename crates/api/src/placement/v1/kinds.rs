//! Kinds whose content is that of `v1beta1`.

use super::ResourceBindingStatus;
use crate::placement::v1beta1::rules::{CLUSTER_OVERRIDE, IMMUTABLE_SPEC, NAME_63, OVERRIDE_PLACEMENT};
use crate::placement::v1beta1::{
    AppliedWorkSpec, AppliedWorkStatus, ApprovalRequestSpec, ApprovalRequestStatus,
    ClusterResourceOverrideSnapshotSpec, ClusterResourceOverrideSpec, ResourceBindingSpec,
    ResourceOverrideSnapshotSpec, ResourceOverrideSpec, ResourceSnapshotSpec, ResourceSnapshotStatus,
    SchedulingPolicySnapshotSpec, SchedulingPolicySnapshotStatus, UpdateRunSpec, UpdateRunStatus, UpdateStrategySpec,
};
use crate::root::root_kind;
use crate::schema::rules;

root_kind! {
    /// A scheduling policy of a ClusterResourcePlacement, frozen, with the scheduler's decisions.
    #[derive(Default)]
    ClusterSchedulingPolicySnapshot, "placement.kubernetes-fleet.io", "v1", "clusterschedulingpolicysnapshots", ClusterResourceScope {
        /// The policy.
        spec: SchedulingPolicySnapshotSpec,
        /// The decisions.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<SchedulingPolicySnapshotStatus>,
    }
}

root_kind! {
    /// Resources selected by a ClusterResourcePlacement, frozen. Large selections are split over several objects of one index.
    #[derive(Default)]
    ClusterResourceSnapshot, "placement.kubernetes-fleet.io", "v1", "clusterresourcesnapshots", ClusterResourceScope {
        /// The resources.
        spec: ResourceSnapshotSpec,
        /// Never written.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ResourceSnapshotStatus>,
    }
}

root_kind! {
    /// A ClusterResourcePlacement on one cluster.
    ClusterResourceBinding, "placement.kubernetes-fleet.io", "v1", "clusterresourcebindings", ClusterResourceScope {
        /// Which resources the cluster should have.
        spec: ResourceBindingSpec,
        /// What has happened on the cluster.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ResourceBindingStatus>,
    }
}

root_kind! {
    /// Represents a Work on the member and owns every object that was placed by it.
    #[derive(Default)]
    AppliedWork, "placement.kubernetes-fleet.io", "v1", "appliedworks", ClusterResourceScope {
        /// The Work on the hub.
        spec: AppliedWorkSpec,
        /// What was applied.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<AppliedWorkStatus>,
    }
}

root_kind! {
    /// Changes cluster-scoped resources per cluster while they are placed.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(CLUSTER_OVERRIDE)))]
    ClusterResourceOverride, "placement.kubernetes-fleet.io", "v1", "clusterresourceoverrides", ClusterResourceScope {
        /// What to change.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(OVERRIDE_PLACEMENT)))]
        spec: ClusterResourceOverrideSpec,
    }
}

root_kind! {
    /// Changes resources of its namespace per cluster while they are placed.
    #[derive(Default)]
    ResourceOverride, "placement.kubernetes-fleet.io", "v1", "resourceoverrides", NamespaceResourceScope {
        /// What to change.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(OVERRIDE_PLACEMENT)))]
        spec: ResourceOverrideSpec,
    }
}

root_kind! {
    /// A ClusterResourceOverride, frozen.
    #[derive(Default)]
    ClusterResourceOverrideSnapshot, "placement.kubernetes-fleet.io", "v1", "clusterresourceoverridesnapshots", ClusterResourceScope {
        /// The frozen override.
        spec: ClusterResourceOverrideSnapshotSpec,
    }
}

root_kind! {
    /// A ResourceOverride, frozen.
    #[derive(Default)]
    ResourceOverrideSnapshot, "placement.kubernetes-fleet.io", "v1", "resourceoverridesnapshots", NamespaceResourceScope {
        /// The frozen override.
        spec: ResourceOverrideSnapshotSpec,
    }
}

root_kind! {
    /// Moves the clusters of a ClusterResourcePlacement to one resource snapshot, stage by stage.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_63)))]
    ClusterStagedUpdateRun, "placement.kubernetes-fleet.io", "v1", "clusterstagedupdateruns", ClusterResourceScope {
        /// What to roll out, and how.
        spec: UpdateRunSpec,
        /// How far the run is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<UpdateRunStatus>,
    }
}

root_kind! {
    /// Moves the clusters of a ResourcePlacement to one resource snapshot, stage by stage.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_63)))]
    StagedUpdateRun, "placement.kubernetes-fleet.io", "v1", "stagedupdateruns", NamespaceResourceScope {
        /// What to roll out, and how.
        spec: UpdateRunSpec,
        /// How far the run is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<UpdateRunStatus>,
    }
}

root_kind! {
    /// Order in which clusters take up changes of ClusterResourcePlacements.
    #[derive(Default)]
    ClusterStagedUpdateStrategy, "placement.kubernetes-fleet.io", "v1", "clusterstagedupdatestrategies", ClusterResourceScope {
        /// The stages.
        spec: UpdateStrategySpec,
    }
}

root_kind! {
    /// Order in which clusters take up changes of ResourcePlacements.
    #[derive(Default)]
    StagedUpdateStrategy, "placement.kubernetes-fleet.io", "v1", "stagedupdatestrategies", NamespaceResourceScope {
        /// The stages.
        spec: UpdateStrategySpec,
    }
}

root_kind! {
    /// Asks a user to let a staged update of a ClusterResourcePlacement go on.
    #[derive(Default)]
    ClusterApprovalRequest, "placement.kubernetes-fleet.io", "v1", "clusterapprovalrequests", ClusterResourceScope {
        /// What waits for approval.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(IMMUTABLE_SPEC)))]
        spec: ApprovalRequestSpec,
        /// Whether it is approved.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ApprovalRequestStatus>,
    }
}

root_kind! {
    /// Asks a user to let a staged update of a ResourcePlacement go on.
    #[derive(Default)]
    ApprovalRequest, "placement.kubernetes-fleet.io", "v1", "approvalrequests", NamespaceResourceScope {
        /// What waits for approval.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(IMMUTABLE_SPEC)))]
        spec: ApprovalRequestSpec,
        /// Whether it is approved.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ApprovalRequestStatus>,
    }
}
