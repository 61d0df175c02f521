//! The one place that calls the crates `merge` and `schema`, so that a change of theirs is a change of one file.

use crate::call::Call;
use crate::registry::ScalePaths;
use crate::status::{ApiError, ApiResult, Cause};
use merge::TypeInfo;
use merge::ssa::{self, FieldSet, SsaError, Writer};
use merge::strategic::StrategicError;
use schema::Schema;
use serde_json::{Value, json};

/// Reads the schema of a custom resource version.
pub fn parse_schema(raw: &Value, scale: Option<&ScalePaths>) -> Result<Schema, String> {
    let schema = Schema::from_json(raw).map_err(|e| e.to_string())?;
    Ok(match scale {
        Some(paths) => schema.with_scale(schema::Scale {
            spec_replicas: paths.spec.clone(),
            status_replicas: paths.status.clone(),
            label_selector: paths.selector.clone(),
        }),
        None => schema,
    })
}

/// Drops what the schema does not name; returns the dropped paths.
pub fn prune(schema: &Schema, value: &mut Value) -> Vec<String> {
    schema.prune(value)
}

/// Fills in the schema's defaults.
pub fn default(schema: &Schema, value: &mut Value) {
    schema.default(value);
}

/// Both, for objects that are read in another version than they were stored in.
pub fn prune_and_default(schema: &Schema, value: &mut Value) {
    schema.prune(value);
    schema.default(value);
}

/// Faults of a custom resource against its schema and rules.
pub fn validate(schema: &Schema, value: &Value, old: Option<&Value>) -> Vec<Cause> {
    schema.validate(value, old).into_iter().map(cause).collect()
}

/// Faults of a write through the status subresource.
pub fn validate_status(schema: &Schema, value: &Value, old: &Value) -> Vec<Cause> {
    schema.validate_status(value, old).into_iter().map(cause).collect()
}

/// Faults of a schema itself, which stands at `path` in a definition.
pub fn check_schema(raw: &Value, path: &str) -> Vec<Cause> {
    schema::structural::check(raw, path).into_iter().map(cause).collect()
}

fn cause(fault: schema::FieldError) -> Cause {
    Cause {
        reason: fault.kind.reason().to_owned(),
        message: fault.body(),
        field: fault.path,
    }
}

/// Applies a JSON patch.
pub fn json_patch(doc: &Value, patch: &Value) -> ApiResult<Value> {
    // The real server keeps the reason to itself.
    merge::json_patch_request(doc, patch).map_err(|_| {
        let message = "the server rejected our request due to an error in our request";
        ApiError {
            details: Some(json!({})),
            ..ApiError::new(422, "Invalid", message)
        }
    })
}

/// Applies a JSON merge patch.
pub fn merge_patch(doc: &Value, patch: &Value) -> Value {
    merge::merge_patch(doc, patch)
}

/// Applies a strategic merge patch to a built-in kind.
pub fn strategic(call: &Call, doc: &Value, patch: &Value) -> ApiResult<Value> {
    merge::strategic::apply(&call.api_version(), &call.resource.kind, doc, patch).map_err(|e| match e {
        StrategicError::MissingKey { key, .. } => ApiError::new(
            500,
            "",
            format!("map: {patch} does not contain declared merge key: {key}"),
        ),
        other => ApiError::bad_request(other.to_string()),
    })
}

fn type_info(call: &Call) -> TypeInfo<'_> {
    match &call.version.raw_schema {
        Some(raw) => TypeInfo::custom(raw),
        None => TypeInfo::builtin(&call.api_version(), &call.resource.kind).unwrap_or(TypeInfo::unknown_object()),
    }
}

/// Paths that a write through this endpoint never changes and therefore never owns.
fn reset_fields(call: &Call) -> FieldSet {
    match call.target.subresource.as_str() {
        "status" if call.resource.group == "apps" => FieldSet::of_fields(&[&["spec"], &["metadata", "labels"]]),
        "status" => FieldSet::of_fields(&[&["spec"]]),
        "" if call.version.status => FieldSet::of_fields(&[&["status"]]),
        _ => FieldSet::default(),
    }
}

/// Server-side apply: the merged object with its managed fields, or the conflict.
pub fn apply(call: &Call, live: Option<&Value>, applied: &Value, force: bool, now: &str) -> ApiResult<Value> {
    let (manager, api_version, reset) = (call.manager(), call.api_version(), reset_fields(call));
    let writer = Writer {
        manager: &manager,
        api_version: &api_version,
        subresource: &call.target.subresource,
        now,
        reset: &reset,
    };
    ssa::apply(live, applied, type_info(call), &writer, force).map_err(|e| apply_error(call, applied, &e))
}

fn apply_error(call: &Call, applied: &Value, error: &SsaError) -> ApiError {
    match error {
        SsaError::Conflicts(conflicts) => {
            let cause =
                |c: &ssa::Conflict| json!({"reason": "FieldManagerConflict", "message": c.message(), "field": c.path});
            let causes: Vec<Value> = conflicts.iter().map(cause).collect();
            let details = json!({ "causes": causes });
            ApiError {
                details: Some(details),
                ..ApiError::new(409, "Conflict", error.to_string())
            }
        }
        SsaError::HasManagedFields => ApiError::bad_request(error.to_string()),
        // The real server gives this one neither reason nor a client's error code.
        SsaError::Invalid(why) => untyped(call, applied, why),
    }
}

/// An apply whose object does not fit the kind.
pub fn untyped(call: &Call, applied: &Value, why: &str) -> ApiError {
    let (namespace, name) = (crate::object::namespace(applied), crate::object::name(applied));
    let (group, version, kind) = (&call.resource.group, &call.version.name, &call.resource.kind);
    let message =
        format!("failed to create typed patch object ({namespace}/{name}; {group}/{version}, Kind={kind}): {why}");
    ApiError::new(500, "", message)
}

/// Records in managed fields what an update (not an apply) changed.
pub fn update_managers(call: &Call, old: Option<&Value>, new: &Value, now: &str) -> Value {
    if let (Some(old), "scale", Some(paths)) = (old, call.target.subresource.as_str(), &call.version.scale)
        && !ssa::is_owned(
            old,
            &paths.spec.split('.').filter(|key| !key.is_empty()).collect::<Vec<_>>(),
        )
    {
        // A scale is tracked from the moment on when somebody owns the replicas.
        return new.clone();
    }
    let (manager, api_version, reset) = (call.manager(), call.api_version(), reset_fields(call));
    let writer = Writer {
        manager: &manager,
        api_version: &api_version,
        subresource: &call.target.subresource,
        now,
        reset: &reset,
    };
    ssa::update_managed_fields(old, new, type_info(call), &writer)
}
