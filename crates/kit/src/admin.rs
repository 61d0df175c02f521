//! Probes and metrics over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Answers whether the agent is ready, or why not.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A remark in the probe's answer that does not decide about readiness.
pub type Note = (&'static str, Check);

/// An address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("Cannot listen on {address:?} for {purpose}: {cause}.")]
pub struct BindError {
    address: String,
    purpose: &'static str,
    cause: String,
}

/// A bound server that answers once [`Server::run`] runs.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
}

/// `/healthz` and `/readyz`. `None` when the address switches them off (empty or `0`).
///
/// # Errors
/// When the address cannot be bound.
pub async fn probes(address: &str, ready: Check) -> Result<Option<Server>, BindError> {
    probes_with(address, ready, Vec::new()).await
}

/// As [`probes`]; the answer of a ready agent also says which of the notes do not hold.
///
/// # Errors
/// When the address cannot be bound.
pub async fn probes_with(address: &str, ready: Check, notes: Vec<Note>) -> Result<Option<Server>, BindError> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .with_state((ready, Arc::new(notes)));
    bind(address, "probes", router).await
}

/// `/metrics`. `None` when the address switches it off (empty or `0`).
///
/// # Errors
/// When the address cannot be bound.
pub async fn metrics(address: &str, metrics: Metrics) -> Result<Option<Server>, BindError> {
    bind(
        address,
        "metrics",
        Router::new().route("/metrics", get(print)).with_state(metrics),
    )
    .await
}

impl Server {
    /// Where it listens, with the port that the system chose if none was named.
    ///
    /// # Errors
    /// When the system does not report it.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, stop: CancellationToken) -> Result<(), String> {
        let ended = stop.clone();
        let serve =
            axum::serve(self.listener, self.router).with_graceful_shutdown(async move { stop.cancelled().await });
        tokio::select! {
            served = serve => served.map_err(|err| err.to_string()),
            // Connections that somebody keeps open must not delay the end.
            () = async { ended.cancelled().await; tokio::time::sleep(Duration::from_secs(1)).await } => Ok(()),
        }
    }
}

async fn bind(address: &str, purpose: &'static str, router: Router) -> Result<Option<Server>, BindError> {
    if matches!(address, "" | "0") {
        return Ok(None);
    }
    // Go's notation for all interfaces: of both families of addresses, or the one that there is.
    let bound = match address.strip_prefix(':') {
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Err(err) if err.kind() != std::io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await
            }
            bound => bound,
        },
        None => TcpListener::bind(address).await,
    };
    match bound {
        Ok(listener) => Ok(Some(Server { listener, router })),
        Err(err) => Err(BindError {
            address: address.to_owned(),
            purpose,
            cause: err.to_string(),
        }),
    }
}

async fn readyz(State((ready, notes)): State<(Check, Arc<Vec<Note>>)>) -> Response {
    match ready() {
        Ok(()) => {
            let mut text = "ok".to_owned();
            for (name, check) in notes.iter() {
                if let Err(reason) = check() {
                    text.push_str(&format!("\n{name}: {reason}"));
                }
            }
            text.into_response()
        }
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}

async fn print(State(metrics): State<Metrics>) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(err) => (StatusCode::INTERNAL_SERVER_ERROR, err.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Ca, Identity, Options, Source, build};
    use crate::rest::Call;
    use http::Method;
    use parking_lot::Mutex;

    #[tokio::test]
    async fn probes_and_metrics_answer() {
        crate::install_crypto();
        let state = Arc::new(Mutex::new(Err("the watch of Work is not complete".to_owned())));
        let check: Check = {
            let state = Arc::clone(&state);
            Arc::new(move || state.lock().clone())
        };
        let all = Metrics::new().unwrap();
        all.register(prometheus::IntCounter::new("join_result_counter", "Joins.").unwrap())
            .unwrap()
            .inc();
        let probe = probes("127.0.0.1:0", check).await.unwrap().unwrap();
        let metric = metrics("127.0.0.1:0", all).await.unwrap().unwrap();
        let (probe_at, metric_at) = (probe.address().unwrap(), metric.address().unwrap());
        let stop = CancellationToken::new();
        let running = [
            tokio::spawn(probe.run(stop.clone())),
            tokio::spawn(metric.run(stop.clone())),
        ];

        let fetch = async |at: SocketAddr, path: &'static str| {
            let url = format!("http://{at}");
            let source = Source::Explicit {
                url,
                ca: Ca::Insecure,
                identity: Identity::Anonymous,
            };
            let client = build(Options::new(source)).await.unwrap();
            Call::new(Method::GET, path, "look")
                .send(&client)
                .await
                .map(|b| String::from_utf8_lossy(&b).into_owned())
        };
        assert_eq!(fetch(probe_at, "/healthz").await.unwrap(), "ok");
        let err = fetch(probe_at, "/readyz").await.unwrap_err();
        assert_eq!(err.code(), Some(503));
        assert!(err.to_string().contains("the watch of Work is not complete"));
        *state.lock() = Ok(());
        assert_eq!(fetch(probe_at, "/readyz").await.unwrap(), "ok");
        let text = fetch(metric_at, "/metrics").await.unwrap();
        assert!(
            text.contains("\njoin_result_counter 1\n") && text.contains("process_resident_memory_bytes"),
            "{text}"
        );
        assert!(probes("0", Arc::new(|| Ok(()))).await.unwrap().is_none());
        stop.cancel();
        for task in running {
            task.await.unwrap().unwrap();
        }
    }
}
