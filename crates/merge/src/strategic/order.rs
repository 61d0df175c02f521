//! The order of merged lists.

use super::identity::{Identified, Identity};
use serde_json::Value;

/// What identifies elements of a list.
pub(super) enum Key<'a> {
    /// Their value as a whole.
    Whole,
    /// One member.
    Member(&'a str),
}

/// Orders `merged` so that the elements named in `wanted` follow its order, and the others keep their place among them as in
/// `live` as well as possible.
pub(super) fn arrange(
    merged: Vec<(&Identity, Value)>,
    wanted: &[Identified<'_>],
    live: &[Identified<'_>],
) -> Vec<Value> {
    let place = |list: &[Identified<'_>], id: &Identity| list.iter().position(|(other, _)| other == id);
    let merged = merged.into_iter();
    let merged = merged
        .map(|(id, element)| (place(wanted, id), place(live, id), element))
        .collect();
    sorted(merged)
}

/// The same for elements that `key` identifies.
pub(super) fn arrange_by(merged: Vec<Value>, wanted: &[Value], live: &[Value], key: &Key<'_>) -> Vec<Value> {
    let placed = merged.into_iter().map(|element| {
        let places = (position(wanted, &element, key), position(live, &element, key));
        (places.0, places.1, element)
    });
    sorted(placed.collect())
}

/// Whether `elements` stand in `list` in the order in which they are given; elements that are not in `list` do not count.
pub(super) fn in_order(elements: &[Value], list: &[Value], key: &Key<'_>) -> bool {
    elements
        .iter()
        .filter_map(|element| position(list, element, key))
        .is_sorted()
}

/// Where an element equal to `element` stands.
pub(super) fn position(list: &[Value], element: &Value, key: &Key<'_>) -> Option<usize> {
    match key {
        Key::Whole => list.iter().position(|other| other == element),
        Key::Member(key) => {
            let wanted = element.get(key)?;
            list.iter().position(|other| other.get(key) == Some(wanted))
        }
    }
}

/// An element with its places in the wanted list and in the live one.
type Placed = (Option<usize>, Option<usize>, Value);

/// Named elements in their order; another one comes first only where the live list has it before the next of them.
fn sorted(merged: Vec<Placed>) -> Vec<Value> {
    let (mut named, mut others): (Vec<Placed>, Vec<Placed>) =
        merged.into_iter().partition(|(wanted, ..)| wanted.is_some());
    named.sort_by_key(|(wanted, ..)| *wanted);
    others.sort_by_key(|(_, live, _)| live.unwrap_or(usize::MAX));
    let mut result = Vec::with_capacity(others.len() + named.len());
    let mut others = others.into_iter().peekable();
    for (_, place, next) in named {
        while let Some((.., other)) =
            others.next_if(|(_, other, _)| matches!((other, place), (Some(other), Some(place)) if *other < place))
        {
            result.push(other);
        }
        result.push(next);
    }
    result.extend(others.map(|(.., other)| other));
    result
}
