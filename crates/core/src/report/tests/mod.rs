//! Statuses by tables, the tutorial's final status, and properties.

mod binding;
mod mirror;
mod placement;
mod properties;
mod tutorial;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::placement::v1beta1::PlacementStatus;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::objects::{Binding, Placement, PolicySnapshot, ResourceSnapshot, Work};

/// Every binding can be read.
static NONE_UNREADABLE: BTreeMap<String, String> = BTreeMap::new();

/// The time at which stored conditions were set.
const BEFORE: &str = "2026-11-21T11:00:00Z";

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn condition(kind: &str, status: &str, reason: &str, generation: i64) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": format!("message of {kind}"),
        "observedGeneration": generation, "lastTransitionTime": BEFORE,
    })
}

/// A condition that is fresh on every object of these tests.
fn fresh(kind: &str, status: &str, reason: &str) -> Value {
    condition(kind, status, reason, 3)
}

fn placement(spec: Value) -> Placement {
    let mut whole = json!({"resourceSelectors": []});
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    Placement::from_value(json!({"metadata": {"name": "crp", "uid": "u", "generation": 3}, "spec": whole})).unwrap()
}

fn with_status(placement: &Placement, status: PlacementStatus) -> Placement {
    Placement {
        status,
        ..placement.clone()
    }
}

fn report_diff() -> Placement {
    placement(json!({"strategy": {"applyStrategy": {"type": "ReportDiff"}}}))
}

fn external() -> Placement {
    placement(json!({"strategy": {"type": "External"}}))
}

fn decision(cluster: &str, selected: bool) -> Value {
    json!({"clusterName": cluster, "selected": selected, "reason": format!("decision about {cluster}")})
}

fn policy(decisions: Vec<Value>) -> PolicySnapshot {
    PolicySnapshot::from_value(json!({
        "metadata": {"name": "crp-0", "generation": 1},
        "status": {
            "observedCRPGeneration": 3,
            "conditions": [condition("Scheduled", "True", "SchedulingPolicyFulfilled", 1)],
            "targetClusters": decisions,
        },
    }))
    .unwrap()
}

fn resources(index: u64) -> Arc<ResourceSnapshot> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("app-{index}")}});
    let snapshot = ResourceSnapshot::from_value(json!({
        "metadata": {
            "name": format!("crp-{index}-snapshot"),
            "labels": {"kubernetes-fleet.io/resource-index": index.to_string(), "kubernetes-fleet.io/is-latest-snapshot": "true"},
            "annotations": {
                "kubernetes-fleet.io/resource-hash": "h", "kubernetes-fleet.io/number-of-resource-snapshots": "1",
            },
        },
        "spec": {"selectedResources": [namespace]},
    }));
    Arc::new(snapshot.unwrap())
}

/// A binding of generation 3 on a snapshot index.
fn bound(cluster: &str, index: u64, conditions: Vec<Value>) -> Binding {
    Binding::from_value(json!({
        "metadata": {"name": format!("crp-{cluster}-01234567"), "generation": 3},
        "spec": {
            "state": "Bound", "resourceSnapshotName": format!("crp-{index}-snapshot"), "targetCluster": cluster,
            "schedulingPolicySnapshotName": "crp-0", "clusterDecision": decision(cluster, true),
            "applyStrategy": {"type": "ClientSideApply"},
        },
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

/// The conditions of a binding on which all is well.
fn all_well() -> Vec<Value> {
    [
        ("RolloutStarted", "RolloutStarted"),
        ("Overridden", "NoOverrideSpecified"),
        ("WorkSynchronized", "AllWorkSynced"),
        ("Applied", "AllWorkHaveBeenApplied"),
        ("Available", "AllWorkAreAvailable"),
    ]
    .map(|(kind, reason)| fresh(kind, "True", reason))
    .into()
}

fn work(name: &str, conditions: Vec<Value>, manifests: Vec<Value>) -> Arc<Work> {
    Arc::new(
        Work::from_value(json!({
            "metadata": {"name": name, "namespace": "fleet-member-m1", "generation": 3},
            "status": {"conditions": conditions, "manifestConditions": manifests},
        }))
        .unwrap(),
    )
}

/// One manifest's entry, with its conditions as `type=status` and optionally drift or diff details.
fn manifest(name: &str, conditions: &[(&str, &str)], details: &str) -> Value {
    let mut entry = json!({
        "identifier": {"ordinal": 0, "version": "v1", "kind": "A", "resource": "as", "namespace": "app", "name": name},
        "conditions": conditions.iter().map(|(kind, status)| fresh(kind, status, "R")).collect::<Vec<_>>(),
    });
    let value = json!([{"path": "/x", "valueInMember": "1", "valueInHub": "2"}]);
    if details.contains("drift") {
        entry["driftDetails"] = json!({
            "observationTime": BEFORE, "observedInMemberClusterGeneration": 7, "firstDriftedObservedTime": BEFORE,
            "observedDrifts": value,
        });
    }
    if details.contains("diff") {
        entry["diffDetails"] = json!({
            "observationTime": BEFORE, "firstDiffedObservedTime": BEFORE, "observedDiffs": value,
        });
    }
    entry
}

/// `Type=Status/Reason` of each condition, in order.
fn words(conditions: &[api::Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|c| format!("{}={}/{}", c.type_, c.status, c.reason))
        .collect()
}
