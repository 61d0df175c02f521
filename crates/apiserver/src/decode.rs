//! From what a client sent to a well-formed object of the request's version: type check, unknown fields, defaults.

use crate::call::Call;
use crate::object;
use crate::registry::split_api_version;
use crate::status::{ApiError, ApiResult, Cause};
use crate::{defaults, engine, typed};
use serde_json::{Map, Value};

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
    let kind = given(map, "kind");
    let api_version = given(map, "apiVersion");
    if custom {
        return check_custom(call, kind, api_version, &wanted);
    }
    let (kind, api_version) = match (kind, api_version) {
        (Some(kind), Some(api_version)) => (kind, api_version),
        (kind, api_version) => {
            let kind = kind.unwrap_or_else(|| call.resource.kind.clone());
            map.insert("kind".into(), kind.as_str().into());
            let api_version = api_version.unwrap_or(wanted.clone());
            map.insert("apiVersion".into(), api_version.as_str().into());
            (kind, api_version)
        }
    };
    if kind == call.resource.kind && api_version == wanted {
        return Ok(());
    }
    let go = |kind: &str, api_version: &str, package: bool| {
        let (group, version) = split_api_version(api_version);
        let first = group.split('.').next().filter(|g| !g.is_empty()).unwrap_or("core");
        format!("({}.{kind})", if package { first } else { version })
    };
    let why = if typed::TYPES.kinds.contains_key(&(api_version.clone(), kind.clone())) {
        let (from, to) = (go(&kind, &api_version, false), go(&call.resource.kind, &wanted, true));
        format!("converting {from} to {to}: unknown conversion")
    } else {
        format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \"pkg/runtime/scheme.go:110\""
        )
    };
    let version = split_api_version(&api_version).1;
    Err(ApiError::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {}: {why}",
        call.resource.kind
    )))
}

fn check_custom(call: &Call, kind: Option<String>, api_version: Option<String>, wanted: &str) -> ApiResult<()> {
    let Some(kind) = kind else {
        let body = String::from_utf8_lossy(&call.body);
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{body}' ({body})",
            call.resource.kind
        )));
    };
    let api_version = api_version.unwrap_or_default();
    if api_version != wanted {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({wanted})"
        )));
    }
    if kind != call.resource.kind {
        let cause = Cause::invalid(
            "kind",
            &kind.as_str().into(),
            &format!("must be {}", call.resource.kind),
        );
        let name = serde_json::from_slice::<Value>(&call.body).unwrap_or_default();
        let name = if call.target.name.is_empty() {
            object::name(&name)
        } else {
            &call.target.name
        };
        return Err(ApiError::invalid(&call.resource.group, &kind, name, &[cause]));
    }
    Ok(())
}

/// Fits an object to its kind: drops unknown fields (whose paths it returns), checks types, fills in defaults.
pub fn conform(call: &Call, value: &mut Value) -> ApiResult<Vec<String>> {
    let (kind, version) = (&call.resource.kind, &call.version.name);
    let type_error = |error: String| {
        ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {error}"
        ))
    };
    Ok(match &call.version.schema {
        Some(schema) => {
            let mut unknown = typed::conform_metadata(value).map_err(type_error)?;
            unknown.extend(engine::prune(schema, value));
            engine::default(schema, value);
            unknown
        }
        None => {
            let unknown = typed::conform(&call.api_version(), kind, value).map_err(type_error)?;
            defaults::apply(&call.resource.table, value);
            unknown
        }
    })
}

/// What `fieldValidation` makes of unknown fields: an error, warnings, or nothing.
pub fn judge_unknown(call: &Call, unknown: &[String]) -> ApiResult<Vec<String>> {
    let messages = || unknown.iter().map(|path| format!("unknown field \"{path}\""));
    match call.query.get("fieldValidation") {
        "Strict" if !unknown.is_empty() => {
            let list = format!("strict decoding error: {}", messages().collect::<Vec<_>>().join(", "));
            let (kind, version) = (&call.resource.kind, &call.version.name);
            Err(ApiError::bad_request(format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: {list}"
            )))
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
