//! Branches of which only one may be set.

use crate::object::{at, items, text};
use crate::status::Cause;
use serde_json::Value;

/// Sources that a volume may have beside its name count as one each; so do the handlers of a probe.
const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];

/// Faults of an object's unions.
pub fn faults(table: &str, new: &Value, causes: &mut Vec<Cause>) {
    let set = |path: &[&str]| at(new, path).filter(|value| !value.is_null());
    let strategy = text(new, &["spec", "strategy", "type"]);
    let update = text(new, &["spec", "updateStrategy", "type"]);
    if table == "deployments.apps" && strategy == "Recreate" && set(&["spec", "strategy", "rollingUpdate"]).is_some() {
        let detail = "may not be specified when strategy `type` is 'Recreate'";
        causes.push(Cause::forbidden("spec.strategy.rollingUpdate", detail));
    }
    if table == "statefulsets.apps"
        && update == "OnDelete"
        && let Some(branch) = set(&["spec", "updateStrategy", "rollingUpdate"])
    {
        let detail = "only allowed for updateStrategy 'RollingUpdate'";
        causes.push(Cause::invalid("spec.updateStrategy.rollingUpdate", branch, detail));
    }
    let affinity = text(new, &["spec", "sessionAffinity"]);
    if table == "services" && affinity == "None" && set(&["spec", "sessionAffinityConfig"]).is_some() {
        let detail = "must not be set when session affinity is None";
        causes.push(Cause::forbidden("spec.sessionAffinityConfig", detail));
    }
    let pod: &[&str] = match table {
        "pods" => &["spec"],
        "podtemplates" => &["template", "spec"],
        "deployments.apps"
        | "replicasets.apps"
        | "statefulsets.apps"
        | "daemonsets.apps"
        | "replicationcontrollers"
        | "jobs.batch" => &["spec", "template", "spec"],
        "cronjobs.batch" => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => return,
    };
    if let Some(spec) = at(new, pod) {
        pod_spec(&pod.join("."), spec, causes);
    }
}

fn pod_spec(field: &str, spec: &Value, causes: &mut Vec<Cause>) {
    for (i, volume) in items(spec, &["volumes"]).iter().enumerate() {
        let members = volume.as_object().into_iter().flatten();
        let sources = members.filter(|(key, value)| *key != "name" && !value.is_null());
        for (source, _) in sources.skip(1) {
            let detail = "may not specify more than 1 volume type";
            causes.push(Cause::forbidden(format!("{field}.volumes[{i}].{source}"), detail));
        }
    }
    for list in ["initContainers", "containers"] {
        for (i, container) in items(spec, &[list]).iter().enumerate() {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let handlers = HANDLERS
                    .iter()
                    .filter(|kind| at(container, &[probe, kind]).is_some_and(|v| !v.is_null()));
                for kind in handlers.skip(1) {
                    let detail = "may not specify more than 1 handler type";
                    causes.push(Cause::forbidden(format!("{field}.{list}[{i}].{probe}.{kind}"), detail));
                }
            }
        }
    }
}
