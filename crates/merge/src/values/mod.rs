//! When two values mean the same to the API server, however they are written.
//!
//! For built-in kinds the tables say which fields are quantities, numbers that may be text, or base64, and where the server
//! cannot distinguish an empty value from an absent one. Of other kinds only this is known: numbers count by their value, and null is
//! as good as absent.

mod quantity;

use crate::equal;
use crate::ssa::PathElement;
use crate::types::{ListKind, Scalar, TypeInfo};
use serde_json::Value;
use std::borrow::Cow;

/// Whether two values at `node` mean the same.
pub fn same(left: &Value, right: &Value, node: TypeInfo<'_>) -> bool {
    match (left, right) {
        (Value::Object(l), Value::Object(r)) => {
            let in_both = l
                .iter()
                .all(|(key, value)| same_member(Some(value), r.get(key), node.member(key)));
            let mut others = r.iter().filter(|(key, _)| !l.contains_key(*key));
            in_both && others.all(|(key, value)| is_absent(value, node.member(key)))
        }
        (Value::Array(l), Value::Array(r)) => {
            l.len() == r.len() && l.iter().zip(r).all(|(l, r)| same(l, r, node.item()))
        }
        _ => same_scalar(left, right, node.scalar()) || is_absent(left, node) && is_absent(right, node),
    }
}

/// Whether a member of a map, which may be missing, means the same on both sides.
pub fn same_member(left: Option<&Value>, right: Option<&Value>, node: TypeInfo<'_>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => same(left, right, node),
        (Some(only), None) | (None, Some(only)) => is_absent(only, node),
        (None, None) => true,
    }
}

/// Whether a value at `node` is as good as none.
pub fn is_absent(value: &Value, node: TypeInfo<'_>) -> bool {
    value.is_null() || node.zero_is_absent() && is_zero(value, node)
}

/// Whether everything that `part` says is so in `whole`, as an apply of it would leave it: elements of lists that are merged are
/// found by their keys and stand in the order of `part`, and null says nothing.
pub fn holds(whole: &Value, part: &Value, node: TypeInfo<'_>) -> bool {
    match (part, whole) {
        (Value::Null, _) => true,
        (Value::Object(part), Value::Object(whole)) if !node.map_is_atomic() => {
            part.iter().all(|(key, part)| match whole.get(key) {
                Some(whole) => holds(whole, part, node.member(key)),
                None => is_absent(part, node.member(key)),
            })
        }
        (Value::Array(part), Value::Array(whole)) if node.list() != ListKind::Atomic => {
            let kind = node.list();
            let steps: Vec<_> = whole.iter().map(|item| PathElement::item(node, &kind, item)).collect();
            let mut last = None;
            part.iter().all(|item| {
                let step = PathElement::item(node, &kind, item);
                let place = step.and_then(|step| steps.iter().position(|other| other.as_ref() == Some(&step)));
                let is_next = place.is_some() && last < place;
                last = place;
                is_next && place.is_some_and(|place| holds(&whole[place], item, node.item()))
            })
        }
        _ => same(part, whole, node),
    }
}

fn is_zero(value: &Value, node: TypeInfo<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) if node.scalar() == Scalar::Quantity => quantity::nanos(text) == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        // Of a map of names every name counts, of a structure only what its fields say.
        Value::Object(map) => map
            .iter()
            .all(|(key, value)| node.declares(key) && is_absent(value, node.member(key))),
    }
}

fn same_scalar(left: &Value, right: &Value, scalar: Scalar) -> bool {
    if equal::same(left, right) {
        return true;
    }
    let (Some(left), Some(right)) = (text(left), text(right)) else {
        return false;
    };
    match scalar {
        Scalar::Plain => false,
        Scalar::Quantity => {
            let left = quantity::nanos(&left);
            left.is_some() && left == quantity::nanos(&right)
        }
        Scalar::IntOrString => left == right,
        Scalar::Bytes => left.chars().filter(is_base64).eq(right.chars().filter(is_base64)),
    }
}

