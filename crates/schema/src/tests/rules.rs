use super::{errors, schema};
use crate::Schema;
use serde_json::{Value, json};

/// Rule, value of `spec.f`, old value, and the error that is expected (empty: none).
fn check_rule(rule: Value, kind: Value, cases: &[(Value, Option<Value>, &str)]) {
    let mut field = kind;
    field["x-kubernetes-validations"] = json!([rule]);
    let schema = schema(json!({"f": field}));
    for (value, old, want) in cases {
        let old = old
            .clone()
            .map(|old| if old.is_null() { json!({}) } else { json!({"f": old}) });
        let found = errors(&schema, json!({"f": value}), old).join(" | ");
        assert_eq!(found, *want, "{rule} {value}");
    }
}

fn text_rule(rule: &str) -> Value {
    json!({"rule": rule, "message": "no"})
}

const NO: &str = r#"spec.f: Invalid value: "object": no"#;
const NO_LIST: &str = r#"spec.f: Invalid value: "array": no"#;
const NO_TEXT: &str = r#"spec.f: Invalid value: "string": no"#;

fn free_object() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

#[test]
fn rules_of_placements() {
    let selectors = "!(self.statusReportingScope == 'NamespaceAccessible' && size(self.resourceSelectors.filter(x, x.kind == 'Namespace')) != 1)";
    check_rule(
        text_rule(selectors),
        free_object(),
        &[
            (
                json!({"statusReportingScope": "NamespaceAccessible", "resourceSelectors": [{"kind": "Namespace"}]}),
                None,
                "",
            ),
            (
                json!({"statusReportingScope": "NamespaceAccessible", "resourceSelectors": [{"kind": "A"}]}),
                None,
                NO,
            ),
            (
                json!({"statusReportingScope": "ClusterScopeOnly", "resourceSelectors": []}),
                None,
                "",
            ),
        ],
    );
    let ns = "x.kind == 'Namespace' && x.group == \"\" && x.version == 'v1'";
    let nsr = format!("{ns} && has(x.selectionScope) && x.selectionScope == 'NamespaceWithResourceSelectors'");
    let by_name = format!(
        "size(self.resourceSelectors.filter(x, {nsr})) == 0 || (size(self.resourceSelectors.filter(x, {nsr} && has(x.name) && size(x.name) > 0 && !has(x.labelSelector))) == 1)"
    );
    let selector = |extra: Value| {
        let mut selector = json!({"group": "", "version": "v1", "kind": "Namespace", "selectionScope": "NamespaceWithResourceSelectors"});
        selector
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        json!({"resourceSelectors": [selector]})
    };
    check_rule(
        text_rule(&by_name),
        free_object(),
        &[
            (selector(json!({"name": "n"})), None, ""),
            (selector(json!({})), None, NO),
            (selector(json!({"name": "n", "labelSelector": {}})), None, NO),
        ],
    );
    check_rule(
        text_rule("!(has(oldSelf.policy) && !has(self.policy))"),
        free_object(),
        &[
            (json!({}), None, ""),
            (json!({}), Some(json!({"policy": {}})), NO),
            (json!({"policy": {}}), Some(json!({})), ""),
        ],
    );
    check_rule(
        text_rule("!has(oldSelf.statusReportingScope) || self.statusReportingScope == oldSelf.statusReportingScope"),
        free_object(),
        &[
            (json!({"statusReportingScope": "a"}), Some(json!({})), ""),
            (
                json!({"statusReportingScope": "a"}),
                Some(json!({"statusReportingScope": "b"})),
                NO,
            ),
        ],
    );
    check_rule(
        text_rule(
            "self.placementType != 'PickFixed' || (!has(self.affinity) && !has(self.numberOfClusters) && !has(self.topologySpreadConstraints) && !has(self.tolerations))",
        ),
        free_object(),
        &[
            (json!({"placementType": "PickFixed"}), None, ""),
            (json!({"placementType": "PickFixed", "tolerations": []}), None, NO),
        ],
    );
    check_rule(
        text_rule("!(self != 'External' && oldSelf == 'External')"),
        json!({"type": "string"}),
        &[
            (json!("RollingUpdate"), None, ""),
            (json!("RollingUpdate"), Some(json!("External")), NO_TEXT),
        ],
    );
    check_rule(
        json!({"rule": "(self == null) || (self.type == 'Mirror' ? size(self.destination) != 0 : true)", "message": "when mirrored"}),
        free_object(),
        &[
            (json!({"type": "Mirror", "destination": "x"}), None, ""),
            (json!({"type": "Disabled"}), None, ""),
            (
                json!({"type": "Mirror"}),
                None,
                r#"spec.f: Invalid value: "object": no such key: destination evaluating rule: when mirrored"#,
            ),
        ],
    );
}

