//! The fleet's own definitions: accepts and refuses what the API server accepts and refuses, with its texts.
//!
//! The cases were run against a real API server; `crates/api/tests/data` has them, `deploy/crds` the definitions.

// Tests read files and fail loudly.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use schema::{Schema, summary};
use serde_json::Value;

/// Schemas by apiVersion and kind.
fn schemas() -> BTreeMap<(String, String), Schema> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    let mut schemas = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let crd = api::yaml::parse(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        let spec = &crd["spec"];
        for version in spec["versions"].as_array().unwrap() {
            let name = &version["name"];
            let api_version = format!("{}/{}", spec["group"].as_str().unwrap(), name.as_str().unwrap());
            let kind = spec["names"]["kind"].as_str().unwrap().to_owned();
            let schema = &version["schema"]["openAPIV3Schema"];
            let problems = schema::structural::check(schema, "schema");
            assert!(problems.is_empty(), "{api_version} {kind}: {}", summary(&problems));
            let schema = Schema::from_json(schema).unwrap_or_else(|e| panic!("{api_version} {kind}: {e}"));
            schemas.insert((api_version, kind), schema);
        }
    }
    schemas
}

/// What the API server does to an object on its way in; the refusal, or the object as stored.
fn admit(schema: &Schema, mut object: Value, old: Option<&Value>) -> Result<Value, String> {
    schema.prune(&mut object);
    schema.default(&mut object);
    let errors = schema.validate(&object, old);
    if errors.is_empty() {
        Ok(object)
    } else {
        Err(summary(&errors))
    }
}

/// A JSON merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = serde_json::json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.as_object_mut().unwrap().remove(key);
            }
            value => merge(&mut target[key], value),
        }
    }
}

#[test]
fn cases_of_the_real_api_server() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/tests/data/schema-cases.yaml");
    let cases = api::yaml::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    let schemas = schemas();
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases.as_array().unwrap() {
        // Names are no matter of the schema: the API server checks them by itself.
        if case["error"] == "a lowercase RFC 1123 subdomain" {
            continue;
        }
        for version in case["versions"].as_array().unwrap() {
            count += 1;
            let here = format!("{} ({})", case["name"].as_str().unwrap(), version.as_str().unwrap());
            let mut object = case["create"].clone();
            let api_version = format!(
                "{}/{}",
                object["apiVersion"].as_str().unwrap(),
                version.as_str().unwrap()
            );
            object["apiVersion"] = api_version.clone().into();
            let schema = &schemas[&(api_version, object["kind"].as_str().unwrap().to_owned())];
            let created = admit(schema, object, None);
            let outcome = match (created, case.get("update")) {
                (created, None) => created,
                (Err(error), Some(_)) => panic!("{here}: cannot be created: {error}"),
                (Ok(old), Some(patch)) => {
                    let mut new = old.clone();
                    merge(&mut new, patch);
                    admit(schema, new, Some(&old))
                }
            };
            match (outcome, case.get("error").and_then(Value::as_str)) {
                (Ok(_), None) => {}
                (Err(error), Some(part)) if error.contains(part) => {}
                (Ok(_), Some(part)) => wrong.push(format!("{here}: accepted instead of: {part}")),
                (Err(error), part) => wrong.push(format!("{here}: {error}, instead of: {part:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
