//! Which paths an object holds, and which of them differ between two objects.

use super::SsaError;
use super::set::{FieldSet, PathElement};
use crate::equal::same;
use crate::types::{ListKind, TypeInfo};
use serde_json::Value;
use std::collections::BTreeMap;

/// The paths that a configuration sets.
///
/// # Errors
/// Fields that the schema does not declare, list elements without keys, and two elements with the same keys.
pub(super) fn field_set(value: &Value, node: TypeInfo<'_>, strict: bool) -> Result<FieldSet, SsaError> {
    let mut walk = Collect {
        set: FieldSet::default(),
        path: Vec::new(),
        strict,
    };
    walk.visit(value, node)?;
    Ok(walk.set)
}

struct Collect {
    set: FieldSet,
    path: Vec<PathElement>,
    strict: bool,
}

impl Collect {
    fn visit(&mut self, value: &Value, node: TypeInfo<'_>) -> Result<(), SsaError> {
        match value {
            Value::Object(map) if !node.map_is_atomic() => {
                for (key, child) in map {
                    let declared = node.declares(key);
                    self.path.push(PathElement::field(key));
                    if self.strict && !declared && node.refuses_undeclared() {
                        return Err(SsaError::Invalid(format!(
                            "{}: field not declared in schema",
                            self.text()
                        )));
                    }
                    self.visit(child, node.member(key))?;
                    let empty = child.is_null() || child.as_object().is_some_and(serde_json::Map::is_empty);
                    if empty || !declared {
                        self.set.insert(&self.path);
                    }
                    self.path.pop();
                }
            }
            Value::Array(list) if node.list() != ListKind::Atomic => self.items(list, node)?,
            _ => self.set.insert(&self.path),
        }
        Ok(())
    }

    fn items(&mut self, list: &[Value], node: TypeInfo<'_>) -> Result<(), SsaError> {
        let kind = node.list();
        let mut seen = std::collections::BTreeSet::new();
        for (index, item) in list.iter().enumerate() {
            let Some(step) = PathElement::item(node, &kind, item) else {
                if self.strict {
                    return Err(SsaError::Invalid(format!(
                        "{}: element {index}: {}",
                        self.text(),
                        keyless(&kind)
                    )));
                }
                continue;
            };
            if !seen.insert(step.clone()) && self.strict {
                return Err(SsaError::Invalid(format!(
                    "{}: duplicate entries for key {step}",
                    self.text()
                )));
            }
            self.path.push(step);
            self.visit(item, node.item())?;
            self.set.insert(&self.path);
            self.path.pop();
        }
        Ok(())
    }

    fn text(&self) -> String {
        path_text(&self.path)
    }
}

/// A path as messages print it.
pub(super) fn path_text(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}

fn keyless(kind: &ListKind<'_>) -> String {
    match kind {
        ListKind::Keyed(keys) => {
            let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
            let keys = keys.join(" ");
            format!(
                "associative list with keys has an element that omits all key fields [{keys}] (and doesn't have default values for any key fields)"
            )
        }
        _ => "associative list without keys has an element that's a map type".to_owned(),
    }
}

/// How one object differs from another.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

impl Comparison {
    /// Compares two objects of the same type.
    pub(super) fn of(old: &Value, new: &Value, node: TypeInfo<'_>) -> Self {
        let mut result = Self::default();
        result.visit(&mut Vec::new(), Some(old), Some(new), node);
        result
    }

    /// Without `paths` and what is below them.
    pub(super) fn without(self, paths: &FieldSet) -> Self {
        Self {
            added: self.added.recursive_difference(paths),
            modified: self.modified.recursive_difference(paths),
            removed: self.removed.recursive_difference(paths),
        }
    }

    /// Paths that have a new value.
    pub(super) fn changed(&self) -> FieldSet {
        self.modified.union(&self.added)
    }

    fn visit(&mut self, path: &mut Vec<PathElement>, old: Option<&Value>, new: Option<&Value>, node: TypeInfo<'_>) {
        let leaf = match (old, new) {
            (None, None) => return,
            (Some(Value::Object(_)), Some(Value::Array(_))) | (Some(Value::Array(_)), Some(Value::Object(_))) => {
                self.descend(path, old, None, node);
                self.descend(path, None, new, node);
                true
            }
            _ => !self.descend(path, old, new, node),
        };
        match (old, new) {
            (None, _) => self.added.insert(path),
            (_, None) => self.removed.insert(path),
            (Some(old), Some(new)) if leaf && !same(old, new) => self.modified.insert(path),
            _ => {}
        }
    }

    /// Looks inside; false if this is a leaf, whose values are compared as a whole.
    fn descend(
        &mut self,
        path: &mut Vec<PathElement>,
        old: Option<&Value>,
        new: Option<&Value>,
        node: TypeInfo<'_>,
    ) -> bool {
        let map = old.or(new).is_some_and(Value::is_object) || new.is_some_and(Value::is_object);
        let list = old.or(new).is_some_and(Value::is_array) || new.is_some_and(Value::is_array);
        let size = |value: Option<&Value>| match value {
            Some(Value::Object(map)) => map.len(),
            Some(Value::Array(list)) => list.len(),
            _ => 0,
        };
        if size(old) == 0 && size(new) == 0 {
            return false;
        }
        if map && !node.map_is_atomic() {
            let (old, other) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
            let keys: std::collections::BTreeSet<&String> =
                old.into_iter().chain(other).flat_map(|m| m.keys()).collect();
            for key in keys {
                path.push(PathElement::field(key));
                self.visit(
                    path,
                    old.and_then(|m| m.get(key)),
                    other.and_then(|m| m.get(key)),
                    node.member(key),
                );
                path.pop();
            }
            // A map in the place of a scalar is a new value there, and the other way round.
            return !matches!(new, Some(value) if !value.is_object() && !value.is_null());
        }
        let kind = node.list();
        if list && kind != ListKind::Atomic {
            self.items(path, index(old, node, &kind), index(new, node, &kind), node);
            return !matches!(new, Some(value) if !value.is_array() && !value.is_null());
        }
        false
    }

    fn items(&mut self, path: &mut Vec<PathElement>, old: Index<'_>, new: Index<'_>, node: TypeInfo<'_>) {
        let steps: std::collections::BTreeSet<&PathElement> = old.keys().chain(new.keys()).collect();
        for step in steps {
            let (old, new) = (
                old.get(step).map_or(&[][..], Vec::as_slice),
                new.get(step).map_or(&[][..], Vec::as_slice),
            );
            path.push(step.clone());
            match (old, new) {
                ([_, _, ..], [_, _, ..]) if old.len() != new.len() || old.iter().zip(new).any(|(l, r)| !same(l, r)) => {
                    self.modified.insert(path);
                }
                ([_, _, ..], [_, _, ..]) => {}
                ([_, _, ..], _) => {
                    self.visit(path, None, new.first().copied(), node.item());
                    self.removed.insert(path);
                }
                (_, [_, _, ..]) => {
                    self.visit(path, old.first().copied(), None, node.item());
                    self.added.insert(path);
                }
                _ => self.visit(path, old.first().copied(), new.first().copied(), node.item()),
            }
            path.pop();
        }
    }
}

/// Elements of a list by their path, duplicates together.
type Index<'a> = BTreeMap<PathElement, Vec<&'a Value>>;

fn index<'a>(list: Option<&'a Value>, node: TypeInfo<'_>, kind: &ListKind<'_>) -> Index<'a> {
    let mut found = Index::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        if let Some(step) = PathElement::item(node, kind, item) {
            found.entry(step).or_default().push(item);
        }
    }
    found
}
