//! A resource manager with a memory, over HTTP: profiles, endpoints, addresses, tokens, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use azure::Url;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{CLIENT, SECRET, TENANT, Target};

/// The federated token that is good.
pub(crate) const ASSERTION: &str = "hush-assertion";

pub(crate) struct Fake {
    pub(crate) url: Url,
    world: Arc<Mutex<World>>,
}

/// What the next call to the resource manager gets instead of its answer.
pub(crate) enum Fault {
    /// A status, headers and a body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Nothing for this long, then the connection ends.
    Silence(Duration),
    /// A body without an end.
    Endless,
}

#[derive(Default)]
struct World {
    /// By lower-case resource group and name.
    profiles: BTreeMap<(String, String), Value>,
    /// Pages of addresses by lower-case resource group.
    pages: BTreeMap<String, Vec<Vec<Value>>>,
    faults: VecDeque<Fault>,
    tokens: Vec<String>,
    /// Life of the tokens that are issued next, in seconds.
    life: u64,
    calls: usize,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let world = Arc::new(Mutex::new(World {
            life: 3600,
            ..World::default()
        }));
        let router = Router::new()
            .fallback(answer)
            .with_state((url.clone(), Arc::clone(&world)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, world }
    }

    pub(crate) fn target(&self) -> Target {
        let world = Arc::clone(&self.world);
        Target {
            base: self.url.clone(),
            identity: [TENANT, CLIENT, SECRET],
            refuse_next: Arc::new(move |status, seconds| {
                let headers = seconds.map(|seconds| ("retry-after", seconds.to_string()));
                let (code, message) = ("TooManyRequests", "The request limit is reached.");
                let fault = Fault::Answer(status, headers.into_iter().collect(), error(code, message));
                world.lock().faults.push_back(fault);
            }),
        }
    }

    pub(crate) fn fail_next(&self, fault: Fault) {
        self.world.lock().faults.push_back(fault);
    }

    /// Calls to the resource manager so far, and tokens that were issued.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let world = self.world.lock();
        (world.calls, world.tokens.len())
    }

    /// No token that was issued is good any more.
    pub(crate) fn revoke(&self) {
        let mut world = self.world.lock();
        let revoked = world.tokens.iter().map(|token| format!("revoked {token}")).collect();
        world.tokens = revoked;
    }

    pub(crate) fn set_pages(&self, group: &str, pages: Vec<Vec<Value>>) {
        self.world.lock().pages.insert(group.to_lowercase(), pages);
    }
}

pub(crate) fn error(code: &str, message: &str) -> String {
    json!({"error": {"code": code, "message": message}}).to_string()
}

type Shared = (Url, Arc<Mutex<World>>);
type Answer = (u16, Value);

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    (status, json!({"error": {"code": code, "message": message}}))
}

async fn answer(State((url, world)): State<Shared>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 16 << 20).await.unwrap();
    let path = head.uri.path().to_owned();
    if path.starts_with("/subscriptions/") {
        let fault = {
            let mut world = world.lock();
            world.calls += 1;
            world.faults.pop_front()
        };
        if let Some(fault) = fault {
            return play(fault).await;
        }
    }
    let query = Url::parse(&format!("http://x/?{}", head.uri.query().unwrap_or_default())).unwrap();
    let query: BTreeMap<String, String> = query.query_pairs().into_owned().collect();
    let (status, body) = {
        let mut world = world.lock();
        match path.as_str() {
            "/metadata/endpoints" => metadata(&url, &query),
            _ if path.ends_with("/oauth2/v2.0/token") => world.token(&path, &body),
            _ => world.arm(&head.method, &path, &query, &head.headers, &body, &url),
        }
    };
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(text))
        .unwrap()
}

async fn play(fault: Fault) -> Response<Body> {
    match fault {
        Fault::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Fault::Silence(time) => {
            tokio::time::sleep(time).await;
            Response::builder().status(StatusCode::OK).body(Body::empty()).unwrap()
        }
        Fault::Endless => {
            let chunk = vec![b' '; 1 << 16];
            let chunks = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            Response::builder().body(Body::from_stream(chunks)).unwrap()
        }
    }
}

