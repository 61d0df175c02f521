use super::{errors, schema};
use crate::{Scale, Schema, summary};
use serde_json::{Value, json};

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
            "spec.f.apiVersion: Required value",
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
fn without_rules_nothing_is_said_about_rules() {
    let schema = schema(json!({"f": {"type": "integer"}}));
    assert_eq!(
        errors(&schema, json!({"f": "x"}), None),
        [r#"spec.f: Invalid value: "string": spec.f in body must be of type integer: "string""#]
    );
}

#[test]
fn several_errors_are_listed_once_each() {
    let schema = schema(json!({"a": {"type": "integer"}, "b": {"type": "string", "maxLength": 1}}));
    let found = schema.validate(&json!({"spec": {"b": "xx"}}), None);
    assert_eq!(summary(&found), "spec.b: Too long: may not be more than 1 byte");
    assert_eq!(found[0].kind.reason(), "FieldValueTooLong");
    assert_eq!(found[0].body(), "Too long: may not be more than 1 byte");
    assert_eq!(
        summary(&[found[0].clone(), found[0].clone()]),
        "spec.b: Too long: may not be more than 1 byte"
    );
}

#[test]
fn unchanged_invalid_values_are_accepted_on_update() {
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

#[test]
fn scales_are_checked_on_the_side() {
    let scale = Scale {
        spec_replicas: ".spec.replicas".into(),
        status_replicas: ".status.replicas".into(),
        label_selector: Some(".status.selector".into()),
    };
    let schema = Schema::from_json(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))
        .unwrap()
        .with_scale(scale);
    let texts = |object: Value| {
        schema
            .validate(&object, None)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        texts(json!({"spec": {"replicas": 3}, "status": {"selector": "a=b"}})),
        Vec::<String>::new()
    );
    assert_eq!(
        texts(json!({"spec": {"replicas": -1}})),
        [".spec.replicas: Invalid value: -1: should be a non-negative integer"]
    );
    assert_eq!(
        texts(json!({"spec": {"replicas": "x"}})),
        [".spec.replicas: Invalid value: 0: .spec.replicas accessor error: x is of the type string, expected int64"]
    );
}

#[test]
fn status_writes_check_the_status_only() {
    let schema = Schema::from_json(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"n": {"type": "integer"}}}}}))
    .unwrap();
    let old = json!({"spec": {"a": "bad"}});
    assert_eq!(
        schema.validate_status(&json!({"spec": {"a": "bad"}, "status": {"n": 1}}), &old),
        []
    );
    let found = schema.validate_status(&json!({"spec": {"a": "bad"}, "status": {"n": "x"}}), &old);
    let text = r#"status.n: Invalid value: "string": n in body must be of type integer: "string""#;
    assert_eq!(found[0].to_string(), text);
}
