//! Rules of built-in kinds: required fields, ranges, and what cannot change.

use super::labels;
use crate::object::{at, items, text};
use crate::selector::Labels;
use crate::status::Cause;
use serde_json::Value;
use std::collections::BTreeMap;

/// Faults of an object of a built-in kind.
pub fn faults(table: &str, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let c = &mut causes;
    match table {
        "pods" => pod(new, old, c),
        "services" => service(new, c),
        "secrets" | "configmaps" => data(table, new, old, c),
        "deployments.apps" | "replicasets.apps" | "statefulsets.apps" | "daemonsets.apps" => workload(new, old, c),
        "jobs.batch" => job(new, old, c),
        "cronjobs.batch" => {
            required(new, &["spec", "schedule"], c);
            containers(
                "spec.jobTemplate.spec.template.spec",
                at(new, &["spec", "jobTemplate", "spec", "template", "spec"]),
                c,
            );
        }
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => {
            role_binding(new, old, c);
        }
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => role(new, c),
        "persistentvolumeclaims" => claim(new, c),
        "storageclasses.storage.k8s.io" => required(new, &["provisioner"], c),
        "customresourcedefinitions.apiextensions.k8s.io" => super::crd::faults(new, old, c),
        "events" => event(new, c),
        _ => {}
    }
    super::unions::faults(table, new, c);
    causes
}

fn required(value: &Value, path: &[&str], causes: &mut Vec<Cause>) {
    if text(value, path).is_empty() {
        causes.push(Cause::required(path.join("."), ""));
    }
}

fn immutable(new: &Value, old: Option<&Value>, path: &[&str], causes: &mut Vec<Cause>) {
    let (Some(old), new) = (old, at(new, path)) else { return };
    if at(old, path) != new {
        causes.push(Cause::invalid(
            path.join("."),
            new.unwrap_or(&Value::Null),
            "field is immutable",
        ));
    }
}

fn not_negative(value: &Value, path: &[&str], causes: &mut Vec<Cause>) {
    if let Some(n) = at(value, path).and_then(Value::as_i64).filter(|n| *n < 0) {
        causes.push(Cause::invalid(
            path.join("."),
            &n.into(),
            "must be greater than or equal to 0",
        ));
    }
}

/// The faults of a container's name.
fn container_name(field: &str, name: &str, causes: &mut Vec<Cause>) {
    if name.is_empty() {
        causes.push(Cause::required(field, ""));
    } else if let Some(detail) = super::names::dns_label(name) {
        causes.push(Cause::invalid(field, &name.into(), detail));
    }
}

fn containers(field: &str, spec: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = spec.unwrap_or(&Value::Null);
    let list = items(spec, &["containers"]);
    if list.is_empty() {
        causes.push(Cause::required(format!("{field}.containers"), ""));
    }
    let mut seen = BTreeMap::new();
    for (i, container) in list.iter().enumerate() {
        let name = text(container, &["name"]);
        container_name(&format!("{field}.containers[{i}].name"), name, causes);
        if !name.is_empty() && seen.insert(name, i).is_some() {
            causes.push(Cause::duplicate(format!("{field}.containers[{i}].name"), &name.into()));
        }
        if text(container, &["image"]).is_empty() {
            causes.push(Cause::required(format!("{field}.containers[{i}].image"), ""));
        }
        for (j, port) in items(container, &["ports"]).iter().enumerate() {
            port_number(
                &format!("{field}.containers[{i}].ports[{j}].containerPort"),
                port.get("containerPort"),
                causes,
            );
        }
    }
    let policy = text(spec, &["restartPolicy"]);
    if !matches!(policy, "" | "Always" | "OnFailure" | "Never") {
        let supported = ["Always", "OnFailure", "Never"];
        causes.push(Cause::unsupported(
            format!("{field}.restartPolicy"),
            &policy.into(),
            &supported,
        ));
    }
}

fn port_number(field: &str, port: Option<&Value>, causes: &mut Vec<Cause>) {
    match port.and_then(Value::as_i64) {
        None | Some(0) => causes.push(Cause::required(field, "")),
        Some(n) if !(1..=65535).contains(&n) => {
            causes.push(Cause::invalid(
                field,
                &n.into(),
                "must be between 1 and 65535, inclusive",
            ));
        }
        Some(_) => {}
    }
}

fn pod(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    containers("spec", new.get("spec"), causes);
    let Some(old) = old else { return };
    let comparable = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        for key in [
            "tolerations",
            "activeDeadlineSeconds",
            "nodeName",
            "ephemeralContainers",
        ] {
            crate::object::as_map(&mut spec).remove(key);
        }
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                crate::object::as_map(container).remove("image");
                crate::object::as_map(container).remove("imagePullPolicy");
            }
        }
        spec
    };
    let node_moved = !text(old, &["spec", "nodeName"]).is_empty()
        && at(old, &["spec", "nodeName"]) != at(new, &["spec", "nodeName"]);
    if node_moved || comparable(old) != comparable(new) {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        causes.push(Cause::forbidden("spec", detail));
    }
}

