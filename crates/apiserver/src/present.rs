//! Objects as clients see them: in the requested version and representation.

use crate::call::Call;
use crate::registry::{Resource, Version};
use crate::reply::View;
use crate::storage::Stored;
use crate::{events, object, tables};
use serde_json::{Value, json};

/// The object in a version of a resource.
pub fn value_in(resource: &Resource, version: &Version, stored: &Stored) -> Value {
    let mut value = stored.value();
    let wanted = resource.api_version(&version.name);
    if resource.is_alias() {
        events::to_events_group(&mut value);
    }
    if *stored.api_version != *wanted {
        value["apiVersion"] = wanted.into();
        if let Some(schema) = &version.schema {
            crate::engine::prune_and_default(schema, &mut value);
        }
    }
    value
}

/// Appends the object in the version and view of the call. Items of typed lists carry no apiVersion and kind.
pub fn write(call: &Call, stored: &Stored, as_item: bool, out: &mut Vec<u8>) {
    let (resource, version) = (&call.resource, &call.version);
    let untyped = as_item && resource.crd.is_none();
    let direct = version.name == resource.storage_version && !resource.is_alias();
    match call.view {
        View::Object if direct && untyped => stored.write_untyped(out),
        View::Object if direct => stored.write(&stored.api_version, out),
        View::Object => {
            let mut value = value_in(resource, version, stored);
            if untyped {
                let map = object::as_map(&mut value);
                map.remove("apiVersion");
                map.remove("kind");
            }
            append(&value, out);
        }
        View::Metadata => append(&partial(&stored.value()), out),
        View::Table => append(&tables::of(call, std::iter::once(stored), None), out),
    }
}

/// Appends a JSON value.
pub fn append(value: &Value, out: &mut Vec<u8>) {
    // Writing a value into memory cannot fail.
    if let Ok(bytes) = serde_json::to_vec(value) {
        out.extend_from_slice(&bytes);
    }
}

/// The object's metadata alone.
pub fn partial(value: &Value) -> Value {
    let metadata = value.get("metadata").cloned().unwrap_or_default();
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

/// The bytes of one object.
pub fn bytes(call: &Call, stored: &Stored) -> Vec<u8> {
    let mut out = Vec::new();
    write(call, stored, false, &mut out);
    out
}
