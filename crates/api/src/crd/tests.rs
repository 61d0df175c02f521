use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::*;

mod samples;
mod table;

#[test]
#[allow(clippy::disallowed_methods)] // The files on disk are what is tested.
fn files_are_up_to_date() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    for (name, text) in files() {
        let found = std::fs::read_to_string(directory.join(&name)).unwrap_or_default();
        assert!(found == text, "{name} is out of date: run `cargo xtask codegen`");
    }
}

#[test]
fn missing_changed_and_stale_files_differ() {
    let wanted = files();
    assert!(differences(&wanted, &wanted).is_empty());
    let mut found = wanted.clone();
    let names: Vec<String> = wanted.keys().take(2).cloned().collect();
    found.remove(&names[0]);
    found.insert(names[1].clone(), "changed".to_owned());
    found.insert("stale.yaml".to_owned(), String::new());
    let expected = BTreeSet::from([names[0].clone(), names[1].clone(), "stale.yaml".to_owned()]);
    assert_eq!(differences(&wanted, &found), expected);
}

/// Calls `look` with the path and each schema of a tree.
fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Map<String, Value>)) {
    let map = schema.as_object().unwrap();
    look(path, map);
    for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, look);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get(key) {
            walk(&format!("{path}[]"), inner, look);
        }
    }
}

#[test]
fn schemas_are_structural_and_say_only_what_crds_may_say() {
    const KNOWN: &[&str] = &[
        "additionalProperties",
        "anyOf",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ];
    for crd in all() {
        for version in &crd.versions {
            walk("", &version.schema, &mut |path, schema| {
                let here = format!("{} {} {path}", crd.kind, version.name);
                let unknown: Vec<_> = schema.keys().filter(|k| !KNOWN.contains(&k.as_str())).collect();
                assert!(unknown.is_empty(), "{here}: {unknown:?}");
                let int_or_string = schema.contains_key("x-kubernetes-int-or-string");
                assert_eq!(schema.contains_key("anyOf"), int_or_string, "{here}");
                let any = schema.contains_key("x-kubernetes-preserve-unknown-fields");
                assert!(
                    schema.get("type").is_some_and(Value::is_string) != int_or_string || any,
                    "{here}"
                );
                if !path.is_empty() && !path.ends_with("metadata") && !path.ends_with("[]") {
                    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
                    assert!(description.ends_with('.'), "{here}: described by {description:?}");
                }
                if let Some(default) = schema.get("default") {
                    let values = schema.get("enum").and_then(Value::as_array);
                    assert!(values.is_none_or(|v| v.contains(default)), "{here}: default {default}");
                }
                for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                    assert!(
                        !schema["properties"][required.as_str().unwrap()].is_null(),
                        "{here}: {required}"
                    );
                }
            });
        }
    }
}

/// Every rule is met by an example that the API server must refuse for it. Kinds of a group share many schemas, so that
/// one kind's case stands for all.
#[test]
fn every_rule_has_a_case() {
    let cases = crate::yaml::parse(include_str!("../../tests/data/schema-cases.yaml")).unwrap();
    let errors: BTreeSet<(&str, &str)> = cases
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|case| Some((case["create"]["apiVersion"].as_str()?, case["error"].as_str()?)))
        .collect();
    for crd in all() {
        for version in &crd.versions {
            walk("", &version.schema, &mut |path, schema| {
                for rule in schema
                    .get("x-kubernetes-validations")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    let message = rule["message"].as_str().unwrap();
                    // The bounds of the field refuse the same values before the rule is evaluated.
                    if message == "timeoutInSeconds must be between 5 and 10 when intervalInSeconds is 30" {
                        continue;
                    }
                    let met = errors
                        .iter()
                        .any(|(group, error)| *group == crd.group && error.contains(message));
                    assert!(met, "{} {} {path}: no case for {message:?}", crd.kind, version.name);
                }
            });
        }
    }
}

/// Lists of selector terms are bounded in policies only (placement-api 11.1), and the rules of expressions hold in all of them
/// (placement-api 12.2). The API server takes such rules also in the lists without a bound.
#[test]
fn terms_are_bounded_in_policies_and_have_rules_everywhere() {
    let mut seen = Vec::new();
    for crd in all().into_iter().filter(|crd| crd.group == "placement.kubefleet.dev") {
        let is_policy = crd.kind.ends_with("PlacementPolicy");
        for version in &crd.versions {
            walk("", &version.schema, &mut |path, schema| {
                if path.ends_with(".terms") || path.ends_with(".clusterSelectorTerms") {
                    let bound = schema.get("maxItems").and_then(Value::as_u64);
                    let below = schema["items"].to_string();
                    assert_eq!(bound, is_policy.then_some(5), "{} {path}", crd.kind);
                    assert!(below.contains("x-kubernetes-validations"), "{} {path}", crd.kind);
                    seen.push(crd.kind);
                }
            });
        }
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            "ClusterPlacementBinding",
            "ClusterPlacementPolicy",
            "ClusterRequest",
            "PlacementBinding",
            "PlacementPolicy"
        ]
    );
}
