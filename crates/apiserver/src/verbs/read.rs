//! `get` and `list`.

use crate::call::Call;
use crate::object;
use crate::present;
use crate::reply::{self, Body, View};
use crate::selector::Selectors;
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use crate::storage::{Scope, Snapshot, StoreError, Stored};
use crate::tables;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers `get`.
pub fn get(core: &Core, call: &Call) -> ApiResult<Response<Body>> {
    let (name, namespace) = (&call.target.name, call.namespace());
    check_not_future(core, call.query.get("resourceVersion"))?;
    let found = match call.stale {
        Some(rv) => core
            .store
            .get_at(&call.resource.table, namespace, name, rv)
            .map_err(|e| read_error(e, rv))?,
        None => core.store.get(&call.resource.table, namespace, name),
    };
    let found = found.ok_or_else(|| call.not_found(name))?;
    Ok(reply::json_bytes(200, present::bytes(call, &found)))
}

/// The scope of a call on a collection.
pub fn scope(call: &Call) -> Scope {
    if call.resource.namespaced && !call.target.namespace.is_empty() {
        Scope::Namespace(call.target.namespace.clone())
    } else {
        Scope::All
    }
}

/// Answers `list`.
pub fn list(core: &Core, call: &Call) -> ApiResult<Response<Body>> {
    let selectors = Selectors::of(&call.query, &call.resource, &call.version.name)?;
    let page = page(core, call, &selectors)?;
    let mut meta = json!({"resourceVersion": page.snapshot.rv.to_string()});
    if call.resource.crd.is_some() {
        meta["continue"] = "".into();
    }
    if let Some(token) = &page.next {
        meta["continue"] = token.as_str().into();
        if selectors.is_empty() {
            meta["remainingItemCount"] = page.remaining.into();
        }
    }
    if call.view == View::Table {
        let items = page.snapshot.items.iter().map(|s| &**s);
        return Ok(reply::json(200, &tables::of(call, items, Some(meta))));
    }
    Ok(reply::json_bytes(200, list_bytes(call, &page.snapshot.items, &meta)))
}

/// The list object with these items.
pub fn list_bytes(call: &Call, items: &[Arc<Stored>], meta: &Value) -> Vec<u8> {
    let (api_version, kind) = match call.view {
        View::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList"),
        _ => (call.api_version(), call.resource.list_kind.as_str()),
    };
    let mut out = Vec::new();
    out.extend_from_slice(format!("{{\"apiVersion\":\"{api_version}\",\"kind\":\"{kind}\",\"metadata\":").as_bytes());
    present::append(meta, &mut out);
    out.extend_from_slice(b",\"items\":[");
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        present::write(call, item, true, &mut out);
    }
    out.extend_from_slice(b"]}");
    out
}

struct Page {
    snapshot: Snapshot,
    next: Option<String>,
    remaining: usize,
}

fn page(core: &Core, call: &Call, selectors: &Selectors) -> ApiResult<Page> {
    let table = &call.resource.table;
    let scope = scope(call);
    let wanted = match call.query.get("limit") {
        "" => 0,
        text => text
            .parse::<usize>()
            .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?,
    };
    let limit = if wanted == 0 { usize::MAX } else { wanted };
    let token = decode_token(call.query.get("continue"))?;
    let snapshot = match (&token, call.stale) {
        (Some(token), _) => core
            .store
            .list_at(table, &scope, token.rv)
            .map_err(|_| ApiError::expired(CONTINUE_EXPIRED))?,
        (None, Some(rv)) => core.store.list_at(table, &scope, rv).map_err(|e| read_error(e, rv))?,
        (None, None) => snapshot_for(core, call, table, &scope)?,
    };
    let Snapshot { rv, mut items } = snapshot;
    if let Some(token) = &token {
        let start = items.partition_point(|s| (&*s.namespace, &*s.name) <= (&*token.namespace, &*token.name));
        items.drain(..start);
    }
    if !selectors.is_empty() {
        items.retain(|item| selectors.matches(item));
    }
    let remaining = items.len().saturating_sub(limit);
    items.truncate(limit);
    let next = if remaining > 0 {
        items.last().map(|last| encode_token(rv, last))
    } else {
        None
    };
    Ok(Page {
        snapshot: Snapshot { rv, items },
        next,
        remaining,
    })
}

/// The list at the version that `resourceVersion` and `resourceVersionMatch` select.
fn snapshot_for(core: &Core, call: &Call, table: &str, scope: &Scope) -> ApiResult<Snapshot> {
    let (rv, matching) = (
        call.query.get("resourceVersion"),
        call.query.get("resourceVersionMatch"),
    );
    let refuse = |why: &str| {
        let cause = Cause::forbidden("resourceVersionMatch", why);
        Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[cause]))
    };
    match matching {
        "" | "NotOlderThan" => {}
        "Exact" if rv == "0" => {
            return refuse("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        "Exact" => {}
        other => {
            let cause = Cause::unsupported("resourceVersionMatch", &other.into(), &["Exact", "NotOlderThan", ""]);
            return Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[cause]));
        }
    }
    if !matching.is_empty() && rv.is_empty() {
        return refuse("resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    check_not_future(core, rv)?;
    // With a limit, a version without a match rule means exactly that version, as the real server has it.
    let limited = !matches!(call.query.get("limit"), "" | "0");
    let exact = matching == "Exact" || (matching.is_empty() && limited && !matches!(rv, "" | "0"));
    if exact {
        let rv = parse_rv(rv)?;
        return core.store.list_at(table, scope, rv).map_err(|e| read_error(e, rv));
    }
    Ok(core.store.list(table, scope))
}

/// Parses a resourceVersion.
pub fn parse_rv(text: &str) -> ApiResult<u64> {
    text.parse().map_err(|_| {
        let why =
            format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
        ApiError::bad_request(format!("invalid resource version: {why}"))
    })
}

/// A read at a version that the server has not reached times out on real servers; here it fails at once.
fn check_not_future(core: &Core, rv: &str) -> ApiResult<()> {
    if rv.is_empty() {
        return Ok(());
    }
    let (wanted, now) = (parse_rv(rv)?, core.store.rv());
    if wanted > now {
        Err(read_error(StoreError::Future(now), wanted))
    } else {
        Ok(())
    }
}

/// The failure of a read at a version.
pub fn read_error(error: StoreError, wanted: u64) -> ApiError {
    match error {
        StoreError::Future(now) => {
            let message = format!("Too large resource version: {wanted}, current: {now}");
            ApiError {
                details: Some(
                    json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1}),
                ),
                retry_after: Some(1),
                ..ApiError::new(504, "Timeout", format!("Timeout: {message}"))
            }
        }
        _ => ApiError::expired("The resourceVersion for the provided list is too old."),
    }
}

const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.";

struct Token {
    rv: u64,
    namespace: String,
    name: String,
}

fn encode_token(rv: u64, last: &Stored) -> String {
    let token = json!({"v": "meta.k8s.io/v1", "rv": rv, "ns": &*last.namespace, "start": &*last.name});
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn decode_token(text: &str) -> ApiResult<Option<Token>> {
    if text.is_empty() {
        return Ok(None);
    }
    let value: Option<Value> = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|b| serde_json::from_slice(&b).ok());
    let token = value.and_then(|v| {
        Some(Token {
            rv: v.get("rv")?.as_u64()?,
            namespace: object::text(&v, &["ns"]).to_owned(),
            name: object::text(&v, &["start"]).to_owned(),
        })
    });
    token.map(Some).ok_or_else(|| {
        ApiError::bad_request("invalid continue token: continue key is not valid: it was not issued by this server")
    })
}
