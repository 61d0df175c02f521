//! TLS as it is used between members: version 1.3 alone, certificates on both sides, one application protocol.

use std::sync::{Arc, LazyLock, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

use crate::certificates::{Authority, Credentials, Peer, Refusal, Role, algorithms, check};

/// The application protocol (ALPN).
pub(crate) const ALPN: &[u8] = b"kvmc/1";

/// The alert `unrecognized_name` as a whole record. It is sent before any key is agreed on, when no configuration fits.
pub(crate) const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// What accepts a connection with these credentials, and where it says who has dialled.
pub(crate) fn server(credentials: &Arc<Credentials>) -> Result<(Arc<ServerConfig>, Arc<Verifier>), Error> {
    let verifier = Arc::new(Verifier::new(credentials));
    let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier.clone())
        .with_cert_resolver(Arc::new(Shown(credentials.clone())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Each connection shows its certificates: a resumed one would not.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok((Arc::new(config), verifier))
}

/// What dials with these credentials, and where it says who has answered.
pub(crate) fn client(credentials: &Arc<Credentials>) -> Result<(Arc<ClientConfig>, Arc<Verifier>), Error> {
    let verifier = Arc::new(Verifier::new(credentials));
    let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_client_cert_resolver(Arc::new(Shown(credentials.clone())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok((Arc::new(config), verifier))
}

/// Verifies the certificate of one handshake, and keeps what came out.
#[derive(Debug)]
pub(crate) struct Verifier {
    credentials: Arc<Credentials>,
    subjects: Vec<DistinguishedName>,
    outcome: OnceLock<Result<Peer, Refusal>>,
}

impl Verifier {
    fn new(credentials: &Arc<Credentials>) -> Self {
        Self {
            credentials: credentials.clone(),
            subjects: credentials.authorities().iter().flat_map(Authority::subjects).collect(),
            outcome: OnceLock::new(),
        }
    }

    /// Who the other side is, or why it was refused; none when no certificate has arrived.
    pub fn outcome(&self) -> Option<&Result<Peer, Refusal>> {
        self.outcome.get()
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        role: Role,
        now: UnixTime,
    ) -> Result<(), Error> {
        let (authorities, callsign) = (self.credentials.authorities(), self.credentials.callsign());
        let outcome = check(authorities, callsign, (certificate, intermediates), role, now);
        match self.outcome.get_or_init(|| outcome) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(Error::InvalidCertificate(match refusal {
                Refusal::Unreadable(_) => CertificateError::BadEncoding,
                Refusal::UnknownAuthority => CertificateError::UnknownIssuer,
                Refusal::Expired(_) => CertificateError::Expired,
                Refusal::NotYetValid(_) => CertificateError::NotValidYet,
                Refusal::Names(_) | Refusal::OtherCallsign | Refusal::Chain(_) => {
                    CertificateError::ApplicationVerificationFailure
                }
            })),
        }
    }
}

/// TLS 1.2 is never negotiated.
fn tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("TLS 1.2 is not spoken".to_owned()))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(certificate, intermediates, Role::Server, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        Some(&self.subjects)
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(certificate, intermediates, Role::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

/// The certificate that is shown: the best one whose authority the other side accepts.
#[derive(Debug)]
struct Shown(Arc<Credentials>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let accepted = hello.certificate_authorities().unwrap_or_default();
        let accepted: Vec<&[u8]> = accepted.iter().map(AsRef::as_ref).collect();
        Some(self.0.identity_for(&accepted)?.key().clone())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, accepted: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.identity_for(accepted)?.key().clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
