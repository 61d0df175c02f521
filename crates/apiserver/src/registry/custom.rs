//! Resources from CustomResourceDefinition objects.

use super::{Column, Registry, Resource, ScalePaths, Traits, Version};
use crate::object::{at, items, strings, text};
use serde_json::Value;
use std::sync::Arc;

/// The resource that a CustomResourceDefinition describes, or why its schema cannot be used.
pub fn from_crd(crd: &Value) -> Result<Resource, String> {
    let group = text(crd, &["spec", "group"]);
    // Names are taken from the status once accepted; the server accepts exactly what the spec says.
    let names = at(crd, &["spec", "names"]).cloned().unwrap_or_default();
    let plural = text(&names, &["plural"]);
    let kind = text(&names, &["kind"]);
    let mut versions = items(crd, &["spec", "versions"])
        .iter()
        .map(|v| version(v).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    let latest = versions
        .iter()
        .filter(|v| v.served && v.deprecation.is_none())
        .map(|v| v.name.clone());
    let latest = latest.max_by(|a, b| super::compare_versions(a, b));
    for version in versions.iter_mut() {
        default_warning(Arc::make_mut(version), group, kind, latest.as_deref());
    }
    versions.sort_by(|a, b| super::compare_versions(&b.name, &a.name));
    let storage_version = items(crd, &["spec", "versions"])
        .iter()
        .find(|v| v.get("storage") == Some(&Value::Bool(true)))
        .map(|v| text(v, &["name"]).to_owned())
        .ok_or("no storage version")?;
    let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<_>>();
    Ok(Resource {
        group: group.to_owned(),
        plural: plural.to_owned(),
        singular: or_default(text(&names, &["singular"]), || kind.to_lowercase()),
        kind: kind.to_owned(),
        list_kind: or_default(text(&names, &["listKind"]), || format!("{kind}List")),
        short_names: owned(strings(names.get("shortNames"))),
        categories: owned(strings(names.get("categories"))),
        namespaced: text(crd, &["spec", "scope"]) == "Namespaced",
        versions,
        storage_version,
        table: crate::status::qualified(group, plural).into(),
        traits: Traits {
            generation: true,
            ..Traits::default()
        },
        crd: Some(crate::object::uid(crd).to_owned()),
        generation: crate::object::generation(crd),
    })
}

fn default_warning(version: &mut Version, group: &str, kind: &str, latest: Option<&str>) {
    let Some(text) = version.deprecation.as_mut().filter(|t| t.is_empty()) else {
        return;
    };
    *text = format!("{group}/{} {kind} is deprecated", version.name);
    if let Some(latest) = latest {
        text.push_str(&format!("; use {group}/{latest} {kind}"));
    }
}

fn or_default(given: &str, default: impl FnOnce() -> String) -> String {
    if given.is_empty() { default() } else { given.to_owned() }
}

fn version(spec: &Value) -> Result<Version, String> {
    let name = text(spec, &["name"]).to_owned();
    let raw = at(spec, &["schema", "openAPIV3Schema"])
        .cloned()
        .unwrap_or_else(|| serde_json::json!({"type": "object"}));
    let flag = |key: &str| spec.get(key) == Some(&Value::Bool(true));
    let scale = at(spec, &["subresources", "scale"]).map(|s| ScalePaths {
        spec: text(s, &["specReplicasPath"]).to_owned(),
        status: text(s, &["statusReplicasPath"]).to_owned(),
        selector: Some(text(s, &["labelSelectorPath"]).to_owned()).filter(|s| !s.is_empty()),
    });
    let schema = crate::engine::parse_schema(&raw, scale.as_ref())?;
    let columns = items(spec, &["additionalPrinterColumns"]).iter().map(column).collect();
    let deprecation = flag("deprecated").then(|| text(spec, &["deprecationWarning"]).to_owned());
    Ok(Version {
        served: flag("served"),
        status: at(spec, &["subresources", "status"]).is_some_and(|s| !s.is_null()),
        scale,
        extra_subresources: Vec::new(),
        columns,
        schema: Some(Arc::new(schema)),
        raw_schema: Some(Arc::new(raw)),
        deprecation,
        selectable: items(spec, &["selectableFields"])
            .iter()
            .map(|f| text(f, &["jsonPath"]).to_owned())
            .collect(),
        name,
    })
}

fn column(spec: &Value) -> Column {
    Column {
        name: text(spec, &["name"]).to_owned(),
        kind: text(spec, &["type"]).to_owned(),
        format: text(spec, &["format"]).to_owned(),
        description: text(spec, &["description"]).to_owned(),
        priority: spec.get("priority").and_then(Value::as_i64).unwrap_or(0),
        json_path: text(spec, &["jsonPath"]).to_owned(),
    }
}

/// The first name that another definition of the group already holds, as the message of `NamesAccepted`.
pub fn names_in_use(registry: &Registry, wanted: &Resource) -> Option<String> {
    let snapshot = registry.snapshot();
    let others = snapshot
        .values()
        .filter(|r| r.group == wanted.group && r.plural != wanted.plural);
    for other in others {
        if other.kind == wanted.kind || other.list_kind == wanted.kind {
            return Some(format!("\"{}\" is already in use", wanted.kind));
        }
        let names = std::iter::once(&wanted.singular).chain(&wanted.short_names);
        for name in names {
            if other.singular == *name || other.plural == *name || other.short_names.contains(name) {
                return Some(format!("\"{name}\" is already in use"));
            }
        }
    }
    None
}
