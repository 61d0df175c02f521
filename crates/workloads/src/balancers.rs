//! HTTP servers that stand for the Pods behind load balancer Services.
//!
//! A load balancer with a ready Pod behind it answers every request with the cluster's name. One without refuses
//! connections, as real ones do: nothing listens then.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::key::Key;

/// Connections of one listener at a time; further ones wait in the system's queue.
const CONNECTIONS: usize = 1024;
/// For the head of a request, and for what is under way when a load balancer loses its last Pod.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// A connection ends after this, as behind every load balancer.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);
/// After a connection could not be accepted, because the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The servers of one cluster. They end when this is dropped.
pub struct Balancers {
    /// What they answer.
    name: Arc<str>,
    serving: Mutex<BTreeMap<Key, BTreeMap<SocketAddr, CancellationToken>>>,
    stop: CancellationToken,
}

impl Balancers {
    /// Servers that answer with the cluster's name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            serving: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Listens for a Service at exactly these addresses. Requests that were accepted before are still answered.
    ///
    /// # Errors
    /// When one of the addresses cannot be listened at; the others are served nevertheless.
    pub async fn serve(&self, key: &Key, wanted: &BTreeSet<SocketAddr>) -> Result<()> {
        let missing: Vec<SocketAddr> = {
            let mut serving = self.serving.lock();
            let mut served = serving.remove(key).unwrap_or_default();
            served.retain(|address, stop| {
                let stays = wanted.contains(address);
                if !stays {
                    stop.cancel();
                }
                stays
            });
            let missing = wanted.iter().filter(|address| !served.contains_key(address));
            let missing = missing.copied().collect();
            if !served.is_empty() {
                serving.insert(key.clone(), served);
            }
            missing
        };
        let mut result = Ok(());
        for address in missing {
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let stop = self.stop.child_token();
                    tokio::spawn(accept(listener, Arc::clone(&self.name), stop.clone()));
                    let mut serving = self.serving.lock();
                    serving.entry(key.clone()).or_default().insert(address, stop);
                }
                Err(error) => {
                    tracing::warn!(%address, %error, "a load balancer cannot listen");
                    result = Err(error).with_context(|| format!("no load balancer can listen at {address}"));
                }
            }
        }
        result
    }

    /// The Services that are served now.
    pub fn keys(&self) -> Vec<Key> {
        self.serving.lock().keys().cloned().collect()
    }
}

impl Drop for Balancers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Accepts connections until the token is cancelled.
async fn accept(listener: TcpListener, name: Arc<str>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await {
        match stop.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok((stream, _))) => {
                let connection = answer(stream, Arc::clone(&name), stop.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection; the one that is under way also after the token was cancelled.
async fn answer(stream: TcpStream, name: Arc<str>, stop: CancellationToken) {
    let service = service_fn(move |_: Request<Incoming>| {
        let response = response(&name);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_DEADLINE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A client that goes away in the middle is no concern of a load balancer.
    let ended = timeout(CONNECTION_LIFETIME, stop.run_until_cancelled(connection.as_mut()));
    if ended.await.is_ok_and(|ended| ended.is_some()) {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(REQUEST_DEADLINE, connection).await;
}

fn response(name: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{name}\n")));
    let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
