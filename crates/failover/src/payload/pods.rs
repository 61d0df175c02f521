//! Pods that objects of a payload stand for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::object::{text, uid};

/// What pods get to end where their template says nothing.
const USUAL_GRACE: u64 = 30;
/// What is added for the deletion itself.
const ALLOWANCE: u64 = 5;
const SHORTEST_FENCE: u64 = 10;

/// How long it takes to remove objects with these manifests, pods included (multicluster-failover B.2).
pub(super) fn fence_grace<'a>(manifests: impl Iterator<Item = &'a Value>) -> Duration {
    let mut longest = None;
    for manifest in manifests {
        visit(manifest, &mut |pod| {
            let grace = pod.get("terminationGracePeriodSeconds").and_then(Value::as_u64);
            longest = longest.max(Some(grace.unwrap_or(USUAL_GRACE)));
        });
    }
    let fence = longest.map_or(0, |grace: u64| grace.saturating_add(ALLOWANCE));
    Duration::from_secs(fence.max(SHORTEST_FENCE))
}

/// Whether an object is a pod or makes pods. Kinds that are not built in count when they hold a pod template.
pub(super) fn owns_pods(group: &str, kind: &str, manifest: &Value) -> bool {
    let built_in = match group {
        "" => matches!(kind, "Pod" | "ReplicationController"),
        "apps" => matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"),
        "batch" => matches!(kind, "Job" | "CronJob"),
        _ => false,
    };
    let mut found = built_in;
    if !found {
        visit(manifest, &mut |_| found = true);
    }
    found
}

/// Calls `look` with every pod spec in a manifest, wherever it is: a map with a list of containers.
fn visit(value: &Value, look: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Array(containers)) = map.get("containers")
                && !containers.is_empty()
                && containers.iter().all(Value::is_object)
            {
                look(map);
            }
            map.values().for_each(|inner| visit(inner, look));
        }
        Value::Array(items) => items.iter().for_each(|inner| visit(inner, look)),
        _ => {}
    }
}

/// The UIDs of `roots` and of everything among `dependents` that they own, however indirectly.
pub(super) fn family(mut roots: BTreeSet<String>, dependents: &[Value]) -> BTreeSet<String> {
    loop {
        let before = roots.len();
        for dependent in dependents {
            if owners(dependent).any(|owner| roots.contains(owner)) {
                roots.insert(uid(dependent).to_owned());
            }
        }
        if roots.len() == before {
            return roots;
        }
    }
}

/// The UIDs of an object's owners.
pub(super) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    references
        .into_iter()
        .flatten()
        .map(|reference| text(reference, "/uid"))
}
