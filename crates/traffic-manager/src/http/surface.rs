//! From an HTTP request to its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use parking_lot::Mutex;
use rand::Rng as _;
use serde_json::Value;
use tokio::time::Instant;

use super::metadata;
use super::operation::{Action, Query, asked, needs_right, scope_path};
use crate::arm::path::{EndpointId, Route};
use crate::arm::{PROFILES, body, version};
use crate::auth::{Access, Authenticator};
use crate::decide::{Answer, HINTS_LIMIT, Hints, Operation};
use crate::engine::Handle;
use crate::error::ArmError;
use crate::metrics::RequestMetrics;
use crate::throttle::Throttle;

/// Time for a request from its head to its answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Everything that a request may need.
pub struct Surface {
    engine: Handle,
    auth: Authenticator,
    throttle: Mutex<Throttle>,
    started: Instant,
    metrics: RequestMetrics,
    /// The server's own address as clients see it; `None` means the one that they ask.
    public_url: Option<String>,
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// A request as an [`Interceptor`] sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path, as it was spelled.
    pub path: String,
    /// Its query, as it was spelled.
    pub query: String,
    /// Its body.
    pub body: Bytes,
}

/// What befalls a request, for tests of clients.
#[derive(Clone)]
pub enum Effect {
    /// It waits.
    Delay(Duration),
    /// The connection breaks before anything is done.
    DropBefore,
    /// The connection breaks although everything is done.
    DropAfter,
    /// Something else is answered, and nothing is done.
    Answer(Response<Bytes>),
    /// The body of the answer is changed.
    Edit(Arc<dyn Fn(&mut Value) + Send + Sync>),
}

/// Decides what befalls requests. The server that is shipped has none.
pub trait Interceptor: Send + Sync {
    /// Called with each request before it is answered.
    fn intercept(&self, request: &Seen) -> Vec<Effect>;
}

/// The connection has to break without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on purpose")]
pub struct Broken;

/// An answer before it is written.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Option<Value>,
}

impl Surface {
    /// A surface over an engine.
    pub fn new(
        engine: Handle,
        auth: Authenticator,
        throttle: Throttle,
        metrics: RequestMetrics,
        public_url: Option<String>,
        interceptor: Option<Arc<dyn Interceptor>>,
    ) -> Self {
        Self {
            engine,
            auth,
            throttle: Mutex::new(throttle),
            started: Instant::now(),
            metrics,
            public_url,
            interceptor,
        }
    }

