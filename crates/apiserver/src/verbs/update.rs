//! `update`, and what every change of an existing object has in common.

use super::{Written, unstored};
use crate::call::Call;
use crate::object;
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use crate::storage::{Change, StoreError, Stored};
use crate::{admission, controllers, decode, engine, prepare, present, validate};
use serde_json::Value;
use std::sync::Arc;

/// How often a change is computed anew because somebody else was faster.
const TRIES: usize = 5;

/// Replaces an object, its status, or a namespace's finalizers, by the body of the call.
pub fn replace(core: &Arc<Core>, call: &Call) -> ApiResult<Written> {
    let mut body = call.json_body()?;
    decode::check_type(call, &mut body)?;
    let missing = core
        .store
        .get(&call.resource.table, call.namespace(), &call.target.name)
        .is_none();
    if missing && call.resource.traits.create_on_update && call.target.subresource.is_empty() {
        if object::name(&body).is_empty() {
            object::set_meta(&mut body, "name", Some(call.target.name.as_str().into()));
        }
        return super::create::from_value(core, call, body);
    }
    let unconditional = object::meta_text(&body, "resourceVersion").is_empty();
    if unconditional && !call.resource.traits.unconditional_update && !missing {
        let cause = Cause::invalid("metadata.resourceVersion", &0.into(), "must be specified for an update");
        let resource = &call.resource;
        return Err(ApiError::invalid(
            &resource.group,
            &resource.plural,
            &call.target.name,
            &[cause],
        ));
    }
    change(core, call, &mut |_| Ok(body.clone()))
}

/// Computes a changed object from the live one (both in the request's version) and stores it.
pub fn change(
    core: &Arc<Core>,
    call: &Call,
    compute: &mut dyn FnMut(&Value) -> ApiResult<Value>,
) -> ApiResult<Written> {
    let name = &call.target.name;
    for _ in 0..TRIES {
        let stored = core
            .store
            .get(&call.resource.table, call.namespace(), name)
            .ok_or_else(|| call.not_found(name))?;
        let live = present::value_in(&call.resource, &call.version, &stored);
        let new = compute(&live)?;
        match store_change(core, call, &stored, &live, new)? {
            Some(written) => return Ok(written),
            None => continue,
        }
    }
    Err(call.modified(name))
}

/// Stores a changed object; `None` when the live one moved on meanwhile and a retry makes sense.
fn store_change(
    core: &Arc<Core>,
    call: &Call,
    stored: &Arc<Stored>,
    live: &Value,
    new: Value,
) -> ApiResult<Option<Written>> {
    prepare::check_update(call, live, &new)?;
    let pinned = !object::meta_text(&new, "resourceVersion").is_empty();
    let reset_managers = resets_managers(&new);
    let mut new = new;
    let decoded = decode::conform(call, &mut new).and_then(|unknown| decode::judge_unknown(call, &unknown));
    let mut warnings = decoded.map_err(|error| super::patch::decode_error(call, &new, error))?;
    if !reset_managers && call.content_type != super::patch::APPLY {
        new = engine::update_managers(call, Some(live), &new, &core.clock.now_text());
    }
    prepare::for_update(call, live, &mut new);
    admission::on_update(core, call, live, &mut new)?;
    let causes = validate::updated(call, &new, live);
    if !causes.is_empty() {
        return Err(call.invalid(&call.target.name, &causes));
    }
    if reset_managers {
        object::set_meta(&mut new, "managedFields", None);
    }
    warnings.extend(validate::warnings(call, &new));
    if unchanged(live, &new) {
        return Ok(Some(Written {
            object: stored.clone(),
            created: false,
            warnings,
        }));
    }
    super::create::to_storage(call, &mut new);
    if call.dry_run()? {
        return Ok(Some(Written {
            object: unstored(new),
            created: false,
            warnings,
        }));
    }
    admission::allocate(core, call, Some(live), &mut new)?;
    let gone = may_be_removed(call, &new);
    let change = if gone {
        Change::Remove(new, stored.rv)
    } else {
        Change::Update(new, stored.rv)
    };
    match core.store.commit(&call.resource.table, change) {
        Ok(event) => {
            controllers::after(core, &call.resource.table, &event);
            Ok(Some(Written {
                object: event.object.clone(),
                created: false,
                warnings,
            }))
        }
        Err(StoreError::Changed) if pinned => Err(call.modified(&call.target.name)),
        Err(StoreError::Changed) => Ok(None),
        Err(StoreError::Missing) => Err(call.not_found(&call.target.name)),
        Err(_) => Err(ApiError::internal("the store refused the change")),
    }
}

/// An explicit empty list (or one empty entry) removes all managers.
fn resets_managers(new: &Value) -> bool {
    match object::at(new, &["metadata", "managedFields"])
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([]) => true,
        Some([one]) => one.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    }
}

/// Whether a terminating object holds nothing back any more.
fn may_be_removed(call: &Call, value: &Value) -> bool {
    let held_by_spec =
        &*call.resource.table == "namespaces" && !object::items(value, &["spec", "finalizers"]).is_empty();
    let grace = object::at(value, &["metadata", "deletionGracePeriodSeconds"])
        .and_then(Value::as_i64)
        .unwrap_or(0);
    object::is_terminating(value) && object::finalizers(value).is_empty() && !held_by_spec && grace == 0
}

/// Whether nothing but times in managed fields differs: such a write is none.
fn unchanged(live: &Value, new: &Value) -> bool {
    let managers = |v: &Value| -> Vec<Value> {
        let mut list = object::items(v, &["metadata", "managedFields"]).to_vec();
        list.iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(|m| drop(m.remove("time")));
        list
    };
    let rest = |v: &Value| -> Value {
        let mut v = v.clone();
        object::set_meta(&mut v, "managedFields", None);
        v
    };
    managers(live) == managers(new) && rest(live) == rest(new)
}
