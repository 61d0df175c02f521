//! Cells of built-in kinds.

use crate::object::{at, items, meta_text, strings, text};
use jiff::Timestamp;
use schema::table;
use serde_json::Value;

const NONE: &str = "<none>";

/// The name.
pub fn name(v: &Value, _: Timestamp) -> Value {
    crate::object::name(v).into()
}

/// Time since creation.
pub fn age(v: &Value, now: Timestamp) -> Value {
    table::age(meta_text(v, "creationTimestamp"), now).into()
}

/// Time since a time in the object.
pub fn age_of(v: &Value, path: &[&str], now: Timestamp) -> Value {
    match text(v, path) {
        "" => NONE.into(),
        time => table::age(time, now).into(),
    }
}

/// Time of creation.
pub fn created_at(v: &Value, _: Timestamp) -> Value {
    meta_text(v, "creationTimestamp").into()
}

/// A text as it is.
pub fn plain(v: &Value, path: &[&str]) -> Value {
    text(v, path).into()
}

fn or(v: &Value, path: &[&str], default: &str) -> Value {
    match text(v, path) {
        "" => default.into(),
        found => found.into(),
    }
}

/// A text, or `<none>`.
pub fn or_none(v: &Value, path: &[&str]) -> Value {
    or(v, path, NONE)
}

/// A text, or `<unknown>`.
pub fn or_unknown(v: &Value, path: &[&str]) -> Value {
    or(v, path, "<unknown>")
}

/// A number or text, or `N/A`.
pub fn or_not_available(v: &Value, path: &[&str]) -> Value {
    match at(v, path) {
        Some(Value::String(s)) => s.as_str().into(),
        Some(Value::Number(n)) => n.to_string().into(),
        _ => "N/A".into(),
    }
}

fn integer(v: &Value, path: &[&str]) -> i64 {
    at(v, path).and_then(Value::as_i64).unwrap_or(0)
}

/// A number; 0 if absent.
pub fn number(v: &Value, path: &[&str]) -> Value {
    integer(v, path).into()
}

/// `True` or `False` in lower case.
pub fn flag(v: &Value, path: &[&str]) -> Value {
    (at(v, path) == Some(&Value::Bool(true))).to_string().into()
}

/// Number of elements of a list.
pub fn count(v: &Value, path: &[&str]) -> Value {
    items(v, path).len().into()
}

/// `done/wanted`.
pub fn ratio(v: &Value, done: &[&str], wanted: &[&str]) -> Value {
    format!("{}/{}", integer(v, done), integer(v, wanted)).into()
}

/// A map as `a=b,c=d`, or `<none>`.
pub fn map_text(v: &Value, path: &[&str]) -> Value {
    let pairs = at(v, path).and_then(Value::as_object).into_iter().flatten();
    let list: Vec<String> = pairs
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    if list.is_empty() {
        NONE.into()
    } else {
        list.join(",").into()
    }
}

/// A label selector as text, or `<none>`.
pub fn selector_at(v: &Value, path: &[&str]) -> Value {
    match at(v, path).map(crate::selector::text_of).unwrap_or_default() {
        text if text.is_empty() => NONE.into(),
        text => text.into(),
    }
}

/// The selector of a workload.
pub fn selector(v: &Value, _: Timestamp) -> Value {
    selector_at(v, &["spec", "selector"])
}

fn of_containers(v: &Value, key: &str) -> Value {
    let list = items(v, &["spec", "template", "spec", "containers"]);
    list.iter()
        .map(|c| text(c, &[key]))
        .collect::<Vec<_>>()
        .join(",")
        .into()
}

/// Names of a workload's containers.
pub fn containers(v: &Value, _: Timestamp) -> Value {
    of_containers(v, "name")
}

/// Images of a workload's containers.
pub fn images(v: &Value, _: Timestamp) -> Value {
    of_containers(v, "image")
}

/// Number of entries of a ConfigMap or Secret.
pub fn data_count(v: &Value, _: Timestamp) -> Value {
    let len = |key: &str| {
        v.get(key)
            .and_then(Value::as_object)
            .map(serde_json::Map::len)
            .unwrap_or(0)
    };
    (len("data") + len("binaryData")).into()
}

/// Ready containers of a pod.
pub fn pod_ready(v: &Value, _: Timestamp) -> Value {
    let ready = items(v, &["status", "containerStatuses"]).iter();
    let ready = ready.filter(|s| s.get("ready") == Some(&Value::Bool(true))).count();
    format!("{ready}/{}", items(v, &["spec", "containers"]).len()).into()
}