fn workload(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    not_negative(new, &["spec", "replicas"], causes);
    not_negative(new, &["spec", "minReadySeconds"], causes);
    let selector = at(new, &["spec", "selector"]);
    let template_labels = at(new, &["spec", "template", "metadata", "labels"]);
    match selector {
        None => {
            let shown = template_labels.cloned().unwrap_or_default();
            causes.push(Cause::required("spec.selector", ""));
            causes.push(mismatch(&shown));
        }
        Some(selector) => {
            labels("spec.selector.matchLabels", selector.get("matchLabels"), causes);
            let parsed = Labels::from_object(selector);
            if parsed.is_empty() {
                causes.push(Cause::invalid(
                    "spec.selector",
                    selector,
                    "empty selector is invalid for deployment",
                ));
            } else if !parsed.matches(&label_map(template_labels)) {
                let shown = template_labels.cloned().unwrap_or_default();
                causes.push(mismatch(&shown));
            }
        }
    }
    labels("spec.template.metadata.labels", template_labels, causes);
    let strategy = text(new, &["spec", "strategy", "type"]);
    if !matches!(strategy, "" | "Recreate" | "RollingUpdate") {
        let shown = serde_json::json!({"Type": strategy, "RollingUpdate": null});
        causes.push(Cause::unsupported(
            "spec.strategy",
            &shown,
            &["Recreate", "RollingUpdate"],
        ));
    }
    containers("spec.template.spec", at(new, &["spec", "template", "spec"]), causes);
    let policy = text(new, &["spec", "template", "spec", "restartPolicy"]);
    if !matches!(policy, "" | "Always") {
        causes.push(Cause::unsupported(
            "spec.template.spec.restartPolicy",
            &policy.into(),
            &["Always"],
        ));
    }
    if old.is_some_and(|o| at(o, &["spec", "selector"]) != selector) {
        immutable(new, old, &["spec", "selector"], causes);
    }
}

fn mismatch(labels: &Value) -> Cause {
    let detail = "`selector` does not match template `labels`";
    Cause::invalid("spec.template.metadata.labels", labels, detail)
}

fn label_map(value: Option<&Value>) -> BTreeMap<String, String> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
        .collect()
}

fn job(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    not_negative(new, &["spec", "parallelism"], causes);
    not_negative(new, &["spec", "completions"], causes);
    not_negative(new, &["spec", "backoffLimit"], causes);
    containers("spec.template.spec", at(new, &["spec", "template", "spec"]), causes);
    let policy = text(new, &["spec", "template", "spec", "restartPolicy"]);
    if policy == "Always" {
        let detail = "Required value: valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause {
            field: "spec.template.spec.restartPolicy".into(),
            reason: "FieldValueRequired".into(),
            message: detail.into(),
        });
    }
    let suspended = old.is_some_and(|o| at(o, &["spec", "suspend"]) == Some(&Value::Bool(true)));
    if !suspended {
        immutable(new, old, &["spec", "template"], causes);
    }
    immutable(new, old, &["spec", "selector"], causes);
}

fn service(new: &Value, causes: &mut Vec<Cause>) {
    let kind = text(new, &["spec", "type"]);
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let supported = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        causes.push(Cause::unsupported("spec.type", &kind.into(), &supported));
    }
    let ports = items(new, &["spec", "ports"]);
    let headless = text(new, &["spec", "clusterIP"]) == "None";
    if kind == "ExternalName" {
        required(new, &["spec", "externalName"], causes);
    } else if ports.is_empty() && !headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    let mut names = BTreeMap::new();
    for (i, port) in ports.iter().enumerate() {
        let name = text(port, &["name"]);
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("spec.ports[{i}].name"), ""));
        } else if !name.is_empty() && names.insert(name, i).is_some() {
            causes.push(Cause::duplicate(format!("spec.ports[{i}].name"), &name.into()));
        }
        match port.get("port").and_then(Value::as_i64) {
            Some(n) if (1..=65535).contains(&n) => {}
            n => {
                let detail = "must be between 1 and 65535, inclusive";
                causes.push(Cause::invalid(
                    format!("spec.ports[{i}].port"),
                    &n.unwrap_or(0).into(),
                    detail,
                ));
            }
        }
        let protocol = text(port, &["protocol"]);
        let same = |other: &&Value| other.get("port") == port.get("port") && text(other, &["protocol"]) == protocol;
        if ports.iter().take(i).any(|other| same(&other)) {
            let value = serde_json::json!({"port": port.get("port"), "protocol": protocol});
            causes.push(Cause::duplicate(format!("spec.ports[{i}]"), &value));
        }
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let field = format!("spec.ports[{i}].protocol");
            causes.push(Cause::unsupported(field, &protocol.into(), &["SCTP", "TCP", "UDP"]));
        }
    }
}