#[test]
fn rules_of_lists() {
    let list = || json!({"type": "array", "items": free_object()});
    check_rule(
        text_rule("self.all(x, !(has(x.name) && size(x.name) > 0 && has(x.labelSelector)))"),
        list(),
        &[
            (json!([{"name": "a"}, {"labelSelector": {}}]), None, ""),
            (json!([{"name": "a", "labelSelector": {}}]), None, NO_LIST),
            (json!([{"name": "", "labelSelector": {}}]), None, ""),
        ],
    );
    check_rule(
        text_rule("self.all(x, x.operator != 'Exists' || !has(x.value) || size(x.value) == 0)"),
        list(),
        &[
            (
                json!([{"operator": "Exists"}, {"operator": "Equal", "value": "v"}]),
                None,
                "",
            ),
            (json!([{"operator": "Exists", "value": "v"}]), None, NO_LIST),
        ],
    );
    check_rule(
        text_rule("self.all(x, (has(x.key) && size(x.key) > 0) || x.operator == 'Exists')"),
        list(),
        &[
            (json!([{"key": "k", "operator": "Equal"}]), None, ""),
            (json!([{"operator": "Equal"}]), None, NO_LIST),
        ],
    );
    check_rule(
        text_rule("!self.exists(e, e.type == 'TimedWait' && !has(e.waitTime))"),
        list(),
        &[
            (
                json!([{"type": "TimedWait", "waitTime": "1h"}, {"type": "Approval"}]),
                None,
                "",
            ),
            (json!([{"type": "TimedWait"}]), None, NO_LIST),
        ],
    );
    check_rule(
        text_rule("self.all(t, t.key != '' || (t.operator == 'Exists' && t.value == ''))"),
        list(),
        &[
            (
                json!([{"key": "k"}, {"key": "", "operator": "Exists", "value": ""}]),
                None,
                "",
            ),
            (json!([{"key": "", "operator": "Equal", "value": ""}]), None, NO_LIST),
        ],
    );
    check_rule(
        text_rule(
            "(self.operator == 'In' || self.operator == 'NotIn') ? (has(self.values) && size(self.values) > 0) : true",
        ),
        free_object(),
        &[
            (json!({"operator": "In", "values": ["a"]}), None, ""),
            (json!({"operator": "In"}), None, NO),
            (json!({"operator": "Exists"}), None, ""),
        ],
    );
}

