//! Pods: what admission adds to them, binding and eviction.

use crate::call::Call;
use crate::controllers::edit;
use crate::object::{self, as_map, child, default_with, items, text};
use crate::reply::{self, Body};
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use crate::storage::Key;
use crate::verbs::delete::{self, Options};
use http::Response;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Completes a new pod: service account, priority, tolerations, status.
pub fn admit(core: &Core, call: &Call, pod: &mut Value) -> ApiResult<()> {
    let spec = child(pod, "spec");
    default_with(spec, "serviceAccountName", || "default".into());
    let account = spec
        .get("serviceAccountName")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    spec.insert("serviceAccount".into(), account.as_str().into());
    let class = spec
        .get("priorityClassName")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let priority = match class.as_str() {
        "" => json!(0),
        "system-cluster-critical" => json!(2_000_000_000),
        "system-node-critical" => json!(2_000_001_000),
        name => match core.store.get("priorityclasses.scheduling.k8s.io", "", name) {
            Some(found) => found.value()["value"].clone(),
            None => {
                let why = format!("no PriorityClass with name {name} was found");
                return Err(call.forbidden(object::name(pod), &why));
            }
        },
    };
    let spec = child(pod, "spec");
    spec.insert("priority".into(), priority);
    default_with(spec, "preemptionPolicy", || "PreemptLowerPriority".into());
    tolerate_node_faults(spec);
    if core.store.get("serviceaccounts", call.namespace(), &account).is_none() {
        let namespace = call.namespace();
        let why =
            format!("error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found");
        return Err(call.forbidden(object::name(pod), &why));
    }
    mount_token(core, pod);
    let class = quality_of_service(pod);
    pod["status"] = json!({"phase": "Pending", "qosClass": class});
    Ok(())
}

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Mounts the service account's token into every container that has nothing at its place.
fn mount_token(core: &Core, pod: &mut Value) {
    let spec = child(pod, "spec");
    if spec.get("automountServiceAccountToken") == Some(&Value::Bool(false)) {
        return;
    }
    let name = core.ids.generate_name("kube-api-access-");
    let mut mounted = false;
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let mounts = as_map(container).entry("volumeMounts").or_insert_with(|| json!([]));
            let Value::Array(mounts) = mounts else { continue };
            if mounts.iter().all(|m| text(m, &["mountPath"]) != TOKEN_PATH) {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": TOKEN_PATH}));
                mounted = true;
            }
        }
    }
    if let (true, Value::Array(volumes)) = (mounted, spec.entry("volumes").or_insert_with(|| json!([]))) {
        let namespace =
            json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
        volumes.push(json!({"name": name, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}}]}}));
    }
}

fn tolerate_node_faults(spec: &mut Map<String, Value>) {
    let list = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Value::Array(list) = list else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = list.iter().any(|t| {
            (text(t, &["key"]) == key || text(t, &["key"]).is_empty())
                && matches!(text(t, &["effect"]), "" | "NoExecute")
        });
        if !tolerated {
            list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}

/// The pod's quality of service: guaranteed when every container limits CPU and memory to what it requests.
fn quality_of_service(pod: &Value) -> &'static str {
    let containers: Vec<&Value> = ["containers", "initContainers"]
        .iter()
        .flat_map(|k| items(pod, &["spec", k]))
        .collect();
    let amount = |c: &Value, kind: &str, what: &str| text(c, &["resources", kind, what]).to_owned();
    let pairs: Vec<(String, String)> = containers
        .iter()
        .flat_map(|c| ["cpu", "memory"].map(|what| (amount(c, "requests", what), amount(c, "limits", what))))
        .collect();
    if pairs
        .iter()
        .all(|(request, limit)| request.is_empty() && limit.is_empty())
    {
        "BestEffort"
    } else if pairs
        .iter()
        .all(|(request, limit)| !limit.is_empty() && (request == limit || request.is_empty()))
    {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// The `binding` subresource: puts a pod on a node.
pub fn bind(core: &Arc<Core>, call: &Call) -> ApiResult<Response<Body>> {
    let binding = call.json_body()?;
    let node = text(&binding, &["target", "name"]).to_owned();
    let name = &call.target.name;
    if node.is_empty() {
        return Err(ApiError::invalid(
            "",
            "Binding",
            name,
            &[Cause::required("target.name", "")],
        ));
    }
    let pod = core
        .store
        .get("pods", call.namespace(), name)
        .ok_or_else(|| call.not_found(name))?;
    let taken = text(&pod.value(), &["spec", "nodeName"]).to_owned();
    if !taken.is_empty() {
        return Err(ApiError::conflict(
            "",
            "pods/binding",
            name,
            &format!("pod {name} is already assigned to node \"{taken}\""),
        ));
    }
    let now = core.clock.now_text();
    edit(core, &Key::new("pods", call.namespace(), name), &|pod| {
        child(pod, "spec").insert("nodeName".into(), node.as_str().into());
        let status = as_map(pod).entry("status").or_insert_with(|| json!({}));
        let conditions = as_map(status).entry("conditions").or_insert_with(|| json!([]));
        if let Value::Array(list) = conditions {
            list.retain(|c| text(c, &["type"]) != "PodScheduled");
            list.push(
                json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now}),
            );
        }
        true
    });
    Ok(success(201))
}

/// The `eviction` subresource: deletes a pod as its budgets allow.
pub fn evict(core: &Arc<Core>, call: &Call) -> ApiResult<Response<Body>> {
    let name = &call.target.name;
    let pod = core
        .store
        .get("pods", call.namespace(), name)
        .ok_or_else(|| call.not_found(name))?;
    let scope = crate::storage::Scope::Namespace(call.namespace().to_owned());
    for budget in core.store.list("poddisruptionbudgets.policy", &scope).items {
        let value = budget.value();
        let selected = object::at(&value, &["spec", "selector"])
            .is_some_and(|s| crate::selector::Labels::from_object(s).matches(&pod.labels));
        let allowed = object::at(&value, &["status", "disruptionsAllowed"])
            .and_then(Value::as_i64)
            .unwrap_or(0);
        if selected && allowed < 1 {
            let message = "Cannot evict pod as it would violate the pod's disruption budget.";
            let why = format!(
                "The disruption budget {} does not allow evicting pods currently",
                budget.name
            );
            return Err(ApiError::new(429, "TooManyRequests", message).with_cause("DisruptionBudget", &why, ""));
        }
    }
    let eviction = if call.body.is_empty() {
        json!({})
    } else {
        call.json_body()?
    };
    let grace = object::at(&eviction, &["deleteOptions", "gracePeriodSeconds"]).and_then(Value::as_i64);
    delete::remove(
        core,
        &call.resource,
        call.namespace(),
        name,
        &Options {
            grace,
            ..Options::default()
        },
    )?;
    Ok(success(201))
}

fn success(code: u16) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code});
    reply::json(code, &status)
}
