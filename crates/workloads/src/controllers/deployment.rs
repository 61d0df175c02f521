//! Deployments: one ReplicaSet per template; the old one goes when the new one is ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{owner_reference, revision_of};
use crate::conditions::{as_json, condition, count};
use crate::context::{Context, owned};
use crate::key::Key;

const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Creates and scales ReplicaSets and reports their sum.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(deployment) = cx.get(&cx.stores.deployments, key) else {
        return Ok(());
    };
    let Some(spec) = deployment
        .spec
        .as_ref()
        .filter(|_| deployment.metadata.deletion_timestamp.is_none())
    else {
        return Ok(());
    };
    let sets = owned(&cx.stores.replica_sets, &deployment.uid().unwrap_or_default());
    let api: Api<ReplicaSet> = cx.api(&key.namespace);
    let revision = revision_of(&spec.template);
    let name = format!("{}-{revision}", key.name);
    let replicas = size(spec.replicas);
    match sets.get(&name) {
        Some(current) => scale(cx, &api, current, replicas).await?,
        None => {
            cx.create(
                &api,
                replica_set(&deployment, &revision, &name, 1 + last_revision(&sets)),
            )
            .await?
        }
    }
    let ready = sets.get(&name).map_or(0, |set| counts(set).ready);
    if ready >= replicas {
        for (_, old) in sets.iter().filter(|(other, _)| **other != name) {
            scale(cx, &api, old, 0).await?;
        }
    }
    let current = as_json(deployment.status.as_ref());
    let status = status(&deployment, &sets, &name, &current, cx.now());
    cx.report(&cx.api::<Deployment>(&key.namespace), &key.name, &current, &status)
        .await
}

async fn scale(cx: &Context, api: &Api<ReplicaSet>, set: &ReplicaSet, replicas: usize) -> Result<()> {
    if set.spec.as_ref().map(|spec| size(spec.replicas)) == Some(replicas) {
        return Ok(());
    }
    cx.merge(api, &set.name_any(), &json!({"spec": {"replicas": replicas}}))
        .await
}

fn size(replicas: Option<i32>) -> usize {
    usize::try_from(replicas.unwrap_or(1)).unwrap_or_default()
}

fn last_revision(sets: &BTreeMap<String, Arc<ReplicaSet>>) -> u64 {
    sets.values()
        .filter_map(|set| set.annotations().get(REVISION)?.parse().ok())
        .max()
        .unwrap_or_default()
}

fn replica_set(deployment: &Deployment, revision: &str, name: &str, number: u64) -> Value {
    let spec = deployment.spec.as_ref();
    let template = spec.map(|spec| &spec.template);
    let mut selector = serde_json::to_value(spec.map(|spec| &spec.selector)).unwrap_or_default();
    selector["matchLabels"][HASH_LABEL] = revision.into();
    let mut template = serde_json::to_value(template).unwrap_or_default();
    template["metadata"]["labels"][HASH_LABEL] = revision.into();
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": deployment.namespace(),
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: number.to_string()},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": spec.map(|spec| size(spec.replicas)), "selector": selector, "template": template},
    })
}

struct Counts {
    replicas: usize,
    ready: usize,
}

fn counts(set: &ReplicaSet) -> Counts {
    let status = set.status.as_ref();
    let number = |number: Option<i32>| usize::try_from(number.unwrap_or_default()).unwrap_or_default();
    Counts {
        replicas: number(status.map(|status| status.replicas)),
        ready: number(status.and_then(|status| status.ready_replicas)),
    }
}