#[test]
fn rules_with_types_and_conversions() {
    let either = || json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    check_rule(
        text_rule("type(self) == string ? self.matches('^(100|[0-9]{1,2})%$') : self >= 0"),
        either(),
        &[
            (json!("50%"), None, ""),
            (json!(0), None, ""),
            (json!(-1), None, r#"spec.f: Invalid value: "": no"#),
            (json!("101%"), None, r#"spec.f: Invalid value: "": no"#),
        ],
    );
    check_rule(
        text_rule("self == null || type(self) != int || self >= 1"),
        either(),
        &[
            (json!("10%"), None, ""),
            (json!(1), None, ""),
            (json!(0), None, r#"spec.f: Invalid value: "": no"#),
        ],
    );
    let count = "!has(self.minCount) || !has(self.count) || (type(self.count) == string && self.count == 'All') || (type(self.count) == int && self.minCount <= self.count) || (type(self.count) == string && self.count.matches('^[0-9]+$') && self.minCount <= int(self.count))";
    check_rule(
        text_rule(count),
        free_object(),
        &[
            (json!({"minCount": 2, "count": "All"}), None, ""),
            (json!({"minCount": 2, "count": 3}), None, ""),
            (json!({"minCount": 2, "count": "10"}), None, ""),
            (json!({"minCount": 2, "count": 1}), None, NO),
            (json!({"minCount": 2, "count": "1"}), None, NO),
            (json!({"minCount": 2}), None, ""),
        ],
    );
    check_rule(
        text_rule("size(self) < 4 && self.size() < 4"),
        json!({"type": "string"}),
        &[(json!("äöü"), None, ""), (json!("äöüx"), None, NO_TEXT)],
    );
    check_rule(
        text_rule("self > 1"),
        either(),
        &[(
            json!("text"),
            None,
            r#"spec.f: Invalid value: "": 'no such overload': call arguments did not match a supported operator, function or macro signature for rule: no"#,
        )],
    );
    check_rule(
        text_rule("self == oldSelf"),
        free_object(),
        &[
            (json!({"a": [1, {"b": "c"}]}), Some(json!({"a": [1, {"b": "c"}]})), ""),
            (json!({"a": [1]}), Some(json!({"a": [2]})), NO),
            (json!({"a": [1]}), Some(Value::Null), ""),
        ],
    );
    let placement = "(has(oldSelf.placement) && has(self.placement) && oldSelf.placement == self.placement) || (!has(oldSelf.placement) && !has(self.placement))";
    check_rule(
        text_rule(placement),
        free_object(),
        &[
            (
                json!({"placement": {"name": "a"}}),
                Some(json!({"placement": {"name": "a"}})),
                "",
            ),
            (json!({}), Some(json!({"placement": {"name": "a"}})), NO),
            (json!({}), Some(json!({"x": 1})), ""),
        ],
    );
    check_rule(
        text_rule("!(has(oldSelf.state) && oldSelf.state == 'Initialize' && self.state == 'Stop')"),
        free_object(),
        &[
            (json!({"state": "Stop"}), Some(json!({"state": "Initialize"})), NO),
            (json!({"state": "Stop"}), Some(json!({"state": "Run"})), ""),
        ],
    );
}

#[test]
fn rules_may_say_where_and_what() {
    let rule = json!({"rule": "self.a == 1", "messageExpression": "'a is ' + string(self.a)", "fieldPath": ".a", "reason": "FieldValueForbidden"});
    check_rule(
        rule,
        free_object(),
        &[(json!({"a": 2}), None, "spec.f.a: Forbidden: a is 2")],
    );
    check_rule(
        json!({"rule": "self.a == 1"}),
        free_object(),
        &[(
            json!({"a": 2}),
            None,
            r#"spec.f: Invalid value: "object": failed rule: self.a == 1"#,
        )],
    );
    check_rule(
        json!({"rule": "oldSelf.hasValue() || self == 'first'", "optionalOldSelf": true, "message": "no"}),
        json!({"type": "string"}),
        &[
            (json!("first"), None, ""),
            (json!("other"), None, NO_TEXT),
            (json!("other"), Some(json!("first")), ""),
        ],
    );
    check_rule(
        text_rule("self.__dash__name == 'x' && self.a__dot__b == 'y' && self.__namespace__ == 'z'"),
        free_object(),
        &[(json!({"-name": "x", "a.b": "y", "namespace": "z"}), None, "")],
    );
    check_rule(
        text_rule("self.t < timestamp('2026-01-02T00:00:00Z') && self.d > duration('1s')"),
        json!({"type": "object", "properties": {"t": {"type": "string", "format": "date-time"}, "d": {"type": "string", "format": "duration"}}}),
        &[
            (json!({"t": "2026-01-01T00:00:00Z", "d": "1m"}), None, ""),
            (json!({"t": "2026-01-03T00:00:00Z", "d": "1m"}), None, NO),
        ],
    );
}

#[test]
fn rules_on_the_object_see_its_name_only() {
    let schema = Schema::from_json(
        &json!({"type": "object", "properties": {"spec": free_object()}, "x-kubernetes-validations": [
        {"rule": "size(self.metadata.name) < 4", "message": "metadata.name max length is 3"},
        {"rule": "!has(self.metadata.labels)", "message": "labels are hidden"},
        {"rule": "!has(self.spec.placement) || self.spec.placement.scope != 'Namespaced'", "message": "scope"}]}),
    )
    .unwrap();
    let found = schema.validate(
        &json!({"metadata": {"name": "long", "labels": {"a": "b"}}, "spec": {"placement": {"scope": "Namespaced"}}}),
        None,
    );
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            r#"<nil>: Invalid value: "object": metadata.name max length is 3"#,
            r#"<nil>: Invalid value: "object": scope"#
        ]
    );
}
