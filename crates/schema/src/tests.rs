use crate::{Schema, strict_decoding_error, structural, summary};
use serde_json::{Value, json};

fn schema(properties: Value) -> Schema {
    Schema::from_json(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}))
        .unwrap()
}

/// The errors of a spec, as printed.
fn errors(schema: &Schema, spec: Value, old: Option<Value>) -> Vec<String> {
    let object = |spec| json!({"metadata": {"name": "x"}, "spec": spec});
    schema
        .validate(&object(spec), old.map(object).as_ref())
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn values_are_checked_with_the_texts_of_the_api_server() {
    let cases = [
        (
            json!({"type": "string"}),
            json!(1),
            r#"spec.f: Invalid value: "integer": spec.f in body must be of type string: "integer""#,
        ),
        (
            json!({"type": "integer"}),
            json!("1"),
            r#"spec.f: Invalid value: "string": spec.f in body must be of type integer: "string""#,
        ),
        (
            json!({"type": "integer"}),
            json!(1.5),
            r#"spec.f: Invalid value: "number": spec.f in body must be of type integer: "number""#,
        ),
        (
            json!({"type": "object"}),
            json!([]),
            r#"spec.f: Invalid value: "array": spec.f in body must be of type object: "array""#,
        ),
        (
            json!({"type": "string"}),
            json!(null),
            r#"spec.f: Invalid value: "null": spec.f in body must be of type string: "null""#,
        ),
        (
            json!({"type": "string", "enum": ["B", "A"]}),
            json!("x"),
            r#"spec.f: Unsupported value: "x": supported values: "B", "A""#,
        ),
        (
            json!({"type": "integer", "enum": [1, 2]}),
            json!(3),
            r#"spec.f: Unsupported value: 3: supported values: "1", "2""#,
        ),
        (
            json!({"type": "string", "maxLength": 2}),
            json!("abc"),
            "spec.f: Too long: may not be more than 2 bytes",
        ),
        (
            json!({"type": "string", "minLength": 1}),
            json!(""),
            r#"spec.f: Invalid value: "": spec.f in body should be at least 1 chars long"#,
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            r#"spec.f: Invalid value: "b": spec.f in body should match '^a+$'"#,
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("b"),
            r#"spec.f: Invalid value: "b": spec.f in body must be of type date-time: "b""#,
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            json!(0),
            "spec.f: Invalid value: 0: spec.f in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "integer", "maximum": 1}),
            json!(2),
            "spec.f: Invalid value: 2: spec.f in body should be less than or equal to 1",
        ),
        (
            json!({"type": "number", "minimum": 1, "exclusiveMinimum": true}),
            json!(1),
            "spec.f: Invalid value: 1: spec.f in body should be greater than 1",
        ),
        (
            json!({"type": "integer", "multipleOf": 5}),
            json!(7),
            "spec.f: Invalid value: 7: spec.f in body should be a multiple of 5",
        ),
        (
            json!({"type": "array", "maxItems": 31, "items": {"type": "integer"}}),
            json!(vec![0; 32]),
            "spec.f: Too many: 32: must have at most 31 items",
        ),
        (
            json!({"type": "array", "maxItems": 1, "items": {"type": "integer"}}),
            json!([1, 2]),
            "spec.f: Too many: 2: must have at most 1 item",
        ),
        (
            json!({"type": "array", "minItems": 1, "items": {"type": "integer"}}),
            json!([]),
            "spec.f: Invalid value: 0: spec.f in body should have at least 1 items",
        ),
        (
            json!({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}),
            json!({"a": "", "b": ""}),
            "spec.f: Too many: 2: must have at most 1 item",
        ),
        (
            json!({"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}),
            json!({}),
            "spec.f.x: Required value",
        ),
        (
            json!({"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string", "pattern": "^a$"}}}}),
            json!([{"n": "a"}, {"n": "b"}]),
            r#"spec.f[1].n: Invalid value: "b": spec.f[1].n in body should match '^a$'"#,
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"k": 1}),
            r#"spec.f.k: Invalid value: "integer": spec.f.k in body must be of type string: "integer""#,
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}),
            json!(["a", "b", "a"]),
            r#"spec.f[2]: Duplicate value: "a""#,
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "properties": {"k": {"type": "string"}}}}),
            json!([{"k": "a"}, {"k": "a"}]),
            r#"spec.f[1]: Duplicate value: {"k":"a"}"#,
        ),
        (
            json!({"type": "integer", "not": {"enum": [3]}}),
            json!(3),
            r#"<nil>: Invalid value: "": "spec.f" must not validate the schema (not)"#,
        ),
        (
            json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}),
            json!({"kind": "A"}),
            "spec.f.apiVersion: Required value: must not be empty",
        ),
    ];
    for (field, value, want) in cases {
        let found = errors(&schema(json!({"f": field})), json!({"f": value}), None);
        assert_eq!(found.first().map(String::as_str), Some(want), "{field} {found:?}");
    }
    let good = [
        (json!({"type": "integer"}), json!(1.0)),
        (json!({"type": "number"}), json!(1)),
        (json!({"type": "string", "nullable": true}), json!(null)),
        (
            json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
            json!("25%"),
        ),
        (
            json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
            json!(25),
        ),
        (json!({"type": "integer", "format": "int32"}), json!(1)),
        (json!({"type": "string", "maxLength": 2}), json!("äö")),
    ];
    for (field, value) in good {
        assert_eq!(
            errors(&schema(json!({"f": field})), json!({"f": value}), None),
            Vec::<String>::new(),
            "{field} {value}"
        );
    }
}