fn status(
    deployment: &Deployment,
    sets: &BTreeMap<String, Arc<ReplicaSet>>,
    new: &str,
    current: &Value,
    now: Timestamp,
) -> Value {
    let wanted = size(deployment.spec.as_ref().and_then(|spec| spec.replicas));
    let all = sets.values().map(|set| counts(set));
    let (replicas, ready) = all.fold((0, 0), |(all, ready), set| (all + set.replicas, ready + set.ready));
    let (updated, updated_ready) = sets
        .get(new)
        .map_or((0, 0), |set| (counts(set).replicas, counts(set).ready));
    let least = wanted.saturating_sub(max_unavailable(deployment, wanted));
    let available = if ready >= least {
        condition(
            current,
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Enough replicas are available.",
            now,
        )
    } else {
        condition(
            current,
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Too few replicas are available.",
            now,
        )
    };
    let done = updated == wanted && updated_ready == wanted && replicas == wanted;
    let (reason, message) = if done {
        ("NewReplicaSetAvailable", format!("ReplicaSet \"{new}\" is complete."))
    } else {
        ("ReplicaSetUpdated", format!("ReplicaSet \"{new}\" is on its way."))
    };
    json!({
        "observedGeneration": deployment.metadata.generation,
        "replicas": count(replicas),
        "updatedReplicas": count(updated),
        "readyReplicas": count(ready),
        "availableReplicas": count(ready),
        "unavailableReplicas": count(wanted.max(replicas).saturating_sub(ready)),
        "conditions": [available, condition(current, "Progressing", "True", reason, &message, now)],
    })
}

/// A number, or a share of the wanted replicas rounded down; a quarter by default.
fn max_unavailable(deployment: &Deployment, wanted: usize) -> usize {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    let limit = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.max_unavailable.as_ref());
    let share = |text: &str| text.strip_suffix('%').and_then(|percent| percent.parse::<usize>().ok());
    match limit {
        Some(IntOrString::Int(number)) => usize::try_from(*number).unwrap_or_default(),
        Some(IntOrString::String(text)) => share(text).unwrap_or_default() * wanted / 100,
        None => wanted / 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: i32) -> Deployment {
        let spec = json!({"replicas": replicas, "selector": {}, "template": {}});
        serde_json::from_value(json!({"metadata": {"name": "d", "generation": 3}, "spec": spec})).expect("builds")
    }

    fn set(replicas: i32, ready: i32) -> Arc<ReplicaSet> {
        let status = json!({"replicas": replicas, "readyReplicas": ready});
        Arc::new(serde_json::from_value(json!({"metadata": {}, "status": status})).expect("builds"))
    }

    #[test]
    fn the_status_sums_up_old_and_new_replicas() {
        for (wanted, sets, counts, available, reason) in [
            (2, vec![], [0, 0, 0, 2], "False", "ReplicaSetUpdated"),
            (2, vec![("new", set(2, 1))], [2, 2, 1, 1], "False", "ReplicaSetUpdated"),
            (
                2,
                vec![("new", set(2, 2))],
                [2, 2, 2, 0],
                "True",
                "NewReplicaSetAvailable",
            ),
            (
                2,
                vec![("new", set(2, 0)), ("old", set(2, 2))],
                [4, 2, 2, 2],
                "True",
                "ReplicaSetUpdated",
            ),
            (4, vec![("new", set(4, 3))], [4, 4, 3, 1], "True", "ReplicaSetUpdated"),
            (
                0,
                vec![("new", set(0, 0))],
                [0, 0, 0, 0],
                "True",
                "NewReplicaSetAvailable",
            ),
        ] {
            let sets: BTreeMap<_, _> = sets.into_iter().map(|(name, set)| (name.to_owned(), set)).collect();
            let status = status(&deployment(wanted), &sets, "new", &json!({}), Timestamp::UNIX_EPOCH);
            let found = ["replicas", "updatedReplicas", "readyReplicas", "unavailableReplicas"]
                .map(|field| status[field].as_u64().unwrap_or_default());
            assert_eq!(found, counts, "{status}");
            assert_eq!(status["conditions"][0]["status"], available, "{status}");
            assert_eq!(status["conditions"][1]["reason"], reason, "{status}");
            assert_eq!(status["observedGeneration"], 3);
        }
    }
}