    /// Answers a request. `scheme` is the scheme of the connection.
    ///
    /// # Errors
    /// When an interceptor breaks the connection.
    pub(super) async fn respond<B>(&self, request: Request<B>, scheme: &str) -> Result<Response<Full<Bytes>>, Broken>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let body = tokio::time::timeout(DEADLINE, Limited::new(body, body::LIMIT).collect()).await;
        let body = match body {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(err)) => {
                let too_large = err.is::<http_body_util::LengthLimitError>();
                let error = if too_large {
                    let message = format!("The request content is larger than {} bytes.", body::LIMIT);
                    ArmError::new(413, "RequestContentTooLarge", message)
                } else {
                    ArmError::content("the body did not arrive as a whole")
                };
                return Ok(self.finish("unread", error.into()));
            }
            Err(_) => {
                let error = ArmError::new(408, "RequestTimeout", "The request content did not arrive in time.");
                return Ok(self.finish("unread", error.into()));
            }
        };
        let effects = self.effects(&parts, &body);
        let mut edits = Vec::new();
        let mut broken = false;
        for effect in effects {
            match effect {
                Effect::Delay(delay) => tokio::time::sleep(delay).await,
                Effect::DropBefore => return Err(Broken),
                Effect::DropAfter => broken = true,
                Effect::Answer(response) => return Ok(response.map(Full::new)),
                Effect::Edit(edit) => edits.push(edit),
            }
        }
        let (name, mut reply) = self.answer(&parts, body, scheme).await;
        for edit in edits {
            if let Some(body) = &mut reply.body {
                edit(body);
            }
        }
        let response = self.finish(name, reply);
        if broken { Err(Broken) } else { Ok(response) }
    }

    fn effects(&self, parts: &Parts, body: &Bytes) -> Vec<Effect> {
        let Some(interceptor) = &self.interceptor else {
            return Vec::new();
        };
        interceptor.intercept(&Seen {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: body.clone(),
        })
    }

    async fn answer(&self, parts: &Parts, body: Bytes, scheme: &str) -> (&'static str, Reply) {
        let path = parts.uri.path();
        let Some(route) = Route::parse(path) else {
            let message = format!("The path '{path}' is not served by this traffic manager.");
            return ("unknown", ArmError::new(404, "NotFound", message).into());
        };
        let base = self.base(parts, scheme);
        let result = match route {
            Route::Metadata => ("metadata", get_only(parts, || metadata::clouds(&base))),
            Route::OpenId(tenant) => ("openid", get_only(parts, || metadata::open_id(&base, &tenant))),
            Route::Token(tenant) => ("token", self.token(parts, &tenant, &body)),
            Route::Hints => ("hints", self.hints(parts, &body).await),
            route => self.arm(parts, route, &base, &body).await,
        };
        match result {
            (name, Ok(reply)) => (name, reply),
            (name, Err(error)) => {
                let challenge = error.status == 401;
                let mut reply = Reply::from(error);
                if challenge {
                    let text = format!("Bearer authorization_uri=\"{base}/common\", error=\"invalid_token\"");
                    reply.put(WWW_AUTHENTICATE, &text);
                }
                (name, reply)
            }
        }
    }

    async fn arm(
        &self,
        parts: &Parts,
        route: Route,
        base: &str,
        body: &Bytes,
    ) -> (&'static str, Result<Reply, ArmError>) {
        let query = Query::read(parts.uri.query().unwrap_or_default());
        let client = match self.client(parts) {
            Ok(client) => client,
            Err(err) => return ("unauthenticated", Err(err)),
        };
        let (scope, needs_right) = (scope_path(&route), needs_right(&route));
        let asked = match asked(&parts.method, route, &query, base, parts.uri.path()) {
            Ok(asked) => asked,
            Err(err) => return ("unknown", Err(err)),
        };
        let checked = version::check(asked.api, query.version.as_deref())
            .and_then(|()| {
                if needs_right {
                    client.authorize(asked.access, asked.kind, &scope)
                } else {
                    Ok(())
                }
            })
            .and_then(|()| {
                let since_start = self.started.elapsed();
                self.throttle
                    .lock()
                    .admit(&asked.subscription, asked.class, since_start)
            });
        if let Err(err) = checked {
            return (asked.name, Err(err));
        }
        let answer = match asked.action {
            Action::Read(operation) => self.engine.read(operation),
            Action::Delete(operation) => self.write(operation).await,
            Action::Body(action) => match body::object(body) {
                Ok(body) if action.only_asks() => self.engine.read(action.with(body)),
                Ok(body) => self.write(action.with(body)).await,
                Err(err) => Err(err),
            },
        };
        (asked.name, answer.map(Reply::from))
    }

    async fn write(&self, operation: Operation) -> Result<Answer, ArmError> {
        let written = tokio::time::timeout(DEADLINE, self.engine.write(operation)).await;
        written.unwrap_or_else(|_| {
            let message = "The store did not answer in time. The request may have been carried out.";
            Err(ArmError::new(504, "GatewayTimeout", message))
        })
    }

    async fn hints(&self, parts: &Parts, bytes: &Bytes) -> Result<Reply, ArmError> {
        if parts.method != Method::POST {
            return Err(ArmError::new(405, "MethodNotAllowed", "Hints are sent with POST."));
        }
        let client = self.client(parts)?;
        let hints: Hints = body::shape(body::object(bytes)?)?;
        if hints.hints.len() > HINTS_LIMIT {
            let message = format!(
                "A request may have {HINTS_LIMIT} hints, but this has {}.",
                hints.hints.len()
            );
            return Err(ArmError::bad_request(message));
        }
        for hint in &hints.hints {
            if let Some(id) = EndpointId::parse(&hint.endpoint) {
                client.authorize(Access::Write, PROFILES, &id.profile.arm(PROFILES))?;
            }
        }
        self.write(Operation::Hint(hints)).await.map(Reply::from)
    }

    fn client(&self, parts: &Parts) -> Result<Arc<crate::auth::Client>, ArmError> {
        let header = parts.headers.get(AUTHORIZATION);
        self.auth
            .check(header.and_then(|value| value.to_str().ok()), self.engine.now())
    }

    fn token(&self, parts: &Parts, tenant: &str, form: &Bytes) -> Result<Reply, ArmError> {
        if parts.method != Method::POST {
            return Err(ArmError::new(
                405,
                "MethodNotAllowed",
                "Tokens are asked for with POST.",
            ));
        }
        let (status, body) = match self.auth.grant(tenant, form, self.engine.now()) {
            Ok(grant) => (200, serde_json::to_value(grant)),
            Err(refusal) => (refusal.status, serde_json::to_value(refusal)),
        };
        let body = body.map_err(|err| ArmError::new(500, "InternalServerError", err.to_string()))?;
        let mut reply = Reply::from(Answer {
            status,
            body: Some(body),
        });
        reply.put(CACHE_CONTROL, "no-store");
        Ok(reply)
    }

    /// The server's own address, as the client sees it.
    fn base(&self, parts: &Parts, scheme: &str) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(http::uri::Authority::as_str).or(header);
        let authority = authority.filter(|text| text.parse::<http::uri::Authority>().is_ok());
        format!("{scheme}://{}", authority.unwrap_or("localhost"))
    }

    fn finish(&self, name: &'static str, reply: Reply) -> Response<Full<Bytes>> {
        self.metrics.answered(name, reply.status);
        let bytes = reply.body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let has_body = !bytes.is_empty();
        let mut response = Response::new(Full::new(bytes));
        *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or_default();
        *response.headers_mut() = reply.headers;
        if has_body {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, json);
        }
        let id = format!("{:032x}", rand::rng().random::<u128>());
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-ms-request-id", id);
        }
        response
    }
}

fn get_only(parts: &Parts, body: impl FnOnce() -> Value) -> Result<Reply, ArmError> {
    if parts.method != Method::GET {
        return Err(ArmError::new(405, "MethodNotAllowed", "This is read with GET."));
    }
    Ok(Reply::from(Answer {
        status: 200,
        body: Some(body()),
    }))
}

impl Reply {
    fn put(&mut self, name: http::HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self {
            status: answer.status,
            headers: HeaderMap::new(),
            body: answer.body,
        }
    }
}

impl From<ArmError> for Reply {
    fn from(error: ArmError) -> Self {
        let mut reply = Self {
            status: error.status,
            headers: HeaderMap::new(),
            body: Some(error.body()),
        };
        if let Some(seconds) = error.retry_after {
            reply.put(RETRY_AFTER, &seconds.to_string());
        }
        reply
    }
}
