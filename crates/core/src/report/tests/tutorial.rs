//! The final status of the tutorial "multi-cluster application", from its bindings and Works.

use super::*;
use crate::render::RenderResult;

fn override_named(mut binding: Binding) -> Binding {
    binding.spec.resource_override_snapshots =
        serde_json::from_value(json!([{"name": "ro-nginx-service-1", "namespace": "multi-cluster-app"}])).unwrap();
    binding
}

/// A binding whose Works (one of the snapshot, one of the envelope) have answered that all is well.
fn settled(cluster: &str) -> Arc<Binding> {
    let rollout = json!({
        "type": "RolloutStarted", "status": "True", "reason": "RolloutStarted", "observedGeneration": 3,
        "lastTransitionTime": BEFORE,
        "message": "Detected the new changes on the resources and started the rollout process",
    });
    let mut binding = override_named(bound(cluster, 14, vec![rollout]));
    let works: Vec<_> = ["crp-work", "crp-work-envelope-0123456789abcdef"]
        .iter()
        .map(|name| {
            let answers = vec![
                fresh("Applied", "True", "AllManifestsApplied"),
                fresh("Available", "True", "AllManifestsAvailable"),
            ];
            let mut work = Work::clone(&work(name, answers, vec![]));
            work.meta.namespace = Some(format!("fleet-member-{cluster}"));
            Arc::new(work)
        })
        .collect();
    let names = works.iter().map(|w| w.meta.name.clone()).collect();
    let result = RenderResult::Synchronized {
        changed: false,
        works: names,
    };
    binding.status = binding_status(&binding, &result, &works, now());
    Arc::new(binding)
}

fn entry(cluster: &str) -> Value {
    let said = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "observedGeneration": 3, "lastTransitionTime": "2026-11-21T12:00:00Z"});
    let picked = format!(
        "Successfully scheduled resources for placement in \"{cluster}\" (affinity score: 0, topology spread score: 0): \
         picked by scheduling policy"
    );
    json!({
        "applicableResourceOverrides": [{"name": "ro-nginx-service-1", "namespace": "multi-cluster-app"}],
        "clusterName": cluster,
        "observedResourceIndex": "14",
        "conditions": [
            said("Scheduled", "Scheduled", &picked),
            said("RolloutStarted", "RolloutStarted", "Detected the new changes on the resources and started the rollout process"),
            said("Overridden", "OverriddenSucceeded", "Successfully applied the override rules on the resources"),
            said("WorkSynchronized", "AllWorkSynced", "All of the works are synchronized to the latest"),
            said("Applied", "AllWorkHaveBeenApplied", "All corresponding work objects are applied"),
            said("Available", "AllWorkAreAvailable", "All corresponding work objects are available"),
        ],
    })
}

#[test]
fn the_tutorial_ends_with_this_status() {
    let placement = placement(json!({
        "policy": {"placementType": "PickAll"},
        "resourceSelectors": [{"group": "", "kind": "Namespace", "name": "multi-cluster-app", "version": "v1"}],
        "revisionHistoryLimit": 10,
        "strategy": {"type": "RollingUpdate"},
    }));
    // member-2 joined last, so its decision comes first: created before bound.
    let mut policy = policy(vec![decision("member-2", true), decision("member-1", true)]);
    for decision in &mut policy.status.cluster_decisions {
        decision.reason = api::text::messages::picked_by_score(&decision.cluster_name, 0, 0);
    }
    policy.status.conditions[0].message = api::text::messages::scheduled(2);
    let selected: Vec<_> = serde_json::from_value(json!([
        {"kind": "Namespace", "name": "multi-cluster-app", "version": "v1"},
        {"group": "networking.fleet.azure.com", "kind": "ServiceExport", "name": "nginx-service", "namespace": "multi-cluster-app", "version": "v1alpha1"},
        {"kind": "Service", "name": "nginx-service", "namespace": "multi-cluster-app", "version": "v1"},
        {"kind": "ConfigMap", "name": "envelope-configmap", "namespace": "multi-cluster-app", "version": "v1"},
    ]))
    .unwrap();
    let snapshots = [resources(14)];
    let bindings = [settled("member-1"), settled("member-2")];
    let status = placement_status(&Input {
        placement: &placement,
        policy: &policy,
        selected: &selected,
        latest: Some(&snapshots[0]),
        snapshots: &snapshots,
        unreadable: &NONE_UNREADABLE,
        bindings: &bindings,
        now: now(),
    })
    .unwrap();
    let said = |kind: &str, reason: &str, message: &str| json!({"type": format!("ClusterResourcePlacement{kind}"), "status": "True", "reason": reason, "message": message, "observedGeneration": 3, "lastTransitionTime": "2026-11-21T12:00:00Z"});
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        json!({
            "conditions": [
                said("Scheduled", "SchedulingPolicyFulfilled", "found all cluster needed as specified by the scheduling policy, found 2 cluster(s)"),
                said("RolloutStarted", "RolloutStarted", "All 2 cluster(s) start rolling out the latest resource"),
                said("Overridden", "OverriddenSucceeded", "The selected resources are successfully overridden in 2 cluster(s)"),
                said("WorkSynchronized", "WorkSynchronized", "Work(s) are successfully created or updated in 2 target cluster(s)' namespaces"),
                said("Applied", "ApplySucceeded", "The selected resources are successfully applied to 2 cluster(s)"),
                said("Available", "ResourceAvailable", "The selected resources in 2 cluster(s) are available now"),
            ],
            "observedResourceIndex": "14",
            "placementStatuses": [entry("member-2"), entry("member-1")],
            "selectedResources": selected,
        })
    );
    assert!(is_complete(&placement, &status));
}
