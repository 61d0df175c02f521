//! Building new objects: merging a configuration in, taking paths out, and keeping only some paths.

use super::set::{FieldSet, PathElement};
use crate::types::{ListKind, TypeInfo};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// `live` with everything that `config` says.
pub(super) fn merge(live: &Value, config: &Value, node: TypeInfo<'_>) -> Value {
    match (live, config) {
        (Value::Object(live), Value::Object(config)) if !node.map_is_atomic() => {
            let mut result = live.clone();
            for (key, value) in config {
                let merged = match live.get(key) {
                    Some(live) => merge(live, value, node.member(key)),
                    None => value.clone(),
                };
                result.insert(key.clone(), merged);
            }
            Value::Object(result)
        }
        (Value::Array(live), Value::Array(config)) if node.list() != ListKind::Atomic => {
            Value::Array(merge_list(live, config, node))
        }
        (Value::Object(_), Value::Null) if !node.map_is_atomic() => live.clone(),
        (Value::Array(_), Value::Null) if node.list() != ListKind::Atomic => live.clone(),
        _ => config.clone(),
    }
}

/// Elements of both lists once: those of `config` in its order, those of `live` alone where they stood before the next shared one.
fn merge_list(live: &[Value], config: &[Value], node: TypeInfo<'_>) -> Vec<Value> {
    let kind = node.list();
    let steps = |list: &[Value]| -> Vec<Option<PathElement>> {
        list.iter().map(|item| PathElement::item(node, &kind, item)).collect()
    };
    let (live_steps, config_steps) = (steps(live), steps(config));
    let configured: BTreeSet<&PathElement> = config_steps.iter().flatten().collect();
    let shared = |step: &Option<PathElement>| step.as_ref().is_some_and(|step| configured.contains(step));
    let mut merged: BTreeSet<&PathElement> = BTreeSet::new();
    let mut result = Vec::new();
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < config.len() {
        if left < live.len() && !shared(&live_steps[left]) {
            result.push(live[left].clone());
            left += 1;
            continue;
        }
        let passed = live_steps
            .get(left)
            .and_then(Option::as_ref)
            .is_some_and(|step| merged.contains(step));
        if passed || right >= config.len() {
            left += 1;
            continue;
        }
        let step = &config_steps[right];
        let mut places = live_steps
            .iter()
            .enumerate()
            .filter(|(_, other)| step.is_some() && *other == step);
        // Duplicates in the live list are not merged with: the configured element replaces them.
        result.push(match (places.next(), places.next()) {
            (Some((place, _)), None) => merge(&live[place], &config[right], node.item()),
            _ => config[right].clone(),
        });
        merged.extend(step);
        right += 1;
    }
    result
}

/// `value` without the paths of `gone`; containers that become empty by it disappear.
pub(super) fn remove(value: &Value, gone: &FieldSet, node: TypeInfo<'_>) -> Option<Value> {
    match value {
        Value::Object(map) if !map.is_empty() => {
            if node.map_is_atomic() {
                return None;
            }
            let mut kept = Map::new();
            for (key, child) in map {
                let step = PathElement::field(key);
                if gone.contains(&step) {
                    continue;
                }
                let child = match gone.below(&step) {
                    Some(below) => remove(child, below, node.member(key)),
                    None => Some(child.clone()),
                };
                if let Some(child) = child {
                    kept.insert(key.clone(), child);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(list) if !list.is_empty() => {
            let kind = node.list();
            if kind == ListKind::Atomic {
                return None;
            }
            let kept = list.iter().filter_map(|item| {
                let Some(step) = PathElement::item(node, &kind, item) else {
                    return Some(item.clone());
                };
                if gone.contains(&step) {
                    return None;
                }
                match gone.below(&step) {
                    Some(below) => remove(item, below, node.item()),
                    None => Some(item.clone()),
                }
            });
            let kept: Vec<Value> = kept.collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        other => Some(other.clone()),
    }
}

/// Only the paths of `wanted` (with the keys of list elements on the way).
pub(super) fn keep(value: &Value, wanted: &FieldSet, node: TypeInfo<'_>) -> Option<Value> {
    match value {
        Value::Object(map) if !node.map_is_atomic() => {
            let kept = map.iter().filter_map(|(key, child)| {
                let step = PathElement::field(key);
                let child = kept_child(child, &step, wanted, node.member(key))?;
                Some((key.clone(), child))
            });
            Some(Value::Object(kept.collect()))
        }
        Value::Array(list) if node.list() != ListKind::Atomic => {
            let kind = node.list();
            let kept = list.iter().filter_map(|item| {
                let step = PathElement::item(node, &kind, item)?;
                let mut child = kept_child(item, &step, wanted, node.item())?;
                if let (ListKind::Keyed(keys), Value::Object(child)) = (&kind, &mut child) {
                    for key in keys {
                        if let Some(value) = item.get(key) {
                            child.insert((*key).to_owned(), value.clone());
                        }
                    }
                }
                Some(child)
            });
            Some(Value::Array(kept.collect()))
        }
        other => Some(other.clone()),
    }
}

fn kept_child(child: &Value, step: &PathElement, wanted: &FieldSet, node: TypeInfo<'_>) -> Option<Value> {
    match (wanted.below(step), wanted.contains(step)) {
        (Some(below), _) => keep(child, below, node),
        (None, true) if child.is_object() && !node.map_is_atomic() => Some(Value::Object(Map::new())),
        (None, true) => Some(child.clone()),
        (None, false) => None,
    }
}
