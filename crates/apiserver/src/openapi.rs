//! OpenAPI documents: complete enough for `kubectl apply`, `explain` and validation.

use crate::registry::{Resource, api_version};
use crate::reply::{self, Body};
use crate::server::Core;
use crate::typed::TYPES;
use http::{HeaderMap, Response, header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

const REF_PREFIX: &str = "#/components/schemas/";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The version 2 document: title and version alone. Clients use version 3 for everything that matters and want this one
/// only to exist.
pub fn v2(headers: &HeaderMap) -> Response<Body> {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if accept.contains("protobuf") {
        // Document { swagger = 1: "2.0"; info = 2 { title = 1: "Kubernetes"; version = 2: ... }; paths = 8 {} }
        let field = |number: u8, bytes: &[u8]| -> Vec<u8> {
            // All lengths here are below 128, so each fits one byte.
            let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap_or(0)];
            out.extend_from_slice(bytes);
            out
        };
        let info = [
            field(1, b"Kubernetes"),
            field(2, crate::discovery::GIT_VERSION.as_bytes()),
        ]
        .concat();
        return reply::with_type(
            200,
            PROTOBUF,
            [field(1, b"2.0"), field(2, &info), field(8, b"")].concat(),
        );
    }
    let info = json!({"title": "Kubernetes", "version": crate::discovery::GIT_VERSION});
    reply::json(
        200,
        &json!({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}),
    )
}

/// The list of version 3 documents.
pub fn index(core: &Core) -> Response<Body> {
    let mut paths = Map::new();
    for (group, versions) in core.registry.groups() {
        for version in versions {
            let place = if group.is_empty() {
                format!("api/{version}")
            } else {
                format!("apis/{group}/{version}")
            };
            let hash = hash_of(core, &group, &version);
            paths.insert(
                place.clone(),
                json!({"serverRelativeURL": format!("/openapi/v3/{place}?hash={hash}")}),
            );
        }
    }
    reply::json(200, &json!({ "paths": paths }))
}

/// Changes whenever the document would.
fn hash_of(core: &Core, group: &str, version: &str) -> String {
    let mut digest = Sha256::new();
    for resource in core.registry.snapshot().values().filter(|r| r.group == group) {
        digest.update(resource.plural.as_bytes());
        if let Some(raw) = resource.version(version).and_then(|v| v.raw_schema.as_ref()) {
            digest.update(raw.to_string().as_bytes());
        }
    }
    digest.finalize().iter().take(16).map(|b| format!("{b:02X}")).collect()
}

/// The document of a group and version, by its place (`api/v1`, `apis/GROUP/VERSION`).
pub fn document(core: &Core, place: &str) -> Option<Response<Body>> {
    let parts: Vec<&str> = place.split('/').collect();
    let (group, version) = match parts.as_slice() {
        ["api", version] => ("", *version),
        ["apis", group, version] => (*group, *version),
        _ => return None,
    };
    let snapshot = core.registry.snapshot();
    let resources: Vec<&Resource> = snapshot
        .values()
        .filter(|r| r.group == group && r.version(version).is_some())
        .map(|r| &**r)
        .collect();
    if resources.is_empty() {
        return None;
    }
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for resource in resources {
        let name = schema_of(resource, version, &mut schemas);
        add_paths(resource, version, &name, &mut paths);
    }
    let info = json!({"title": "Kubernetes", "version": crate::discovery::GIT_VERSION});
    let document = json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}});
    Some(reply::json(200, &document))
}

fn gvk(resource: &Resource, version: &str) -> Value {
    json!({"group": resource.group, "version": version, "kind": resource.kind})
}

