//! The custom kinds of this suite.

use crate::cx::GROUP;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A folder with the definitions that all cases share; it goes with this value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it any more; a left-over file in the temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes the definitions into a temporary folder.
pub fn write() -> std::io::Result<Folder> {
    let folder = std::env::temp_dir().join(format!("fairway-contract-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for (name, definition) in [("widgets", widgets()), ("plains", plains()), ("gadgets", gadgets())] {
        std::fs::write(folder.join(format!("{name}.yaml")), definition.to_string())?;
    }
    Ok(Folder(folder))
}

/// A definition with one version, ready to be posted.
pub fn definition(group: &str, kind: &str, scope: &str, version: Value) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": scope, "names": {"plural": plural, "singular": singular, "kind": kind}, "versions": [version]}})
}

/// A version with a schema for `spec` and nothing else.
pub fn version(name: &str, spec: Value) -> Value {
    json!({"name": name, "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}})
}

/// Widgets have status, scale, printer columns and a schema with every kind of constraint.
fn widgets() -> Value {
    let mut version = version("v1", widget_spec());
    version["subresources"] = json!({"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}});
    version["additionalPrinterColumns"] = json!([
        {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
        {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
        {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]);
    version["schema"]["openAPIV3Schema"]["properties"]["status"] = json!({"type": "object", "properties": {
        "replicas": {"type": "integer"},
        "selector": {"type": "string"},
        "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"], "items": {"type": "object",
            "required": ["type"], "properties": {"type": {"type": "string"}, "status": {"type": "string"}}}}}});
    version["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        json!([{"rule": "size(self.metadata.name) < 41", "message": "metadata.name max length is 40"}]);
    let mut definition = definition(GROUP, "Widget", "Namespaced", version);
    definition["spec"]["names"]["shortNames"] = json!(["wd"]);
    definition["spec"]["names"]["categories"] = json!(["contract"]);
    definition
}

fn widget_spec() -> Value {
    json!({"type": "object", "properties": {
        "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
        "replicas": {"type": "integer", "minimum": 0, "maximum": 10},
        "name": {"type": "string", "maxLength": 8, "pattern": "^[a-z]*$"},
        "note": {"type": "string", "nullable": true},
        "steps": {"type": "array", "maxItems": 2, "items": {"type": "object", "required": ["do"], "properties": {"do": {"type": "string"}, "for": {"type": "integer", "minimum": 1, "default": 1}}}},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"], "items": {"type": "object", "required": ["port"],
            "properties": {"port": {"type": "integer"}, "name": {"type": "string"}}}},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "limit": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "when": {"type": "string", "format": "date-time"},
        "fixed": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed is immutable"}]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "embedded": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        "low": {"type": "integer"},
        "high": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "!has(self.low) || !has(self.high) || self.low <= self.high", "message": "low must not be above high"}]})
}

/// Plains have no subresource and keep every field of their spec.
fn plains() -> Value {
    let mut version = version(
        "v1",
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    );
    version["schema"]["openAPIV3Schema"]["properties"]["status"] =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    definition(GROUP, "Plain", "Namespaced", version)
}

/// Gadgets belong to the cluster.
fn gadgets() -> Value {
    definition(
        GROUP,
        "Gadget",
        "Cluster",
        version(
            "v1",
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        ),
    )
}

/// A ConfigMap without namespace.
pub fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

pub fn plain(name: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Plain", "metadata": {"name": name}, "spec": spec})
}

pub fn gadget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Gadget", "metadata": {"name": name}, "spec": spec})
}

/// A Deployment with one container `app`.
pub fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}}})
}
