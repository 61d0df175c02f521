//! Computing the three-way patch of a client-side apply.
//!
//! One walk over the three documents writes both the changes (current to modified) and the deletions (original to modified).
//! What would change nothing is left out, so that an empty patch means that there is nothing to do.

use super::{DELETE_FROM, PATCH, RETAIN_KEYS, SET_ORDER, StrategicError, key_of, order};
use crate::types::TypeInfo;
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

pub(super) fn map(
    original: &Object,
    modified: &Object,
    current: &Object,
    node: TypeInfo<'_>,
) -> Result<Object, StrategicError> {
    let mut patch = Object::new();
    for key in original.keys() {
        if !modified.contains_key(key) && current.contains_key(key) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    for (key, wanted) in modified {
        let Some(found) = current.get(key) else {
            if !wanted.is_null() {
                patch.insert(key.clone(), wanted.clone());
            }
            continue;
        };
        member(key, original.get(key), wanted, found, node.member(key), &mut patch)?;
    }
    if node.patch().retain_keys && !patch.is_empty() {
        patch.insert(RETAIN_KEYS.to_owned(), modified.keys().map(String::as_str).collect());
    }
    Ok(patch)
}

fn member(
    key: &str,
    original: Option<&Value>,
    wanted: &Value,
    found: &Value,
    node: TypeInfo<'_>,
    patch: &mut Object,
) -> Result<(), StrategicError> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) if !node.patch().replace => {
            let empty = Object::new();
            let inner = map(
                original.and_then(Value::as_object).unwrap_or(&empty),
                wanted,
                found,
                node,
            )?;
            if !inner.is_empty() {
                patch.insert(key.to_owned(), Value::Object(inner));
            }
        }
        (Value::Array(wanted), Value::Array(found)) if node.patch().merge => {
            let empty = Vec::new();
            let original = original.and_then(Value::as_array).unwrap_or(&empty);
            if found.is_empty() && !wanted.is_empty() {
                patch.insert(key.to_owned(), Value::Array(wanted.clone()));
            } else if node.patch().key.is_empty() {
                scalars(key, original, wanted, found, patch);
            } else {
                keyed(key, original, wanted, found, node, patch)?;
            }
        }
        _ if wanted == found => {}
        _ => {
            patch.insert(key.to_owned(), wanted.clone());
        }
    }
    Ok(())
}

fn scalars(field: &str, original: &[Value], wanted: &[Value], found: &[Value], patch: &mut Object) {
    let added: Vec<Value> = wanted.iter().filter(|value| !found.contains(value)).cloned().collect();
    let gone = |value: &&Value| !wanted.contains(value) && found.contains(value);
    let deleted: Vec<Value> = original.iter().filter(gone).cloned().collect();
    if added.is_empty() && deleted.is_empty() && order::in_order(wanted, found, "") {
        return;
    }
    if !added.is_empty() {
        patch.insert(field.to_owned(), Value::Array(added));
    }
    if !deleted.is_empty() {
        patch.insert(format!("{DELETE_FROM}{field}"), Value::Array(deleted));
    }
    patch.insert(format!("{SET_ORDER}{field}"), Value::Array(wanted.to_vec()));
}

fn keyed(
    field: &str,
    original: &[Value],
    wanted: &[Value],
    found: &[Value],
    node: TypeInfo<'_>,
    patch: &mut Object,
) -> Result<(), StrategicError> {
    let key = node.patch().key.as_str();
    let at = |list: &[Value], element: &Value| order::position(list, element, key);
    let empty = Object::new();
    let mut elements = Vec::new();
    for element in wanted {
        let id = key_of(field, key, element)?;
        let live = at(found, element).and_then(|index| found[index].as_object());
        let (Some(live), Some(element)) = (live, element.as_object()) else {
            elements.push(element.clone());
            continue;
        };
        let before = original
            .iter()
            .find(|other| other.get(key) == Some(id))
            .and_then(Value::as_object);
        let mut change = map(before.unwrap_or(&empty), element, live, node.item())?;
        retain(node, element, &mut change);
        if !change.is_empty() {
            change.insert(key.to_owned(), id.clone());
            elements.push(Value::Object(change));
        }
    }
    for element in original {
        let id = key_of(field, key, element)?;
        if at(wanted, element).is_none() && at(found, element).is_some() {
            elements.push(json!({ PATCH: "delete", key: id }));
        }
    }
    if elements.is_empty() && order::in_order(wanted, found, key) {
        return Ok(());
    }
    if !elements.is_empty() {
        patch.insert(field.to_owned(), Value::Array(elements));
    }
    let keys = wanted.iter().map(|element| json!({ key: element.get(key) }));
    patch.insert(format!("{SET_ORDER}{field}"), keys.collect());
    Ok(())
}

/// Elements of lists of unions (volumes) carry `$retainKeys` themselves.
fn retain(list: TypeInfo<'_>, element: &Object, change: &mut Object) {
    if list.patch().retain_keys && !change.is_empty() {
        change.insert(RETAIN_KEYS.to_owned(), element.keys().map(String::as_str).collect());
    }
}
