//! Types and schemas agree: what a schema admits passes through its type without loss, what it refuses the type refuses.

use super::*;

/// An object that fills every field of a schema, or the required ones only.
fn sample(path: &str, schema: &Value, full: bool) -> Value {
    // Fields whose schema is an open text, while the type knows the legal values.
    for (end, value) in [(".spec.state", "Join"), (".agentStatus[].type", "MemberAgent")] {
        if path.ends_with(end) && schema.get("enum").is_none() {
            return value.into();
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.last().cloned().unwrap();
    }
    if schema.get("x-kubernetes-embedded-resource").is_some() {
        return json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "free": { "x": 1.5 } });
    }
    if schema.get("x-kubernetes-preserve-unknown-fields").is_some() {
        return json!({ "any": ["thing", 1, null] });
    }
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return if path.contains(".resourceUsage.") {
            json!("1536Mi")
        } else {
            json!("25%")
        };
    }
    match schema["type"].as_str().unwrap() {
        "object" => object(path, schema, full),
        "array" => json!([sample(&format!("{path}[]"), &schema["items"], full)]),
        "integer" => json!(7),
        "boolean" => json!(true),
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some("date-time") => json!("2026-01-02T03:04:05Z"),
            Some("byte") => json!("aGFzaA=="),
            _ => json!("text"),
        },
        other => panic!("{path}: no sample for type {other}"),
    }
}

fn object(path: &str, schema: &Value, full: bool) -> Value {
    if let Some(values) = schema.get("additionalProperties") {
        return json!({ "key": sample(&format!("{path}[]"), values, full) });
    }
    let empty = Vec::new();
    let required = schema.get("required").and_then(Value::as_array).unwrap_or(&empty);
    let fields = schema["properties"].as_object().unwrap().iter().filter(|(name, _)| {
        let metadata = path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name.as_str());
        !metadata && (full || required.iter().any(|r| r == name.as_str()))
    });
    fields
        .map(|(name, field)| (name.clone(), sample(&format!("{path}.{name}"), field, full)))
        .collect()
}

/// A root object of a version.
fn root(crd: &Crd, version: &Version, full: bool) -> Value {
    let mut root = sample("", &version.schema, full);
    if crd.kind.ends_with("Binding") && crd.group == "placement.kubernetes-fleet.io" {
        root["spec"]["state"] = json!("Bound");
    }
    root["apiVersion"] = json!(format!("{}/{}", crd.group, version.name));
    root["kind"] = json!(crd.kind);
    root["metadata"] = json!({ "name": "sample", "annotations": { "a": "b" } });
    root
}

#[test]
fn what_a_schema_admits_passes_without_loss() {
    for crd in all() {
        for version in &crd.versions {
            let full = root(&crd, version, true);
            let here = format!("{} {}", crd.kind, version.name);
            assert_eq!(
                (version.round_trip)(full.clone()).map_err(|e| format!("{here}: {e}")),
                Ok(full),
                "{here}"
            );
            let smallest = root(&crd, version, false);
            let again = (version.round_trip)(smallest.clone())
                .map_err(|e| format!("{here}: {e}"))
                .unwrap();
            // A type may write defaults of its own, but never loses or changes what was there.
            assert!(contains(&again, &smallest), "{here}: {smallest} became {again}");
        }
    }
}

/// Whether everything of `part` is in `whole`.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|w| contains(w, value))),
        (whole, part) => whole == part,
    }
}

/// All places of an object, as JSON pointers, with the schema of each.
fn places<'a>(pointer: &str, value: &Value, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    found.push((pointer.to_owned(), schema));
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let inner = schema["properties"]
                    .get(key)
                    .or_else(|| schema.get("additionalProperties"));
                if let Some(inner) = inner.filter(|_| schema.get("x-kubernetes-preserve-unknown-fields").is_none()) {
                    places(&format!("{pointer}/{key}"), value, inner, found);
                }
            }
        }
        Value::Array(items) => {
            if let (Some(item), Some(inner)) = (items.first(), schema.get("items")) {
                places(&format!("{pointer}/0"), item, inner, found);
            }
        }
        _ => {}
    }
}

#[test]
fn types_refuse_missing_fields_and_unknown_values_as_schemas_do() {
    for crd in all() {
        for version in &crd.versions {
            let full = root(&crd, version, true);
            let mut found = Vec::new();
            places("", &full, &version.schema, &mut found);
            for (pointer, schema) in found {
                let here = format!("{} {} {pointer}", crd.kind, version.name);
                for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                    // Bytes that are missing read as empty bytes.
                    if schema["properties"][required.as_str().unwrap()]["format"] == "byte" {
                        continue;
                    }
                    let mut broken = full.clone();
                    let parent = broken.pointer_mut(&pointer).and_then(Value::as_object_mut).unwrap();
                    parent.remove(required.as_str().unwrap());
                    assert!((version.round_trip)(broken).is_err(), "{here}: {required} is required");
                }
                for value in schema.get("enum").and_then(Value::as_array).into_iter().flatten() {
                    let mut other = full.clone();
                    *other.pointer_mut(&pointer).unwrap() = value.clone();
                    assert_eq!((version.round_trip)(other.clone()).ok(), Some(other), "{here}: {value}");
                }
                if schema.get("enum").is_some() {
                    let mut broken = full.clone();
                    *broken.pointer_mut(&pointer).unwrap() = json!("NoSuchValue");
                    assert!((version.round_trip)(broken).is_err(), "{here}: an unknown value");
                }
            }
        }
    }
}
