//! Defaults of what makes pods.

use super::pods;
use crate::object::{as_map, at, child, default_with};
use serde_json::{Map, Value, json};

/// Fills in the defaults of a workload kind; other kinds are left alone.
pub fn apply(table: &str, value: &mut Value) {
    match table {
        "deployments.apps" => deployment(child(value, "spec")),
        "statefulsets.apps" => stateful_set(child(value, "spec")),
        "daemonsets.apps" => {
            daemon_set(child(value, "spec"));
            let annotations = crate::object::meta_mut(value)
                .entry("annotations")
                .or_insert_with(|| json!({}));
            default_with(as_map(annotations), "deprecated.daemonset.template.generation", || {
                "1".into()
            });
        }
        "replicasets.apps" => {
            let spec = child(value, "spec");
            default_with(spec, "replicas", || 1.into());
            template(spec);
        }
        "replicationcontrollers" => {
            let spec = child(value, "spec");
            default_with(spec, "replicas", || 1.into());
            let labels = at(spec.get("template").unwrap_or(&Value::Null), &["metadata", "labels"]).cloned();
            if let Some(labels) = labels {
                default_with(spec, "selector", || labels);
            }
            template(spec);
        }
        "podtemplates" => template(as_map(value)),
        "jobs.batch" => {
            job(child(value, "spec"));
            if let Some(labels) = at(value, &["spec", "template", "metadata", "labels"]).cloned() {
                default_with(crate::object::meta_mut(value), "labels", || labels);
            }
        }
        "cronjobs.batch" => cron_job(child(value, "spec")),
        _ => {}
    }
}

fn template(spec: &mut Map<String, Value>) {
    if let Some(pod) = spec.get_mut("template").filter(|t| t.is_object()) {
        pods::spec(child(pod, "spec"));
    }
}

fn deployment(spec: &mut Map<String, Value>) {
    default_with(spec, "replicas", || 1.into());
    default_with(spec, "revisionHistoryLimit", || 10.into());
    default_with(spec, "progressDeadlineSeconds", || 600.into());
    let strategy = as_map(spec.entry("strategy").or_insert_with(|| json!({})));
    default_with(strategy, "type", || "RollingUpdate".into());
    if strategy.get("type").is_some_and(|t| t == "RollingUpdate") {
        let rolling = as_map(strategy.entry("rollingUpdate").or_insert_with(|| json!({})));
        default_with(rolling, "maxUnavailable", || "25%".into());
        default_with(rolling, "maxSurge", || "25%".into());
    }
    template(spec);
}

fn stateful_set(spec: &mut Map<String, Value>) {
    default_with(spec, "replicas", || 1.into());
    default_with(spec, "revisionHistoryLimit", || 10.into());
    default_with(spec, "podManagementPolicy", || "OrderedReady".into());
    let strategy = as_map(spec.entry("updateStrategy").or_insert_with(|| json!({})));
    default_with(strategy, "type", || "RollingUpdate".into());
    if strategy.get("type").is_some_and(|t| t == "RollingUpdate") {
        let rolling = as_map(strategy.entry("rollingUpdate").or_insert_with(|| json!({})));
        default_with(rolling, "partition", || 0.into());
    }
    let retention = as_map(
        spec.entry("persistentVolumeClaimRetentionPolicy")
            .or_insert_with(|| json!({})),
    );
    default_with(retention, "whenDeleted", || "Retain".into());
    default_with(retention, "whenScaled", || "Retain".into());
    if let Some(Value::Array(claims)) = spec.get_mut("volumeClaimTemplates") {
        for claim in claims {
            as_map(claim).entry("apiVersion").or_insert_with(|| "v1".into());
            as_map(claim)
                .entry("kind")
                .or_insert_with(|| "PersistentVolumeClaim".into());
            default_with(child(claim, "spec"), "volumeMode", || "Filesystem".into());
            default_with(child(claim, "status"), "phase", || "Pending".into());
        }
    }
    template(spec);
}

fn daemon_set(spec: &mut Map<String, Value>) {
    default_with(spec, "revisionHistoryLimit", || 10.into());
    let strategy = as_map(spec.entry("updateStrategy").or_insert_with(|| json!({})));
    default_with(strategy, "type", || "RollingUpdate".into());
    if strategy.get("type").is_some_and(|t| t == "RollingUpdate") {
        let rolling = as_map(strategy.entry("rollingUpdate").or_insert_with(|| json!({})));
        default_with(rolling, "maxUnavailable", || 1.into());
        default_with(rolling, "maxSurge", || 0.into());
    }
    template(spec);
}

fn job(spec: &mut Map<String, Value>) {
    let neither = spec.get("completions").is_none() && spec.get("parallelism").is_none();
    if neither {
        spec.insert("completions".into(), 1.into());
    }
    default_with(spec, "parallelism", || 1.into());
    let per_index = spec.get("backoffLimitPerIndex").is_some();
    default_with(
        spec,
        "backoffLimit",
        || if per_index { i32::MAX.into() } else { 6.into() },
    );
    default_with(spec, "completionMode", || "NonIndexed".into());
    default_with(spec, "suspend", || false.into());
    let failure_policy = spec.get("podFailurePolicy").is_some();
    default_with(spec, "podReplacementPolicy", || {
        if failure_policy {
            "Failed"
        } else {
            "TerminatingOrFailed"
        }
        .into()
    });
    default_with(spec, "manualSelector", || false.into());
    template(spec);
}

fn cron_job(spec: &mut Map<String, Value>) {
    default_with(spec, "concurrencyPolicy", || "Allow".into());
    default_with(spec, "suspend", || false.into());
    default_with(spec, "successfulJobsHistoryLimit", || 3.into());
    default_with(spec, "failedJobsHistoryLimit", || 1.into());
    if let Some(Value::Object(job)) = spec.get_mut("jobTemplate")
        && let Some(Value::Object(job_spec)) = job.get_mut("spec")
    {
        template(job_spec);
    }
}
