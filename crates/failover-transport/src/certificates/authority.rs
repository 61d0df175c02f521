//! Certificate authorities that are accepted for a callsign.

use rustls::DistinguishedName;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::error::CertificateError;

/// Where key material comes from, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Derived from the callsign: as strong as that is hard to guess.
    Derived,
    /// Issued by the hub.
    HubIssued,
    /// Provided by the user in a Secret.
    Provided,
}

/// A set of certificate authorities of one source; several during a rotation.
#[derive(Clone, Debug)]
pub struct Authority {
    source: Source,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Authority {
    /// The authorities of these certificates.
    pub fn new(source: Source, certificates: &[CertificateDer<'_>]) -> Result<Self, CertificateError> {
        let unreadable = |error: webpki::Error| CertificateError::Unreadable {
            part: "ca.crt",
            why: error.to_string(),
        };
        let anchors: Vec<_> = certificates
            .iter()
            .map(|certificate| {
                Ok(webpki::anchor_from_trusted_cert(certificate)
                    .map_err(unreadable)?
                    .to_owned())
            })
            .collect::<Result<_, CertificateError>>()?;
        match anchors.is_empty() {
            true => Err(CertificateError::Empty("ca.crt")),
            false => Ok(Self { source, anchors }),
        }
    }

    /// Where it comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The names of its authorities, as peers are told them so that they choose a certificate that is accepted.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = DistinguishedName> + '_ {
        self.anchors
            .iter()
            .map(|anchor| DistinguishedName::in_sequence(&anchor.subject))
    }
}
