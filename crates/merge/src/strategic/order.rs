//! The order of merged lists.

use serde_json::Value;

/// Orders `merged` so that the elements named in `wanted` follow its order, and the others keep their place among them as in
/// `live` as well as possible. `key` is empty for scalars.
pub(super) fn arrange(merged: Vec<Value>, wanted: &[Value], live: &[Value], key: &str) -> Vec<Value> {
    let (mut named, mut others): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|element| position(wanted, element, key).is_some());
    named.sort_by_key(|element| position(wanted, element, key));
    others.sort_by_key(|element| position(live, element, key).unwrap_or(usize::MAX));
    interleave(others, named, live, key)
}

/// Whether `elements` stand in `list` in the order in which they are given; elements that are not in `list` do not count.
pub(super) fn in_order(elements: &[Value], list: &[Value], key: &str) -> bool {
    elements
        .iter()
        .filter_map(|element| position(list, element, key))
        .is_sorted()
}

/// Where an element equal to `element` (by its key) stands.
pub(super) fn position(list: &[Value], element: &Value, key: &str) -> Option<usize> {
    if key.is_empty() {
        return list.iter().position(|other| other == element);
    }
    let wanted = element.get(key)?;
    list.iter().position(|other| other.get(key) == Some(wanted))
}

/// Merges two ordered lists; an element of `others` comes first only where `live` has it before the next of `named`.
fn interleave(others: Vec<Value>, named: Vec<Value>, live: &[Value], key: &str) -> Vec<Value> {
    let mut result = Vec::with_capacity(others.len() + named.len());
    let mut others = others.into_iter().peekable();
    for next in named {
        let place = position(live, &next, key);
        while let Some(other) = others.next_if(|other| {
            let other_place = position(live, other, key);
            matches!((other_place, place), (Some(other), Some(place)) if other < place)
        }) {
            result.push(other);
        }
        result.push(next);
    }
    result.extend(others);
    result
}
