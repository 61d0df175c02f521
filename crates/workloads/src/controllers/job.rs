//! Jobs: Pods that run to their end, as many as wanted.

use anyhow::Result;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::pod_set::{Pods, counts, names, settle};
use super::{pod_of, suffix};
use crate::conditions::{as_json, condition, count, time};
use crate::context::Context;
use crate::key::Key;

/// Creates Pods until enough have succeeded and reports it.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(job) = cx.get(&cx.stores.jobs, key) else {
        return Ok(());
    };
    let Some(spec) = job.spec.as_ref().filter(|_| job.metadata.deletion_timestamp.is_none()) else {
        return Ok(());
    };
    let current = as_json(job.status.as_ref());
    if current["completionTime"].is_string() {
        return Ok(());
    }
    let uid = job.uid().unwrap_or_default();
    let pods = cx.pods_of(&uid);
    let wanted = names(&pods, parallel(spec, succeeded(&pods)), |index| {
        format!("{}-{}", key.name, suffix(&format!("{uid}/{index}")))
    });
    settle(cx, &key.namespace, &pods, &wanted, |name| {
        let mut pod = pod_of(job.as_ref(), &spec.template, name);
        for (label, value) in [("job-name", &key.name), ("controller-uid", &uid)] {
            pod["metadata"]["labels"][label] = value.as_str().into();
            pod["metadata"]["labels"][format!("batch.kubernetes.io/{label}")] = value.as_str().into();
        }
        pod
    })
    .await?;
    let status = status(spec, &pods, &current, cx.now());
    cx.report(&cx.api::<Job>(&key.namespace), &key.name, &current, &status)
        .await
}

/// How many must succeed: without a number, one success after which nothing new begins.
fn completions(spec: &JobSpec) -> usize {
    usize::try_from(spec.completions.unwrap_or(1)).unwrap_or_default()
}

/// How many should run now.
fn parallel(spec: &JobSpec, succeeded: usize) -> usize {
    let limit = usize::try_from(spec.parallelism.unwrap_or(1)).unwrap_or_default();
    match (spec.suspend, spec.completions) {
        (Some(true), _) => 0,
        (_, None) if succeeded > 0 => 0,
        (_, None) => limit,
        (_, Some(_)) => limit.min(completions(spec).saturating_sub(succeeded)),
    }
}

fn succeeded(pods: &Pods) -> usize {
    let phase = |pod: &k8s_openapi::api::core::v1::Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
    pods.values()
        .filter(|pod| phase(pod).as_deref() == Some("Succeeded"))
        .count()
}

fn status(spec: &JobSpec, pods: &Pods, current: &Value, now: Timestamp) -> Value {
    let (active, ready) = counts(pods.values());
    let succeeded = succeeded(pods);
    let suspended = spec.suspend == Some(true);
    let mut status = json!({
        "active": count(active),
        "ready": ready,
        "succeeded": count(succeeded),
        "terminating": 0,
        "uncountedTerminatedPods": {},
    });
    if !suspended && !current["startTime"].is_string() {
        status["startTime"] = time(now);
    }
    if succeeded >= completions(spec) && active == 0 && !suspended {
        status["completionTime"] = time(now);
        let met = |kind: &str| {
            condition(
                current,
                kind,
                "True",
                "CompletionsReached",
                "Enough Pods succeeded.",
                now,
            )
        };
        status["conditions"] = json!([met("SuccessCriteriaMet"), met("Complete")]);
    } else if suspended {
        status["conditions"] = json!([condition(
            current,
            "Suspended",
            "True",
            "JobSuspended",
            "It is suspended.",
            now
        )]);
    } else if current["conditions"].is_array() {
        status["conditions"] = json!([condition(
            current,
            "Suspended",
            "False",
            "JobResumed",
            "It is resumed.",
            now
        )]);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn spec(value: Value) -> JobSpec {
        let mut spec = json!({"template": {}});
        value
            .as_object()
            .into_iter()
            .flatten()
            .for_each(|(key, value)| spec[key] = value.clone());
        serde_json::from_value(spec).expect("a spec")
    }

    #[test]
    fn a_job_runs_as_many_pods_as_are_still_needed() {
        for (value, succeeded, expected) in [
            (json!({}), 0, 1),
            (json!({}), 1, 0),
            (json!({"parallelism": 3}), 0, 3),
            (json!({"parallelism": 3}), 1, 0),
            (json!({"completions": 5, "parallelism": 2}), 0, 2),
            (json!({"completions": 5, "parallelism": 2}), 4, 1),
            (json!({"completions": 5, "parallelism": 2}), 5, 0),
            (json!({"suspend": true}), 0, 0),
        ] {
            assert_eq!(
                parallel(&spec(value.clone()), succeeded),
                expected,
                "{value} after {succeeded}"
            );
        }
    }

    #[test]
    fn a_job_is_complete_when_all_succeeded_and_nothing_runs() {
        let pod = |phase: &str| Arc::new(serde_json::from_value(json!({"status": {"phase": phase}})).expect("a pod"));
        let now = Timestamp::UNIX_EPOCH;
        let two = spec(json!({"completions": 2, "parallelism": 2}));
        let half: Pods = [("a".to_owned(), pod("Succeeded")), ("b".to_owned(), pod("Running"))].into();
        let running = status(&two, &half, &json!({}), now);
        assert_eq!((&running["active"], &running["succeeded"]), (&json!(1), &json!(1)));
        assert!(running["completionTime"].is_null() && running["startTime"].is_string());
        let both: Pods = [("a".to_owned(), pod("Succeeded")), ("b".to_owned(), pod("Succeeded"))].into();
        let done = status(&two, &both, &running, now);
        assert_eq!(done["conditions"][1]["type"], "Complete");
        assert!(done["completionTime"].is_string());
    }
}
