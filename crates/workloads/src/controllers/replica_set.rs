//! ReplicaSets: as many Pods as wanted.

use anyhow::Result;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::ResourceExt;
use serde_json::json;

use super::pod_set::{counts, names, settle};
use super::{pod_of, suffix};
use crate::conditions::{as_json, count};
use crate::context::Context;
use crate::key::Key;

/// Creates and deletes Pods and reports how many there are.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(set) = cx.get(&cx.stores.replica_sets, key) else {
        return Ok(());
    };
    let Some(spec) = set.spec.as_ref().filter(|_| set.metadata.deletion_timestamp.is_none()) else {
        return Ok(());
    };
    let uid = set.uid().unwrap_or_default();
    let pods = cx.pods_of(&uid);
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
    let wanted = names(&pods, wanted, |index| {
        format!("{}-{}", key.name, suffix(&format!("{uid}/{index}")))
    });
    let template = spec.template.clone().unwrap_or_default();
    settle(cx, &key.namespace, &pods, &wanted, |name| {
        pod_of(set.as_ref(), &template, name)
    })
    .await?;
    let (active, ready) = counts(pods.values());
    let status = json!({
        "observedGeneration": set.metadata.generation,
        "replicas": active,
        "fullyLabeledReplicas": count(active),
        "readyReplicas": count(ready),
        "availableReplicas": count(ready),
    });
    let api = cx.api::<ReplicaSet>(&key.namespace);
    cx.report(&api, &key.name, &as_json(set.status.as_ref()), &status).await
}
