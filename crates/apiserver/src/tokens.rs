//! The `token` subresource of service accounts: TokenRequest.

use crate::call::Call;
use crate::clock;
use crate::object::{at, name, strings};
use crate::reply::{self, Body};
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use http::Response;
use serde_json::{Value, json};

const DEFAULT_SECONDS: i64 = 3600;
const MIN_SECONDS: i64 = 600;
const MAX_SECONDS: i64 = 1 << 32;

/// Issues a token.
pub fn create(core: &Core, call: &Call) -> ApiResult<Response<Body>> {
    let account_name = &call.target.name;
    let account = core
        .store
        .get("serviceaccounts", call.namespace(), account_name)
        .ok_or_else(|| call.not_found(account_name))?;
    let mut request = if call.body.is_empty() {
        json!({})
    } else {
        call.json_body()?
    };
    let given = name(&request);
    if !given.is_empty() && given != account_name {
        let message = format!("the name of the object ({given}) does not match the name on the URL ({account_name})");
        return Err(ApiError::bad_request(message));
    }
    let seconds = at(&request, &["spec", "expirationSeconds"])
        .and_then(Value::as_i64)
        .unwrap_or(DEFAULT_SECONDS);
    let fault = match seconds {
        s if s < MIN_SECONDS => Some("may not specify a duration less than 10 minutes"),
        s if s > MAX_SECONDS => Some("may not specify a duration larger than 2^32 seconds"),
        _ => None,
    };
    if let Some(detail) = fault {
        let cause = Cause::invalid("spec.expirationSeconds", &seconds.into(), detail);
        return Err(ApiError::invalid(
            "authentication.k8s.io",
            "TokenRequest",
            given,
            &[cause],
        ));
    }
    let expires = clock::plus_seconds(core.clock.now(), seconds);
    let audiences = strings(at(&request, &["spec", "audiences"]));
    let token = core
        .tokens
        .issue(core, call.namespace(), account_name, &account.uid, &audiences, expires);
    let audiences = if audiences.is_empty() {
        json!([crate::authn::ISSUER])
    } else {
        json!(audiences)
    };
    let spec = json!({"audiences": audiences, "expirationSeconds": seconds,
        "boundObjectRef": at(&request, &["spec", "boundObjectRef"])});
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["metadata"] =
        json!({"name": account_name, "namespace": call.namespace(), "creationTimestamp": core.clock.now_text()});
    request["spec"] = spec;
    request["status"] = json!({"token": token, "expirationTimestamp": clock::time_text(expires)});
    Ok(reply::json(201, &request))
}
