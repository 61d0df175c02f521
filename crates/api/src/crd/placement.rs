//! Kinds of `placement.kubernetes-fleet.io` and `cluster.kubernetes-fleet.io` (placement-api 1.1).

use super::Crd;
use super::columns::Column;
use crate::cluster::{v1 as cluster_v1, v1beta1 as cluster};
use crate::placement::v1beta1::*;
use crate::placement::{v1, v1alpha1};
use crate::text::conditions::{PlacementCondition, PlacementKind, cluster as binding, eviction, member, update_run};

const FLEET: &[&str] = &["fleet", "fleet-placement"];
const MEMBERS: &[&str] = &["fleet", "fleet-cluster"];

pub(super) fn kinds() -> Vec<Crd> {
    let mut kinds = members();
    kinds.extend(placements());
    kinds.extend(snapshots());
    kinds.extend(bindings());
    kinds.extend(works());
    kinds.extend(overrides());
    kinds.extend(evictions());
    kinds.extend(staged_updates());
    kinds
}

fn members() -> Vec<Crd> {
    let heartbeat = ".status.agentStatus[?(@.type==\"MemberAgent\")].lastReceivedHeartbeat";
    let node_count = r".status.properties.kubernetes-fleet\.io/node-count.value";
    let columns = [
        Column::condition("Joined", member::JOINED),
        Column::age(),
        Column::date("Member-Agent-Last-Seen", heartbeat),
        Column::text("Node-Count", node_count),
        Column::text("Available-CPU", ".status.resourceUsage.available.cpu"),
        Column::text("Available-Memory", ".status.resourceUsage.available.memory"),
        Column::text("Allocatable-CPU", ".status.resourceUsage.allocatable.cpu").wide(),
        Column::text("Allocatable-Memory", ".status.resourceUsage.allocatable.memory").wide(),
    ];
    vec![
        Crd::new::<cluster::MemberCluster>(&["cluster"], MEMBERS)
            .served::<cluster_v1::MemberCluster>()
            .columns(&columns)
            .with_status(),
        Crd::new::<cluster::InternalMemberCluster>(&["imc"], MEMBERS)
            .served::<cluster_v1::InternalMemberCluster>()
            .columns(&[Column::age()])
            .with_status(),
    ]
}

fn placement_columns(kind: PlacementKind) -> Vec<Column> {
    let scheduled = PlacementCondition::Scheduled.on(kind);
    let synchronized = PlacementCondition::WorkSynchronized.on(kind);
    let available = PlacementCondition::Available.on(kind);
    vec![
        Column::generation(),
        Column::text("Type", ".spec.policy.placementType").wide(),
        Column::condition("Scheduled", scheduled),
        Column::observed("Scheduled-Gen", scheduled),
        Column::condition("Work-Synchronized", synchronized).wide(),
        Column::observed("Work-Synchronized-Gen", synchronized).wide(),
        Column::condition("Available", available),
        Column::observed("Available-Gen", available),
        Column::age(),
    ]
}

fn placements() -> Vec<Crd> {
    let mirror = [
        Column::text("Resource-Index", ".sourceStatus.observedResourceIndex"),
        Column::text("Last-Updated", ".lastUpdatedTime"),
        Column::age(),
    ];
    vec![
        Crd::new::<ClusterResourcePlacement>(&["crp"], FLEET)
            .served::<v1::ClusterResourcePlacement>()
            .columns(&placement_columns(PlacementKind::Cluster))
            .with_status(),
        Crd::new::<ResourcePlacement>(&["rp"], FLEET)
            .served::<v1::ResourcePlacement>()
            .columns(&placement_columns(PlacementKind::Namespaced))
            .with_status(),
        Crd::new::<ClusterResourcePlacementStatus>(&["crps"], FLEET)
            .served::<v1::ClusterResourcePlacementStatus>()
            .columns(&mirror)
            .with_empty_subresources(),
    ]
}

fn snapshots() -> Vec<Crd> {
    let columns = [Column::generation(), Column::age()];
    vec![
        Crd::new::<ClusterSchedulingPolicySnapshot>(&["csps"], FLEET)
            .served::<v1::ClusterSchedulingPolicySnapshot>()
            .columns(&columns)
            .with_status(),
        Crd::new::<SchedulingPolicySnapshot>(&["sps"], FLEET)
            .columns(&columns)
            .with_status(),
        Crd::new::<ClusterResourceSnapshot>(&["crs"], FLEET)
            .served::<v1::ClusterResourceSnapshot>()
            .columns(&columns)
            .with_status(),
        Crd::new::<ResourceSnapshot>(&["rs"], FLEET)
            .columns(&columns)
            .with_status(),
    ]
}

