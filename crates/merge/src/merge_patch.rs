//! JSON merge patch (RFC 7396), and the three-way patch that clients compute for custom resources.

use crate::equal::same;
use serde_json::{Map, Value};

/// Applies a merge patch: maps merge, null deletes, everything else replaces.
pub fn merge_patch(doc: &Value, patch: &Value) -> Value {
    let mut result = doc.clone();
    merge_into(&mut result, patch);
    result
}

fn merge_into(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge_into(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The merge patch that brings `current` to `modified` and leaves alone what neither `original` nor `modified` contains.
///
/// `original` is what was applied last time (`Value::Null` if nothing was): only what it held and `modified` no longer holds is
/// deleted. Lists are replaced whole, and explicit nulls in `modified` are ignored, as a merge patch cannot say "set to null".
/// The result is an empty map when there is nothing to do.
pub fn three_way_json(original: &Value, modified: &Value, current: &Value) -> Value {
    let empty = Map::new();
    Value::Object(three_way_map(
        original.as_object().unwrap_or(&empty),
        modified.as_object().unwrap_or(&empty),
        current.as_object().unwrap_or(&empty),
    ))
}

fn three_way_map(
    original: &Map<String, Value>,
    modified: &Map<String, Value>,
    current: &Map<String, Value>,
) -> Map<String, Value> {
    let empty = Map::new();
    let mut patch = Map::new();
    for key in original.keys() {
        if !modified.contains_key(key) && current.contains_key(key) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    for (key, wanted) in modified {
        match (wanted, current.get(key)) {
            (Value::Null, _) => {}
            (Value::Object(wanted), Some(Value::Object(found))) => {
                let before = original.get(key).and_then(Value::as_object).unwrap_or(&empty);
                let inner = three_way_map(before, wanted, found);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (wanted, Some(found)) if same(wanted, found) => {}
            (wanted, _) => {
                patch.insert(key.clone(), without_nulls(wanted));
            }
        }
    }
    patch
}

/// A copy without null members of maps; lists stay as they are.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k.clone(), without_nulls(v)));
            Value::Object(kept.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_follows_the_examples_of_rfc_7396() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), Value::Null, Value::Null),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (doc, patch, want) in cases {
            assert_eq!(merge_patch(&doc, &patch), want, "{doc} {patch}");
        }
    }

    #[test]
    fn three_way_deletes_only_what_was_applied_before() {
        let cases = [
            // A field of somebody else stays, a withdrawn field goes, a changed one is set.
            (
                json!({"a": 1, "b": 1}),
                json!({"a": 2}),
                json!({"a": 1, "b": 1, "c": 1}),
                json!({"a": 2, "b": null}),
            ),
            // Nothing was applied before: nothing is deleted.
            (Value::Null, json!({"a": 1}), json!({"a": 1, "b": 1}), json!({})),
            // Already gone: nothing to say.
            (json!({"a": 1, "b": 1}), json!({"a": 1}), json!({"a": 1}), json!({})),
            (
                json!({"m": {"x": 1, "y": 1}}),
                json!({"m": {"x": 1}}),
                json!({"m": {"x": 3, "y": 1, "z": 1}}),
                json!({"m": {"x": 1, "y": null}}),
            ),
            // Lists are one value; explicit nulls are ignored.
            (
                json!({"l": [1]}),
                json!({"l": [1, 2]}),
                json!({"l": [1, 3]}),
                json!({"l": [1, 2]}),
            ),
            (
                json!({}),
                json!({"a": null, "m": {"b": null, "c": 1}}),
                json!({"a": 1}),
                json!({"m": {"c": 1}}),
            ),
            (json!({}), json!({"m": {}}), json!({}), json!({"m": {}})),
            (json!({}), json!({"m": {}}), json!({"m": 1}), json!({"m": {}})),
        ];
        for (original, modified, current, want) in cases {
            let patch = three_way_json(&original, &modified, &current);
            assert_eq!(patch, want, "{original} {modified} {current}");
            let after = merge_patch(&current, &patch);
            assert_eq!(
                three_way_json(&original, &modified, &after),
                json!({}),
                "{original} {modified} {current}"
            );
        }
    }
}
