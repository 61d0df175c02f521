//! Prints the table of built-in types (`src/types/builtin.table`) from a published OpenAPI document.
//!
//! Usage: `cargo run -p merge --example builtin_table -- 1.34 < swagger.json > crates/merge/src/types/builtin.table`, with the file
//! `api/openapi-spec/swagger.json` of the Kubernetes release named in the table's first line. Run it when that release changes.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Types that the server keeps as one opaque value.
const OPAQUE: [&str; 3] = ["RawExtension", "JSON", "FieldsV1"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let document: Value = serde_json::from_reader(std::io::stdin().lock())?;
    let definitions = document["definitions"].as_object().ok_or("no definitions")?;
    let version = std::env::args().nth(1).ok_or("name the release")?;
    print!("{}", render(definitions, &version));
    Ok(())
}

fn render(definitions: &Map<String, Value>, version: &str) -> String {
    let mut kinds = BTreeMap::new();
    let mut wanted = vec!["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta".to_owned()];
    for (name, definition) in definitions {
        for gvk in definition["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let text = |key: &str| gvk[key].as_str().unwrap_or_default().to_owned();
            let kind = text("kind");
            let stable = !text("version").contains("alpha") && !text("version").contains("beta");
            if stable && definition["properties"]["metadata"].is_object() && !kind.ends_with("List") {
                let group = text("group");
                let slash = if group.is_empty() { "" } else { "/" };
                kinds.insert(format!("{group}{slash}{} {kind}", text("version")), short(name));
                wanted.push(name.clone());
            }
        }
    }
    let mut types = BTreeMap::new();
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if let Some(definition) = definitions.get(&name)
            && seen.insert(name.clone())
        {
            types.insert(short(&name), type_lines(definition, definitions, &mut wanted));
        }
    }
    let mut out = format!("# Built-in types of Kubernetes {version}, printed by examples/builtin_table.rs.\n");
    out.push_str("# `group/version Kind = type`, then per type its fields that are not scalars.\n");
    for (kind, name) in kinds {
        let _ = writeln!(out, "{kind} = {name}");
    }
    for (name, lines) in types {
        let _ = writeln!(out, "{name}{lines}");
    }
    out
}

/// ` atomic` if the type is, then one line per field.
fn type_lines(definition: &Value, definitions: &Map<String, Value>, wanted: &mut Vec<String>) -> String {
    let mut out = String::new();
    if definition["x-kubernetes-map-type"] == "atomic" {
        out.push_str(" atomic");
    }
    for (field, schema) in definition["properties"].as_object().into_iter().flatten() {
        let Some(mut line) = shape(schema, definitions, wanted) else {
            continue;
        };
        if schema["x-kubernetes-map-type"] == "atomic" {
            line.push_str(" atomic");
        }
        match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => line.push_str(" list=set"),
            Some("map") => {
                let keys: Vec<String> = schema["x-kubernetes-list-map-keys"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    // The document in use leaves out defaults; ports are the one place where a key has one.
                    .map(|key| {
                        if key == "protocol" {
                            "protocol:TCP".to_owned()
                        } else {
                            key.to_owned()
                        }
                    })
                    .collect();
                let _ = write!(line, " list={}", keys.join(","));
            }
            _ => {}
        }
        if let Some(strategy) = schema["x-kubernetes-patch-strategy"].as_str() {
            let _ = write!(line, " patch={strategy}");
        }
        if let Some(key) = schema["x-kubernetes-patch-merge-key"].as_str() {
            let _ = write!(line, " key={key}");
        }
        let _ = write!(out, "\n  {field} {line}");
    }
    out
}

/// `[]Type` for lists, `{}Type` for maps, `Type` for structs, `?` for opaque values; nothing for scalars.
fn shape(schema: &Value, definitions: &Map<String, Value>, wanted: &mut Vec<String>) -> Option<String> {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.trim_start_matches("#/definitions/");
        if OPAQUE.iter().any(|opaque| name.ends_with(&format!(".{opaque}"))) {
            return Some("?".to_owned());
        }
        if !definitions
            .get(name)
            .is_some_and(|definition| definition["properties"].is_object())
        {
            return None;
        }
        wanted.push(name.to_owned());
        return Some(short(name));
    }
    match schema["type"].as_str() {
        Some("array") => Some(format!(
            "[]{}",
            shape(&schema["items"], definitions, wanted).unwrap_or_default()
        )),
        Some("object") => {
            let element = shape(&schema["additionalProperties"], definitions, wanted);
            Some(format!("{{}}{}", element.unwrap_or_default()))
        }
        _ => None,
    }
}

/// `io.k8s.api.core.v1.Pod` is `core.v1.Pod` in the table.
fn short(name: &str) -> String {
    let parts: Vec<&str> = name.rsplit('.').take(3).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(".")
}
