//! Clients that do with TLS what no member does.

use std::net::SocketAddr;
use std::sync::Arc;

use failover::configuration::Version;
use failover_transport::frame;
use failover_transport::wire::Hello;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::{Files, LIMIT, id, keys};

/// A client that accepts every server.
pub struct Client {
    pub versions: Vec<&'static SupportedProtocolVersion>,
    pub protocol: Option<&'static [u8]>,
    pub certificate: Option<Files>,
}

impl Client {
    /// With a certificate that members accept.
    pub fn of(files: Files) -> Self {
        Self {
            versions: vec![&rustls::version::TLS13],
            protocol: Some(b"kvmc/1"),
            certificate: Some(files),
        }
    }

    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAll));
        let mut config = match &self.certificate {
            Some(files) => {
                let certificate = CertificateDer::from_pem_slice(files.crt.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(files.key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocol.iter().map(|protocol| protocol.to_vec()).collect();
        let name = ServerName::try_from(format!("{}.callsign.invalid", keys().id())).unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }

    /// Connects and says which member it is.
    pub async fn greet(&self, address: SocketAddr, name: &str) -> TlsStream<TcpStream> {
        let mut stream = self.connect(address).await.unwrap();
        send(&mut stream, &hello(name)).await;
        stream
    }
}

pub fn hello(name: &str) -> Vec<u8> {
    Hello {
        protocol: (1, 1),
        fleet: None,
        member: id(name),
        target: None,
        version: Version::default(),
        features: Vec::new(),
    }
    .encode()
}

pub async fn send(stream: &mut TlsStream<TcpStream>, payload: &[u8]) {
    stream.write_all(&frame::encode(payload).unwrap()).await.unwrap();
    stream.flush().await.unwrap();
}

/// Waits until the other side has closed, whatever it sends before.
pub async fn closed(stream: &mut TlsStream<TcpStream>) {
    let mut all = Vec::new();
    // An error is an end as well.
    let ended = timeout(LIMIT, stream.read_to_end(&mut all)).await;
    assert!(ended.is_ok(), "the connection stays open");
}

#[derive(Debug)]
struct AcceptAll;

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