fn data(table: &str, new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    for (key, _) in new.get("data").and_then(Value::as_object).into_iter().flatten() {
        let valid =
            !key.is_empty() && key.len() <= 253 && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !valid {
            let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
            causes.push(Cause::invalid(format!("data[{key}]"), &key.as_str().into(), detail));
        }
        if at(new, &["binaryData", key]).is_some() {
            let detail = "duplicate of key present in binaryData";
            causes.push(Cause::invalid(format!("data[{key}]"), &key.as_str().into(), detail));
        }
    }
    let Some(old) = old else { return };
    if table == "secrets" {
        immutable(new, Some(old), &["type"], causes);
    }
    if old.get("immutable") == Some(&Value::Bool(true)) {
        for field in ["data", "binaryData"] {
            if old.get(field) != new.get(field) {
                causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
            }
        }
        if new.get("immutable") != Some(&Value::Bool(true)) {
            causes.push(Cause::forbidden(
                "immutable",
                "field is immutable when `immutable` is set",
            ));
        }
    }
}

fn role(new: &Value, causes: &mut Vec<Cause>) {
    for (i, rule) in items(new, &["rules"]).iter().enumerate() {
        let field = |key: &str| format!("rules[{i}].{key}");
        if items(rule, &["verbs"]).is_empty() {
            causes.push(Cause::required(field("verbs"), "verbs must contain at least one value"));
        }
        if items(rule, &["nonResourceURLs"]).is_empty() {
            if items(rule, &["apiGroups"]).is_empty() {
                causes.push(Cause::required(
                    field("apiGroups"),
                    "resource rules must supply at least one api group",
                ));
            }
            if items(rule, &["resources"]).is_empty() {
                causes.push(Cause::required(
                    field("resources"),
                    "resource rules must supply at least one resource",
                ));
            }
        }
    }
}

fn role_binding(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let kind = text(new, &["roleRef", "kind"]);
    let kinds: &[&str] = if crate::object::namespace(new).is_empty() {
        &["ClusterRole"]
    } else {
        &["Role", "ClusterRole"]
    };
    if !kinds.contains(&kind) {
        causes.push(Cause::unsupported("roleRef.kind", &kind.into(), kinds));
    }
    required(new, &["roleRef", "name"], causes);
    for (i, subject) in items(new, &["subjects"]).iter().enumerate() {
        if text(subject, &["name"]).is_empty() {
            causes.push(Cause::required(format!("subjects[{i}].name"), ""));
        }
        let kind = text(subject, &["kind"]);
        let cluster = crate::object::namespace(new).is_empty();
        if cluster && kind == "ServiceAccount" && text(subject, &["namespace"]).is_empty() {
            causes.push(Cause::required(format!("subjects[{i}].namespace"), ""));
        } else if !matches!(kind, "ServiceAccount" | "User" | "Group") {
            let supported = ["Group", "ServiceAccount", "User"];
            causes.push(Cause::unsupported(
                format!("subjects[{i}].kind"),
                &kind.into(),
                &supported,
            ));
        }
    }
    if old.is_some_and(|o| o.get("roleRef") != new.get("roleRef")) {
        let part = |key: &str| text(new, &["roleRef", key]).to_owned();
        let (group, kind, name) = (part("apiGroup"), part("kind"), part("name"));
        let shown = format!("{{\"APIGroup\":{group:?},\"Kind\":{kind:?},\"Name\":{name:?}}}");
        causes.push(Cause {
            field: "roleRef".into(),
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: {shown}: cannot change roleRef"),
        });
    }
}

fn claim(new: &Value, causes: &mut Vec<Cause>) {
    if items(new, &["spec", "accessModes"]).is_empty() {
        causes.push(Cause::required(
            "spec.accessModes",
            "at least 1 access mode is required",
        ));
    }
    if at(new, &["spec", "resources", "requests", "storage"]).is_none() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
}

fn event(new: &Value, causes: &mut Vec<Cause>) {
    let about = if new.get("regarding").is_some() {
        "regarding"
    } else {
        "involvedObject"
    };
    let (own, involved) = (crate::object::namespace(new), text(new, &[about, "namespace"]));
    // Events about cluster-scoped objects live in `default`.
    let fits = if involved.is_empty() {
        matches!(own, "default" | "kube-system")
    } else {
        own == involved
    };
    if !fits {
        causes.push(Cause::invalid(
            format!("{about}.namespace"),
            &involved.into(),
            "does not match event.namespace",
        ));
    }
}
