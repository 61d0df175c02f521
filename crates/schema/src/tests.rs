//! Tests of whole schemas.

mod rules;
mod values;

use crate::Schema;
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
        crate::strict_decoding_error(&unknown[..2]).as_deref(),
        Some(r#"strict decoding error: unknown field "extra", unknown field "metadata.nope""#)
    );
    assert_eq!(crate::strict_decoding_error(&[]), None);
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
    let found: Vec<String> = crate::structural::check(&bad, "s")
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
        crate::structural::check(
            &json!({"type": "object", "properties": {"x": {"x-kubernetes-int-or-string": true}}}),
            "s"
        ),
        []
    );
    assert!(Schema::from_json(&bad).is_err());
}
