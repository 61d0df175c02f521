//! Validation: schemas of custom resources, and of built-in kinds the rules that people run into.

mod crd;
mod kinds;
mod names;
mod unions;

use crate::call::Call;
use crate::object::{self, at, items};
use crate::status::Cause;
use crate::{engine, prepare};
pub use names::label_value;
use serde_json::Value;

/// Largest sum of annotation keys and values, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Faults of a new object.
pub fn created(call: &Call, new: &Value) -> Vec<Cause> {
    let mut causes = prepare::metadata_faults(call, new, None);
    match &call.version.schema {
        Some(schema) => causes.extend(engine::validate(schema, new, None)),
        None => causes.extend(kinds::faults(&call.resource.table, new, None)),
    }
    causes
}

/// Faults of a changed object.
pub fn updated(call: &Call, new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = prepare::metadata_faults(call, new, Some(old));
    match &call.version.schema {
        Some(schema) if call.target.subresource == "status" => {
            causes.extend(engine::validate_status(schema, new, old));
        }
        Some(schema) => causes.extend(engine::validate(schema, new, Some(old))),
        None if call.target.subresource == "status" => {}
        None => causes.extend(kinds::faults(&call.resource.table, new, Some(old))),
    }
    causes
}

/// Faults of metadata.
pub fn metadata(call: &Call, value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = object::name(value);
    let fault = names::rule(&call.resource.table)(name);
    if let Some(detail) = fault.filter(|_| !name.is_empty()) {
        causes.push(Cause::invalid("metadata.name", &name.into(), detail));
    }
    if name.len() > 253 {
        causes.push(Cause::invalid(
            "metadata.name",
            &name.into(),
            "must be no more than 253 bytes",
        ));
    }
    labels("metadata.labels", at(value, &["metadata", "labels"]), &mut causes);
    annotations(value, &mut causes);
    for owner in items(value, &["metadata", "ownerReferences"]) {
        for key in ["apiVersion", "kind", "name", "uid"] {
            if object::text(owner, &[key]).is_empty() {
                causes.push(Cause {
                    field: format!("metadata.ownerReferences.{key}"),
                    reason: "FieldValueInvalid".into(),
                    message: "Invalid value: \"\": must not be empty".into(),
                });
            }
        }
    }
    let controllers = items(value, &["metadata", "ownerReferences"])
        .iter()
        .filter(|o| o.get("controller") == Some(&Value::Bool(true)));
    if controllers.count() > 1 {
        let detail = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid("metadata.ownerReferences", &Value::from("[]"), detail));
    }
    for (i, finalizer) in object::finalizers(value).into_iter().enumerate() {
        let field = format!("metadata.finalizers[{i}]");
        if let Some(detail) = names::qualified(finalizer) {
            causes.push(Cause::invalid(field, &finalizer.into(), &detail));
        } else if call.resource.crd.is_none() && !is_standard_finalizer(finalizer) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(field, &finalizer.into(), detail));
        }
    }
    causes
}

fn is_standard_finalizer(name: &str) -> bool {
    name.contains('/') || matches!(name, "kubernetes" | "orphan" | "foregroundDeletion")
}

/// Says that rules were left out because of earlier faults.
pub fn rules_not_checked() -> Cause {
    let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
    Cause::invalid("<nil>", &Value::Null, detail)
}

/// What users are warned of about an object that is accepted.
pub fn warnings(call: &Call, value: &Value) -> Vec<String> {
    let loose = object::finalizers(value)
        .into_iter()
        .filter(|f| !is_standard_finalizer(f));
    let custom = loose.filter(|_| call.resource.crd.is_some());
    custom
        .map(|f| format!("metadata.finalizers: {f:?}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"))
        .collect()
}

fn annotations(value: &Value, causes: &mut Vec<Cause>) {
    let Some(Value::Object(map)) = at(value, &["metadata", "annotations"]) else {
        return;
    };
    let mut size = 0;
    for (key, text) in map {
        // Annotation keys are compared in lower case.
        if let Some(detail) = names::qualified(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &key.as_str().into(), &detail));
        }
        size += key.len() + text.as_str().map(str::len).unwrap_or_default();
    }
    if size > MAX_ANNOTATIONS {
        causes.push(Cause {
            field: "metadata.annotations".into(),
            reason: "FieldValueTooLong".into(),
            message: format!("Too long: may not be more than {MAX_ANNOTATIONS} bytes"),
        });
    }
}

/// Faults of a map of labels.
pub fn labels(field: &str, value: Option<&Value>, causes: &mut Vec<Cause>) {
    for (key, text) in value.and_then(Value::as_object).into_iter().flatten() {
        if let Some(detail) = names::qualified(key) {
            causes.push(Cause::invalid(field, &key.as_str().into(), &detail));
        }
        let text = text.as_str().unwrap_or_default();
        if let Some(detail) = names::label_value(text) {
            causes.push(Cause::invalid(field, &text.into(), &detail));
        }
    }
}
