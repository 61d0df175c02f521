//! Passes calls on to a server and keeps what was sent.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use azure::Url;
use parking_lot::Mutex;
use serde_json::Value;

/// The recorder; calls to its URL arrive at the server.
pub(crate) struct Recorder {
    pub(crate) url: Url,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A call to the resource manager, and what it was answered.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) status: u16,
}

impl Recorder {
    pub(crate) async fn start(server: Url) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let calls = Arc::default();
        kit::install_crypto();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let state = (server, client, Arc::clone(&calls));
        let router = Router::new().fallback(pass_on).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, calls }
    }

    /// The calls since the last time, without those for tokens.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock())
    }
}

type Shared = (Url, reqwest::Client, Arc<Mutex<Vec<Call>>>);

async fn pass_on(State((server, client, calls)): State<Shared>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 16 << 20).await.unwrap();
    let target = head.uri.path_and_query().unwrap().as_str();
    // Not parsed and written again: the path must arrive as it was sent.
    let url = format!("{}{target}", server.as_str().trim_end_matches('/'));
    let mut passed = client.request(head.method.clone(), url).body(body.clone());
    for (name, value) in &head.headers {
        if !matches!(
            name.as_str(),
            "host" | "content-length" | "connection" | "transfer-encoding"
        ) {
            passed = passed.header(name, value);
        }
    }
    let answer = passed.send().await.unwrap();
    let status = answer.status();
    let mut response = Response::builder().status(status);
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "content-length" | "connection" | "transfer-encoding") {
            response = response.header(name, value);
        }
    }
    if head.uri.path().starts_with("/subscriptions/") {
        calls.lock().push(Call {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
            status: status.as_u16(),
        });
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
