//! Sets of fields beside plain values, where no type is known: a set's own steps say what is a map and what a list.

use super::set::{Entry, FieldSet, PathElement};
use serde_json::{Map, Value};

impl PathElement {
    /// What the step leads to. Elements of lists may leave out keys that have a default.
    fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self.split() {
            ("f", name) => value.as_object()?.get(name),
            (_, rest) => value.as_array()?.get(place(self, rest, value)?),
        }
    }

    fn find_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        match self.split() {
            ("f", name) => value.as_object_mut()?.get_mut(name),
            (_, rest) => {
                let place = place(self, rest, value)?;
                value.as_array_mut()?.get_mut(place)
            }
        }
    }

    /// The members that say which element of a list this is; none for everything else.
    fn keys(&self) -> Map<String, Value> {
        match self.split() {
            ("k", keys) => serde_json::from_str(keys).unwrap_or_default(),
            _ => Map::new(),
        }
    }

    /// Adds a member or element.
    fn put(&self, into: &mut Value, value: Value) {
        match (self.split(), into) {
            (("f", name), Value::Object(map)) => {
                map.insert(name.to_owned(), value);
            }
            (("k" | "v", _), Value::Array(list)) => list.push(value),
            _ => {}
        }
    }
}

fn place(step: &PathElement, rest: &str, list: &Value) -> Option<usize> {
    let list = list.as_array()?;
    match step.split().0 {
        "k" => {
            let keys = step.keys();
            let agrees = |item: &Value, strict: bool| {
                let mut found = keys.iter().map(|(key, value)| match item.get(key) {
                    Some(own) => own == value,
                    // Protocols have the one default among the keys of built-in kinds; those of custom resources are not known.
                    None => !strict && (key != "protocol" || value == "TCP"),
                });
                found.all(|agrees| agrees) && keys.keys().any(|key| item.get(key).is_some())
            };
            let exact = list.iter().position(|item| agrees(item, true));
            exact.or_else(|| list.iter().position(|item| agrees(item, false)))
        }
        "v" => {
            let value: Value = serde_json::from_str(rest).ok()?;
            list.iter().position(|item| *item == value)
        }
        _ => rest.parse().ok().filter(|index| *index < list.len()),
    }
}

impl FieldSet {
    /// The paths of this set that lead to something in `value`.
    #[must_use]
    pub fn within(&self, value: &Value) -> Self {
        self.combine(|step, entry| match step.find(value) {
            Some(child) => Entry {
                member: entry.member,
                below: entry.below.within(child),
            },
            None => Entry::default(),
        })
    }

    /// The part of `value` that the set covers.
    pub fn extract(&self, value: &Value) -> Value {
        let mut result = like(value);
        for (step, entry) in self.entries() {
            if let Some(child) = step.find(value) {
                step.put(&mut result, entry.part_of(step, child));
            }
        }
        result
    }

    /// `wanted`, and with it what it no longer says but `before` said, as far as this set, which is that of others, holds it:
    /// such fields keep their value of `live`.
    pub fn keep(&self, before: &Value, wanted: &Value, live: &Value) -> Value {
        let mut result = wanted.clone();
        for (step, entry) in self.entries() {
            let (Some(was), Some(is)) = (step.find(before), step.find(live)) else {
                continue;
            };
            if let Some(now) = step.find_mut(&mut result) {
                *now = entry.below.keep(was, now, is);
            } else if entry.member || step.field_name().is_some() {
                step.put(&mut result, entry.part_of(step, is));
            }
        }
        result
    }
}

impl Entry {
    /// The part of `value`, to which `step` leads, that the entry covers.
    fn part_of(&self, step: &PathElement, value: &Value) -> Value {
        if self.below.is_empty() {
            return value.clone();
        }
        let mut part = self.below.extract(value);
        if let Value::Object(part) = &mut part {
            for key in step.keys().keys() {
                if let Some(own) = value.get(key) {
                    part.insert(key.clone(), own.clone());
                }
            }
        }
        part
    }
}

fn like(value: &Value) -> Value {
    match value {
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(Map::new()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object() -> Value {
        json!({"data": {"a": 1, "b": {"c": 2, "d": 3}}, "finalizers": ["x", "y"],
            "ports": [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "protocol": "TCP", "name": "t"}]})
    }

    fn set(fields: Value) -> FieldSet {
        FieldSet::from_json(&fields)
    }

    #[test]
    fn sets_are_cut_to_what_a_value_holds() {
        let fields = json!({"f:data": {".": {}, "f:a": {}, "f:gone": {}, "f:b": {"f:c": {}, "f:e": {}}}, "f:finalizers": {"v:\"x\"": {}, "v:\"z\"": {}},
            "f:ports": {"k:{\"port\":53,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}}}});
        let wanted = json!({"f:data": {".": {}, "f:a": {}, "f:b": {"f:c": {}}}, "f:finalizers": {"v:\"x\"": {}},
            "f:ports": {"k:{\"port\":53,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}});
        assert_eq!(set(fields.clone()).within(&object()).to_json(), wanted);
        assert_eq!(
            set(fields).extract(&object()),
            json!({"data": {"a": 1, "b": {"c": 2}}, "finalizers": ["x"],
            "ports": [{"port": 53, "protocol": "TCP", "name": "t"}]})
        );
        let defaulted = set(json!({"f:ports": {"k:{\"port\":53,\"protocol\":\"TCP\"}": {"f:port": {}}}}));
        assert_eq!(
            defaulted.within(&json!({"ports": [{"port": 53}]})),
            defaulted,
            "a key with a default may be missing"
        );
        assert!(
            defaulted
                .within(&json!({"ports": [{"protocol": "TCP", "port": 54}, {"name": "x"}]}))
                .is_empty()
        );
    }

    #[test]
    fn what_is_given_up_and_held_by_others_keeps_its_value() {
        let before =
            json!({"data": {"a": 0, "b": {"c": 0, "d": 0}}, "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]});
        let cases = [
            // A field that somebody else holds.
            (
                json!({"data": {}}),
                json!({"f:data": {"f:a": {}}}),
                json!({"data": {"a": 1}}),
            ),
            // One that nobody else holds.
            (
                json!({"data": {}}),
                json!({"f:data": {"f:other": {}}}),
                json!({"data": {}}),
            ),
            // One that is still wanted.
            (
                json!({"data": {"a": 5}}),
                json!({"f:data": {"f:a": {}}}),
                json!({"data": {"a": 5}}),
            ),
            // A map of which somebody holds a part.
            (
                json!({}),
                json!({"f:data": {"f:b": {"f:c": {}}}}),
                json!({"data": {"b": {"c": 2}}}),
            ),
            // An element of a list that somebody holds, and one of which somebody holds but a field.
            (
                json!({"ports": [{"port": 53}]}),
                json!({"f:ports": {"k:{\"port\":53,\"protocol\":\"UDP\"}": {".": {}, "f:name": {}}}}),
                json!({"ports": [{"port": 53}, {"port": 53, "protocol": "UDP", "name": "u"}]}),
            ),
            (
                json!({"ports": []}),
                json!({"f:ports": {"k:{\"port\":53,\"protocol\":\"UDP\"}": {"f:name": {}}}}),
                json!({"ports": []}),
            ),
        ];
        for (wanted, theirs, result) in cases {
            assert_eq!(
                set(theirs.clone()).keep(&before, &wanted, &object()),
                result,
                "{theirs}"
            );
        }
    }
}
