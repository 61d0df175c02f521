//! Maps of which only one branch may be set: what is in the way of a configuration that names another branch.
//!
//! The server fills in a branch by itself where none is named (a Deployment's `rollingUpdate`, a volume's `emptyDir`), and later
//! refuses another one beside it.

use crate::ssa::{FieldSet, PathElement};
use crate::types::{ListKind, TypeInfo, Union};
use crate::values::is_absent;
use serde_json::{Map, Value};

/// Branches of `current` at `node` that cannot stay beside what `wanted` says. `given_up` says which fields were applied before
/// and are named no longer, so that the server assumes their default.
pub(crate) fn obstacles<'a>(
    wanted: &Map<String, Value>,
    current: &'a Map<String, Value>,
    given_up: impl Fn(&str) -> bool,
    node: TypeInfo<'_>,
) -> Vec<&'a str> {
    let names = |key: &str| wanted.get(key).is_some_and(|value| !is_absent(value, node.member(key)));
    let in_the_way = |key: &str| !names(key) && current.get(key).is_some_and(|value| !value.is_null());
    let lost: Vec<&String> = match node.union() {
        None => return Vec::new(),
        Some(Union::OneOf(branches)) if branches.iter().any(|key| names(key)) => branches.iter().collect(),
        Some(Union::OneOf(_)) => return Vec::new(),
        Some(Union::By {
            field,
            default,
            branches,
        }) => {
            let chosen = match wanted.get(field).and_then(Value::as_str) {
                Some(word) if !word.is_empty() => word,
                _ if given_up(field) => match default {
                    Some(default) => default,
                    None => return Vec::new(),
                },
                _ => return Vec::new(),
            };
            let others = branches.iter().filter(|(_, selector)| selector != chosen);
            others.map(|(key, _)| key).collect()
        }
    };
    let lost = lost.into_iter().filter(|key| in_the_way(key));
    lost.filter_map(|key| current.get_key_value(key))
        .map(|(key, _)| key.as_str())
        .collect()
}

/// The paths of all branches of `live` that cannot stay beside what `config` says; `before` is what was applied before.
pub fn branches_in_the_way(before: &Value, config: &Value, live: &Value, types: TypeInfo<'_>) -> FieldSet {
    let mut found = FieldSet::default();
    walk(&mut Vec::new(), before, config, live, types, &mut found);
    found
}

