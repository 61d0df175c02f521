//! Brings the Pods of an owner to the wanted number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;

use crate::context::Context;
use crate::pod_state::{is_active, is_ready};

/// The Pods of one owner by name.
pub type Pods = BTreeMap<String, Arc<Pod>>;

/// Creates missing Pods and deletes surplus ones.
///
/// `names` are the wanted Pods; whatever of the owner's active Pods is not among them goes. A name that a Pod on its
/// way out still uses comes back when that Pod is gone.
pub async fn settle(
    cx: &Context,
    namespace: &str,
    pods: &Pods,
    names: &BTreeSet<String>,
    build: impl Fn(&str) -> Value,
) -> Result<()> {
    let api: Api<Pod> = cx.api(namespace);
    for name in names.iter().filter(|name| !pods.contains_key(*name)) {
        cx.create(&api, build(name)).await?;
    }
    for (_, pod) in pods
        .iter()
        .filter(|(name, pod)| !names.contains(*name) && is_active(pod))
    {
        cx.delete(&api, pod.as_ref(), None).await?;
    }
    Ok(())
}

/// Which names a set of `count` interchangeable Pods should have: those that are there, ready ones first, then new
/// ones.
pub fn names(pods: &Pods, count: usize, new_name: impl Fn(usize) -> String) -> BTreeSet<String> {
    let mut there: Vec<(bool, &String)> = pods
        .iter()
        .filter(|(_, pod)| is_active(pod))
        .map(|(name, pod)| (!is_ready(pod), name))
        .collect();
    there.sort();
    let fresh = (0..).map(new_name).filter(|name| !pods.contains_key(name));
    there
        .into_iter()
        .map(|(_, name)| name.clone())
        .chain(fresh)
        .take(count)
        .collect()
}

/// How many Pods of a set are active, and how many of those are ready.
pub fn counts<'a>(pods: impl IntoIterator<Item = &'a Arc<Pod>>) -> (usize, usize) {
    pods.into_iter()
        .filter(|pod| is_active(pod))
        .fold((0, 0), |(active, ready), pod| {
            (active + 1, ready + usize::from(is_ready(pod)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(ready: bool, leaving: bool) -> Arc<Pod> {
        let status = if ready { "True" } else { "False" };
        let mut pod = json!({"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": status}]}});
        if leaving {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn ready_pods_stay_first_and_names_of_leaving_ones_wait() {
        let pods: Pods = [
            ("x-0", pod(false, false)),
            ("x-1", pod(true, false)),
            ("x-2", pod(true, true)),
        ]
        .map(|(name, pod)| (name.to_owned(), pod))
        .into();
        let named = |count| {
            names(&pods, count, |index| format!("x-{index}"))
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(named(0), [""; 0]);
        assert_eq!(named(1), ["x-1"]);
        assert_eq!(named(2), ["x-0", "x-1"]);
        assert_eq!(named(4), ["x-0", "x-1", "x-3", "x-4"]);
        assert_eq!(counts(pods.values()), (2, 1));
    }
}
