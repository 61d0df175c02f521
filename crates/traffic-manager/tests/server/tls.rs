//! The surface over TLS, as a client sees it that trusts one authority.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::tls::Files;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use traffic_manager::faults::{Options, Server};

use crate::client::*;

/// An authority, and a certificate that it has signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    /// Writes a new certificate for a name, as a renewal does: first the one file, then the other.
    fn issue(&self, name: &str, files: &Files) {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(&files.cert, leaf.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
    }

    /// A connection of a client that trusts this authority alone.
    async fn connect(&self, server: &Server, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(server.arm).await?;
        let name = ServerName::try_from("traffic-manager.fleet-system.svc").unwrap();
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
        tokio::time::timeout(Duration::from_secs(60), connected).await.unwrap()
    }
}

const NAME: &str = "traffic-manager.fleet-system.svc";

fn files(directory: &Path) -> Files {
    Files {
        cert: directory.join("tls.crt"),
        key: directory.join("tls.key"),
        client_ca: None,
    }
}

fn request(host: &str) -> Request<Empty<Bytes>> {
    let uri = format!("https://{host}/metadata/endpoints?api-version=2019-05-01");
    Request::get(uri).header("host", host).body(Empty::new()).unwrap()
}

async fn described(response: http::Response<hyper::body::Incoming>) -> String {
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let clouds: Value = serde_json::from_slice(&body).unwrap();
    clouds[0]["resourceManager"].as_str().unwrap().to_owned()
}

async fn over_http1(stream: TlsStream<TcpStream>) -> String {
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request(NAME)).await.unwrap();
    let described = described(response).await;
    connection.abort();
    described
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_trust_its_authority_speak_http_1_and_2_with_it() {
    kit::install_crypto();
    let directory = Directory::new("tls");
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    let files = files(&directory.0);
    authority.issue(NAME, &files);
    let options = Options {
        tls: Some(files.clone()),
        ..Options::default()
    };
    let server = Server::start(&directory.0, options).await.unwrap();
    let url = format!("https://{NAME}/");
    let stream = authority.connect(&server, &["http/1.1"]).await.unwrap();
    assert_eq!(over_http1(stream).await, url, "it says where it is with https");

    let stream = authority.connect(&server, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..3 {
        let response = sender.send_request(request(NAME)).await.unwrap();
        assert_eq!(described(response).await, url);
    }
    connection.abort();

    let refused = other.connect(&server, &["http/1.1"]).await.unwrap_err().to_string();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    // Plain HTTP gets no answer.
    let plain = send(server.arm, http::Method::GET, "/metadata/endpoints", None, Vec::new()).await;
    assert!(plain.is_err(), "{plain:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_serves_new_connections_and_a_broken_one_no_harm() {
    kit::install_crypto();
    let directory = Directory::new("tls-renewal");
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let files = files(&directory.0);
    before.issue(NAME, &files);
    let options = Options {
        tls: Some(files.clone()),
        ..Options::default()
    };
    let server = Server::start(&directory.0, options).await.unwrap();
    let open = before.connect(&server, &["http/1.1"]).await.unwrap();
    after.issue(NAME, &files);
    over_http1(after.connect(&server, &["http/1.1"]).await.unwrap()).await;
    let refused = before.connect(&server, &["http/1.1"]).await.unwrap_err().to_string();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    over_http1(open).await;

    std::fs::write(&files.cert, "broken").unwrap();
    assert!(
        after.connect(&server, &["http/1.1"]).await.is_err(),
        "it has no certificate to show"
    );
    after.issue(NAME, &files);
    over_http1(after.connect(&server, &["http/1.1"]).await.unwrap()).await;
    server.stop().await;
}