#[test]
fn int_or_string_and_rules_behind_other_errors() {
    let schema = schema(
        json!({"f": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-validations": [{"rule": "false", "message": "never"}]}}),
    );
    assert_eq!(
        errors(&schema, json!({"f": true}), None),
        [
            r#"spec.f: Invalid value: "boolean": spec.f in body must be of type integer,string: "boolean""#,
            r#"<nil>: Invalid value: "": "spec.f" must validate at least one schema (anyOf)"#,
            r#"spec.f: Invalid value: "boolean": spec.f in body must be of type integer: "boolean""#,
            r#"<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"#,
        ]
    );
    assert_eq!(
        errors(&schema, json!({"f": 1}), None),
        [r#"spec.f: Invalid value: "": never"#]
    );
}

#[test]
fn several_errors_are_listed_once_each() {
    let schema = schema(json!({"a": {"type": "integer"}, "b": {"type": "string", "maxLength": 1}}));
    let found = schema.validate(&json!({"spec": {"b": "xx"}}), None);
    assert!(summary(&found).starts_with("[spec.b: Too long: may not be more than 1 byte, <nil>: Invalid value: "));
    assert_eq!(found[0].kind.reason(), "FieldValueTooLong");
    assert_eq!(found[0].body(), "Too long: may not be more than 1 byte");
    assert_eq!(
        summary(&[found[0].clone(), found[0].clone()]),
        "spec.b: Too long: may not be more than 1 byte"
    );
}

#[test]
fn unchanged_values_are_forgiven_on_update() {
    let schema = schema(json!({
        "name": {"type": "string", "maxLength": 2},
        "list": {"type": "array", "items": {"type": "string", "pattern": "^a$"}},
        "entries": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", "maximum": 1,
                "x-kubernetes-validations": [{"rule": "self < 1", "message": "small"}]}}}}}));
    assert_eq!(
        errors(&schema, json!({"name": "abc"}), Some(json!({"name": "abc"}))),
        Vec::<String>::new()
    );
    assert_eq!(
        errors(
            &schema,
            json!({"name": "abc", "list": ["a"]}),
            Some(json!({"name": "abc"}))
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        errors(&schema, json!({"name": "abcd"}), Some(json!({"name": "abc"}))).len(),
        2
    );
    assert_eq!(
        errors(&schema, json!({"list": ["b", "a"]}), Some(json!({"list": ["b"]}))).len(),
        1
    );
    let old = json!({"entries": [{"k": "x", "v": 9}]});
    assert_eq!(
        errors(
            &schema,
            json!({"entries": [{"k": "y"}, {"k": "x", "v": 9}]}),
            Some(old.clone())
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        errors(&schema, json!({"entries": [{"k": "x", "v": 8}]}), Some(old)).len(),
        2
    );
}

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

#[test]
fn pruning_keeps_what_is_named_or_preserved() {
    let schema = schema(json!({
        "known": {"type": "string"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"strict": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "object": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"data": {"type": "object", "additionalProperties": {"type": "string"}}}}}));
    let mut object = json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "nope": 1}, "extra": 1, "spec": {
        "known": "k", "nope": 1,
        "free": {"any": {"thing": 1}, "strict": {"a": "1", "b": 1}},
        "map": {"x": {"a": "1", "b": 1}},
        "list": [{"a": "1"}, {"b": 1}],
        "object": {"apiVersion": "v1", "kind": "C", "metadata": {"name": "c", "labels": {"l": "1"}}, "data": {"k": "v"}, "junk": 1}}});
    let unknown = schema.prune(&mut object);
    assert_eq!(
        unknown,
        [
            "extra",
            "metadata.nope",
            "spec.free.strict.b",
            "spec.list[1].b",
            "spec.map.x.b",
            "spec.nope",
            "spec.object.junk"
        ]
    );
    assert_eq!(
        object,
        json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "spec": {
        "known": "k", "free": {"any": {"thing": 1}, "strict": {"a": "1"}}, "map": {"x": {"a": "1"}}, "list": [{"a": "1"}, {}],
        "object": {"apiVersion": "v1", "kind": "C", "metadata": {"name": "c", "labels": {"l": "1"}}, "data": {"k": "v"}}}})
    );
    assert_eq!(
        strict_decoding_error(&unknown[..2]).as_deref(),
        Some(r#"strict decoding error: unknown field "extra", unknown field "metadata.nope""#)
    );
    assert_eq!(strict_decoding_error(&[]), None);
}

