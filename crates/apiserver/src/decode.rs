//! From what a client sent to a well-formed object of the request's version: type check, unknown fields, defaults.

use crate::call::Call;
use crate::object;
use crate::status::{ApiError, ApiResult};
use crate::{defaults, engine, typed};
use serde_json::{Map, Value};

/// An object that fits its kind, with the unknown fields that were dropped from it.
pub struct Decoded {
    /// The object, defaulted.
    pub value: Value,
    /// Paths of dropped fields.
    pub unknown: Vec<String>,
}

/// Checks apiVersion and kind against the call. Built-in kinds may leave both out.
pub fn check_type(call: &Call, value: &mut Value) -> ApiResult<()> {
    if !value.is_object() {
        return Err(ApiError::bad_request(
            "couldn't get version/kind; json parse error: the body is not a JSON object",
        ));
    }
    let wanted = call.api_version();
    let custom = call.resource.crd.is_some();
    let map = object::as_map(value);
    let given = |map: &Map<String, Value>, key: &str| {
        map.get(key)
            .and_then(Value::as_str)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
    };
    match given(map, "kind") {
        None if custom => {
            return Err(ApiError::bad_request(format!(
                "Object 'Kind' is missing in '{}'",
                Value::Object(map.clone())
            )));
        }
        None => drop(map.insert("kind".into(), call.resource.kind.as_str().into())),
        Some(kind) if kind != call.resource.kind => {
            let api_version = given(map, "apiVersion").unwrap_or_else(|| wanted.clone());
            let message = format!(
                "{kind} in version \"{}\" cannot be handled as a {}: the request is for {wanted}, Kind={}, the object is {api_version}, Kind={kind}",
                call.version.name, call.resource.kind, call.resource.kind
            );
            return Err(ApiError::bad_request(message));
        }
        Some(_) => {}
    }
    match given(map, "apiVersion") {
        None if custom => Err(ApiError::bad_request(format!(
            "Object 'apiVersion' is missing in '{}'",
            Value::Object(map.clone())
        ))),
        None => {
            map.insert("apiVersion".into(), wanted.into());
            Ok(())
        }
        Some(given) if given != wanted => Err(ApiError::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version ({wanted})"
        ))),
        Some(_) => Ok(()),
    }
}

/// Fits an object to its kind: drops unknown fields, checks types, fills in defaults.
pub fn conform(call: &Call, mut value: Value) -> ApiResult<Decoded> {
    let (kind, version) = (&call.resource.kind, &call.version.name);
    let type_error = |error: String| {
        ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {error}"
        ))
    };
    let unknown = match &call.version.schema {
        Some(schema) => {
            let mut unknown = typed::conform_metadata(&mut value).map_err(type_error)?;
            unknown.extend(engine::prune(schema, &mut value));
            engine::default(schema, &mut value);
            unknown
        }
        None => {
            let unknown = typed::conform(&call.api_version(), kind, &mut value).map_err(type_error)?;
            defaults::apply(&call.resource.table, &mut value);
            unknown
        }
    };
    Ok(Decoded { value, unknown })
}

/// What `fieldValidation` makes of unknown fields: an error, warnings, or nothing.
pub fn judge_unknown(call: &Call, unknown: &[String]) -> ApiResult<Vec<String>> {
    let messages = || unknown.iter().map(|path| format!("unknown field \"{path}\""));
    match call.query.get("fieldValidation") {
        "Strict" if !unknown.is_empty() => {
            let list = format!("strict decoding error: {}", messages().collect::<Vec<_>>().join(", "));
            let (kind, version) = (&call.resource.kind, &call.version.name);
            let message = if call.resource.crd.is_some() {
                list
            } else {
                format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {list}")
            };
            Err(ApiError::bad_request(message))
        }
        "" | "Warn" => Ok(messages().collect()),
        "Ignore" | "Strict" => Ok(Vec::new()),
        other => {
            let message = format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            );
            Err(ApiError::new(422, "Invalid", message))
        }
    }
}
