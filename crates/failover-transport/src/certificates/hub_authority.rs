//! The hub's certificate authority of one callsign.

use std::time::{Duration, SystemTime};

use failover::member::MemberId;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::error::CertificateError;
use super::hub::Request;
use super::leaf;
use crate::keys::CallsignId;
use crate::names::Named;

/// How long an issued certificate is valid; members renew daily, so an absence of weeks costs nothing.
const VALIDITY: Duration = Duration::from_hours(30 * 24);
/// Authorities are trusted by their key, whatever their dates.
const AUTHORITY_VALIDITY: Duration = Duration::from_hours(10 * 365 * 24);
/// A request of ours has some 500 bytes.
const LONGEST_REQUEST: usize = 16 << 10;

/// Why no certificate is issued.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is no certificate request, or its own signature is wrong.
    #[error("The certificate request cannot be read: {0}.")]
    Unreadable(String),
    /// It does not name callsign and member, or names more.
    #[error("The certificate request must name one callsign and one member and nothing else: {0}.")]
    Names(&'static str),
    /// It is for another callsign than the one it was sent for.
    #[error("The certificate request names another callsign.")]
    OtherCallsign,
    /// It is for a member of another cluster.
    #[error("The certificate request names a member of the cluster {found}, but comes from the cluster {own}.")]
    OtherCluster {
        /// The cluster that it names.
        found: String,
        /// The cluster that has sent it.
        own: String,
    },
    /// The requester did not prove to know the callsign.
    #[error("The proof of the certificate request is not valid.")]
    NotProven,
    /// The requester knows another callsign than the first one that requested a certificate.
    #[error("The proof of the certificate request was made with another callsign than the first request's.")]
    OtherProof,
    /// A certificate could not be made.
    #[error(transparent)]
    NotMade(#[from] CertificateError),
}

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate in PEM: `tls.crt`.
    pub certificate: String,
    /// The authority in PEM: `ca.crt`.
    pub authority: String,
    /// Who it is for.
    pub member: MemberId,
    /// The fingerprint to require from now on.
    pub fingerprint: String,
    /// When it expires.
    pub expires: SystemTime,
}

/// A certificate authority of one callsign with its key, which never leaves the hub.
#[derive(Debug)]
pub struct HubAuthority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl HubAuthority {
    /// Makes a new one. Its certificate and its key in PEM are to be kept in a Secret.
    pub fn create(
        callsign: CallsignId,
        now: SystemTime,
    ) -> Result<(Self, String, Zeroizing<String>), CertificateError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = leaf::common_name(&format!("kvmc hub {callsign}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        leaf::dates(&mut params, now, AUTHORITY_VALIDITY);
        let certificate = params.self_signed(&key)?.pem();
        let key_pem = Zeroizing::new(key.serialize_pem());
        Ok((Self::load(&certificate, &key_pem)?, certificate, key_pem))
    }

    /// Reads what [`create`](Self::create) has returned.
    pub fn load(certificate: &str, key: &str) -> Result<Self, CertificateError> {
        let key = KeyPair::from_pem(key).map_err(|error| unreadable("tls.key", error))?;
        let der =
            CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|error| unreadable("tls.crt", error))?;
        let own = webpki::EndEntityCert::try_from(&der).map_err(|error| unreadable("tls.crt", error))?;
        if own.subject_public_key_info().as_ref() != rcgen::PublicKeyData::subject_public_key_info(&key) {
            return Err(CertificateError::OtherKey);
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| unreadable("tls.crt", error))?;
        Ok(Self {
            certificate: certificate.to_owned(),
            issuer,
        })
    }

    /// Whether the certificate request itself can be read, whoever has proven what.
    #[doc(hidden)]
    pub fn reads(request: &Request) -> bool {
        read(&request.csr).is_ok()
    }

    /// Issues a certificate for a member of `cluster`, which is the UID that the sender's member namespace belongs to.
    ///
    /// `pinned` is the fingerprint of the callsign's first requester: who cannot prove to know the same callsign gets
    /// no certificate. Nothing of the request but its key and its names goes into the certificate.
    pub fn issue(
        &self,
        callsign: CallsignId,
        cluster: &str,
        request: &Request,
        pinned: Option<&str>,
        now: SystemTime,
    ) -> Result<Issued, RequestError> {
        if !request.is_proven() {
            return Err(RequestError::NotProven);
        }
        let fingerprint = request.fingerprint();
        if pinned.is_some_and(|pinned| pinned != fingerprint) {
            return Err(RequestError::OtherProof);
        }
        let (csr, named) = read(&request.csr)?;
        if named.callsign != callsign {
            return Err(RequestError::OtherCallsign);
        }
        if named.member.cluster() != cluster {
            return Err(RequestError::OtherCluster {
                found: named.member.cluster().to_owned(),
                own: cluster.to_owned(),
            });
        }
        let params = leaf::params(callsign, &named.member, now, VALIDITY)?;
        let certificate = params
            .signed_by(&csr.public_key, &self.issuer)
            .map_err(CertificateError::from)?;
        Ok(Issued {
            certificate: certificate.pem(),
            authority: self.certificate.clone(),
            member: named.member,
            fingerprint,
            expires: now + VALIDITY,
        })
    }
}

/// Reads a certificate request and who it is for; its own signature proves that the sender has the key.
fn read(der: &[u8]) -> Result<(CertificateSigningRequestParams, Named), RequestError> {
    if der.len() > LONGEST_REQUEST {
        return Err(RequestError::Unreadable(format!(
            "it is longer than {LONGEST_REQUEST} bytes"
        )));
    }
    let csr = CertificateSigningRequestParams::from_der(&der.into())
        .map_err(|error| RequestError::Unreadable(error.to_string()))?;
    let uris = csr.params.subject_alt_names.iter().map(|name| match name {
        SanType::URI(uri) => Ok(uri.as_str()),
        _ => Err(RequestError::Names("it has a name that is no URI")),
    });
    let uris: Vec<_> = uris.collect::<Result<_, _>>()?;
    let named = Named::read(uris.iter().copied()).map_err(RequestError::Names)?;
    match uris.len() {
        2 => Ok((csr, named)),
        _ => Err(RequestError::Names("it has other URI names")),
    }
}

fn unreadable(part: &'static str, why: impl ToString) -> CertificateError {
    CertificateError::Unreadable {
        part,
        why: why.to_string(),
    }
}