#[test]
fn defaults_fill_gaps_and_forbidden_nulls() {
    let schema = schema(json!({
        "a": {"type": "string", "default": "x"},
        "nullable": {"type": "string", "nullable": true, "default": "x"},
        "gone": {"type": "string"},
        "outer": {"type": "object", "default": {}, "properties": {"inner": {"type": "integer", "default": 3}}},
        "absent": {"type": "object", "properties": {"inner": {"type": "integer", "default": 3}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"p": {"type": "integer", "default": 1}}}}}));
    let mut object =
        json!({"spec": {"a": null, "nullable": null, "gone": null, "list": [{}, {"p": "UDP"}], "map": {"k": {}}}});
    schema.default(&mut object);
    assert_eq!(
        object,
        json!({"spec": {"a": "x", "nullable": null, "outer": {"inner": 3}, "list": [{"p": "TCP"}, {"p": "UDP"}], "map": {"k": {"p": 1}}}})
    );
    let again = object.clone();
    schema.default(&mut object);
    assert_eq!(object, again);
}

#[test]
fn definitions_must_be_structural() {
    let bad = json!({"properties": {
        "a": {"description": "no type"},
        "b": {"type": "array"},
        "c": {"type": "string", "pattern": "("},
        "d": {"type": "string", "x-kubernetes-validations": [{"rule": "self =="}]},
        "e": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}},
        "f": {"type": "array", "x-kubernetes-list-type": "bag", "items": {"type": "object"}}}});
    let found: Vec<String> = structural::check(&bad, "s")
        .iter()
        .map(|error| format!("{} {:?}", error.path, error.kind))
        .collect();
    assert_eq!(
        found,
        [
            "s.type Required",
            "s.properties[a].type Required",
            "s.properties[b].items Required",
            "s.properties[c].pattern Invalid",
            "s.properties[d].x-kubernetes-validations[0].rule Invalid",
            "s.properties[e].x-kubernetes-list-map-keys Required",
            "s.properties[f].x-kubernetes-list-type NotSupported",
        ]
    );
    assert_eq!(
        structural::check(
            &json!({"type": "object", "properties": {"x": {"x-kubernetes-int-or-string": true}}}),
            "s"
        ),
        []
    );
    assert!(Schema::from_json(&bad).is_err());
}
