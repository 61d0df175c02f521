//! Computing the three-way patch of a client-side apply.
//!
//! One walk over the three documents writes both the changes (current to modified) and the deletions (original to modified).
//! What would change nothing is left out, so that an empty patch means that there is nothing to do.

use super::order::{self, Key};
use super::{DELETE_FROM, PATCH, RETAIN_KEYS, SET_ORDER, StrategicError, apply, identity, key_of};
use crate::types::TypeInfo;
use crate::{unions, values};
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
        let is_there = |found: &Value| found.is_null() || !values::is_absent(found, node.member(key));
        if !modified.contains_key(key) && current.get(key).is_some_and(is_there) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    for (key, wanted) in modified {
        let Some(found) = current.get(key) else {
            if !values::is_absent(wanted, node.member(key)) {
                patch.insert(key.clone(), wanted.clone());
            }
            continue;
        };
        member(key, original.get(key), wanted, found, node.member(key), &mut patch)?;
    }
    let given_up = |key: &str| original.contains_key(key) && !modified.contains_key(key);
    if !node.patch().retain_keys {
        for branch in unions::obstacles(modified, current, given_up, node) {
            patch.insert(branch.to_owned(), Value::Null);
        }
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
            if node.patch().key.is_empty() {
                scalars(key, original, wanted, found, patch);
            } else if identity::is_ambiguous(wanted, found, node) {
                whole(key, original, wanted, found, node, patch)?;
            } else if found.is_empty() && !wanted.is_empty() {
                patch.insert(key.to_owned(), Value::Array(wanted.clone()));
            } else {
                keyed(key, original, wanted, found, node, patch)?;
            }
        }
        _ if values::same(wanted, found, node) => {}
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
    if added.is_empty() && deleted.is_empty() && order::in_order(wanted, found, &Key::Whole) {
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
    let by = Key::Member(key);
    let at = |list: &[Value], element: &Value| order::position(list, element, &by);
    let [before, live] = [original, found].map(|list| identity::identified(list, node));
    let empty = Object::new();
    let mut elements = Vec::new();
    for element in wanted {
        let id = key_of(field, key, element)?;
        let live = at(found, element).and_then(|index| found[index].as_object());
        let (Some(live), Some(element)) = (live, element.as_object()) else {
            elements.push(element.clone());
            continue;
        };
        let before = identity::twin(&before, element, node);
        let mut change = map(before.unwrap_or(&empty), element, live, node.item())?;
        retain(node, element, &mut change);
        if !change.is_empty() {
            change.insert(key.to_owned(), id.clone());
            elements.push(Value::Object(change));
        }
    }
    for (who, element) in &before {
        let id = key_of(field, key, element)?;
        if at(wanted, element).is_none() && live.iter().any(|(other, _)| other == who) {
            elements.push(json!({ PATCH: "delete", key: id }));
        }
    }
    if elements.is_empty() && order::in_order(wanted, found, &by) {
        return Ok(());
    }
    if !elements.is_empty() {
        patch.insert(field.to_owned(), Value::Array(elements));
    }
    let keys = wanted.iter().map(|element| json!({ key: element.get(key) }));
    patch.insert(format!("{SET_ORDER}{field}"), keys.collect());
    Ok(())
}

/// The change of a list in which the merge key does not identify all elements: the list is merged here, and replaced as a whole.
fn whole(
    field: &str,
    original: &[Value],
    wanted: &[Value],
    found: &[Value],
    node: TypeInfo<'_>,
    patch: &mut Object,
) -> Result<(), StrategicError> {
    for element in wanted {
        key_of(field, &node.patch().key, element)?;
    }
    let [original, named, live] = [original, wanted, found].map(|list| identity::identified(list, node));
    let nothing = Object::new();
    let mut merged = Vec::new();
    for (id, element) in &live {
        if named.iter().all(|(other, _)| other != id) && original.iter().all(|(other, _)| other != id) {
            merged.push((id, (*element).clone()));
        }
    }
    for (id, element) in &named {
        let twin = |list| identity::find(list, id).and_then(Value::as_object);
        merged.push((
            id,
            match (twin(&live), element.as_object()) {
                (Some(live), Some(element)) => {
                    let mut change = map(twin(&original).unwrap_or(&nothing), element, live, node.item())?;
                    retain(node, element, &mut change);
                    Value::Object(apply::map(live.clone(), &change, node.item())?)
                }
                _ => apply::clean(element),
            },
        ));
    }
    let merged = order::arrange(merged, &named, &live);
    if values::same(&Value::Array(merged.clone()), &Value::Array(found.to_vec()), node) {
        return Ok(());
    }
    let replace = std::iter::once(json!({ PATCH: "replace" }));
    patch.insert(field.to_owned(), replace.chain(merged).collect());
    Ok(())
}

/// Elements of lists of unions (volumes) carry `$retainKeys` themselves.
fn retain(list: TypeInfo<'_>, element: &Object, change: &mut Object) {
    if list.patch().retain_keys && !change.is_empty() {
        change.insert(RETAIN_KEYS.to_owned(), element.keys().map(String::as_str).collect());
    }
}
