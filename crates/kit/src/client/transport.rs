//! The bottom of the client: connections, rate limit, tokens, headers, deadlines, and whether the server can be reached.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
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
use tokio::time::Instant;
use tower::{BoxError, Service};

use super::Options;
use super::limit::Bucket;
use super::token::Bearer;
use crate::error::chain;
use crate::reachability::{Inquiry, Outages, Probe, Reachability, Slot};

/// Watches on one connection. API servers allow 100 to 250 streams; a stream above that would wait without end.
const WATCHES_A_CONNECTION: usize = 80;

/// A ping is sent on a connection after this much silence.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Time for a sign of life to arrive, and for what was sent to be acknowledged: then the connection is given up.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(15);

/// A request that was given up after this long without an answer makes the server suspect.
const SUSPECT_AFTER: Duration = Duration::from_secs(3);

type Connector = HttpsConnector<HttpConnector>;
type Answer = Response<Either<Full<Bytes>, Stream>>;

/// A cloneable service over few connections: one for requests, one for each [`WATCHES_A_CONNECTION`] watches.
#[derive(Clone)]
pub(super) struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    connector: Connector,
    requests: Arc<Connection>,
    watches: Mutex<Vec<Arc<Connection>>>,
    reachability: Reachability,
    bucket: Option<Bucket>,
    bearer: Bearer,
    user_agent: HeaderValue,
    headers: Vec<(HeaderName, HeaderValue)>,
    deadline: Duration,
    counter: Option<IntCounterVec>,
}

/// One HTTP client. With HTTP/2 it holds one connection.
struct Connection {
    connector: Connector,
    /// The client, and how many outages were over when it was made: a connection that is older may be dead unnoticed.
    client: Mutex<(HyperClient<Connector, KubeBody>, u64)>,
    active: AtomicUsize,
    /// Whether a connection is established, so that further requests share it instead of opening their own.
    is_established: AtomicBool,
    connect_lock: tokio::sync::Mutex<()>,
}

/// A request on its way. Given up after a while without an answer, it makes the server suspect.
struct InFlight<'a> {
    reachability: &'a Reachability,
    start: Instant,
    is_over: bool,
}

