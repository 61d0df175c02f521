//! Defaults of pod specifications.

use super::each;
use crate::object::{as_map, default_with};
use serde_json::{Map, Value, json};

/// Fills in a pod specification.
pub fn spec(spec: &mut Map<String, Value>) {
    default_with(spec, "restartPolicy", || "Always".into());
    default_with(spec, "dnsPolicy", || "ClusterFirst".into());
    default_with(spec, "terminationGracePeriodSeconds", || 30.into());
    default_with(spec, "schedulerName", || "default-scheduler".into());
    default_with(spec, "securityContext", || json!({}));
    if let Some(account) = spec.get("serviceAccountName").filter(|a| !a.is_null()).cloned() {
        default_with(spec, "serviceAccount", || account);
    } else if let Some(account) = spec.get("serviceAccount").filter(|a| !a.is_null()).cloned() {
        spec.insert("serviceAccountName".into(), account);
    }
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec.get_mut(list)).for_each(|c| container(c, host_network));
    }
    each(spec.get_mut("volumes")).for_each(volume);
}

/// Fills in what only pods get, not templates of pods.
pub fn own(spec: &mut Map<String, Value>) {
    default_with(spec, "enableServiceLinks", || true.into());
    for list in ["containers", "initContainers"] {
        each(spec.get_mut(list)).for_each(|container| {
            if let Some(Value::Object(resources)) = container.get_mut("resources") {
                requests_from_limits(resources);
            }
        });
    }
}

/// A pod's first address is also the first of its list.
pub fn status(status: Option<&mut Value>) {
    let Some(Value::Object(status)) = status else { return };
    if let Some(ip) = status.get("podIP").cloned() {
        default_with(status, "podIPs", || json!([{ "ip": ip }]));
    }
}

fn container(container: &mut Map<String, Value>, host_network: bool) {
    default_with(container, "terminationMessagePath", || "/dev/termination-log".into());
    default_with(container, "terminationMessagePolicy", || "File".into());
    let image = container
        .get("image")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    default_with(container, "imagePullPolicy", || {
        if is_latest(&image) { "Always" } else { "IfNotPresent" }.into()
    });
    default_with(container, "resources", || json!({}));
    each(container.get_mut("ports")).for_each(|port| {
        default_with(port, "protocol", || "TCP".into());
        if host_network && let Some(own) = port.get("containerPort").cloned() {
            default_with(port, "hostPort", || own);
        }
    });
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(Value::Object(p)) = container.get_mut(kind) {
            probe(p);
        }
    }
    if let Some(Value::Object(lifecycle)) = container.get_mut("lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(Value::Object(hook)) = lifecycle.get_mut(hook) {
                http_get(hook);
            }
        }
    }
    each(container.get_mut("env")).for_each(|variable| {
        if let Some(Value::Object(from)) = variable.get_mut("valueFrom")
            && let Some(Value::Object(field)) = from.get_mut("fieldRef")
        {
            default_with(field, "apiVersion", || "v1".into());
        }
    });
}

/// Whether an image names no tag or digest, or the tag `latest`.
fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    if last.contains('@') {
        return false;
    }
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn requests_from_limits(resources: &mut Map<String, Value>) {
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else {
        return;
    };
    let requests = as_map(resources.entry("requests").or_insert_with(|| json!({})));
    for (name, amount) in limits {
        requests.entry(name).or_insert(amount);
    }
}

fn probe(probe: &mut Map<String, Value>) {
    for (key, default) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        default_with(probe, key, || default.into());
    }
    http_get(probe);
    if let Some(Value::Object(grpc)) = probe.get_mut("grpc") {
        default_with(grpc, "service", || "".into());
    }
}

fn http_get(holder: &mut Map<String, Value>) {
    if let Some(Value::Object(get)) = holder.get_mut("httpGet") {
        default_with(get, "path", || "/".into());
        default_with(get, "scheme", || "HTTP".into());
    }
}

fn volume(volume: &mut Map<String, Value>) {
    for kind in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(Value::Object(source)) = volume.get_mut(kind) {
            default_with(source, "defaultMode", || 420.into());
        }
    }
    if let Some(Value::Object(host)) = volume.get_mut("hostPath") {
        default_with(host, "type", || "".into());
    }
    // A volume without any source is an empty directory.
    if volume.len() == 1 && volume.contains_key("name") {
        volume.insert("emptyDir".into(), json!({}));
    }
}
