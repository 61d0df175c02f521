//! The only place that builds a [`kube::Client`].
//!
//! A client made here shares one HTTP/2 connection between many watches, limits its rate with one bucket per cluster,
//! gives every request but watches a deadline, re-reads token files, and never retries by itself: retries belong to
//! whoever knows what the request was for.

mod in_process;
mod limit;
mod token;
mod transport;

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use kube::client::ConfigExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use prometheus::IntCounterVec;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tower::ServiceBuilder;

pub use in_process::in_process;
pub use limit::{Bucket, RateLimit};
use token::Bearer;
use transport::Transport;

use crate::error::chain;

/// How to reach a cluster, and as whom.
#[derive(Debug, Clone)]
pub enum Source {
    /// The current context of a kubeconfig file.
    Kubeconfig(PathBuf),
    /// The service account of the pod.
    InCluster,
    /// Given piece by piece.
    Explicit {
        /// URL of the API server.
        url: String,
        /// How its certificate is checked.
        ca: Ca,
        /// What the agent proves its identity with.
        identity: Identity,
    },
}

/// How the certificate of the API server is checked.
#[derive(Debug, Clone)]
pub enum Ca {
    /// Against the roots of the system.
    System,
    /// Against a PEM file, which is re-read now and then.
    File(PathBuf),
    /// Against PEM text.
    Pem(Vec<u8>),
    /// Not at all.
    Insecure,
}

/// What an agent proves its identity with.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Nothing.
    Anonymous,
    /// The bearer token in a file, which is re-read at most once a minute and after it was refused.
    TokenFile(PathBuf),
    /// A fixed bearer token.
    Token(String),
    /// Certificate and key files in PEM.
    Certificate {
        /// Path of the certificate.
        cert: PathBuf,
        /// Path of the key.
        key: PathBuf,
    },
}

/// Everything about a client.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to reach the cluster.
    pub source: Source,
    /// Requests a second, and how many at once; `None` means unlimited. Watches do not count.
    pub rate: Option<RateLimit>,
    /// Time for one request, unless it is a watch.
    pub deadline: Duration,
    /// Name of the agent and its version.
    pub user_agent: String,
    /// Headers added to every request; a request that carries one of them already fails.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Counter of requests with the labels `method`, `code`, as made by [`request_counter`].
    pub counter: Option<IntCounterVec>,
}

/// A client cannot be built from its options.
#[derive(Debug, thiserror::Error)]
#[error("The client for {place} cannot be built: {cause}.")]
pub struct ClientError {
    place: String,
    cause: String,
}

impl Source {
    /// Where agents look by default: the flag, then `KUBECONFIG`, then the pod, then the home folder.
    pub fn infer(flag: &str) -> Self {
        let from_env = std::env::var_os("KUBECONFIG")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from);
        if !flag.is_empty() {
            Self::Kubeconfig(flag.into())
        } else if let Some(path) = from_env {
            Self::Kubeconfig(path)
        } else if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            Self::InCluster
        } else {
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            Self::Kubeconfig(home.join(".kube/config"))
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Kubeconfig(path) => format!("kubeconfig {}", path.display()),
            Self::InCluster => "the cluster of this pod".to_owned(),
            Self::Explicit { url, .. } => url.clone(),
        }
    }
}

impl Options {
    /// Options with 50 requests a second (100 at once) and 30 s for each.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            rate: Some(RateLimit { qps: 50.0, burst: 100 }),
            deadline: Duration::from_secs(30),
            user_agent: concat!("fairway/", env!("CARGO_PKG_VERSION")).to_owned(),
            headers: Vec::new(),
            counter: None,
        }
    }
}

/// A counter `rest_client_requests_total` of requests by method and answer, to be registered once per process.
///
/// # Errors
/// Never in practice: the name and labels are valid.
pub fn request_counter() -> Result<IntCounterVec, prometheus::Error> {
    let opts = prometheus::Opts::new(
        "rest_client_requests_total",
        "Requests to API servers by method and status code.",
    );
    IntCounterVec::new(opts, &["method", "code"])
}

/// Builds a client. Nothing is sent yet, so an unreachable server is no error here.
///
/// # Errors
/// When files cannot be read or do not hold what they should, or the URL is none.
pub async fn build(options: Options) -> Result<Client, ClientError> {
    let place = options.source.place();
    let fail = |cause: String| ClientError {
        place: place.clone(),
        cause,
    };
    let (mut config, explicit) = configure(&options.source).await.map_err(&fail)?;
    // kube would cache a token that the server refuses; files are handled by our own layer instead.
    let bearer = match config.auth_info.token_file.take() {
        Some(path) => Bearer::file(path.into()),
        None => match explicit {
            Some(token) => Bearer::fixed(&token).map_err(|err| fail(err.to_string()))?,
            None => Bearer::None,
        },
    };
    config.default_retry = false;
    let transport = Transport::new(&config, bearer, &options).map_err(&fail)?;
    let auth = config.auth_layer().map_err(|err| fail(chain(&err)))?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(auth)
        .service(transport);
    Ok(Client::new(service, config.default_namespace))
}

/// The configuration of a source, and a fixed token if it names one.
async fn configure(source: &Source) -> Result<(Config, Option<String>), String> {
    match source {
        Source::Kubeconfig(path) => {
            let file = Kubeconfig::read_from(path).map_err(|err| chain(&err))?;
            let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
            config.map(|config| (config, None)).map_err(|err| chain(&err))
        }
        Source::InCluster => Config::incluster()
            .map(|config| (config, None))
            .map_err(|err| chain(&err)),
        Source::Explicit { url, ca, identity } => explicit(url, ca, identity),
    }
}

fn explicit(url: &str, ca: &Ca, identity: &Identity) -> Result<(Config, Option<String>), String> {
    let uri: Uri = url
        .parse()
        .map_err(|err| format!("the URL {url:?} is not valid: {err}"))?;
    if uri.scheme().is_none() || uri.host().is_none() {
        return Err(format!("the URL {url:?} has no scheme or host"));
    }
    let mut config = Config::new(uri);
    match ca {
        Ca::System => {}
        Ca::Insecure => config.accept_invalid_certs = true,
        Ca::Pem(pem) => config.root_cert = Some(certificates(pem)?),
        Ca::File(path) => {
            let pem = std::fs::read(path).map_err(|err| format!("cannot read {}: {err}", path.display()))?;
            config.root_cert = Some(certificates(&pem)?);
            config.root_cert_file = Some(path.clone());
        }
    }
    match identity {
        Identity::Anonymous => {}
        Identity::TokenFile(path) => config.auth_info.token_file = Some(path.display().to_string()),
        Identity::Token(token) => return Ok((config, Some(token.clone()))),
        Identity::Certificate { cert, key } => {
            config.auth_info.client_certificate = Some(cert.display().to_string());
            config.auth_info.client_key = Some(key.display().to_string());
        }
    }
    Ok((config, None))
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem)
        .map(|cert| cert.map(|c| c.to_vec()))
        .collect();
    match found {
        Ok(certs) if certs.is_empty() => Err("the CA holds no certificate".to_owned()),
        Ok(certs) => Ok(certs),
        Err(err) => Err(format!("the CA is not valid PEM: {err}")),
    }
}

#[cfg(test)]
mod tests;
