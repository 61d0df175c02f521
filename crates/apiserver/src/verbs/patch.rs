//! `patch` in its four types.

use super::{Written, update};
use crate::call::Call;
use crate::object::{self, set_meta};
use crate::routes::Verb;
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use crate::{decode, engine};
use serde_json::Value;
use std::sync::Arc;

/// Media type of server-side apply.
pub const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Patches an object or its status.
pub fn patch(core: &Arc<Core>, call: &Call) -> ApiResult<Written> {
    if call.content_type == APPLY {
        return apply(core, call);
    }
    if call.query.has("force") {
        let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[cause]));
    }
    let patch = parse(call)?;
    update::change(core, call, &mut |live| patched(call, live, &patch))
}

/// The patch in the body, of a type that the resource takes.
pub fn parse(call: &Call) -> ApiResult<Value> {
    let custom = call.resource.crd.is_some();
    let known = match call.content_type.as_str() {
        JSON | MERGE => true,
        STRATEGIC => !custom,
        _ => false,
    };
    if !known {
        return Err(unsupported(custom));
    }
    let patch: Value =
        serde_json::from_slice(&call.body).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
    let fits = if call.content_type == JSON {
        patch.is_array()
    } else {
        patch.is_object()
    };
    if fits {
        Ok(patch)
    } else {
        Err(ApiError::bad_request(
            "error decoding patch: the patch has the wrong JSON type",
        ))
    }
}

fn unsupported(custom: bool) -> ApiError {
    let error = ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
    if !custom {
        return ApiError {
            details: Some(serde_json::json!({})),
            ..error
        };
    }
    let list = [JSON, MERGE, APPLY].join(", ");
    let message = format!("the body of the request was in an unknown format - accepted media types include: {list}");
    ApiError { message, ..error }
}

/// The live object with the patch applied.
pub fn patched(call: &Call, live: &Value, patch: &Value) -> ApiResult<Value> {
    let mut new = match call.content_type.as_str() {
        JSON => engine::json_patch(live, patch)?,
        MERGE => engine::merge_patch(live, patch),
        _ => engine::strategic(call, live, patch)?,
    };
    if !new.is_object() {
        return Err(ApiError::bad_request("the patched value is no object"));
    }
    // Only a resourceVersion that the patch itself names is a precondition.
    let live_rv = object::meta_text(live, "resourceVersion");
    if object::meta_text(&new, "resourceVersion") == live_rv && !names_version(call, patch) {
        set_meta(&mut new, "resourceVersion", None);
    }
    decode::check_type(call, &mut new)?;
    Ok(new)
}

fn names_version(call: &Call, patch: &Value) -> bool {
    if call.content_type == JSON {
        let touches = |op: &Value| object::text(op, &["path"]) == "/metadata/resourceVersion";
        return patch.as_array().is_some_and(|ops| ops.iter().any(touches));
    }
    object::at(patch, &["metadata", "resourceVersion"]).is_some()
}

/// Server-side apply: creates or merges.
fn apply(core: &Arc<Core>, call: &Call) -> ApiResult<Written> {
    if call.query.get("fieldManager").is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[cause]));
    }
    let mut applied: Value =
        serde_yaml::from_slice(&call.body).map_err(|e| ApiError::bad_request(format!("error decoding YAML: {e}")))?;
    check_apply_type(call, &applied)?;
    if object::at(&applied, &["metadata", "managedFields"]).is_some_and(|v| !v.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let (name, given) = (call.target.name.as_str(), object::name(&applied).to_owned());
    if given.is_empty() {
        set_meta(&mut applied, "name", Some(name.into()));
    } else if given != name {
        let message = format!("the name of the object ({given}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(message));
    }
    check_declared(call, &applied)?;
    if call.resource.namespaced {
        crate::prepare::settle_namespace(call, &mut applied.clone())?;
    }
    let (force, time) = (call.query.flag("force"), core.clock.now_text());
    loop {
        let exists = core.store.get(&call.resource.table, call.namespace(), name).is_some();
        let outcome = if exists {
            update::change(core, call, &mut |live| merged(call, live, &applied, force, &time))
        } else if !call.target.subresource.is_empty() {
            return Err(call.not_found(name));
        } else if object::meta_text(&applied, "uid").is_empty() {
            let new = engine::apply(call, None, &applied, force, &time)?;
            super::create::from_value(core, call, new)
        } else {
            let uid = object::uid(&applied);
            return Err(call.conflict(
                name,
                &format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found"),
            ));
        };
        // It was created or deleted between the read and the write: read again.
        match outcome {
            Err(e) if !exists && e.reason == "AlreadyExists" => {}
            Err(e) if exists && e.reason == "NotFound" => {}
            outcome => return outcome,
        }
    }
}

/// An apply names its kind and version.
fn check_apply_type(call: &Call, applied: &Value) -> ApiResult<()> {
    let (api_version, kind) = (object::text(applied, &["apiVersion"]), object::text(applied, &["kind"]));
    if api_version == call.api_version() && kind == call.resource.kind {
        return Ok(());
    }
    let (group, version) = crate::registry::split_api_version(api_version);
    Err(ApiError::bad_request(format!(
        "invalid object type: {group}/{version}, Kind={kind}"
    )))
}

fn merged(call: &Call, live: &Value, applied: &Value, force: bool, time: &str) -> ApiResult<Value> {
    let mut new = engine::apply(call, Some(live), applied, force, time)?;
    let given = object::meta_text(applied, "resourceVersion");
    set_meta(&mut new, "resourceVersion", (!given.is_empty()).then(|| given.into()));
    Ok(new)
}

/// Apply refuses fields that the kind does not declare and values of the wrong type, whatever `fieldValidation` says.
fn check_declared(call: &Call, applied: &Value) -> ApiResult<()> {
    let mut probe = applied.clone();
    let unknown = match &call.version.schema {
        Some(schema) => {
            let mistyped = engine::validate(schema, &probe, None);
            match mistyped.into_iter().find(|c| c.reason == "FieldValueTypeInvalid") {
                Some(fault) => Err(format!(".{}: {}", fault.field, fault.message)),
                None => Ok(engine::prune(schema, &mut probe)),
            }
        }
        None => crate::typed::conform(&call.api_version(), &call.resource.kind, &mut probe),
    };
    match unknown.as_deref() {
        Ok([]) => Ok(()),
        Ok([first, ..]) => Err(engine::untyped(
            call,
            applied,
            &format!(".{first}: field not declared in schema"),
        )),
        Err(why) => Err(engine::untyped(call, applied, why)),
    }
}

/// What a JSON or merge patch is refused with when its result does not fit the kind; other errors stay as they are.
pub fn decode_error(call: &Call, patched: &Value, error: ApiError) -> ApiError {
    let by_patch = matches!(call.content_type.as_str(), JSON | MERGE | STRATEGIC);
    if call.verb != Verb::Patch || !by_patch || error.code != 400 {
        return error;
    }
    // A strategic merge is shown as the patch, the others as their result.
    let shown = if call.content_type == STRATEGIC {
        String::from_utf8_lossy(&call.body).into_owned()
    } else {
        patched.to_string()
    };
    let own = format!(
        "{0} in version \"{1}\" cannot be handled as a {0}: ",
        call.resource.kind, call.version.name
    );
    let why = error.message.strip_prefix(&own).unwrap_or(&error.message);
    ApiError::invalid("", "", "", &[Cause::invalid("patch", &shown.into(), why)])
}
