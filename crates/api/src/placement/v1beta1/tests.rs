//! Objects keep everything that the schema admits when they pass through our types.

use super::{ClusterResourcePlacement, Work};
use crate::RootKind;
use serde_json::{Value, json};

/// Decodes and encodes again; nulls in optional places are the only thing that may be lost.
fn check<K: RootKind>(object: Value) {
    let decoded: K = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(&decoded).unwrap(), object);
}

#[test]
fn placements_round_trip() {
    check::<ClusterResourcePlacement>(json!({
        "apiVersion": "placement.kubernetes-fleet.io/v1beta1",
        "kind": "ClusterResourcePlacement",
        "metadata": { "name": "app", "generation": 2 },
        "spec": {
            "resourceSelectors": [{
                "group": "", "version": "v1", "kind": "Namespace", "name": "app",
                "selectionScope": "NamespaceWithResources",
            }],
            "policy": {
                "placementType": "PickN",
                "numberOfClusters": 0,
                "tolerations": [{ "key": "a", "operator": "Exists", "effect": "NoSchedule" }],
            },
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": 1, "unavailablePeriodSeconds": 0 },
                "applyStrategy": { "type": "ServerSideApply", "serverSideApplyConfig": { "force": false } },
            },
            "revisionHistoryLimit": 10,
            "statusReportingScope": "ClusterScopeOnly",
        },
        "status": {
            "observedResourceIndex": "0",
            "conditions": [{
                "type": "ClusterResourcePlacementScheduled", "status": "True", "observedGeneration": 2,
                "lastTransitionTime": "2026-01-02T03:04:05Z", "reason": "SchedulingPolicyFulfilled", "message": "",
            }],
        },
    }));
}

#[test]
fn null_reads_like_absent() {
    let work: Work = serde_json::from_value(json!({
        "metadata": { "name": "w" },
        "spec": { "workload": { "manifests": null }, "applyStrategy": null },
        "status": { "conditions": null, "manifestConditions": null },
    }))
    .unwrap();
    assert!(work.spec.workload.manifests.is_empty());
    assert_eq!(
        serde_json::to_value(&work.status).unwrap(),
        json!({ "conditions": [], "manifestConditions": [] }),
        "lists are written even when empty"
    );
}
