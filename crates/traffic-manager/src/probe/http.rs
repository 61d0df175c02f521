//! Probes over HTTP and HTTPS. Redirects are not followed, certificates not verified: a probe asks whether something
//! answers as expected, and sends nothing that is secret.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::plan::Probe;
use crate::state::Destination;

/// What probes call themselves.
const AGENT: &str = concat!(
    "fairway-traffic-manager/",
    env!("CARGO_PKG_VERSION"),
    " (endpoint monitor)"
);

/// Asks for the path, and judges the status of the answer. Its body is not read.
pub(super) async fn request<S>(stream: S, probe: &Probe) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |err: hyper::Error| format!("the request failed: {err}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let request = sender.send_request(build(probe)?);
    tokio::pin!(request, connection);
    // The connection moves the request on; when it is over, the answer is here or never comes.
    let response = tokio::select! {
        biased;
        response = &mut request => response,
        _ = &mut connection => request.await,
    };
    let status = response.map_err(failed)?.status().as_u16();
    if probe.expects(status) {
        return Ok(());
    }
    Err(format!("{} answered with status {status}", probe.path))
}

fn build(probe: &Probe) -> Result<http::Request<Empty<Bytes>>, String> {
    let unsent = |err: &dyn std::fmt::Display| format!("the request cannot be formed: {err}");
    let mut request = http::Request::get(&probe.path)
        .body(Empty::new())
        .map_err(|err| unsent(&err))?;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(HOST, HeaderValue::from_str(&probe.host()).map_err(|err| unsent(&err))?);
    for header in &probe.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|err| unsent(&err))?;
        let value = HeaderValue::from_str(&header.value).map_err(|err| unsent(&err))?;
        headers.insert(name, value);
    }
    Ok(request)
}

/// TLS over a connection, under the name that the `Host` header gives, else under the destination's.
pub(super) async fn encrypted(stream: TcpStream, probe: &Probe) -> Result<TlsStream<TcpStream>, String> {
    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
        let config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(rustls::crypto::ring::default_provider())))
            .with_no_client_auth();
        Arc::new(config)
    });
    let host = probe.host();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            name
        } else {
            host.as_str()
        }
    });
    let name = match (ServerName::try_from(host.to_owned()), &probe.destination) {
        (Ok(name), _) => name,
        (Err(_), Destination::Address(ip)) => ServerName::IpAddress((*ip).into()),
        (Err(err), _) => return Err(format!("the name {host} cannot be used for TLS: {err}")),
    };
    let connected = TlsConnector::from(Arc::clone(&CONFIG)).connect(name, stream).await;
    connected.map_err(|err| format!("the TLS handshake failed: {err}"))
}

/// Takes every certificate.
#[derive(Debug)]
struct Unverified(CryptoProvider);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