fn bindings() -> Vec<Crd> {
    let columns = [
        Column::condition("WorkSynchronized", binding::WORK_SYNCHRONIZED),
        Column::condition("ResourcesApplied", binding::APPLIED),
        Column::condition("ResourceAvailable", binding::AVAILABLE).wide(),
        Column::age(),
    ];
    vec![
        Crd::new::<ClusterResourceBinding>(&["crb"], FLEET)
            .served::<v1::ClusterResourceBinding>()
            .columns(&columns)
            .with_status(),
        Crd::new::<ResourceBinding>(&["rb"], FLEET)
            .columns(&columns)
            .with_status(),
    ]
}

fn works() -> Vec<Crd> {
    vec![
        Crd::new::<Work>(&[], FLEET).served::<v1::Work>().with_status(),
        Crd::new::<AppliedWork>(&[], FLEET)
            .served::<v1::AppliedWork>()
            .with_status(),
        Crd::new::<ClusterResourceEnvelope>(&[], FLEET),
        Crd::new::<ResourceEnvelope>(&[], FLEET),
    ]
}

fn overrides() -> Vec<Crd> {
    vec![
        Crd::new::<ClusterResourceOverride>(&[], FLEET)
            .served::<v1::ClusterResourceOverride>()
            .served::<v1alpha1::ClusterResourceOverride>(),
        Crd::new::<ResourceOverride>(&[], FLEET)
            .served::<v1::ResourceOverride>()
            .served::<v1alpha1::ResourceOverride>(),
        Crd::new::<ClusterResourceOverrideSnapshot>(&[], FLEET)
            .served::<v1::ClusterResourceOverrideSnapshot>()
            .served::<v1alpha1::ClusterResourceOverrideSnapshot>(),
        Crd::new::<ResourceOverrideSnapshot>(&[], FLEET)
            .served::<v1::ResourceOverrideSnapshot>()
            .served::<v1alpha1::ResourceOverrideSnapshot>(),
    ]
}

fn evictions() -> Vec<Crd> {
    let columns = [
        Column::condition("Valid", eviction::VALID),
        Column::condition("Executed", eviction::EXECUTED),
    ];
    vec![
        Crd::new::<ClusterResourcePlacementEviction>(&["crpe"], FLEET)
            .columns(&columns)
            .served::<v1alpha1::ClusterResourcePlacementEviction>()
            .with_status(),
        Crd::new::<ClusterResourcePlacementDisruptionBudget>(&["crpdb"], FLEET)
            .served::<v1alpha1::ClusterResourcePlacementDisruptionBudget>(),
    ]
}

fn run_columns(progressing: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::text("Placement", ".spec.placementName"),
        Column::text("Resource-Snapshot-Index", ".spec.resourceSnapshotIndex"),
        Column::text("Policy-Snapshot-Index", ".status.policySnapshotIndexUsed"),
        Column::condition("Initialized", update_run::INITIALIZED),
    ];
    if progressing {
        columns.push(Column::condition("Progressing", update_run::PROGRESSING));
    }
    columns.extend([
        Column::condition("Succeeded", update_run::SUCCEEDED),
        Column::age(),
        Column::text("Strategy", ".spec.stagedRolloutStrategyName").wide(),
    ]);
    columns
}

fn staged_updates() -> Vec<Crd> {
    let approval = [
        Column::text("Update-Run", ".spec.parentStageRollout"),
        Column::text("Stage", ".spec.targetStage"),
        Column::condition("Approved", update_run::APPROVED),
        Column::age(),
    ];
    vec![
        Crd::new::<ClusterStagedUpdateRun>(&["csur"], FLEET)
            .served::<v1::ClusterStagedUpdateRun>()
            .columns(&run_columns(true))
            .served::<v1alpha1::ClusterStagedUpdateRun>()
            .columns(&run_columns(false))
            .with_status(),
        // KubeFleet separates a status that does not exist; clients may have come to rely on it.
        Crd::new::<ClusterStagedUpdateStrategy>(&["csus"], FLEET)
            .served::<v1::ClusterStagedUpdateStrategy>()
            .served::<v1alpha1::ClusterStagedUpdateStrategy>()
            .with_status(),
        Crd::new::<ClusterApprovalRequest>(&["careq"], FLEET)
            .served::<v1::ClusterApprovalRequest>()
            .served::<v1alpha1::ClusterApprovalRequest>()
            .columns(&approval)
            .with_status(),
        Crd::new::<StagedUpdateRun>(&["sur"], FLEET)
            .served::<v1::StagedUpdateRun>()
            .columns(&run_columns(true))
            .with_status(),
        Crd::new::<StagedUpdateStrategy>(&["sus"], FLEET).served::<v1::StagedUpdateStrategy>(),
        Crd::new::<ApprovalRequest>(&["areq"], FLEET)
            .served::<v1::ApprovalRequest>()
            .columns(&approval)
            .with_status(),
    ]
}