fn metadata(url: &Url, query: &BTreeMap<String, String>) -> Answer {
    assert_eq!(query["api-version"], "2019-05-01");
    let cloud = json!({"name": "Fake", "resourceManager": url,
        "authentication": {"loginEndpoint": url, "audiences": [url], "tenant": TENANT}});
    (200, json!([cloud]))
}

impl World {
    fn token(&mut self, path: &str, body: &[u8]) -> Answer {
        let form = Url::parse(&format!("http://x/?{}", String::from_utf8_lossy(body))).unwrap();
        let form: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
        let is_right = path == format!("/{TENANT}/oauth2/v2.0/token")
            && form.get("client_id").is_some_and(|id| id == CLIENT)
            && (form.get("client_secret").is_some_and(|secret| secret == SECRET)
                || form
                    .get("client_assertion")
                    .is_some_and(|assertion| assertion == ASSERTION))
            && form.get("scope").is_some_and(|scope| scope.ends_with("/.default"));
        if !is_right {
            let description =
                "AADSTS7000215: Invalid client secret provided. Trace ID: 1-2 Timestamp: 2026-11-30 10:00:00Z";
            return (
                401,
                json!({"error": "invalid_client", "error_description": description}),
            );
        }
        let token = format!("hush-token-{}", self.tokens.len() + 1);
        self.tokens.push(token.clone());
        let life = self.life;
        (
            200,
            json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token}),
        )
    }

    fn arm(
        &mut self,
        method: &Method,
        path: &str,
        query: &BTreeMap<String, String>,
        headers: &HeaderMap,
        body: &[u8],
        url: &Url,
    ) -> Answer {
        let bearer = headers
            .get("authorization")
            .and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "));
        if !bearer.is_some_and(|token| self.tokens.iter().any(|known| known == token)) {
            return refusal(401, "InvalidAuthenticationToken", "The access token is invalid.");
        }
        let decoded = path.replace("%23", "#");
        let parts: Vec<&str> = decoded.trim_start_matches('/').split('/').collect();
        let lower: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let version = query.get("api-version").map(String::as_str);
        match lower.as_slice() {
            [
                "subscriptions",
                "sub",
                "resourcegroups",
                group,
                "providers",
                "microsoft.network",
                rest @ ..,
            ] => {
                if *group == "forbidden" {
                    let message = "The client 'agent' does not have authorization to perform action \
                                   'Microsoft.Network/trafficManagerProfiles/read' over scope '/subscriptions/sub'.";
                    return refusal(403, "AuthorizationFailed", message);
                }
                match (rest, version) {
                    (["publicipaddresses"], Some("2023-05-01")) => self.addresses(group, query, url, path),
                    (["trafficmanagerprofiles", name], Some("2022-04-01")) => self.profile(
                        method,
                        ((*group).to_owned(), (*name).to_owned()),
                        &decoded,
                        parts[7],
                        body,
                    ),
                    (["trafficmanagerprofiles", name, "azureendpoints", _], Some("2022-04-01")) => {
                        let key = ((*group).to_owned(), (*name).to_owned());
                        self.endpoint(method, &key, &decoded, parts[9], body)
                    }
                    _ => refusal(400, "InvalidApiVersionParameter", "This path or version is not served."),
                }
            }
            _ => refusal(404, "SubscriptionNotFound", "The subscription was not found."),
        }
    }

    fn addresses(&self, group: &str, query: &BTreeMap<String, String>, url: &Url, path: &str) -> Answer {
        let Some(pages) = self.pages.get(group) else {
            return refusal(404, "ResourceGroupNotFound", "The resource group was not found.");
        };
        let page = query.get("page").map_or(0, |page| page.parse().unwrap());
        let next = (page + 1 < pages.len()).then(|| {
            format!(
                "{}{path}?api-version=2023-05-01&page={}",
                url.as_str().trim_end_matches('/'),
                page + 1
            )
        });
        (200, json!({"value": pages[page], "nextLink": next}))
    }

    fn profile(&mut self, method: &Method, key: (String, String), path: &str, name: &str, body: &[u8]) -> Answer {
        let missing = || refusal(404, "ResourceNotFound", "The profile was not found.");
        match method.as_str() {
            "GET" => self
                .profiles
                .get(&key)
                .map_or_else(missing, |profile| (200, profile.clone())),
            "DELETE" => match self.profiles.remove(&key) {
                Some(_) => (200, json!({"boolean": true})),
                None => (204, Value::Null),
            },
            "PUT" => {
                let mut profile: Value = serde_json::from_slice(body).unwrap();
                let relative = profile
                    .pointer("/properties/dnsConfig/relativeName")
                    .and_then(Value::as_str);
                let Some(relative) = relative.map(str::to_lowercase) else {
                    return refusal(400, "BadRequest", "The relative DNS name is missing.");
                };
                let fqdn = json!(format!("{relative}.trafficmanager.net"));
                let has_name = |profile: &Value| profile.pointer("/properties/dnsConfig/fqdn") == Some(&fqdn);
                if self
                    .profiles
                    .iter()
                    .any(|(other, profile)| *other != key && has_name(profile))
                {
                    let message = format!(
                        "Domain name {relative}.trafficmanager.net already exists. Please choose a different DNS prefix."
                    );
                    return refusal(409, "Conflict", &message);
                }
                profile["id"] = json!(path);
                profile["name"] = json!(name);
                profile["type"] = json!("Microsoft.Network/trafficManagerProfiles");
                profile["properties"]["dnsConfig"]["fqdn"] = fqdn;
                if profile["properties"].get("endpoints").is_none() {
                    profile["properties"]["endpoints"] = json!([]);
                }
                let is_new = self.profiles.insert(key, profile.clone()).is_none();
                (if is_new { 201 } else { 200 }, profile)
            }
            _ => refusal(405, "MethodNotAllowed", "Not this method."),
        }
    }

    fn endpoint(&mut self, method: &Method, key: &(String, String), path: &str, name: &str, body: &[u8]) -> Answer {
        let Some(profile) = self.profiles.get_mut(key) else {
            return refusal(404, "ResourceNotFound", "The profile was not found.");
        };
        let endpoints = profile["properties"]["endpoints"].as_array_mut().unwrap();
        let is_it = |endpoint: &Value| endpoint["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name));
        let at = endpoints.iter().position(is_it);
        match method.as_str() {
            "DELETE" => match at {
                Some(at) => {
                    endpoints.remove(at);
                    (200, json!({"boolean": true}))
                }
                None => (204, Value::Null),
            },
            "PUT" => {
                let mut endpoint: Value = serde_json::from_slice(body).unwrap();
                let target = endpoint["properties"]["targetResourceId"].clone();
                let weight = endpoint["properties"]["weight"].as_i64();
                if !weight.is_some_and(|weight| (1..=1000).contains(&weight)) {
                    return refusal(400, "BadRequest", "The weight must be between 1 and 1000.");
                }
                let is_taken = |other: &Value| !is_it(other) && other["properties"]["targetResourceId"] == target;
                if endpoints.iter().any(is_taken) {
                    return refusal(400, "BadRequest", "Two endpoints cannot have the same target.");
                }
                endpoint["id"] = json!(path.to_lowercase());
                endpoint["type"] = json!("Microsoft.Network/trafficManagerProfiles/azureEndpoints");
                endpoint["properties"]["target"] = json!("label.westus.cloudapp.azure.com");
                endpoint["properties"]["endpointMonitorStatus"] = json!("CheckingEndpoint");
                match at {
                    Some(at) => endpoints[at] = endpoint.clone(),
                    None => endpoints.push(endpoint.clone()),
                }
                (if at.is_none() { 201 } else { 200 }, endpoint)
            }
            _ => refusal(405, "MethodNotAllowed", "Not this method."),
        }
    }
}