/// The text of a text or number.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// Line breaks in base64 are passed over.
fn is_base64(character: &char) -> bool {
    !matches!(character, '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(api_version: &str, kind: &str, path: &str) -> TypeInfo<'static> {
        let steps = path.split('/').filter(|step| !step.is_empty());
        steps.fold(TypeInfo::builtin(api_version, kind).unwrap(), |node, step| match step {
            "[]" => node.item(),
            step => node.member(step),
        })
    }

    #[test]
    fn values_that_mean_the_same() {
        let (pod, resources) = ("/spec", "/spec/containers/[]/resources");
        let cases = [
            // Quantities.
            (
                "v1",
                "Pod",
                resources,
                json!({"limits": {"cpu": 1.5}}),
                json!({"limits": {"cpu": "1500m"}}),
                true,
            ),
            (
                "v1",
                "Pod",
                resources,
                json!({"limits": {"cpu": "1000m"}}),
                json!({"limits": {"cpu": "1"}}),
                true,
            ),
            (
                "v1",
                "Pod",
                resources,
                json!({"limits": {"cpu": 1}}),
                json!({"limits": {"cpu": "1"}}),
                true,
            ),
            (
                "v1",
                "Pod",
                resources,
                json!({"limits": {"memory": "1024Mi"}}),
                json!({"limits": {"memory": "1Gi"}}),
                true,
            ),
            (
                "v1",
                "Pod",
                resources,
                json!({"limits": {"memory": 1_073_741_824}}),
                json!({"limits": {"memory": "1Gi"}}),
                true,
            ),
            (
                "v1",
                "Pod",
                resources,
                json!({"limits": {"memory": "1G"}}),
                json!({"limits": {"memory": "1Gi"}}),
                false,
            ),
            (
                "v1",
                "Pod",
                resources,
                json!({"limits": {"memory": "much"}}),
                json!({"limits": {"memory": "more"}}),
                false,
            ),
            (
                "v1",
                "ResourceQuota",
                "/spec",
                json!({"hard": {"pods": 4}}),
                json!({"hard": {"pods": "4"}}),
                true,
            ),
            (
                "v1",
                "PersistentVolumeClaim",
                "/spec",
                json!({"resources": {"requests": {"storage": "1Ti"}}}),
                json!({"resources": {"requests": {"storage": "1024Gi"}}}),
                true,
            ),
            (
                "v1",
                "Pod",
                "/spec/volumes/[]",
                json!({"emptyDir": {"sizeLimit": "0.5Gi"}}),
                json!({"emptyDir": {"sizeLimit": "512Mi"}}),
                true,
            ),
            (
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                "/spec/metrics/[]/resource/target",
                json!({"averageValue": "0.1"}),
                json!({"averageValue": "100m"}),
                true,
            ),
            // The same texts where they are no quantities.
            (
                "v1",
                "ConfigMap",
                "",
                json!({"data": {"cpu": "1000m"}}),
                json!({"data": {"cpu": "1"}}),
                false,
            ),
            (
                "v1",
                "Pod",
                "/spec/containers/[]/env/[]",
                json!({"value": "1.0"}),
                json!({"value": "1"}),
                false,
            ),
            // Numbers that may be text.
            (
                "v1",
                "Service",
                "/spec/ports/[]",
                json!({"targetPort": "80"}),
                json!({"targetPort": 80}),
                true,
            ),
            (
                "v1",
                "Service",
                "/spec/ports/[]",
                json!({"targetPort": "http"}),
                json!({"targetPort": 80}),
                false,
            ),
            (
                "v1",
                "Service",
                "/spec/ports/[]",
                json!({"port": 80.0}),
                json!({"port": 80}),
                true,
            ),
            // Base64.
            (
                "v1",
                "Secret",
                "",
                json!({"data": {"a": "aGVsbG8g\nd29ybGQ=\n"}}),
                json!({"data": {"a": "aGVsbG8gd29ybGQ="}}),
                true,
            ),
            (
                "v1",
                "Secret",
                "",
                json!({"data": {"a": "eA=="}}),
                json!({"data": {"a": "eQ=="}}),
                false,
            ),
            (
                "v1",
                "ConfigMap",
                "",
                json!({"data": {"a": "x\ny"}}),
                json!({"data": {"a": "xy"}}),
                false,
            ),
            // Empty and absent.
            (
                "v1",
                "Pod",
                pod,
                json!({"tolerations": null, "nodeSelector": {}, "hostname": "", "hostNetwork": false}),
                json!({}),
                true,
            ),
            (
                "v1",
                "Pod",
                "/spec/containers/[]",
                json!({"env": [], "resources": {}, "stdin": false}),
                json!({}),
                true,
            ),
            (
                "v1",
                "Pod",
                "/spec/containers/[]",
                json!({"resources": {"limits": {}}}),
                json!({"resources": {}}),
                true,
            ),
            (
                "v1",
                "Pod",
                "/spec/containers/[]/env/[]",
                json!({"name": "A", "value": ""}),
                json!({"name": "A"}),
                true,
            ),
            // Empty and absent where they differ.
            (
                "v1",
                "Pod",
                pod,
                json!({"automountServiceAccountToken": false}),
                json!({}),
                false,
            ),
            ("v1", "Pod", pod, json!({"securityContext": {}}), json!({}), false),
            (
                "v1",
                "Pod",
                "/spec/volumes/[]",
                json!({"emptyDir": {}}),
                json!({}),
                false,
            ),
            (
                "v1",
                "PersistentVolumeClaim",
                "/spec",
                json!({"storageClassName": ""}),
                json!({}),
                false,
            ),
            (
                "apps/v1",
                "Deployment",
                "/spec",
                json!({"replicas": 0}),
                json!({}),
                false,
            ),
            (
                "networking.k8s.io/v1",
                "NetworkPolicy",
                "/spec/ingress/[]/from/[]",
                json!({"namespaceSelector": {}}),
                json!({}),
                false,
            ),
            (
                "v1",
                "ConfigMap",
                "",
                json!({"data": {"a": ""}}),
                json!({"data": {}}),
                false,
            ),
        ];
        for (api_version, kind, path, left, right, wanted) in cases {
            let node = at(api_version, kind, path);
            assert_eq!(same(&left, &right, node), wanted, "{left} {right}");
            assert_eq!(same(&right, &left, node), wanted, "{right} {left}");
        }
    }

    #[test]
    fn a_whole_holds_a_part() {
        let port = |number: u16, protocol: &str| json!({"containerPort": number, "protocol": protocol, "name": "n"});
        let ports = |list: Vec<Value>| json!({ "ports": list });
        let whole = ports(vec![port(53, "UDP"), port(53, "TCP"), port(80, "TCP")]);
        let cases = [
            (
                ports(vec![
                    json!({"containerPort": 53}),
                    json!({"containerPort": 80, "name": "n"}),
                ]),
                true,
            ),
            (
                ports(vec![json!({"containerPort": 80}), json!({"containerPort": 53})]),
                false,
            ),
            (ports(vec![json!({"containerPort": 53, "name": "m"})]), false),
            (ports(vec![json!({"containerPort": 81})]), false),
            (json!({"ports": null, "env": [], "image": ""}), true),
            (json!({"args": ["a"]}), false),
        ];
        for (part, wanted) in cases {
            assert_eq!(
                holds(&whole, &part, at("v1", "Pod", "/spec/containers/[]")),
                wanted,
                "{part}"
            );
        }
        assert!(!holds(
            &json!({"args": ["a", "b"]}),
            &json!({"args": ["a"]}),
            at("v1", "Pod", "/spec/containers/[]")
        ));
    }

    #[test]
    fn of_unknown_kinds_only_what_is_safe_is_taken_as_equal() {
        let unknown = TypeInfo::unknown_object();
        let equal = |left: Value, right: Value| same(&left, &right, unknown);
        assert!(equal(json!({"spec": {"a": 1, "b": null}}), json!({"spec": {"a": 1.0}})));
        for (left, right) in [
            (json!({"a": []}), json!({})),
            (json!({"a": {}}), json!({})),
            (json!({"a": ""}), json!({})),
            (json!({"a": "1000m"}), json!({"a": "1"})),
            (json!({"a": "1"}), json!({"a": 1})),
            (json!({"a": 0}), json!({"a": false})),
        ] {
            assert!(!equal(json!({"spec": left}), json!({"spec": right})), "{left} {right}");
        }
    }
}