/// A pod's state in one word.
pub fn pod_status(v: &Value, _: Timestamp) -> Value {
    if crate::object::is_terminating(v) {
        return "Terminating".into();
    }
    let waiting = items(v, &["status", "containerStatuses"])
        .iter()
        .find_map(|s| Some(text(s, &["state", "waiting", "reason"])).filter(|r| !r.is_empty()));
    match (waiting, text(v, &["status", "phase"])) {
        (Some(reason), _) => reason.into(),
        (None, "Succeeded") => "Completed".into(),
        (None, phase) => phase.into(),
    }
}

/// Restarts of a pod's containers.
pub fn pod_restarts(v: &Value, _: Timestamp) -> Value {
    let restarts = items(v, &["status", "containerStatuses"]).iter();
    restarts
        .map(|s| integer(s, &["restartCount"]))
        .sum::<i64>()
        .to_string()
        .into()
}

/// `Complete`, `Failed`, `Suspended` or `Running`.
pub fn job_status(v: &Value, _: Timestamp) -> Value {
    let holds = |kind: &str| {
        let mut conditions = items(v, &["status", "conditions"]).iter();
        conditions.any(|c| text(c, &["type"]) == kind && text(c, &["status"]) == "True")
    };
    let kinds = ["Complete", "Failed", "Suspended"];
    kinds.into_iter().find(|k| holds(k)).unwrap_or("Running").into()
}

/// How long a job ran, or has been running.
pub fn job_duration(v: &Value, now: Timestamp) -> Value {
    let time = |key: &str| text(v, &["status", key]).parse::<Timestamp>().ok();
    let Some(start) = time("startTime") else {
        return "".into();
    };
    let end = time("completionTime").unwrap_or(now);
    table::human_duration(end.duration_since(start).as_secs()).into()
}

/// Addresses of a load balancer, joined.
pub fn load_balancer(v: &Value) -> String {
    let ingress = items(v, &["status", "loadBalancer", "ingress"]).iter();
    let address = |i: &Value| match text(i, &["ip"]) {
        "" => text(i, &["hostname"]).to_owned(),
        ip => ip.to_owned(),
    };
    ingress.map(address).collect::<Vec<_>>().join(",")
}

/// External addresses of a Service.
pub fn service_external(v: &Value, _: Timestamp) -> Value {
    let external = strings(at(v, &["spec", "externalIPs"])).join(",");
    match text(v, &["spec", "type"]) {
        "ExternalName" => plain(v, &["spec", "externalName"]),
        "LoadBalancer" => {
            let mut all = load_balancer(v);
            if !all.is_empty() && !external.is_empty() {
                all.push(',');
            }
            all.push_str(&external);
            if all.is_empty() { "<pending>".into() } else { all.into() }
        }
        _ if external.is_empty() => NONE.into(),
        _ => external.into(),
    }
}

/// Ports of a Service.
pub fn service_ports(v: &Value, _: Timestamp) -> Value {
    let port = |p: &Value| match integer(p, &["nodePort"]) {
        0 => format!("{}/{}", integer(p, &["port"]), text(p, &["protocol"])),
        node => format!("{}:{node}/{}", integer(p, &["port"]), text(p, &["protocol"])),
    };
    let list: Vec<String> = items(v, &["spec", "ports"]).iter().map(port).collect();
    if list.is_empty() {
        NONE.into()
    } else {
        list.join(",").into()
    }
}

