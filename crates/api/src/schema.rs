//! Building blocks of the JSON schemas that types cannot express by themselves.
//!
//! Markers that the CRD generator understands: `x-default` is a schema default (plain serde defaults are no schema
//! defaults), `x-kubernetes-*` are passed on.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Validation rules as the API server reads them: pairs of CEL expression and message.
pub(crate) fn rules(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(rule, message)| json!({ "rule": rule, "message": message }))
        .collect()
}

/// Object metadata: the API server supplies its schema.
pub(crate) fn metadata(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

/// A complete Kubernetes object of any kind.
pub(crate) fn embedded(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// A list of complete Kubernetes objects.
pub(crate) fn embedded_list(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": embedded(generator) })
}

/// An object with any content that the API server does not check.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// Any JSON value.
pub(crate) fn any_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// An integer without a stated width.
pub(crate) fn plain_integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer" })
}

/// Bytes, base64 on the wire.
pub(crate) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte" })
}

/// A plain text where the Rust type is narrower than the schema.
pub(crate) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// An integer or a text that matches `pattern`.
pub(crate) fn int_or_string(pattern: Option<&str>) -> Schema {
    let mut schema = json_schema!({
        "anyOf": [{ "type": "integer" }, { "type": "string" }],
        "x-kubernetes-int-or-string": true,
    });
    if let Some(pattern) = pattern {
        schema.insert("pattern".into(), pattern.into());
    }
    schema
}
