//! The way of a request: read, authenticate, authorize, suffer faults, execute, count.

use crate::authn;
use crate::call::{Call, User};
use crate::discovery;
use crate::metrics::Labels;
use crate::reply::{self, Body, View};
use crate::routes::{Query, Route, Target, Verb, route};
use crate::server::{Core, Identity};
use crate::status::{ApiError, ApiResult};
use crate::verbs;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::io;
use std::sync::Arc;

/// Largest request body, as with the real server.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// Handles a request. An error breaks the connection on purpose.
pub async fn handle<B>(core: &Arc<Core>, request: Request<B>, identity: Identity) -> io::Result<Response<Body>>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query());
    let agent = header_text(&parts.headers, header::USER_AGENT).to_owned();
    let method = parts.method.clone();
    let (mut labels, outcome) = match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => route_request(core, &parts, query, collected.to_bytes(), identity, &agent).await,
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {MAX_BODY}");
            (
                Labels::default(),
                Ok(Err(ApiError::new(413, "RequestEntityTooLarge", message))),
            )
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let response = outcome?.unwrap_or_else(|error| reply::error(&error));
    if labels.verb.is_empty() {
        labels.verb = method.to_string();
    }
    labels.code = response.status().as_u16();
    core.metrics.count(labels, &agent);
    Ok(response)
}

type Outcome = io::Result<ApiResult<Response<Body>>>;

async fn route_request(
    core: &Arc<Core>,
    parts: &Parts,
    query: Query,
    body: Bytes,
    identity: Identity,
    agent: &str,
) -> (Labels, Outcome) {
    let user = match authn::authenticate(core, &parts.headers, identity) {
        Ok(user) => user,
        Err(error) => return (Labels::default(), Ok(Err(error))),
    };
    match route(parts.uri.path()) {
        Route::Resource(target) => resource(core, parts, query, body, user, agent, target).await,
        other => {
            let labels = Labels::default();
            let path = parts.uri.path();
            let allowed = core
                .rbac
                .authorize_path(&user, &parts.method.as_str().to_lowercase(), path);
            let outcome = if allowed {
                discovery::answer(core, &other, &parts.method, &parts.headers, path)
            } else {
                Err(path_forbidden(&user, &parts.method.as_str().to_lowercase(), path))
            };
            (labels, Ok(outcome))
        }
    }
}

fn path_forbidden(user: &User, verb: &str, path: &str) -> ApiError {
    let message = format!("forbidden: User \"{}\" cannot {verb} path \"{path}\"", user.name);
    ApiError {
        details: Some(serde_json::json!({})),
        ..ApiError::new(403, "Forbidden", message)
    }
}

async fn resource(
    core: &Arc<Core>,
    parts: &Parts,
    query: Query,
    body: Bytes,
    user: User,
    agent: &str,
    target: Target,
) -> (Labels, Outcome) {
    let watch = query.flag("watch");
    let Some(verb) = Verb::of(&parts.method, &target, watch) else {
        return (Labels::default(), Ok(Err(ApiError::method_not_allowed())));
    };
    let content_type = header_text(&parts.headers, header::CONTENT_TYPE);
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
    let labels = Labels::of(&target, verb, &content_type, query.has("dryRun"));
    // For the authorizer a list of one name is about the object of that name.
    let mut subject = target.clone();
    if subject.name.is_empty()
        && let Some(name) = crate::selector::selected_name(query.get("fieldSelector"))
    {
        subject.name = name;
    }
    if let Err(error) = core.rbac.authorize(&user, verb.as_str(), &subject) {
        return (labels, Ok(Err(error)));
    }
    let decision = core.faults.judge(&user, verb, &target);
    if !decision.delay.is_zero() {
        tokio::time::sleep(decision.delay).await;
    }
    let broken = || io::Error::new(io::ErrorKind::ConnectionReset, "the connection was broken by a fault");
    if decision.hang_up {
        return (labels, Err(broken()));
    }
    if let Some(error) = decision.error {
        return (labels, Ok(Err(error)));
    }
    let outcome = prepare(core, parts, query, body, user, agent, target, verb, content_type).and_then(|mut call| {
        call.stale = decision.stale;
        let deprecation = call.version.deprecation.clone();
        let mut response = verbs::execute(core, call)?;
        if let Some(text) = deprecation {
            reply::warn(&mut response, &text);
        }
        Ok(response)
    });
    if decision.lose_answer {
        return (labels, Err(broken()));
    }
    (labels, Ok(outcome))
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request, taken apart once")]
fn prepare(
    core: &Core,
    parts: &Parts,
    query: Query,
    body: Bytes,
    user: User,
    agent: &str,
    target: Target,
    verb: Verb,
    content_type: String,
) -> ApiResult<Call> {
    let resource = core
        .registry
        .resource(&target.group, &target.resource)
        .ok_or_else(|| missing(core, &target))?;
    let version = resource
        .version(&target.version)
        .cloned()
        .ok_or_else(|| missing(core, &target))?;
    // A collection path must fit the scope of the resource.
    let scoped = !target.namespace.is_empty() && target.resource != "namespaces";
    let fits = if resource.namespaced {
        scoped || target.name.is_empty()
    } else {
        !scoped
    };
    if !fits {
        return Err(ApiError::no_such_path());
    }
    let writes_across =
        resource.namespaced && target.namespace.is_empty() && matches!(verb, Verb::Create | Verb::DeleteCollection);
    if writes_across {
        return Err(ApiError::method_not_allowed());
    }
    let view = View::negotiate(&parts.headers)?;
    Ok(Call {
        user,
        agent: agent.to_owned(),
        target,
        verb,
        resource,
        version,
        query,
        view,
        content_type,
        body,
        clock: core.clock.clone(),
        stale: None,
    })
}

/// Groups of built-in kinds answer with a Status, unknown paths and custom groups with plain text.
fn missing(core: &Core, target: &Target) -> ApiError {
    let snapshot = core.registry.snapshot();
    let built_in = snapshot.values().any(|r| r.group == target.group && r.crd.is_none());
    if built_in {
        ApiError::no_such_resource()
    } else {
        ApiError::no_such_path()
    }
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}
