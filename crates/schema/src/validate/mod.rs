//! Validating objects against a schema.
//!
//! Order and texts are the API server's. Errors in parts that an update does not change are forgiven (ratcheting).

mod lists;
mod values;

use crate::Schema;
use crate::error::{FieldError, join};
use crate::node::{Additional, Node};
use serde_json::Value;

/// Added when rules could not be evaluated because of other errors.
const RULES_NOT_CHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

impl Schema {
    /// All errors of `object`; `old` is what it replaces, `None` on creation.
    ///
    /// Metadata of the object itself is the caller's to check.
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check(&self.root, "", object, old, &mut errors);
        if let Some(scale) = &self.scale {
            scale.check(object, &mut errors);
        }
        embedded(&self.root, "", object, true, &mut errors);
        if old.is_none_or(|old| lists::check(&self.root, old).is_empty()) {
            errors.extend(lists::check(&self.root, object));
        }
        self.rules(object, old, &mut errors);
        errors
    }

    /// All errors of a write through the status subresource: only the status is checked, but every rule.
    pub fn validate_status(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let (Some(node), Some(status)) = (self.root.properties.get("status"), object.get("status")) {
            check(node, "", status, old.get("status"), &mut errors);
        }
        for error in &mut errors {
            error.path = if error.path == "<nil>" {
                "status".to_owned()
            } else {
                format!("status.{}", error.path)
            };
        }
        if let Some(scale) = &self.scale {
            scale.check_status(object, &mut errors);
        }
        self.rules(object, Some(old), &mut errors);
        errors
    }

    fn rules(&self, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
        if !self.has_rules {
            return;
        }
        if errors.iter().any(|error| error.kind.blocks_rules()) {
            errors.push(FieldError::invalid("", Value::Null, RULES_NOT_CHECKED));
        } else {
            crate::cel::check(&self.root, object, old, errors);
        }
    }
}

/// Checks one value and what is below it. Errors are dropped if the old value is the same.
fn check(node: &Node, path: &str, value: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let before = errors.len();
    values::kind(node, path, value, errors);
    if value.is_null() {
        values::enumeration(node, path, value, errors);
    } else {
        composition(node, path, value, errors);
        match value {
            Value::String(text) => values::text(node, path, text, errors),
            Value::Number(number) => values::number(node, path, number, errors),
            Value::Array(list) => {
                items(node, path, list, old, errors);
                values::list_size(node, path, list, errors);
            }
            _ => {}
        }
        values::enumeration(node, path, value, errors);
        if let Value::Object(_) = value {
            members(node, path, value, old, errors);
        }
    }
    if old == Some(value) {
        errors.truncate(before);
    }
}

fn items(node: &Node, path: &str, list: &[Value], old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if let Some(item) = &node.items {
        for (index, element) in list.iter().enumerate() {
            check(
                item,
                &format!("{path}[{index}]"),
                element,
                node.old_item(element, old),
                errors,
            );
        }
    }
}

fn members(node: &Node, path: &str, value: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Value::Object(map) = value else { return };
    values::map_size(node, path, map, errors);
    for (key, child) in map {
        let child_path = join(path, key);
        let old = old.and_then(|old| old.get(key));
        match (node.properties.get(key), &node.additional) {
            (Some(schema), _) => check(schema, &child_path, child, old, errors),
            (None, Additional::Schema(schema)) => check(schema, &child_path, child, old, errors),
            (None, Additional::Allowed(false)) => {
                let detail = format!("{path}.{key} in body is a forbidden property");
                errors.push(FieldError::invalid(path, Value::String(String::new()), detail));
            }
            (None, _) => {}
        }
    }
    for key in &node.required {
        if !map.contains_key(key) {
            errors.push(FieldError::required(&join(path, key), ""));
        }
    }
}

/// `anyOf`, `oneOf`, `allOf` and `not`: the error about the whole value, and the errors of the alternative that is nearest.
fn composition(node: &Node, path: &str, value: &Value, errors: &mut Vec<FieldError>) {
    let errors_of = |schema: &Node| {
        let mut inner = Vec::new();
        check(schema, path, value, None, &mut inner);
        inner
    };
    let invalid = |text: String| FieldError::invalid("", Value::String(String::new()), text);
    let nearest = |results: &[Vec<FieldError>]| {
        results
            .iter()
            .min_by_key(|list| list.len())
            .cloned()
            .unwrap_or_default()
    };
    if !node.any_of.is_empty() {
        let results: Vec<_> = node.any_of.iter().map(errors_of).collect();
        if !results.iter().any(Vec::is_empty) {
            errors.push(invalid(format!("{path:?} must validate at least one schema (anyOf)")));
            errors.extend(nearest(&results));
        }
    }
    if !node.one_of.is_empty() {
        let results: Vec<_> = node.one_of.iter().map(errors_of).collect();
        let valid = results.iter().filter(|list| list.is_empty()).count();
        if valid != 1 {
            let found = if valid == 0 {
                "Found none valid".to_owned()
            } else {
                format!("Found {valid} valid alternatives")
            };
            errors.push(invalid(format!(
                "{path:?} must validate one and only one schema (oneOf). {found}"
            )));
            if valid == 0 {
                errors.extend(nearest(&results));
            }
        }
    }
    let results: Vec<_> = node.all_of.iter().map(errors_of).collect();
    let valid = results.iter().filter(|list| list.is_empty()).count();
    errors.extend(results.into_iter().flatten());
    if valid != node.all_of.len() {
        let none = if valid == 0 { ". None validated" } else { "" };
        errors.push(invalid(format!("{path:?} must validate all the schemas (allOf){none}")));
    }
    if node.not.as_ref().is_some_and(|schema| errors_of(schema).is_empty()) {
        errors.push(invalid(format!("{path:?} must not validate the schema (not)")));
    }
}

/// Embedded objects say what they are.
fn embedded(node: &Node, path: &str, value: &Value, root: bool, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(map) => {
            if node.embedded && !root {
                for key in ["apiVersion", "kind"] {
                    let path = join(path, key);
                    match map.get(key) {
                        None => errors.push(FieldError::required(&path, "")),
                        Some(Value::String(text)) if text.is_empty() => {
                            errors.push(FieldError::invalid(&path, text.as_str().into(), "must not be empty"));
                        }
                        Some(Value::String(_)) => {}
                        Some(other) => errors.push(FieldError::invalid(&path, other.clone(), "must be a string")),
                    }
                }
            }
            for (key, child) in map {
                if let Some(schema) = node.member(key) {
                    embedded(schema, &join(path, key), child, false, errors);
                }
            }
        }
        Value::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                if let Some(item) = &node.items {
                    embedded(item, &format!("{path}[{index}]"), element, false, errors);
                }
            }
        }
        _ => {}
    }
}
