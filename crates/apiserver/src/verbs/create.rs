//! `create`.

use super::{Written, unstored};
use crate::call::Call;
use crate::object::{self, set_meta};
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use crate::storage::{Change, StoreError};
use crate::{admission, controllers, decode, engine, events, namespaces, prepare, validate};
use serde_json::Value;
use std::sync::Arc;

/// How often a generated name is drawn anew when it is taken.
const NAME_TRIES: usize = 8;

/// Creates the object in the body of the call.
pub fn create(core: &Arc<Core>, call: &Call) -> ApiResult<Written> {
    let mut body = call.json_body()?;
    decode::check_type(call, &mut body)?;
    from_value(core, call, body)
}

/// Creates an object.
pub fn from_value(core: &Arc<Core>, call: &Call, body: Value) -> ApiResult<Written> {
    if !object::meta_text(&body, "resourceVersion").is_empty() {
        return Err(ApiError::new(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let mut value = body;
    let unknown = decode::conform(call, &mut value)?;
    let warnings = decode::judge_unknown(call, &unknown)?;
    prepare::settle_namespace(call, &mut value)?;
    let generated = object::name(&value).is_empty();
    if generated && object::meta_text(&value, "generateName").is_empty() {
        let cause = Cause::required("metadata.name", "name or generateName is required");
        let mut causes = vec![cause];
        let has_rules = call.version.schema.as_ref().is_some_and(|schema| schema.has_rules());
        causes.extend(has_rules.then(validate::rules_not_checked));
        return Err(call.invalid("", &causes));
    }
    let mut tries = if generated { NAME_TRIES } else { 1 };
    loop {
        if generated {
            let name = core.ids.generate_name(object::meta_text(&value, "generateName"));
            set_meta(&mut value, "name", Some(name.into()));
        }
        tries -= 1;
        match attempt(core, call, value.clone()) {
            Err(error) if error.reason == "AlreadyExists" && tries > 0 => {}
            Err(error) => return Err(error),
            Ok(mut written) => {
                written.warnings.splice(0..0, warnings);
                return Ok(written);
            }
        }
    }
}

fn attempt(core: &Arc<Core>, call: &Call, mut value: Value) -> ApiResult<Written> {
    let name = object::name(&value).to_owned();
    namespaces::check_may_create(core, call, &name)?;
    let dry_run = call.dry_run()?;
    // Who owns which field is decided by what the client sent and its defaults, not by what the server adds below. An
    // apply that creates brings its own record.
    if call.content_type != super::patch::APPLY {
        value = engine::update_managers(call, None, &value, &core.clock.now_text());
    }
    prepare::for_create(call, &mut value, &core.clock, &core.ids);
    admission::on_create(core, call, &mut value)?;
    let causes = validate::created(call, &value);
    if !causes.is_empty() {
        return Err(call.invalid(&name, &causes));
    }
    let warnings = validate::warnings(call, &value);
    to_storage(call, &mut value);
    let exists = || {
        let found = core.store.get(&call.resource.table, call.namespace(), &name);
        let mut error = ApiError::already_exists(&call.resource.group, &call.resource.plural, &name);
        if found.is_some_and(|f| f.terminating) {
            error.message.insert_str(0, "object is being deleted: ");
        }
        error
    };
    if dry_run && core.store.get(&call.resource.table, call.namespace(), &name).is_some() {
        return Err(exists());
    }
    if dry_run {
        return Ok(Written {
            object: unstored(value),
            created: true,
            warnings,
        });
    }
    admission::allocate(core, call, None, &mut value)?;
    let event = core
        .store
        .commit(&call.resource.table, Change::Create(value))
        .map_err(|e| match e {
            StoreError::Exists => exists(),
            _ => ApiError::no_such_path(),
        })?;
    controllers::after(core, &call.resource.table, &event);
    Ok(Written {
        object: event.object.clone(),
        created: true,
        warnings,
    })
}

/// Brings an object from the request's version into that of the store.
pub fn to_storage(call: &Call, value: &mut Value) {
    if call.resource.is_alias() {
        events::to_core(value);
    } else {
        value["apiVersion"] = call.resource.storage_api_version().into();
    }
}