impl Transport {
    pub(super) fn new(config: &Config, bearer: Bearer, options: &Options) -> Result<Self, String> {
        let connector = connector(config)?;
        let probe = probe(connector.clone(), config.cluster_url.clone(), &options.user_agent);
        let reachability = Reachability::new(config.cluster_url.to_string(), probe);
        let user_agent = HeaderValue::from_str(&options.user_agent)
            .map_err(|_| format!("the user agent {:?} is not valid", options.user_agent))?;
        let mut headers = options.headers.clone();
        headers.extend(config.headers.iter().cloned());
        Ok(Self {
            inner: Arc::new(Inner {
                requests: Arc::new(Connection::new(&connector)),
                reachability,
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
        if let Some(slot) = request.extensions().get::<Slot>() {
            slot.fill(&self.reachability);
        }
        if request.extensions().get::<Inquiry>().is_some() {
            return Ok(Response::new(Either::Left(Full::default())));
        }
        self.add_headers(&mut request)?;
        let method = request.method().as_str().to_owned();
        let result = if self.reachability.is_probed() {
            Err(format!("the server cannot be reached: {}", self.reachability.reason()).into())
        } else {
            self.attempt(request).await
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

    /// Sends a request and notes whether it was answered.
    async fn attempt(&self, request: Request<KubeBody>) -> Result<Answer, BoxError> {
        if let Some(bucket) = self.bucket.as_ref().filter(|_| !is_watch(&request)) {
            bucket.take().await;
        }
        let mut in_flight = InFlight {
            reachability: &self.reachability,
            start: Instant::now(),
            is_over: false,
        };
        let outage_over = self.reachability.outage_over();
        let exchange = async {
            if is_watch(&request) {
                return self.watch(request).await;
            }
            match tokio::time::timeout(self.deadline, self.exchange(request)).await {
                Ok(result) => result,
                Err(_) => Err(format!("no answer within {:?}", self.deadline).into()),
            }
        };
        let result = tokio::select! {
            result = exchange => result,
            // Whatever was sent before is lost; the connection shows that no earlier than its own time-outs.
            _ = outage_over => Err("the server could not be reached meanwhile".into()),
        };
        in_flight.is_over = true;
        match &result {
            Ok(_) => self.reachability.answered(),
            Err(_) => self.reachability.failed(),
        }
        result
    }

    /// Adds identity and headers.
    fn add_headers(&self, request: &mut Request<KubeBody>) -> Result<(), BoxError> {
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
        let sent = self.requests.send(request, &self.reachability).await?;
        let (parts, body) = sent.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(parts, Either::Left(Full::new(body))))
    }

    /// A request whose answer streams for long.
    async fn watch(&self, request: Request<KubeBody>) -> Result<Answer, BoxError> {
        let slot = ConnectionSlot::take(&self.watches, &self.connector);
        let (parts, body) = slot.connection.send(request, &self.reachability).await?.into_parts();
        let stream = Stream {
            body,
            outage_over: Box::pin(self.reachability.outage_over().fuse()),
            reachability: self.reachability.clone(),
            _slot: slot,
        };
        Ok(Response::from_parts(parts, Either::Right(stream)))
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.start.elapsed() >= SUSPECT_AFTER {
            self.reachability.failed();
        }
    }
}

impl Connection {
    fn new(connector: &Connector) -> Self {
        Self {
            client: Mutex::new((http_client(connector), 0)),
            connector: connector.clone(),
            active: AtomicUsize::new(0),
            is_established: AtomicBool::new(false),
            connect_lock: tokio::sync::Mutex::new(()),
        }
    }

    /// The client to send with: a new one after an outage.
    fn client(&self, outages: u64) -> HyperClient<Connector, KubeBody> {
        let mut client = self.client.lock();
        if client.1 != outages {
            *client = (http_client(&self.connector), outages);
            self.is_established.store(false, Ordering::Release);
        }
        client.0.clone()
    }

    /// Sends a request. While no connection is established, one request goes first and the others wait for it: otherwise
    /// each of them would open a connection of its own before HTTP/2 is known to be spoken.
    async fn send(
        &self,
        request: Request<KubeBody>,
        reachability: &Reachability,
    ) -> Result<Response<Incoming>, BoxError> {
        let client = self.client(reachability.over().count);
        let first = if self.is_established.load(Ordering::Acquire) {
            None
        } else {
            Some(self.connect_lock.lock().await)
        };
        let first = first.filter(|_| !self.is_established.load(Ordering::Acquire));
        let result = client.request(request).await;
        self.is_established.store(result.is_ok(), Ordering::Release);
        drop(first);
        result.map_err(|err| chain(&err).into())
    }
}

fn http_client(connector: &Connector) -> HyperClient<Connector, KubeBody> {
    HyperClient::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(90))
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(ACKNOWLEDGED_WITHIN)
        .http2_keep_alive_while_idle(true)
        .http2_initial_stream_window_size(1024 * 1024)
        .http2_initial_connection_window_size(2 * 1024 * 1024)
        .build(connector.clone())
}

/// Requests the version of the server on a connection of its own. Any answer will do but those of a gateway that has no
/// server behind it.
fn probe(connector: Connector, server: Uri, user_agent: &str) -> Probe {
    let path = format!("{}/version", server.path().trim_end_matches('/'));
    let mut parts = server.into_parts();
    parts.path_and_query = path.parse().ok();
    let uri = Uri::from_parts(parts).unwrap_or_default();
    let user_agent = user_agent.to_owned();
    Box::new(move || {
        let request = Request::builder()
            .uri(uri.clone())
            .header(header::USER_AGENT, &user_agent)
            .body(KubeBody::empty());
        let connector = connector.clone();
        Box::pin(async move {
            let request = request.map_err(|err| err.to_string())?;
            let client: HyperClient<Connector, KubeBody> = HyperClient::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector);
            let answer = client.request(request).await.map_err(|err| chain(&err))?;
            match answer.status() {
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    Err(format!("a gateway answers {}", answer.status()))
                }
                _ => Ok(()),
            }
        })
    })
}

/// The slot that a watch takes on a connection, given back when the watch ends.
struct ConnectionSlot {
    connection: Arc<Connection>,
}

impl ConnectionSlot {
    fn take(connections: &Mutex<Vec<Arc<Connection>>>, connector: &Connector) -> Self {
        let mut connections = connections.lock();
        let free = connections
            .iter()
            .find(|connection| connection.active.load(Ordering::Relaxed) < WATCHES_A_CONNECTION);
        let connection = match free {
            Some(connection) => Arc::clone(connection),
            None => {
                let connection = Arc::new(Connection::new(connector));
                connections.push(Arc::clone(&connection));
                connection
            }
        };
        connection.active.fetch_add(1, Ordering::Relaxed);
        Self { connection }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connection.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a watch, which keeps its slot on the connection until it is dropped.
pub(super) struct Stream {
    body: Incoming,
    /// A stream that was open during an outage may be dead unnoticed, so it ends with the outage.
    outage_over: Pin<Box<dyn Future<Output = Outages> + Send>>,
    reachability: Reachability,
    _slot: ConnectionSlot,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Err(err))) => {
                self.reachability.failed();
                Poll::Ready(Some(Err(err.into())))
            }
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from))),
            Poll::Pending => {
                let over = self.outage_over.as_mut().poll(cx);
                over.map(|_| Some(Err("the server could not be reached meanwhile".into())))
            }
        }
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

/// TLS as kube configures it, HTTP/2 where the server supports it, else HTTP/1.
fn connector(config: &Config) -> Result<Connector, String> {
    let tls = config.rustls_client_config().map_err(|err| chain(&err))?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(Duration::from_secs(10)));
    http.set_keepalive(Some(KEEP_ALIVE));
    http.set_tcp_user_timeout(Some(ACKNOWLEDGED_WITHIN));
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
