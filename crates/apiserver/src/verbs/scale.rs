//! The `scale` subresource.

use super::{patch, update};
use crate::call::Call;
use crate::object;
use crate::registry::ScalePaths;
use crate::reply::{self, Body};
use crate::routes::Verb;
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use http::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Reads or changes the scale of an object.
pub fn scale(core: &Arc<Core>, call: &Call, verb: Verb) -> ApiResult<Response<Body>> {
    let Some(paths) = &call.version.scale else {
        return Err(ApiError::no_such_path());
    };
    let object = match verb {
        Verb::Get => core
            .store
            .get(&call.resource.table, call.namespace(), &call.target.name)
            .ok_or_else(|| call.not_found(&call.target.name))?,
        Verb::Update => {
            let wanted = call.json_body()?;
            update::change(core, call, &mut |live| rescaled(call, paths, live, &wanted))?.object
        }
        Verb::Patch => {
            let wanted = patch::parse(call)?;
            update::change(core, call, &mut |live| {
                let before = view(call, paths, live);
                let patched = match call.content_type.as_str() {
                    "application/json-patch+json" => crate::engine::json_patch(&before, &wanted)?,
                    _ => crate::engine::merge_patch(&before, &wanted),
                };
                rescaled(call, paths, live, &patched)
            })?
            .object
        }
        _ => return Err(call.not_allowed()),
    };
    Ok(reply::json(200, &view(call, paths, &object.value())))
}

fn keys(path: &str) -> Vec<&str> {
    path.split('.').filter(|k| !k.is_empty()).collect()
}

/// The `Scale` of an object.
fn view(call: &Call, paths: &ScalePaths, live: &Value) -> Value {
    let number = |path: &str| object::at(live, &keys(path)).and_then(Value::as_i64).unwrap_or(0);
    let selector = match &paths.selector {
        Some(path) => object::text(live, &keys(path)).to_owned(),
        None if call.resource.crd.is_none() => object::at(live, &["spec", "selector"])
            .map(crate::selector::text_of)
            .unwrap_or_default(),
        None => String::new(),
    };
    let mut status = json!({"replicas": number(&paths.status)});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    let mut metadata = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object::at(live, &["metadata", key]) {
            metadata[key] = value.clone();
        }
    }
    // Zero is left out of the spec, as Go does.
    let spec = match number(&paths.spec) {
        0 => json!({}),
        n => json!({"replicas": n}),
    };
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

fn rescaled(call: &Call, paths: &ScalePaths, live: &Value, wanted: &Value) -> ApiResult<Value> {
    let replicas = object::at(wanted, &["spec", "replicas"])
        .and_then(Value::as_i64)
        .unwrap_or(0);
    if replicas < 0 && call.resource.crd.is_none() {
        let cause = Cause::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
        return Err(ApiError::invalid("autoscaling", "Scale", &call.target.name, &[cause]));
    }
    let mut new = live.clone();
    let mut slot = &mut new;
    for key in keys(&paths.spec) {
        slot = object::as_map(slot).entry(key).or_insert(Value::Null);
    }
    *slot = replicas.into();
    let rv = object::meta_text(wanted, "resourceVersion");
    object::set_meta(&mut new, "resourceVersion", (!rv.is_empty()).then(|| rv.into()));
    Ok(new)
}
