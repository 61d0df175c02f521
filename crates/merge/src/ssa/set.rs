//! Sets of field paths, and their wire form `fieldsV1`.

use crate::types::{ListKind, TypeInfo};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// One step of a path, in its wire form: `f:name`, `k:{keys}`, `v:value` or `i:index`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathElement(String);

impl PathElement {
    /// A named field or key of a map.
    pub fn field(name: &str) -> Self {
        Self(format!("f:{name}"))
    }

    /// The element of a list at `node`; `None` when the element has none of the keys.
    pub(crate) fn item(node: TypeInfo<'_>, kind: &ListKind<'_>, item: &Value) -> Option<Self> {
        match kind {
            ListKind::Atomic => None,
            ListKind::Set if item.is_object() || item.is_array() => None,
            ListKind::Set => Some(Self(format!("v:{item}"))),
            ListKind::Keyed(keys) => {
                let mut found = Map::new();
                for key in keys {
                    if let Some(value) = item.get(key).cloned().or_else(|| node.key_default(key)) {
                        found.insert((*key).to_owned(), value);
                    }
                }
                (item.is_object() && !found.is_empty()).then(|| Self(format!("k:{}", Value::Object(found))))
            }
        }
    }

    /// The field's name, for the steps that are fields.
    pub fn field_name(&self) -> Option<&str> {
        self.0.strip_prefix("f:")
    }

    /// The kind of step and the rest.
    pub(super) fn split(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or(("", &self.0))
    }

    /// Reads the wire form; keys are brought into canonical form. `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" | "i" => Some(Self(text.to_owned())),
            "k" | "v" => serde_json::from_str::<Value>(rest)
                .ok()
                .map(|value| Self(format!("{kind}:{value}"))),
            _ => None,
        }
    }
}

/// As in messages of conflicts: `.field`, `[name="x"]`, `[="x"]`, `[0]`.
impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once(':') {
            Some(("f", name)) => write!(f, ".{name}"),
            Some(("k", keys)) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "[{}]", pairs.join(","))
            }
            Some(("v", value)) => write!(f, "[={value}]"),
            Some((_, index)) => write!(f, "[{index}]"),
            None => write!(f, "[{}]", self.0),
        }
    }
}

/// A set of paths. Each step says whether its own path is in the set, and what is in the set below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet(BTreeMap<PathElement, Entry>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) member: bool,
    pub(super) below: FieldSet,
}

impl FieldSet {
    /// No path.
    pub const fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// Steps with what the set says of each.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&PathElement, &Entry)> {
        self.0.iter()
    }

    /// A set of paths made of named fields only.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<PathElement> = path.iter().map(|name| PathElement::field(name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Whether no path is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a path. The empty path stands for the whole object and is never in a set.
    pub fn insert(&mut self, path: &[PathElement]) {
        if let [first, rest @ ..] = path {
            let entry = self.0.entry(first.clone()).or_default();
            if rest.is_empty() {
                entry.member = true;
            } else {
                entry.below.insert(rest);
            }
        }
    }

    /// Whether the path of this one step is in the set.
    pub fn contains(&self, step: &PathElement) -> bool {
        self.0.get(step).is_some_and(|entry| entry.member)
    }

    /// What is in the set below this step.
    pub fn below(&self, step: &PathElement) -> Option<&FieldSet> {
        self.0
            .get(step)
            .map(|entry| &entry.below)
            .filter(|below| !below.is_empty())
    }

    /// Paths of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        for (step, theirs) in &other.0 {
            let ours = result.0.entry(step.clone()).or_default();
            ours.member |= theirs.member;
            ours.below = ours.below.union(&theirs.below);
        }
        result
    }

    /// Paths of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(|step, entry| match other.0.get(step) {
            None => entry.clone(),
            Some(theirs) => Entry {
                member: entry.member && !theirs.member,
                below: entry.below.difference(&theirs.below),
            },
        })
    }

    /// Paths of this set that neither are in the other nor lie below a path of the other.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.combine(|step, entry| match other.0.get(step) {
            None => entry.clone(),
            Some(theirs) if theirs.member => Entry::default(),
            Some(theirs) => Entry {
                member: entry.member,
                below: entry.below.recursive_difference(&theirs.below),
            },
        })
    }

    /// Paths of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(|step, entry| match other.0.get(step) {
            None => Entry::default(),
            Some(theirs) => Entry {
                member: entry.member && theirs.member,
                below: entry.below.intersection(&theirs.below),
            },
        })
    }

    /// Paths of this set that are in the other, or lie below or above a path of it.
    #[must_use]
    pub(super) fn overlap(&self, other: &Self) -> Self {
        self.combine(|step, entry| match other.0.get(step) {
            None => Entry::default(),
            Some(theirs) if theirs.member => entry.clone(),
            Some(theirs) => Entry {
                member: entry.member && entry.below.is_empty() && !theirs.below.is_empty(),
                below: entry.below.overlap(&theirs.below),
            },
        })
    }

    pub(super) fn combine(&self, change: impl Fn(&PathElement, &Entry) -> Entry) -> Self {
        let entries = self.0.iter().map(|(step, entry)| (step.clone(), change(step, entry)));
        Self(
            entries
                .filter(|(_, entry)| entry.member || !entry.below.is_empty())
                .collect(),
        )
    }

    /// The same set with every named field on the way to a path as a path of its own.
    #[must_use]
    pub(super) fn with_named_fields(&self, node: TypeInfo<'_>) -> Self {
        let entries = self.0.iter().map(|(step, entry)| {
            let name = step.field_name();
            let declared = name.is_some_and(|name| node.declares(name));
            let child = name.map_or_else(|| node.item(), |name| node.member(name));
            let member = entry.member || declared && !entry.below.is_empty();
            (
                step.clone(),
                Entry {
                    member,
                    below: entry.below.with_named_fields(child),
                },
            )
        });
        Self(entries.collect())
    }

    /// All paths, those of a level before those below it.
    pub fn paths(&self) -> Vec<Vec<PathElement>> {
        let mut found: Vec<Vec<PathElement>> = self
            .0
            .iter()
            .filter(|(_, entry)| entry.member)
            .map(|(step, _)| vec![step.clone()])
            .collect();
        for (step, entry) in &self.0 {
            for path in entry.below.paths() {
                found.push(std::iter::once(step.clone()).chain(path).collect());
            }
        }
        found
    }

    /// The wire form.
    pub fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|(step, entry)| {
            let mut inner = match entry.below.to_json() {
                Value::Object(inner) => inner,
                _ => Map::new(),
            };
            if entry.member && !inner.is_empty() {
                inner.insert(".".to_owned(), json!({}));
            }
            (step.0.clone(), Value::Object(inner))
        });
        Value::Object(entries.collect())
    }

    /// Reads the wire form; steps of unknown kind are left out.
    pub fn from_json(value: &Value) -> Self {
        let mut set = Self::default();
        for (key, inner) in value.as_object().into_iter().flatten() {
            let Some(step) = PathElement::parse(key) else { continue };
            let below = Self::from_json(inner);
            let member = below.is_empty() || inner.get(".").is_some();
            set.0.insert(step, Entry { member, below });
        }
        set
    }
}
