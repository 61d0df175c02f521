//! What the server adds to, or refuses in, objects of certain kinds beyond defaults: the part of a real server's admission
//! plugins and strategies that clients notice.

use crate::call::Call;
use crate::controllers::CRDS;
use crate::object::{self, at, child, default_with, items, text};
use crate::server::Core;
use crate::status::{ApiError, ApiResult};
use crate::{defaults, services};
use serde_json::{Value, json};

/// Completes a new object or refuses it.
pub fn on_create(core: &Core, call: &Call, value: &mut Value) -> ApiResult<()> {
    match &*call.resource.table {
        "events" => defaults::event(value),
        "namespaces" => {
            let spec = child(value, "spec");
            default_with(spec, "finalizers", || json!([]));
            if let Some(Value::Array(list)) = spec.get_mut("finalizers")
                && !list.iter().any(|f| f == "kubernetes")
            {
                list.push("kubernetes".into());
            }
            value["status"] = json!({"phase": "Active"});
            label_namespace(value);
        }
        "pods" => crate::pods::admit(core, call, value)?,
        "services" => value["status"] = json!({"loadBalancer": {}}),
        "persistentvolumeclaims" | "persistentvolumes" => {
            value["status"] = json!({"phase": "Pending"});
            let short = if call.resource.plural == "persistentvolumes" {
                "pv"
            } else {
                "pvc"
            };
            let mut finalizers: Vec<String> = object::finalizers(value).into_iter().map(str::to_owned).collect();
            finalizers.push(format!("kubernetes.io/{short}-protection"));
            object::set_finalizers(value, &finalizers);
        }
        "deployments.apps" | "cronjobs.batch" | "resourcequotas" => value["status"] = json!({}),
        "replicasets.apps" | "replicationcontrollers" => value["status"] = json!({"replicas": 0}),
        "ingresses.networking.k8s.io" => value["status"] = json!({"loadBalancer": {}}),
        "jobs.batch" => {
            value["status"] = json!({});
            select_own_pods(value);
        }
        "nodes" => {
            // Until somebody says that the node is ready.
            let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
            if let Value::Array(list) = child(value, "spec").entry("taints").or_insert_with(|| json!([])) {
                list.push(taint);
            }
        }
        "statefulsets.apps" => value["status"] = json!({"replicas": 0, "availableReplicas": 0}),
        "daemonsets.apps" => {
            value["status"] = json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0});
        }
        "poddisruptionbudgets.policy" => {
            value["status"] =
                json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        }
        CRDS => {
            let versions = items(value, &["spec", "versions"]);
            let stored = versions.iter().filter(|v| v.get("storage") == Some(&Value::Bool(true)));
            let stored: Vec<Value> = stored.map(|v| v["name"].clone()).collect();
            value["status"] =
                json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored});
        }
        _ => {}
    }
    check_escalation(core, call, value)
}

/// Completes a changed object or refuses it.
pub fn on_update(core: &Core, call: &Call, old: &Value, new: &mut Value) -> ApiResult<()> {
    if &*call.resource.table == "namespaces" {
        label_namespace(new);
        if call.target.subresource.is_empty() {
            // The finalizers of the spec change through their own subresource only.
            let kept = at(old, &["spec", "finalizers"]).cloned();
            let spec = child(new, "spec");
            match kept {
                Some(list) => spec.insert("finalizers".into(), list),
                None => spec.remove("finalizers"),
            };
        }
    }
    if &*call.resource.table == "events" {
        defaults::event(new);
    }
    if new.get("rules") != old.get("rules") || new.get("subjects") != old.get("subjects") {
        check_escalation(core, call, new)?;
    }
    Ok(())
}

/// Allocates what must be unique; the last step before an object is stored.
pub fn allocate(core: &Core, call: &Call, old: Option<&Value>, value: &mut Value) -> ApiResult<()> {
    if &*call.resource.table == "services" {
        services::allocate(core, call, old, value)
    } else {
        Ok(())
    }
}

/// Gives a job that brings no selector of its own one by its uid.
fn select_own_pods(job: &mut Value) {
    if at(job, &["spec", "manualSelector"]) == Some(&Value::Bool(true)) {
        return;
    }
    let (name, uid) = (object::name(job).to_owned(), object::uid(job).to_owned());
    let template_labels = at(job, &["spec", "template", "metadata", "labels"]).cloned();
    // Labels that were taken over from the template stay the same as those.
    let shared = template_labels.is_some() && at(job, &["metadata", "labels"]) == template_labels.as_ref();
    let mut labels = template_labels.unwrap_or_else(|| json!({}));
    for prefix in ["", "batch.kubernetes.io/"] {
        labels[format!("{prefix}controller-uid")] = uid.as_str().into();
        labels[format!("{prefix}job-name")] = name.as_str().into();
    }
    if shared {
        object::set_meta(job, "labels", Some(labels.clone()));
    }
    let spec = child(job, "spec");
    if let Some(template) = spec.get_mut("template") {
        object::set_meta(template, "labels", Some(labels));
    }
    spec.insert(
        "selector".into(),
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}),
    );
}

fn label_namespace(value: &mut Value) {
    let name = object::name(value).to_owned();
    let labels = object::as_map(object::meta_mut(value).entry("labels").or_insert_with(|| json!({})));
    labels.insert("kubernetes.io/metadata.name".into(), name.into());
}

/// Nobody grants what they do not hold, unless the rules let them `escalate` or `bind`.
fn check_escalation(core: &Core, call: &Call, value: &Value) -> ApiResult<()> {
    if call.user.is_master() || call.resource.group != "rbac.authorization.k8s.io" {
        return Ok(());
    }
    let namespace = call.namespace();
    let name = object::name(value);
    let (rules, verb, target) = match call.resource.kind.as_str() {
        "Role" | "ClusterRole" => {
            let target = crate::routes::Target {
                name: name.to_owned(),
                ..call.target.clone()
            };
            (items(value, &["rules"]).to_vec(), "escalate", target)
        }
        _ => {
            let (kind, role) = (text(value, &["roleRef", "kind"]), text(value, &["roleRef", "name"]));
            let cluster = kind == "ClusterRole";
            let target = crate::routes::Target {
                resource: if cluster { "clusterroles" } else { "roles" }.to_owned(),
                name: role.to_owned(),
                ..call.target.clone()
            };
            (
                core.rbac.role_rules(if cluster { "" } else { namespace }, role),
                "bind",
                target,
            )
        }
    };
    if core.rbac.authorize(&call.user, verb, &target).is_ok() {
        return Ok(());
    }
    match core.rbac.first_not_held(&call.user, namespace, &rules) {
        None => Ok(()),
        Some(missing) => {
            let why = format!(
                "user \"{}\" (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{missing}",
                call.user.name, call.user.groups
            );
            Err(ApiError::forbidden(
                &call.resource.group,
                &call.resource.plural,
                name,
                &why,
            ))
        }
    }
}
