//! StatefulSets: numbered Pods; an update replaces one Pod at a time, the highest number first.

use std::collections::BTreeSet;

use anyhow::Result;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::pod_set::{Pods, counts, settle};
use super::{pod_of, revision_of};
use crate::conditions::{as_json, count};
use crate::context::Context;
use crate::key::Key;
use crate::pod_state::is_active;

const REVISION_LABEL: &str = "controller-revision-hash";

/// Creates, deletes and replaces Pods and reports how many there are.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(set) = cx.get(&cx.stores.stateful_sets, key) else {
        return Ok(());
    };
    let Some(spec) = set.spec.as_ref().filter(|_| set.metadata.deletion_timestamp.is_none()) else {
        return Ok(());
    };
    let pods = cx.pods_of(&set.uid().unwrap_or_default());
    let revision = format!("{}-{}", key.name, revision_of(&spec.template));
    let start = spec
        .ordinals
        .as_ref()
        .and_then(|ordinals| ordinals.start)
        .unwrap_or_default();
    let replicas = spec.replicas.unwrap_or(1);
    let wanted: BTreeSet<String> = (start..start + replicas)
        .map(|number| format!("{}-{number}", key.name))
        .collect();
    let build = |name: &str| {
        let mut pod = pod_of(set.as_ref(), &spec.template, name);
        pod["metadata"]["labels"][REVISION_LABEL] = revision.as_str().into();
        pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name.into();
        pod["spec"]["hostname"] = name.into();
        pod["spec"]["subdomain"] = spec.service_name.clone().into();
        pod
    };
    settle(cx, &key.namespace, &pods, &wanted, build).await?;
    let by_hand = spec
        .update_strategy
        .as_ref()
        .is_some_and(|update| update.type_.as_deref() == Some("OnDelete"));
    if let Some(old) = next_to_replace(&pods, &wanted, &revision).filter(|_| !by_hand) {
        cx.delete(&cx.api::<Pod>(&key.namespace), old, None).await?;
    }
    let current = as_json(set.status.as_ref());
    let status = status(&set, &pods, &revision, &current);
    cx.report(&cx.api::<StatefulSet>(&key.namespace), &key.name, &current, &status)
        .await
}

/// The outdated Pod to replace next: none while a Pod is missing or not ready, unless that Pod is outdated itself.
fn next_to_replace<'a>(pods: &'a Pods, wanted: &BTreeSet<String>, revision: &str) -> Option<&'a Pod> {
    let number = |name: &str| name.rsplit('-').next().and_then(|number| number.parse::<u32>().ok());
    let outdated = pods.iter().filter(|(_, pod)| is_active(pod) && !is_of(pod, revision));
    let fresh: Vec<_> = pods.values().filter(|pod| is_of(pod, revision)).cloned().collect();
    let (active, ready) = counts(&fresh);
    let settled = active == ready
        && wanted
            .iter()
            .all(|name| pods.get(name).is_some_and(|pod| is_active(pod)));
    outdated
        .filter(|_| settled)
        .max_by_key(|(name, _)| number(name))
        .map(|(_, pod)| pod.as_ref())
}

fn is_of(pod: &Pod, revision: &str) -> bool {
    pod.labels().get(REVISION_LABEL).is_some_and(|label| label == revision)
}

fn status(set: &StatefulSet, pods: &Pods, revision: &str, current: &Value) -> Value {
    let (active, ready) = counts(pods.values());
    let (updated, _) = counts(pods.values().filter(|pod| is_of(pod, revision)));
    let complete = updated == active;
    let known = current["currentRevision"].as_str().unwrap_or(revision);
    let running = if complete { revision } else { known };
    json!({
        "observedGeneration": set.metadata.generation,
        "replicas": active,
        "readyReplicas": count(ready),
        "availableReplicas": ready,
        "currentReplicas": count(if complete { active } else { active - updated }),
        "updatedReplicas": count(updated),
        "currentRevision": running,
        "updateRevision": revision,
        "collisionCount": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn pod(revision: &str, ready: &str) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"labels": {REVISION_LABEL: revision}},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        });
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn an_update_goes_from_the_highest_number_down_one_ready_pod_at_a_time() {
        let wanted: BTreeSet<String> = ["s-2", "s-10"].map(str::to_owned).into();
        for (two, ten, expected) in [
            (Some(("old", "True")), Some(("old", "True")), Some("old-ten")),
            (Some(("old", "False")), Some(("old", "True")), Some("old-ten")),
            (Some(("old", "True")), Some(("new", "False")), None),
            (Some(("old", "True")), None, None),
            (Some(("old", "True")), Some(("new", "True")), Some("old-two")),
            (Some(("new", "True")), Some(("new", "True")), None),
        ] {
            let build = |(revision, ready): (&str, &str)| pod(revision, ready);
            let named = [("s-2", two), ("s-10", ten)];
            let pods: Pods = named
                .into_iter()
                .filter_map(|(name, pod)| Some((name.to_owned(), build(pod?))))
                .collect();
            let next = next_to_replace(&pods, &wanted, "new");
            let expected = match expected {
                Some("old-ten") => pods.get("s-10"),
                Some(_) => pods.get("s-2"),
                None => None,
            };
            let same = next
                .zip(expected)
                .map(|(next, expected)| std::ptr::eq(next, expected.as_ref()));
            assert!(same.unwrap_or(next.is_none() && expected.is_none()), "{two:?} {ten:?}");
        }
    }
}
