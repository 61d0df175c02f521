//! Lists of type set and map hold nothing twice.

use crate::error::{ErrorKind, FieldError, join};
use crate::node::{ListType, Node};
use serde_json::{Map, Value};

/// All duplicates in lists of type set or map.
pub(super) fn check(node: &Node, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(node, "", value, &mut errors);
    errors
}

fn walk(node: &Node, path: &str, value: &Value, errors: &mut Vec<FieldError>) {
    match value {
        Value::Array(list) => {
            match &node.list {
                ListType::Atomic => {}
                ListType::Set => duplicates(path, list, errors),
                ListType::Map(keys) => map_list(path, keys, list, errors),
            }
            for (index, element) in list.iter().enumerate() {
                if let Some(item) = &node.items {
                    walk(item, &format!("{path}[{index}]"), element, errors);
                }
            }
        }
        Value::Object(map) => {
            for (key, child) in map {
                if let Some(schema) = node.properties.get(key) {
                    walk(schema, &join(path, key), child, errors);
                } else if let Some(schema) = node.member(key) {
                    walk(schema, &format!("{path}[{key}]"), child, errors);
                }
            }
        }
        _ => {}
    }
}

fn map_list(path: &str, keys: &[String], list: &[Value], errors: &mut Vec<FieldError>) {
    for (index, element) in list.iter().enumerate() {
        if !element.is_null() && !element.is_object() {
            let detail = "must be an object for an array of list-type map";
            errors.push(FieldError::invalid(
                &format!("{path}[{index}]"),
                element.clone(),
                detail,
            ));
            return;
        }
    }
    let identity = |element: &Value| -> Value {
        let present = keys
            .iter()
            .filter_map(|key| Some((key.clone(), element.get(key)?.clone())));
        Value::Object(present.collect::<Map<_, _>>())
    };
    let identities: Vec<Value> = list.iter().map(identity).collect();
    duplicates(path, &identities, errors);
}

/// Each value that occurs again is reported once, at its second position.
fn duplicates(path: &str, list: &[Value], errors: &mut Vec<FieldError>) {
    for (index, value) in list.iter().enumerate() {
        if list[..index].iter().filter(|earlier| *earlier == value).count() == 1 {
            errors.push(FieldError::new(
                ErrorKind::Duplicate,
                &format!("{path}[{index}]"),
                value.clone(),
                "",
            ));
        }
    }
}
