//! Reading and writing the common metadata of objects that travel as JSON values.

use serde_json::{Map, Value};

/// The value at a path of keys.
pub fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |v, key| v.get(key))
}

/// The text at a path; empty when absent or not text.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// A field of `metadata` as text; empty when absent.
pub fn meta_text<'a>(value: &'a Value, key: &str) -> &'a str {
    text(value, &["metadata", key])
}

/// The object's name.
pub fn name(value: &Value) -> &str {
    meta_text(value, "name")
}

/// The object's namespace; empty for cluster-scoped ones.
pub fn namespace(value: &Value) -> &str {
    meta_text(value, "namespace")
}

/// The object's uid.
pub fn uid(value: &Value) -> &str {
    meta_text(value, "uid")
}

/// The object's generation; 0 when it has none.
pub fn generation(value: &Value) -> i64 {
    at(value, &["metadata", "generation"])
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

/// Whether deletion was requested.
pub fn is_terminating(value: &Value) -> bool {
    at(value, &["metadata", "deletionTimestamp"]).is_some_and(|v| !v.is_null())
}

/// The finalizers of `metadata`.
pub fn finalizers(value: &Value) -> Vec<&str> {
    strings(at(value, &["metadata", "finalizers"]))
}

/// The texts of an array; empty when it is absent.
pub fn strings(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array)
        .map(|l| l.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// The elements of an array at a path; empty when absent.
pub fn items<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The object under `key`, made if it is absent or not an object.
pub fn child<'a>(value: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    let slot = as_map(value).entry(key).or_insert(Value::Null);
    as_map(slot)
}

/// The value as a map; anything else is replaced by an empty map.
pub fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        // Just made an object above.
        _ => unreachable!(),
    }
}

/// `metadata`, made if absent.
pub fn meta_mut(value: &mut Value) -> &mut Map<String, Value> {
    child(value, "metadata")
}

/// Sets a field of `metadata`, or removes it with `None`.
pub fn set_meta(value: &mut Value, key: &str, new: Option<Value>) {
    let meta = meta_mut(value);
    match new {
        Some(new) => meta.insert(key.to_owned(), new),
        None => meta.remove(key),
    };
}

/// Replaces the finalizers; an empty list removes the field.
pub fn set_finalizers(value: &mut Value, list: &[String]) {
    let new = (!list.is_empty()).then(|| Value::from(list.to_vec()));
    set_meta(value, "finalizers", new);
}

/// Sets `key` to `default()` when it is absent or null.
pub fn default_with(map: &mut Map<String, Value>, key: &str, default: impl FnOnce() -> Value) {
    if map.get(key).is_none_or(Value::is_null) {
        map.insert(key.to_owned(), default());
    }
}
