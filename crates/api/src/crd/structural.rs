//! Turns the JSON schema of a type into the form that CRDs demand: no references, no nulls, each fact once.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The schema of a root kind.
pub(super) fn schema<K: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let schema = SchemaGenerator::new(settings).into_root_schema_for::<K>();
    let mut schema = clean(schema.to_value());
    schema["properties"]["apiVersion"] = json!({
        "type": "string",
        "description": "Version of the schema in which this object is written.",
    });
    // The API server knows metadata itself and refuses even a description.
    schema["properties"]["metadata"] = json!({ "type": "object" });
    schema["properties"]["kind"] = json!({ "type": "string", "description": "Kind of this object." });
    schema
}

/// Cleans a schema and everything below.
fn clean(schema: Value) -> Value {
    let Value::Object(mut map) = schema else { return schema };
    for noise in ["$schema", "title", "default", "writeOnly"] {
        map.remove(noise);
    }
    if let Some(default) = map.remove("x-default") {
        map.insert("default".into(), default);
    }
    drop_null(&mut map);
    fold_option(&mut map);
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for property in properties.values_mut() {
            *property = clean(property.take());
        }
    }
    for key in ["items", "additionalProperties"] {
        match map.get_mut(key) {
            Some(Value::Bool(_)) => {
                map.remove(key);
            }
            Some(inner) => *inner = clean(inner.take()),
            None => {}
        }
    }
    if let Some(Value::Array(required)) = map.get_mut("required") {
        required.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        if required.is_empty() {
            map.remove("required");
        }
    }
    Value::Object(map)
}

/// Takes the null of an optional field out of its type and enum.
fn drop_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
}

/// Replaces "this or null" by "this"; facts of the field win over those of its type.
fn fold_option(map: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = map.get("anyOf") else {
        return;
    };
    let null = json!({ "type": "null" });
    let [inner] = choices.iter().filter(|c| **c != null).collect::<Vec<_>>()[..] else {
        return;
    };
    let Value::Object(inner) = clean(inner.clone()) else {
        return;
    };
    map.remove("anyOf");
    for (key, value) in inner {
        map.entry(key).or_insert(value);
    }
}
