//! Checks of a schema when a definition is created: it must be structural, and its rules must compile.

use crate::error::{ErrorKind, FieldError};
use crate::rule::Rule;
use serde_json::Value;

/// The errors of an `openAPIV3Schema` that stands at `path` (such as `spec.versions[0].schema.openAPIV3Schema`).
pub fn check(schema: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if schema["type"] != "object" {
        let found = schema["type"].as_str().unwrap_or_default();
        if found.is_empty() {
            errors.push(FieldError::required(
                &format!("{path}.type"),
                "must not be empty at the root",
            ));
        } else {
            errors.push(FieldError::invalid(
                &format!("{path}.type"),
                found.into(),
                "must be object at the root",
            ));
        }
    }
    node(schema, path, true, &mut errors);
    errors
}

fn node(schema: &Value, path: &str, root: bool, errors: &mut Vec<FieldError>) {
    let kind = schema["type"].as_str().unwrap_or_default();
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true || schema["x-kubernetes-int-or-string"] == true;
    if kind.is_empty() && !open && !root {
        errors.push(FieldError::required(
            &format!("{path}.type"),
            "must not be empty for specified object fields",
        ));
    }
    if kind == "array" && !schema["items"].is_object() {
        errors.push(FieldError::required(&format!("{path}.items"), "must be specified"));
    }
    if schema["properties"].is_object() && schema["additionalProperties"].is_object() {
        let detail = "must not be used together with properties";
        errors.push(FieldError::new(
            ErrorKind::Forbidden,
            &format!("{path}.additionalProperties"),
            Value::Null,
            detail,
        ));
    }
    pattern(schema, path, errors);
    list(schema, path, errors);
    for (index, rule) in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if let Some(error) = Rule::read(rule).compile_error() {
            let detail = format!("compilation failed: {error}");
            errors.push(FieldError::invalid(
                &format!("{path}.x-kubernetes-validations[{index}].rule"),
                rule["rule"].clone(),
                detail,
            ));
        }
    }
    for (key, child) in schema["properties"].as_object().into_iter().flatten() {
        node(child, &format!("{path}.properties[{key}]"), false, errors);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            node(&schema[part], &format!("{path}.{part}"), false, errors);
        }
    }
}

fn pattern(schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(error) = regex::Regex::new(pattern)
    {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(FieldError::invalid(&format!("{path}.pattern"), pattern.into(), detail));
    }
}

fn list(schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = format!("{path}.x-kubernetes-list-map-keys");
    let keys = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    match schema["x-kubernetes-list-type"].as_str() {
        Some("map") if keys.is_empty() => {
            errors.push(FieldError::required(
                &at,
                "must not be empty if x-kubernetes-list-type is map",
            ));
        }
        Some("map") => {
            for (index, key) in keys.iter().enumerate() {
                let name = key.as_str().unwrap_or_default();
                if schema
                    .pointer("/items/properties")
                    .is_none_or(|properties| properties.get(name).is_none())
                {
                    let detail = "must refer to a property of the items";
                    errors.push(FieldError::invalid(&format!("{at}[{index}]"), key.clone(), detail));
                }
            }
        }
        None | Some("atomic" | "set") => {}
        Some(other) => {
            let supported = ["atomic", "map", "set"].map(str::to_owned);
            errors.push(FieldError::not_supported(
                &format!("{path}.x-kubernetes-list-type"),
                other.into(),
                &supported,
            ));
        }
    }
}
