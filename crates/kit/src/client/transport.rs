//! The bottom of the client: connections, rate limit, tokens, headers and deadlines.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Config;
use kube::client::{Body as KubeBody, ConfigExt as _};
use parking_lot::Mutex;
use prometheus::IntCounterVec;
use tower::{BoxError, Service};

use super::Options;
use super::limit::Bucket;
use super::token::Bearer;
use crate::error::chain;

/// Watches on one connection. API servers allow 100 to 250 streams; a stream above that would wait without end.
const WATCHES_A_LANE: usize = 80;

/// A connection is asked for a sign of life after this much silence.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

type Connector = HttpsConnector<HttpConnector>;
type Answer = Response<Either<Full<Bytes>, Stream>>;

/// A cloneable service over few connections: one for requests, one for each [`WATCHES_A_LANE`] watches.
#[derive(Clone)]
pub(super) struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    connector: Connector,
    requests: Arc<Lane>,
    watches: Mutex<Vec<Arc<Lane>>>,
    bucket: Option<Bucket>,
    bearer: Bearer,
    user_agent: HeaderValue,
    headers: Vec<(HeaderName, HeaderValue)>,
    deadline: Duration,
    counter: Option<IntCounterVec>,
}

/// One HTTP client. With HTTP/2 it holds one connection.
struct Lane {
    client: HyperClient<Connector, KubeBody>,
    active: AtomicUsize,
    /// Whether a connection stands, so that further requests share it instead of opening their own.
    warm: AtomicBool,
    door: tokio::sync::Mutex<()>,
}

impl Transport {
    pub(super) fn new(config: &Config, bearer: Bearer, options: &Options) -> Result<Self, String> {
        let connector = connector(config)?;
        let user_agent = HeaderValue::from_str(&options.user_agent)
            .map_err(|_| format!("the user agent {:?} is not valid", options.user_agent))?;
        let mut headers = options.headers.clone();
        headers.extend(config.headers.iter().cloned());
        Ok(Self {
            inner: Arc::new(Inner {
                requests: Arc::new(Lane::new(&connector)),
                connector,
                watches: Mutex::default(),
                bucket: options.rate.map(Bucket::new),
                bearer,
                user_agent,
                headers,
                deadline: options.deadline,
                counter: options.counter.clone(),
            }),
        })
    }
}

impl Service<Request<KubeBody>> for Transport {
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<KubeBody>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.call(request).await })
    }
}

impl Inner {
    async fn call(&self, mut request: Request<KubeBody>) -> Result<Answer, BoxError> {
        self.dress(&mut request)?;
        let method = request.method().as_str().to_owned();
        let result = if is_watch(&request) {
            self.watch(request).await
        } else {
            if let Some(bucket) = &self.bucket {
                bucket.take().await;
            }
            match tokio::time::timeout(self.deadline, self.exchange(request)).await {
                Ok(result) => result,
                Err(_) => Err(format!("no answer within {:?}", self.deadline).into()),
            }
        };
        if let Ok(response) = &result
            && response.status() == StatusCode::UNAUTHORIZED
        {
            self.bearer.refused();
        }
        if let Some(counter) = &self.counter {
            let code = result
                .as_ref()
                .map_or("<error>".to_owned(), |r| r.status().as_str().to_owned());
            counter.with_label_values(&[method.as_str(), code.as_str()]).inc();
        }
        result
    }

    /// Adds identity and headers.
    fn dress(&self, request: &mut Request<KubeBody>) -> Result<(), BoxError> {
        let headers = request.headers_mut();
        for (name, _) in &self.headers {
            if headers.contains_key(name) {
                return Err(format!("the custom header {name} cannot override a header of the request").into());
            }
        }
        headers.extend(self.headers.iter().cloned());
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        if let Some(token) = self.bearer.header()? {
            headers.insert(header::AUTHORIZATION, token);
        }
        Ok(())
    }

    /// A request whose whole answer is taken in, so that the deadline covers it to its end.
    async fn exchange(&self, request: Request<KubeBody>) -> Result<Answer, BoxError> {
        let (parts, body) = self.requests.send(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(parts, Either::Left(Full::new(body))))
    }

    /// A request whose answer streams for long.
    async fn watch(&self, request: Request<KubeBody>) -> Result<Answer, BoxError> {
        let place = Place::take(&self.watches, &self.connector);
        let (parts, body) = place.lane.send(request).await?.into_parts();
        Ok(Response::from_parts(
            parts,
            Either::Right(Stream { body, _place: place }),
        ))
    }
}

impl Lane {
    fn new(connector: &Connector) -> Self {
        let client = HyperClient::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(90))
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .http2_keep_alive_while_idle(true)
            .http2_initial_stream_window_size(1024 * 1024)
            .http2_initial_connection_window_size(2 * 1024 * 1024)
            .build(connector.clone());
        Self {
            client,
            active: AtomicUsize::new(0),
            warm: AtomicBool::new(false),
            door: tokio::sync::Mutex::new(()),
        }
    }

    /// Sends a request. While no connection stands, one request goes first and the others wait for it: otherwise each
    /// of them would open a connection of its own before HTTP/2 is known to be spoken.
    async fn send(&self, request: Request<KubeBody>) -> Result<Response<Incoming>, BoxError> {
        let gate = if self.warm.load(Ordering::Acquire) {
            None
        } else {
            Some(self.door.lock().await)
        };
        let gate = gate.filter(|_| !self.warm.load(Ordering::Acquire));
        let result = self.client.request(request).await;
        self.warm.store(result.is_ok(), Ordering::Release);
        drop(gate);
        result.map_err(|err| chain(&err).into())
    }
}

/// A watch's seat on a lane, given back when the watch ends.
struct Place {
    lane: Arc<Lane>,
}

impl Place {
    fn take(lanes: &Mutex<Vec<Arc<Lane>>>, connector: &Connector) -> Self {
        let mut lanes = lanes.lock();
        let free = lanes
            .iter()
            .find(|lane| lane.active.load(Ordering::Relaxed) < WATCHES_A_LANE);
        let lane = match free {
            Some(lane) => Arc::clone(lane),
            None => {
                let lane = Arc::new(Lane::new(connector));
                lanes.push(Arc::clone(&lane));
                lane
            }
        };
        lane.active.fetch_add(1, Ordering::Relaxed);
        Self { lane }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lane.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a watch, which keeps its place on the lane until it is dropped.
pub(super) struct Stream {
    body: Incoming,
    _place: Place,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn is_watch(request: &Request<KubeBody>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1" | "follow=true"))
}

/// TLS as kube configures it, HTTP/2 where the server speaks it, else HTTP/1.
fn connector(config: &Config) -> Result<Connector, String> {
    let tls = config.rustls_client_config().map_err(|err| chain(&err))?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(Duration::from_secs(10)));
    http.set_keepalive(Some(KEEP_ALIVE));
    let mut builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name
            .clone()
            .try_into()
            .map_err(|_| format!("the TLS server name {name:?} is not valid"))?;
        builder = builder.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(name));
    }
    Ok(builder.enable_all_versions().wrap_connector(http))
}
