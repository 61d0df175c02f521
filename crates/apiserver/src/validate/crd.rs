//! Rules of CustomResourceDefinitions.

use crate::object::{at, items, name, strings, text};
use crate::status::Cause;
use serde_json::Value;

/// Faults of a definition.
pub fn faults(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let (group, plural) = (text(new, &["spec", "group"]), text(new, &["spec", "names", "plural"]));
    for path in [
        ["spec", "group"].as_slice(),
        &["spec", "names", "plural"],
        &["spec", "names", "kind"],
    ] {
        if text(new, path).is_empty() {
            causes.push(Cause::required(path.join("."), ""));
        }
    }
    if name(new) != format!("{plural}.{group}") {
        causes.push(Cause::invalid(
            "metadata.name",
            &name(new).into(),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    let scope = text(new, &["spec", "scope"]);
    if !matches!(scope, "Namespaced" | "Cluster") {
        causes.push(Cause::unsupported(
            "spec.scope",
            &scope.into(),
            &["Cluster", "Namespaced"],
        ));
    }
    protected_group(new, group, causes);
    versions(new, causes);
    let Some(old) = old else { return };
    for path in [
        ["spec", "group"].as_slice(),
        &["spec", "scope"],
        &["spec", "names", "plural"],
        &["spec", "names", "kind"],
    ] {
        if at(old, path) != at(new, path) {
            let shown = at(new, path).cloned().unwrap_or_default();
            causes.push(Cause::invalid(path.join("."), &shown, "field is immutable"));
        }
    }
    stored_versions(new, old, causes);
}

/// Groups under `k8s.io` need an approval.
fn protected_group(new: &Value, group: &str, causes: &mut Vec<Cause>) {
    let protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|p| group == *p || group.ends_with(&format!(".{p}")));
    let approval = at(new, &["metadata", "annotations"]).and_then(|a| a.get("api-approved.kubernetes.io"));
    if protected && approval.is_none() {
        let detail = "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111";
        causes.push(Cause::required(
            "metadata.annotations[api-approved.kubernetes.io]",
            detail,
        ));
    }
}

fn versions(new: &Value, causes: &mut Vec<Cause>) {
    let list = items(new, &["spec", "versions"]);
    if list.is_empty() {
        causes.push(Cause::required("spec.versions", ""));
        return;
    }
    let storage = list
        .iter()
        .filter(|v| v.get("storage") == Some(&Value::Bool(true)))
        .count();
    if storage != 1 {
        let detail = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &Value::Array(Vec::new()), detail));
    }
    for (i, version) in list.iter().enumerate() {
        let field = format!("spec.versions[{i}]");
        // A schema that all versions share is blamed once, by the place where older definitions had it.
        let shared = list.iter().all(|v| v.get("schema") == version.get("schema"));
        let name = text(version, &["name"]);
        if list.iter().take(i).any(|v| text(v, &["name"]) == name) {
            causes.push(Cause::duplicate(format!("{field}.name"), &name.into()));
        }
        match at(version, &["schema", "openAPIV3Schema"]) {
            None => causes.push(Cause::required(format!("{field}.schema.openAPIV3Schema"), "")),
            Some(_) if shared && i > 0 => {}
            Some(schema) if shared => {
                causes.extend(crate::engine::check_schema(schema, "spec.validation.openAPIV3Schema"));
            }
            Some(schema) => {
                let path = format!("{field}.schema.openAPIV3Schema");
                causes.extend(crate::engine::check_schema(schema, &path));
            }
        }
    }
}

fn stored_versions(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let names: Vec<&str> = items(new, &["spec", "versions"])
        .iter()
        .map(|v| text(v, &["name"]))
        .collect();
    for (i, stored) in strings(at(old, &["status", "storedVersions"])).into_iter().enumerate() {
        if !names.contains(&stored) {
            let detail = "missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions".replace("v1", stored);
            causes.push(Cause::invalid(
                format!("status.storedVersions[{i}]"),
                &stored.into(),
                &detail,
            ));
        }
    }
}
