//! Which elements of two lists belong together, where the merge key of a strategic merge does not say it.
//!
//! Container ports have the merge key `containerPort`, though TCP and UDP may share a number; so it is with the ports of
//! Services and with spread constraints. Server-side apply knows all keys of an element. Where even these do not tell elements
//! apart (an environment variable that is named twice), their order does.

use crate::ssa::PathElement;
use crate::types::{ListKind, TypeInfo};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Who an element is: its keys, and how many with the same keys come before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    keys: PathElement,
    earlier: usize,
}

/// An element and who it is.
pub(super) type Identified<'a> = (Identity, &'a Value);

/// The element with this identity.
pub(super) fn find<'a>(list: &[Identified<'a>], id: &Identity) -> Option<&'a Value> {
    list.iter().find(|(other, _)| other == id).map(|(_, element)| *element)
}

/// The first element with the keys of `element`.
pub(super) fn twin<'a>(
    list: &[Identified<'a>],
    element: &Map<String, Value>,
    node: TypeInfo<'_>,
) -> Option<&'a Map<String, Value>> {
    let keys = PathElement::item(node, &keys_of(node), &Value::Object(element.clone()))?;
    let found = list.iter().find(|(other, _)| other.keys == keys);
    found.and_then(|(_, element)| element.as_object())
}

fn keys_of(node: TypeInfo<'_>) -> ListKind<'_> {
    match node.list() {
        ListKind::Keyed(keys) => ListKind::Keyed(keys),
        ListKind::Atomic | ListKind::Set => ListKind::Keyed(vec![node.patch().key.as_str()]),
    }
}

/// The elements of a list at `node`; those without any key are left out.
pub(super) fn identified<'a>(list: &'a [Value], node: TypeInfo<'_>) -> Vec<Identified<'a>> {
    let kind = keys_of(node);
    let mut seen: BTreeMap<PathElement, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for element in list {
        let Some(keys) = PathElement::item(node, &kind, element) else {
            continue;
        };
        let count = seen.entry(keys.clone()).or_default();
        let earlier = *count;
        *count += 1;
        found.push((Identity { keys, earlier }, element));
    }
    found
}

/// Whether the merge key leaves open which elements of the two lists belong together.
pub(super) fn is_ambiguous(wanted: &[Value], found: &[Value], node: TypeInfo<'_>) -> bool {
    let key = node.patch().key.as_str();
    let mut by_key: BTreeMap<String, Identity> = BTreeMap::new();
    for (id, element) in identified(wanted, node).into_iter().chain(identified(found, node)) {
        let value = element.get(key).map(Value::to_string).unwrap_or_default();
        if by_key.entry(value).or_insert_with(|| id.clone()) != &id {
            return true;
        }
    }
    false
}
