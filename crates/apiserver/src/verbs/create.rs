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
    let decoded = decode::conform(call, body)?;
    let warnings = decode::judge_unknown(call, &decoded.unknown)?;
    let mut value = decoded.value;
    prepare::settle_namespace(call, &mut value)?;
    let generated = object::name(&value).is_empty();
    if generated && object::meta_text(&value, "generateName").is_empty() {
        let cause = Cause::required("metadata.name", "name or generateName is required");
        return Err(call.invalid("", &[cause]));
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
            Ok(written) => return Ok(Written { warnings, ..written }),
        }
    }
}

fn attempt(core: &Arc<Core>, call: &Call, mut value: Value) -> ApiResult<Written> {
    let name = object::name(&value).to_owned();
    namespaces::check_may_create(core, call, &name)?;
    let dry_run = call.dry_run()?;
    if core.store.get(&call.resource.table, call.namespace(), &name).is_some() {
        return Err(ApiError::already_exists(
            &call.resource.group,
            &call.resource.plural,
            &name,
        ));
    }
    prepare::for_create(call, &mut value, &core.clock, &core.ids);
    admission::on_create(core, call, &mut value)?;
    let causes = validate::created(call, &value);
    if !causes.is_empty() {
        return Err(call.invalid(&name, &causes));
    }
    // An apply that creates brings its own record of managers.
    if call.content_type != super::patch::APPLY {
        value = engine::update_managers(call, None, &value, &core.clock.now_text());
    }
    to_storage(call, &mut value);
    if dry_run {
        return Ok(Written {
            object: unstored(value),
            created: true,
            warnings: Vec::new(),
        });
    }
    admission::allocate(core, call, None, &mut value)?;
    let event = core
        .store
        .commit(&call.resource.table, Change::Create(value))
        .map_err(|e| match e {
            StoreError::Exists => ApiError::already_exists(&call.resource.group, &call.resource.plural, &name),
            _ => ApiError::no_such_path(),
        })?;
    controllers::after(core, &call.resource.table, &event);
    Ok(Written {
        object: event.object.clone(),
        created: true,
        warnings: Vec::new(),
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
