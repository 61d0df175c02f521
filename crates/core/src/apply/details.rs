//! Differences between a manifest and its object, as users read them in the status (member-behaviour 4.11).

use api::placement::v1beta1::PatchDetail;
use merge::diff::{Difference, diff};
use serde_json::Value;

use super::canonical::canonical;
use super::comparable::comparable;
use super::prepare::types_of;
use super::secrets::with_encoded_data;

/// Most differences that are reported for one object.
pub const MAX_DETAILS: usize = 100;

/// Stands for values of Secrets.
const REDACTED: &str = "(redacted for security reasons)";

/// What differs from `source`, the hub's side, to `target`, the member's, in the fields that count.
pub fn differences(source: &Value, target: &Value) -> Vec<PatchDetail> {
    let is_secret =
        target.get("apiVersion").is_some_and(|v| v == "v1") && target.get("kind").is_some_and(|k| k == "Secret");
    let [source, target] = [source, target].map(|object| comparable(&with_encoded_data(object)));
    let found = diff(&source, &target, types_of(&target));
    found
        .into_iter()
        .take(MAX_DETAILS)
        .map(|difference| detail(difference, is_secret))
        .collect()
}

/// The single detail of an object that does not exist on the member.
pub fn missing_object() -> PatchDetail {
    PatchDetail {
        path: "/".to_owned(),
        value_in_member: String::new(),
        value_in_hub: "(the whole object)".to_owned(),
    }
}

fn detail(difference: Difference, is_secret: bool) -> PatchDetail {
    let secret = is_secret && (difference.path.starts_with("/data") || difference.path.starts_with("/stringData"));
    let show = |value: Option<Value>| {
        let text = value.as_ref().map(text_of).unwrap_or_default();
        if secret && !text.is_empty() {
            REDACTED.to_owned()
        } else {
            text
        }
    };
    PatchDetail {
        value_in_hub: show(difference.old),
        value_in_member: show(difference.new),
        path: difference.path,
    }
}

/// The text form of a value: strings verbatim, maps as `map[k:v]` with sorted keys, lists as `[a b]`.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(_) => canonical(value),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(text_of).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(key, item)| format!("{key}:{}", text_of(item)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(source: &Value, target: &Value) -> Vec<String> {
        let show = |value: &str| {
            if value.is_empty() {
                "-".to_owned()
            } else {
                value.to_owned()
            }
        };
        let all = differences(source, target);
        all.iter()
            .map(|d| {
                format!(
                    "{} hub={} member={}",
                    d.path,
                    show(&d.value_in_hub),
                    show(&d.value_in_member)
                )
            })
            .collect()
    }

    #[test]
    fn vectors_of_the_contract() {
        let cases = [
            (
                json!({"spec": {"strategy": {"type": "Recreate"}}}),
                json!({"spec": {"strategy": {}}}),
                vec!["/spec/strategy/type hub=Recreate member=-"],
            ),
            (
                json!({"spec": {"ports": [{"name": "a"}, {"name": "custom", "port": 10000, "protocol": "UDP", "targetPort": 10000},
                    {"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}]}}),
                json!({"spec": {"ports": [{"name": "a"}, {"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}]}}),
                vec![
                    "/spec/ports/2 hub=map[name:https port:443 protocol:TCP targetPort:https] member=-",
                    "/spec/ports/1/name hub=custom member=https",
                    "/spec/ports/1/port hub=10000 member=443",
                    "/spec/ports/1/protocol hub=UDP member=TCP",
                    "/spec/ports/1/targetPort hub=10000 member=https",
                ],
            ),
            (
                json!({"spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}}),
                json!({"spec": {}}),
                vec!["/spec/ports hub=[map[name:http port:80 protocol:TCP targetPort:8080]] member=-"],
            ),
            (
                json!({"kind": "Namespace", "spec": {}}),
                json!({"kind": "Namespace", "spec": {"finalizers": ["kubernetes"]}}),
                vec!["/spec/finalizers hub=- member=[kubernetes]"],
            ),
            (
                json!({"kind": "Namespace"}),
                json!({"kind": "Namespace", "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
                vec!["/spec hub=- member=map[finalizers:[kubernetes]]"],
            ),
            (
                json!({"spec": {"strategy": {}, "template": {"spec": {}}}}),
                json!({"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
                    "template": {"spec": {"securityContext": {}}}}}),
                vec![
                    "/spec/strategy/rollingUpdate hub=- member=map[maxSurge:25% maxUnavailable:25%]",
                    "/spec/template/spec/securityContext hub=- member=map[]",
                ],
            ),
            (
                json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "eA=="}, "metadata": {"labels": {"x": "1"}}}),
                json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "eQ=="}, "metadata": {"labels": {"x": "2"}}}),
                vec![
                    "/data/a hub=(redacted for security reasons) member=(redacted for security reasons)",
                    "/metadata/labels/x hub=1 member=2",
                ],
            ),
            (
                json!({"n": 1, "big": 5_000_000}),
                json!({"n": 1.0, "big": 6_000_000}),
                vec!["/big hub=5000000 member=6000000"],
            ),
            (
                json!({"a/b": {"c": true, "d": null}}),
                json!({"a/b": {"c": [], "d": 1.5}}),
                vec!["/a~1b/c hub=true member=[]", "/a~1b/d hub=<nil> member=1.5"],
            ),
        ];
        for (source, target, wanted) in cases {
            assert_eq!(lines(&source, &target), wanted, "{source} -> {target}");
        }
    }

    #[test]
    fn values_that_mean_the_same_are_no_difference() {
        let deployment = |container: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}});
        let hub = deployment(
            json!({"name": "c", "env": [], "command": null, "ports": [{"containerPort": 53}],
            "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 1.5, "memory": 1_073_741_824}}}),
        );
        let member = |cpu: &str| {
            deployment(json!({"name": "c", "ports": [{"containerPort": 53, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": cpu, "memory": "1Gi"}}}))
        };
        let at = "/spec/template/spec/containers/0";
        let protocol = format!("{at}/ports/0/protocol hub=- member=TCP");
        assert_eq!(lines(&hub, &member("1500m")), [protocol.as_str()]);
        let limit = format!("{at}/resources/limits/cpu hub=1.5 member=2");
        assert_eq!(lines(&hub, &member("2")), [protocol.as_str(), limit.as_str()]);
        let secret = |body: Value| {
            let mut secret = json!({"apiVersion": "v1", "kind": "Secret"});
            secret
                .as_object_mut()
                .unwrap()
                .extend(body.as_object().unwrap().clone());
            secret
        };
        let hub =
            secret(json!({"stringData": {"plain": "x"}, "data": {"wrapped": "aGVsbG8g\nd29ybGQ=\n", "plain": "b2xk"}}));
        let member = secret(json!({"data": {"plain": "eA==", "wrapped": "aGVsbG8gd29ybGQ="}}));
        assert_eq!(lines(&hub, &member), Vec::<String>::new());
    }

    #[test]
    fn surplus_items_show_themselves_and_the_list_ends_at_its_limit() {
        assert_eq!(
            lines(&json!({"l": [1, 2, 3]}), &json!({"l": [1]})),
            ["/l/1 hub=2 member=-", "/l/1 hub=3 member=-"]
        );
        let many: Vec<_> = (0..250).collect();
        assert_eq!(lines(&json!({"l": many}), &json!({"l": []})).len(), MAX_DETAILS);
    }
}
