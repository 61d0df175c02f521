//! The server over HTTPS, with kubeconfigs for its users.

use crate::call::User;
use crate::pki::{self, Authority};
use crate::server::{ApiServer, Identity};
use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A client that does not finish its handshake in this time is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running HTTPS endpoint. Dropping it stops it.
pub struct Serving {
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    /// Certificate of the authority, PEM.
    pub ca_pem: String,
    /// Where it listens.
    pub address: SocketAddr,
    authority: Authority,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl ApiServer {
    /// Serves over HTTPS on `address` (port 0 picks a free one).
    ///
    /// # Errors
    /// When the address cannot be bound or certificates cannot be made.
    pub async fn serve(&self, address: SocketAddr) -> anyhow::Result<Serving> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address}"))?;
        let address = listener.local_addr().context("read the address of the listener")?;
        let authority = self.authority().clone();
        let acceptor = TlsAcceptor::from(Arc::new(tls_config(&authority, address)?));
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(self.clone(), listener, acceptor, stop.clone()));
        Ok(Serving {
            url: format!("https://{address}"),
            ca_pem: authority.certificate_pem().to_owned(),
            address,
            authority,
            stop,
            task,
        })
    }
}

impl Serving {
    /// A kubeconfig (YAML) that authenticates as this user with a client certificate.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn kubeconfig(&self, user: &User) -> anyhow::Result<String> {
        let credential = self.authority.client(user)?;
        let auth = json!({
            "client-certificate-data": STANDARD.encode(credential.certificate_pem),
            "client-key-data": STANDARD.encode(credential.key_pem),
        });
        self.config(&user.name, &auth)
    }

    /// A kubeconfig (YAML) of the administrator.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn admin_kubeconfig(&self) -> anyhow::Result<String> {
        self.kubeconfig(&User::admin())
    }

    /// A kubeconfig (YAML) that authenticates with a bearer token.
    ///
    /// # Errors
    /// None in practice; the text is written in memory.
    pub fn kubeconfig_with_token(&self, name: &str, token: &str) -> anyhow::Result<String> {
        self.config(name, &json!({ "token": token }))
    }

    fn config(&self, user: &str, auth: &Value) -> anyhow::Result<String> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "default", "preferences": {},
            "clusters": [{"name": "default", "cluster": {"server": self.url,
                "certificate-authority-data": STANDARD.encode(&self.ca_pem)}}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": user}}],
            "users": [{"name": user, "user": auth}],
        });
        serde_yaml::to_string(&config).context("write the kubeconfig")
    }

    /// Stops listening, breaks all connections and waits until the endpoint is gone.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // A panic of the task has been reported where it happened.
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn tls_config(authority: &Authority, address: SocketAddr) -> anyhow::Result<rustls::ServerConfig> {
    let mut names: Vec<String> = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "127.0.0.1",
        "::1",
        "10.0.0.1",
    ]
    .map(str::to_owned)
    .into();
    let own = address.ip().to_string();
    if !names.contains(&own) && !address.ip().is_unspecified() {
        names.push(own);
    }
    let credential = authority.server(&names)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let ca = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes())
        .context("read the authority's certificate")?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca).context("trust the authority")?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .context("build the verifier of client certificates")?;
    let chain = vec![
        CertificateDer::from_pem_slice(credential.certificate_pem.as_bytes())
            .context("read the serving certificate")?,
    ];
    let key = PrivateKeyDer::from_pem_slice(credential.key_pem.as_bytes()).context("read the serving key")?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .context("use the serving certificate")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn accept(server: ApiServer, listener: TcpListener, acceptor: TlsAcceptor, stop: CancellationToken) {
    let connections = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (server, acceptor, stop) = (server.clone(), acceptor.clone(), stop.clone());
                connections.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = connection(server, stream, acceptor) => {}
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: give others a moment to close theirs.
                tracing::warn!(%error, "The API server could not accept a connection.");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(server: ApiServer, stream: TcpStream, acceptor: TlsAcceptor) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "A connection keeps its default delay.");
    }
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "A TLS handshake failed."),
        Err(_) => return tracing::debug!("A TLS handshake took too long."),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|c| c.first());
    let identity = match certificate.and_then(|c| pki::user_of(c)) {
        Some(user) => Identity::User(user),
        None => Identity::Headers,
    };
    let service = hyper::service::service_fn(move |request| {
        let (server, identity) = (server.clone(), identity.clone());
        async move { server.handle(request, identity).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(1000);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error, "A connection ended early.");
    }
}