/// Adds the schema of a resource and all it refers to; returns its name.
fn schema_of(resource: &Resource, version: &str, schemas: &mut Map<String, Value>) -> String {
    let types = &*TYPES;
    let raw = resource.version(version).and_then(|v| v.raw_schema.clone());
    let (name, mut schema) = match raw {
        Some(raw) => {
            let mut reversed: Vec<&str> = resource.group.split('.').collect();
            reversed.reverse();
            let name = format!("{}.{version}.{}", reversed.join("."), resource.kind);
            let mut schema = Value::clone(&raw);
            add_object_fields(&mut schema);
            collect(OBJECT_META, schemas);
            (name, schema)
        }
        None => {
            let key = (api_version(&resource.group, version), resource.kind.clone());
            let Some(name) = types.kinds.get(&key) else {
                return String::new();
            };
            collect(name, schemas);
            (name.clone(), schemas.get(name).cloned().unwrap_or_default())
        }
    };
    schema["x-kubernetes-group-version-kind"] = json!([gvk(resource, version)]);
    schemas.insert(name.clone(), schema);
    name
}

fn add_object_fields(schema: &mut Value) {
    let properties = crate::object::child(schema, "properties");
    let text = |description: &str| json!({"type": "string", "description": description});
    properties.insert("apiVersion".into(), text("Version of the schema of this object."));
    properties.insert("kind".into(), text("Kind of this object."));
    let reference = format!("{REF_PREFIX}{OBJECT_META}");
    properties.insert(
        "metadata".into(),
        json!({"allOf": [{"$ref": reference}], "description": "Standard metadata of objects."}),
    );
}

/// Adds a built-in type and all types it refers to.
fn collect(name: &str, schemas: &mut Map<String, Value>) {
    let mut queue = vec![name.to_owned()];
    while let Some(name) = queue.pop() {
        if schemas.contains_key(&name) {
            continue;
        }
        let Some(schema) = TYPES.definitions.get(&name) else {
            continue;
        };
        let mut references = BTreeSet::new();
        find_references(schema, &mut references);
        schemas.insert(name, schema.clone());
        queue.extend(references);
    }
}

fn find_references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(name) = map
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|r| r.strip_prefix(REF_PREFIX))
            {
                found.insert(name.to_owned());
            }
            map.values().for_each(|v| find_references(v, found));
        }
        Value::Array(list) => list.iter().for_each(|v| find_references(v, found)),
        _ => {}
    }
}

/// Adds the paths of a resource with the operations that clients look up: which of them take `fieldValidation`.
fn add_paths(resource: &Resource, version: &str, name: &str, paths: &mut Map<String, Value>) {
    let root = if resource.group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{}/{version}", resource.group)
    };
    let collection = if resource.namespaced {
        format!("{root}/namespaces/{{namespace}}/{}", resource.plural)
    } else {
        format!("{root}/{}", resource.plural)
    };
    let body = json!({"content": {"application/json": {"schema": {"$ref": format!("{REF_PREFIX}{name}")}}}});
    let operation = |action: &str, parameters: &[&str]| {
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|p| json!({"name": p, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
            .collect();
        json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(resource, version),
            "parameters": parameters, "responses": {"200": {"description": "OK", "content": body["content"]}}})
    };
    let write = ["dryRun", "fieldManager", "fieldValidation"];
    let mut create = operation("post", &write);
    create["requestBody"] = body.clone();
    let mut replace = operation("put", &write);
    replace["requestBody"] = body.clone();
    // Strategic merge is left out on purpose: these schemas carry no merge keys, so clients must use those they know.
    let patch_body = json!({"schema": {"type": "object"}});
    let mut patch = operation("patch", &["dryRun", "fieldManager", "fieldValidation", "force"]);
    patch["requestBody"] = json!({"content": {"application/json-patch+json": patch_body, "application/merge-patch+json": patch_body,
        "application/apply-patch+yaml": patch_body}});
    let list =
        json!({"get": operation("list", &["labelSelector", "fieldSelector", "limit", "continue"]), "post": create});
    let object = json!({"get": operation("get", &[]), "put": replace, "patch": patch,
        "delete": operation("delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"])});
    paths.insert(format!("{collection}/{{name}}"), object);
    paths.insert(collection, list);
}
