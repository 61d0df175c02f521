//! Applying a strategic merge patch.

use super::order::{self, Key};
use super::{DELETE_FROM, PATCH, RETAIN_KEYS, SET_ORDER, StrategicError, key_of};
use crate::types::TypeInfo;
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Merges `patch` into `doc`, which stands at `node`.
pub(super) fn map(mut doc: Object, patch: &Object, node: TypeInfo<'_>) -> Result<Object, StrategicError> {
    match patch.get(PATCH).map(Value::as_str) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => return Ok(strip(patch)),
        Some(Some("delete")) => return Ok(Object::new()),
        Some(_) => return Err(bad(PATCH)),
    }
    retain_keys(&mut doc, patch)?;
    for (key, value) in patch {
        if key == PATCH || key == RETAIN_KEYS {
            continue;
        }
        if let Some(field) = key.strip_prefix(SET_ORDER) {
            list(&mut doc, patch, field, node)?;
        } else if let Some(field) = key.strip_prefix(DELETE_FROM) {
            if !patch.contains_key(field) && !patch.contains_key(&format!("{SET_ORDER}{field}")) {
                list(&mut doc, patch, field, node)?;
            }
        } else if value.is_null() {
            doc.remove(key);
        } else if value.is_array() && node.member(key).patch().merge {
            if !patch.contains_key(&format!("{SET_ORDER}{key}")) {
                list(&mut doc, patch, key, node)?;
            }
        } else {
            member(&mut doc, key, value, node.member(key))?;
        }
    }
    Ok(doc)
}

fn member(doc: &mut Object, key: &str, value: &Value, node: TypeInfo<'_>) -> Result<(), StrategicError> {
    let merged = match (doc.remove(key), value) {
        (Some(Value::Object(live)), Value::Object(patch)) if !node.patch().replace => {
            Value::Object(map(live, patch, node)?)
        }
        (_, Value::Object(patch)) if patch.contains_key(PATCH) => {
            // Nothing to merge with: a directive that deletes leaves nothing, one that replaces leaves its content.
            match map(Object::new(), patch, node)? {
                rest if rest.is_empty() => return Ok(()),
                rest => Value::Object(rest),
            }
        }
        _ => clean(value),
    };
    doc.insert(key.to_owned(), merged);
    Ok(())
}

/// Drops what the patch's `$retainKeys` does not name.
fn retain_keys(doc: &mut Object, patch: &Object) -> Result<(), StrategicError> {
    let Some(directive) = patch.get(RETAIN_KEYS) else {
        return Ok(());
    };
    let kept: Vec<&str> = directive
        .as_array()
        .ok_or_else(|| bad(RETAIN_KEYS))?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let names_all = patch
        .iter()
        .filter(|(key, value)| !value.is_null() && !key.starts_with('$'))
        .all(|(key, _)| kept.contains(&key.as_str()));
    if !names_all {
        return Err(bad(RETAIN_KEYS));
    }
    doc.retain(|key, _| kept.contains(&key.as_str()));
    Ok(())
}

/// Merges the list `field`: deletions of scalars, elements, order.
fn list(doc: &mut Object, patch: &Object, field: &str, node: TypeInfo<'_>) -> Result<(), StrategicError> {
    let node = node.member(field);
    let key = node.patch().key.as_str();
    let array = |name: &str| match patch.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(bad(name)),
    };
    let elements = array(field)?;
    let wanted_order = array(&format!("{SET_ORDER}{field}"))?;
    let deleted = array(&format!("{DELETE_FROM}{field}"))?;
    let live = match doc.get(field) {
        Some(Value::Array(live)) => live.clone(),
        _ => {
            // Nothing to merge with: the elements are taken as they are, even where their keys are not unique.
            if let Some(elements) = elements {
                doc.insert(field.to_owned(), clean(&Value::Array(elements.clone())));
            }
            return Ok(());
        }
    };
    let empty = Vec::new();
    let (elements, deleted) = (elements.unwrap_or(&empty), deleted.unwrap_or(&empty));
    let mut merged: Vec<Value> = live
        .iter()
        .filter(|element| !deleted.contains(element))
        .cloned()
        .collect();
    if key.is_empty() {
        let new: Vec<&Value> = elements.iter().collect();
        for element in new {
            if !merged.contains(element) {
                merged.push(element.clone());
            }
        }
    } else {
        merged = keyed(merged, elements, field, key, node.item())?;
    }
    let has_replace = elements
        .iter()
        .any(|element| element.get(PATCH).is_some_and(|d| d == "replace"));
    if !has_replace {
        let named: Vec<Value> = elements
            .iter()
            .filter(|element| element.get(PATCH).is_none())
            .cloned()
            .collect();
        let by = if key.is_empty() { Key::Whole } else { Key::Member(key) };
        merged = order::arrange_by(merged, wanted_order.unwrap_or(&named), &live, &by);
    }
    doc.insert(field.to_owned(), Value::Array(merged));
    Ok(())
}

/// Merges elements that have a key.
fn keyed(
    mut merged: Vec<Value>,
    elements: &[Value],
    field: &str,
    key: &str,
    item: TypeInfo<'_>,
) -> Result<Vec<Value>, StrategicError> {
    let directive = |element: &Value| element.get(PATCH).and_then(Value::as_str).map(str::to_owned);
    if elements
        .iter()
        .any(|element| directive(element).as_deref() == Some("replace"))
    {
        return Ok(elements
            .iter()
            .filter(|element| directive(element).is_none())
            .map(clean)
            .collect());
    }
    for element in elements {
        let at = {
            key_of(field, key, element)?;
            order::position(&merged, element, &Key::Member(key))
        };
        match (directive(element).as_deref(), at) {
            (Some("delete"), _) => {
                let gone = element.get(key);
                merged.retain(|other| other.get(key) != gone);
            }
            (None | Some("merge"), Some(at)) => {
                if let (Value::Object(live), Value::Object(patch)) = (&merged[at], element) {
                    merged[at] = Value::Object(map(live.clone(), patch, item)?);
                }
            }
            (None | Some("merge"), None) => merged.push(clean(element)),
            (Some(_), _) => return Err(bad(PATCH)),
        }
    }
    Ok(merged)
}

/// A patch's value as a document's value: without nulls in maps, directives, and what directives delete.
pub(super) fn clean(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(strip(map)),
        Value::Array(list) => {
            let kept = list
                .iter()
                .filter(|element| element.get(PATCH).is_none_or(|d| d == "merge"));
            Value::Array(kept.map(clean).collect())
        }
        other => other.clone(),
    }
}

fn strip(map: &Object) -> Object {
    let kept = map.iter().filter(|(key, value)| {
        let directive =
            *key == PATCH || *key == RETAIN_KEYS || key.starts_with(SET_ORDER) || key.starts_with(DELETE_FROM);
        !directive && !value.is_null() && value.get(PATCH).is_none_or(|d| d != "delete")
    });
    kept.map(|(key, value)| (key.clone(), clean(value))).collect()
}

fn bad(directive: &str) -> StrategicError {
    StrategicError::BadDirective {
        directive: directive.to_owned(),
    }
}
