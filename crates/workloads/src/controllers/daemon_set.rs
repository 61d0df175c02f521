//! DaemonSets: a Pod on every node that will have it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;

use super::pod_set::{counts, settle};
use super::{pod_of, revision_of, suffix};
use crate::conditions::{as_json, count};
use crate::context::Context;
use crate::key::Key;
use crate::pod_state::is_active;
use crate::schedule::admits_daemon;

const REVISION_LABEL: &str = "controller-revision-hash";

/// Creates, deletes and replaces Pods and reports on how many nodes they run.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(set) = cx.get(&cx.stores.daemon_sets, key) else {
        return Ok(());
    };
    let Some(spec) = set.spec.as_ref().filter(|_| set.metadata.deletion_timestamp.is_none()) else {
        return Ok(());
    };
    let uid = set.uid().unwrap_or_default();
    let pods = cx.pods_of(&uid);
    let revision = revision_of(&spec.template);
    let pod_spec = spec.template.spec.clone().unwrap_or_default();
    let nodes = cx.stores.nodes.state();
    let places: BTreeMap<String, String> = nodes
        .iter()
        .filter(|node| admits_daemon(&pod_spec, node))
        .map(|node| {
            (
                format!("{}-{}", key.name, suffix(&format!("{uid}/{}", node.name_any()))),
                node.name_any(),
            )
        })
        .collect();
    let build = |name: &str| {
        let mut pod = pod_of(set.as_ref(), &spec.template, name);
        pod["metadata"]["labels"][REVISION_LABEL] = revision.as_str().into();
        pod["spec"]["nodeName"] = places.get(name).cloned().into();
        pod
    };
    let wanted: BTreeSet<String> = places.keys().cloned().collect();
    settle(cx, &key.namespace, &pods, &wanted, build).await?;
    let is_new = |pod: &Pod| pod.labels().get(REVISION_LABEL) == Some(&revision);
    let by_hand = spec
        .update_strategy
        .as_ref()
        .is_some_and(|update| update.type_.as_deref() == Some("OnDelete"));
    let (active, ready) = counts(pods.values());
    let old = pods.values().find(|pod| is_active(pod) && !is_new(pod));
    if let Some(old) = old.filter(|_| !by_hand && active == wanted.len()) {
        cx.delete(&cx.api::<Pod>(&key.namespace), old.as_ref(), None).await?;
    }
    let (updated, _) = counts(pods.values().filter(|pod| is_new(pod)));
    let placed = pods
        .iter()
        .filter(|(name, pod)| is_active(pod) && wanted.contains(*name))
        .count();
    let status = json!({
        "observedGeneration": set.metadata.generation,
        "desiredNumberScheduled": wanted.len(),
        "currentNumberScheduled": placed,
        "numberMisscheduled": active - placed,
        "numberReady": ready,
        "numberAvailable": count(ready),
        "numberUnavailable": count(wanted.len().saturating_sub(ready)),
        "updatedNumberScheduled": count(updated),
    });
    let current = as_json(set.status.as_ref());
    cx.report(&cx.api::<DaemonSet>(&key.namespace), &key.name, &current, &status)
        .await
}
