//! `patch` in its four types.

use super::{Written, update};
use crate::call::Call;
use crate::object::{self, set_meta};
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
        let all: &[&str] = if custom {
            &[JSON, MERGE, APPLY]
        } else {
            &[JSON, MERGE, STRATEGIC, APPLY]
        };
        return Err(ApiError::unsupported_media_type(all));
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

/// The live object with the patch applied.
pub fn patched(call: &Call, live: &Value, patch: &Value) -> ApiResult<Value> {
    let mut new = match call.content_type.as_str() {
        JSON => engine::json_patch(call, live, patch)?,
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
    decode::check_type(call, &mut applied)?;
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
    if call.resource.namespaced {
        crate::prepare::settle_namespace(call, &mut applied)?;
    }
    check_declared(call, &applied)?;
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
        // Somebody created or deleted it between the look and the write: look again.
        match outcome {
            Err(e) if !exists && e.reason == "AlreadyExists" => {}
            Err(e) if exists && e.reason == "NotFound" => {}
            outcome => return outcome,
        }
    }
}

fn merged(call: &Call, live: &Value, applied: &Value, force: bool, time: &str) -> ApiResult<Value> {
    let mut new = engine::apply(call, Some(live), applied, force, time)?;
    let given = object::meta_text(applied, "resourceVersion");
    set_meta(&mut new, "resourceVersion", (!given.is_empty()).then(|| given.into()));
    Ok(new)
}

/// Apply refuses fields that the kind does not declare, whatever `fieldValidation` says.
fn check_declared(call: &Call, applied: &Value) -> ApiResult<()> {
    let mut probe = applied.clone();
    let unknown = match &call.version.schema {
        Some(schema) => engine::prune(schema, &mut probe),
        None => crate::typed::conform(&call.api_version(), &call.resource.kind, &mut probe).unwrap_or_default(),
    };
    let Some(first) = unknown.first() else { return Ok(()) };
    let message = format!(
        "failed to create typed patch object ({}; {}, Kind={}): .{first}: field not declared in schema",
        [call.namespace(), &call.target.name]
            .iter()
            .filter(|s| !s.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("/"),
        call.api_version(),
        call.resource.kind,
    );
    Err(ApiError::new(500, "", message))
}