/// Readiness of a node, and whether it takes pods.
pub fn node_status(v: &Value, _: Timestamp) -> Value {
    let ready = items(v, &["status", "conditions"])
        .iter()
        .find(|c| text(c, &["type"]) == "Ready");
    let mut status = match ready.map(|c| text(c, &["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if at(v, &["spec", "unschedulable"]) == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    status.into()
}

/// Roles of a node, from its labels.
pub fn node_roles(v: &Value, _: Timestamp) -> Value {
    let labels = at(v, &["metadata", "labels"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let roles = labels.filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/").filter(|r| !r.is_empty()));
    let roles: Vec<&str> = roles.collect();
    if roles.is_empty() {
        NONE.into()
    } else {
        roles.join(",").into()
    }
}

/// A node's address of some type.
pub fn node_address(v: &Value, kind: &str) -> Value {
    let found = items(v, &["status", "addresses"])
        .iter()
        .find(|a| text(a, &["type"]) == kind);
    found.map(|a| plain(a, &["address"])).unwrap_or_else(|| NONE.into())
}

/// First addresses of an Endpoints object.
pub fn endpoints(v: &Value, _: Timestamp) -> Value {
    let mut all = Vec::new();
    for subset in items(v, &["subsets"]) {
        for address in items(subset, &["addresses"]) {
            for port in items(subset, &["ports"]) {
                all.push(format!("{}:{}", text(address, &["ip"]), integer(port, &["port"])));
            }
        }
    }
    shortened(&all)
}

/// At most three elements, and how many more there are.
fn shortened(all: &[String]) -> Value {
    match all {
        [] => NONE.into(),
        [a, b, c, rest @ ..] if !rest.is_empty() => format!("{a},{b},{c} + {} more...", rest.len()).into(),
        few => few.join(",").into(),
    }
}

/// Ports of an EndpointSlice.
pub fn slice_ports(v: &Value, _: Timestamp) -> Value {
    let ports: Vec<String> = items(v, &["ports"])
        .iter()
        .map(|p| integer(p, &["port"]).to_string())
        .collect();
    if ports.is_empty() {
        "<unset>".into()
    } else {
        shortened(&ports)
    }
}

/// First addresses of an EndpointSlice.
pub fn slice_endpoints(v: &Value, _: Timestamp) -> Value {
    let addresses = items(v, &["endpoints"])
        .iter()
        .flat_map(|e| strings(e.get("addresses")));
    let all: Vec<String> = addresses.map(str::to_owned).collect();
    if all.is_empty() {
        "<unset>".into()
    } else {
        shortened(&all)
    }
}

/// When an event was seen last.
pub fn event_seen(v: &Value, now: Timestamp) -> Value {
    let paths: [&[&str]; 4] = [
        &["series", "lastObservedTime"],
        &["lastTimestamp"],
        &["eventTime"],
        &["firstTimestamp"],
    ];
    match paths.iter().map(|p| text(v, p)).find(|t| !t.is_empty()) {
        Some(time) => table::age(time, now).into(),
        None => "<unknown>".into(),
    }
}

/// What an event is about.
pub fn event_object(v: &Value, _: Timestamp) -> Value {
    let about = if v.get("regarding").is_some() {
        "regarding"
    } else {
        "involvedObject"
    };
    format!(
        "{}/{}",
        text(v, &[about, "kind"]).to_lowercase(),
        text(v, &[about, "name"])
    )
    .into()
}

/// An event's message.
pub fn event_message(v: &Value) -> Value {
    let message = if v.get("note").is_some() {
        text(v, &["note"])
    } else {
        text(v, &["message"])
    };
    message.trim().into()
}

/// Access modes in short form.
pub fn access_modes(v: &Value, path: &[&str]) -> Value {
    let short = |mode: &str| match mode {
        "ReadWriteOnce" => "RWO".to_owned(),
        "ReadOnlyMany" => "ROX".to_owned(),
        "ReadWriteMany" => "RWX".to_owned(),
        "ReadWriteOncePod" => "RWOP".to_owned(),
        other => other.to_owned(),
    };
    strings(at(v, path))
        .into_iter()
        .map(short)
        .collect::<Vec<_>>()
        .join(",")
        .into()
}

/// The claim of a volume.
pub fn volume_claim(v: &Value, _: Timestamp) -> Value {
    match text(v, &["spec", "claimRef", "name"]) {
        "" => "".into(),
        name => format!("{}/{name}", text(v, &["spec", "claimRef", "namespace"])).into(),
    }
}

/// The role of a binding.
pub fn binding_role(v: &Value, _: Timestamp) -> Value {
    format!("{}/{}", text(v, &["roleRef", "kind"]), text(v, &["roleRef", "name"])).into()
}

/// Subjects of a binding of some kind.
pub fn subjects(v: &Value, kind: &str) -> Value {
    let chosen = items(v, &["subjects"]).iter().filter(|s| text(s, &["kind"]) == kind);
    let name = |s: &Value| match text(s, &["namespace"]) {
        "" => text(s, &["name"]).to_owned(),
        namespace => format!("{namespace}/{}", text(s, &["name"])),
    };
    chosen.map(name).collect::<Vec<_>>().join(", ").into()
}

/// Hosts of an Ingress.
pub fn ingress_hosts(v: &Value, _: Timestamp) -> Value {
    let hosts: Vec<&str> = items(v, &["spec", "rules"])
        .iter()
        .map(|r| text(r, &["host"]))
        .filter(|h| !h.is_empty())
        .collect();
    if hosts.is_empty() {
        "*".into()
    } else {
        hosts.join(",").into()
    }
}

/// What an autoscaler scales.
pub fn autoscaler_target(v: &Value, _: Timestamp) -> Value {
    let target = ["spec", "scaleTargetRef"];
    let part = |key: &str| text(v, &[target[0], target[1], key]).to_owned();
    format!("{}/{}", part("kind"), part("name")).into()
}

/// The controller of a revision.
pub fn revision_controller(v: &Value, _: Timestamp) -> Value {
    let owners = items(v, &["metadata", "ownerReferences"]);
    let owner = owners.iter().find(|o| o.get("controller") == Some(&Value::Bool(true)));
    owner
        .map(|o| format!("{}/{}", text(o, &["kind"]).to_lowercase(), text(o, &["name"])).into())
        .unwrap_or_else(|| NONE.into())
}
