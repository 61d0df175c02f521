//! Values of the API as JSON trees, and the JSON merge patch (RFC 7396) that turns one tree into another.

use serde::Serialize;
use serde_json::{Map, Value};

/// The tree of a value. Types of the API have text keys and finite numbers, so they always have one.
pub fn tree<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// What a merge patch must say so that `old` becomes `new`; `None` when they are equal.
///
/// Lists are replaced as a whole. An explicit `null` in `new` counts as absent, because a merge patch cannot say it.
pub fn between(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (key, wanted) in new.iter().filter(|(_, wanted)| !wanted.is_null()) {
        match old.get(key).filter(|known| !known.is_null()) {
            Some(known) => {
                if let Some(change) = between(known, wanted) {
                    patch.insert(key.clone(), change);
                }
            }
            None => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    for (key, known) in old {
        if !known.is_null() && new.get(key).is_none_or(Value::is_null) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_said() {
        let cases = [
            (json!({"a": 1}), json!({"a": 1}), None),
            (json!({"a": 1, "b": null}), json!({"a": 1}), None),
            (
                json!({"a": 1}),
                json!({"a": 2, "b": [1]}),
                Some(json!({"a": 2, "b": [1]})),
            ),
            (
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": 1}}),
                Some(json!({"a": {"y": null}})),
            ),
            (json!({"a": [1, 2]}), json!({"a": [1]}), Some(json!({"a": [1]}))),
            (json!({"a": {"x": 1}}), json!({"a": null}), Some(json!({"a": null}))),
            (json!({"a": 1}), json!({"a": {"b": 1}}), Some(json!({"a": {"b": 1}}))),
            (json!(null), json!({"a": 1}), Some(json!({"a": 1}))),
        ];
        for (old, new, wanted) in cases {
            assert_eq!(between(&old, &new), wanted, "{old} -> {new}");
        }
    }
}