fn walk(
    path: &mut Vec<PathElement>,
    before: &Value,
    config: &Value,
    live: &Value,
    node: TypeInfo<'_>,
    found: &mut FieldSet,
) {
    match (config, live) {
        (Value::Object(wanted), Value::Object(current)) if !node.map_is_atomic() => {
            let given_up = |key: &str| before.get(key).is_some() && !wanted.contains_key(key);
            for key in obstacles(wanted, current, given_up, node) {
                path.push(PathElement::field(key));
                found.insert(path);
                path.pop();
            }
            for (key, value) in wanted {
                if let Some(live) = current.get(key) {
                    path.push(PathElement::field(key));
                    let before = before.get(key).unwrap_or(&Value::Null);
                    walk(path, before, value, live, node.member(key), found);
                    path.pop();
                }
            }
        }
        (Value::Array(wanted), Value::Array(current)) => {
            let kind = node.list();
            if !matches!(kind, ListKind::Keyed(_)) {
                return;
            }
            let step_of = |item: &Value| PathElement::item(node, &kind, item);
            for item in wanted {
                let Some(step) = step_of(item) else { continue };
                let twin = |list: &&Value| step_of(list).as_ref() == Some(&step);
                let before = before
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(twin)
                    .unwrap_or(&Value::Null);
                if let Some(live) = current.iter().find(twin) {
                    path.push(step.clone());
                    walk(path, before, item, live, node.item(), found);
                    path.pop();
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lost(api_version: &str, kind: &str, before: Value, config: Value, live: Value) -> Value {
        let types = TypeInfo::builtin(api_version, kind).unwrap();
        branches_in_the_way(&before, &config, &live, types).to_json()
    }

    fn in_spec(spec: Value) -> Value {
        json!({ "spec": spec })
    }

    fn in_pod(spec: Value) -> Value {
        in_spec(json!({"template": {"spec": spec}}))
    }

    #[test]
    fn defaulted_branches_of_strategies_are_in_the_way() {
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
        for (kind, field, other) in [
            ("Deployment", "strategy", "Recreate"),
            ("StatefulSet", "updateStrategy", "OnDelete"),
            ("DaemonSet", "updateStrategy", "OnDelete"),
        ] {
            let of = |strategy: Value| in_spec(json!({ field: strategy }));
            let cases = [
                (
                    json!({"type": other}),
                    json!({format!("f:{field}"): {"f:rollingUpdate": {}}}),
                ),
                (json!({"type": "RollingUpdate"}), Value::Null),
                (json!({}), Value::Null),
                // What the configuration names itself is for the server to refuse.
                (json!({"type": other, "rollingUpdate": {"partition": 1}}), Value::Null),
            ];
            for (strategy, wanted) in cases {
                let wanted = if wanted.is_null() {
                    json!({})
                } else {
                    json!({"f:spec": wanted})
                };
                let got = lost("apps/v1", kind, json!({}), of(strategy.clone()), of(rolling.clone()));
                assert_eq!(got, wanted, "{kind} {strategy}");
            }
        }
    }

    #[test]
    fn a_selector_that_is_given_up_counts_as_its_default() {
        let sticky = in_spec(
            json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}),
        );
        let plain = in_spec(json!({"type": "ClusterIP"}));
        let config = json!({"f:spec": {"f:sessionAffinityConfig": {}}});
        assert_eq!(
            lost(
                "v1",
                "Service",
                in_spec(json!({"sessionAffinity": "ClientIP"})),
                plain.clone(),
                sticky.clone()
            ),
            config
        );
        assert_eq!(
            lost("v1", "Service", json!({}), plain, sticky.clone()),
            json!({}),
            "somebody else's"
        );
        assert_eq!(
            lost(
                "v1",
                "Service",
                json!({}),
                in_spec(json!({"sessionAffinity": "None"})),
                sticky
            ),
            config
        );
    }

    #[test]
    fn sources_and_handlers() {
        let at_volume =
            json!({"f:spec": {"f:template": {"f:spec": {"f:volumes": {"k:{\"name\":\"v\"}": {"f:emptyDir": {}}}}}}});
        let volume = |source: Value| {
            let mut volume = json!({"name": "v"});
            volume
                .as_object_mut()
                .unwrap()
                .extend(source.as_object().unwrap().clone());
            in_pod(json!({"volumes": [{"name": "other", "emptyDir": {}}, volume]}))
        };
        let live = volume(json!({"emptyDir": {}}));
        assert_eq!(
            lost(
                "apps/v1",
                "Deployment",
                json!({}),
                volume(json!({"configMap": {"name": "c"}})),
                live.clone()
            ),
            at_volume
        );
        assert_eq!(
            lost("apps/v1", "Deployment", json!({}), volume(json!({})), live),
            json!({})
        );
        let container = |part: Value| {
            let mut container = json!({"name": "c"});
            container
                .as_object_mut()
                .unwrap()
                .extend(part.as_object().unwrap().clone());
            in_pod(json!({ "containers": [container] }))
        };
        let cases = [
            (
                json!({"livenessProbe": {"exec": {}}}),
                json!({"livenessProbe": {"httpGet": {"port": 1}, "periodSeconds": 10}}),
                json!({"f:livenessProbe": {"f:httpGet": {}}}),
            ),
            (
                json!({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}),
                json!({"lifecycle": {"preStop": {"exec": {}}}}),
                json!({"f:lifecycle": {"f:preStop": {"f:exec": {}}}}),
            ),
            (
                json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]}),
                json!({"env": [{"name": "A", "value": "x"}]}),
                json!({"f:env": {"k:{\"name\":\"A\"}": {"f:value": {}}}}),
            ),
            (
                json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]}),
                json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]}),
                json!({"f:env": {"k:{\"name\":\"A\"}": {"f:valueFrom": {"f:secretKeyRef": {}}}}}),
            ),
            (
                json!({"env": [{"name": "A", "value": ""}]}),
                json!({"env": [{"name": "A", "valueFrom": {}}]}),
                Value::Null,
            ),
        ];
        for (config, live, wanted) in cases {
            let got = lost(
                "apps/v1",
                "Deployment",
                json!({}),
                container(config.clone()),
                container(live),
            );
            let below = got
                .pointer("/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"c\"}")
                .cloned();
            assert_eq!(below.unwrap_or_default(), wanted, "{config}");
        }
        let config = in_spec(json!({"maxUnavailable": 1}));
        let live = in_spec(json!({"minAvailable": 1}));
        assert_eq!(
            lost("policy/v1", "PodDisruptionBudget", json!({}), config, live),
            json!({"f:spec": {"f:minAvailable": {}}})
        );
    }

    #[test]
    fn nothing_is_known_of_custom_resources() {
        let of = |branch: &str| in_spec(json!({"strategy": {"type": branch}}));
        let types = TypeInfo::unknown_object();
        assert_eq!(
            branches_in_the_way(&Value::Null, &of("a"), &of("b"), types),
            FieldSet::default()
        );
    }
}
