//! What the server adds to, or refuses in, objects of certain kinds beyond defaults: the part of a real server's admission
//! plugins and strategies that clients notice.

use crate::call::Call;
use crate::controllers::CRDS;
use crate::object::{self, at, child, default_with, items, text};
use crate::server::Core;
use crate::services;
use crate::status::{ApiError, ApiResult};
use serde_json::{Value, json};

/// Completes a new object or refuses it.
pub fn on_create(core: &Core, call: &Call, value: &mut Value) -> ApiResult<()> {
    match &*call.resource.table {
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
        "persistentvolumeclaims" | "persistentvolumes" => value["status"] = json!({"phase": "Pending"}),
        "deployments.apps" | "replicasets.apps" | "jobs.batch" | "cronjobs.batch" => value["status"] = json!({}),
        "statefulsets.apps" => value["status"] = json!({"replicas": 0, "availableReplicas": 0}),
        "daemonsets.apps" => {
            value["status"] = json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0});
        }
        "poddisruptionbudgets.policy" => {
            value["status"] =
                json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        }
        CRDS => {
            let conditions = json!([]);
            value["status"] =
                json!({"conditions": conditions, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []});
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
