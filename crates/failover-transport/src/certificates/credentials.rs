//! What a member shows of itself, and which members it accepts.

use std::sync::Arc;
use std::time::Duration;

use failover::member::MemberId;
use rustls::DistinguishedName;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::authority::{Authority, Source};
use super::chain::{Role, check};
use super::error::CertificateError;
use crate::keys::CallsignId;

/// A certificate of this member with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    source: Source,
    key: Arc<CertifiedKey>,
    issuers: Vec<DistinguishedName>,
}

impl Identity {
    /// The certificate at the head of `chain`, those that lead to its authority behind it.
    pub fn new(
        source: Source,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let issuers = chain.iter().map(issuer).collect::<Result<_, _>>()?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CertificateError::OtherKey,
            other => CertificateError::Unreadable {
                part: "tls.key",
                why: other.to_string(),
            },
        })?;
        Ok(Self {
            source,
            key: Arc::new(key),
            issuers,
        })
    }

    /// Where it comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    pub(crate) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// Whether one of these authorities is above it.
    fn is_below(&self, authorities: &[&[u8]]) -> bool {
        self.issuers.iter().any(|issuer| authorities.contains(&issuer.as_ref()))
    }
}

fn issuer(certificate: &CertificateDer<'_>) -> Result<DistinguishedName, CertificateError> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|error| CertificateError::Unreadable {
        part: "tls.crt",
        why: error.to_string(),
    })?;
    Ok(DistinguishedName::in_sequence(certificate.issuer()))
}

/// What one member shows in handshakes, and what it accepts.
#[derive(Clone, Debug)]
pub struct Credentials {
    callsign: CallsignId,
    member: MemberId,
    identities: Vec<Identity>,
    authorities: Vec<Authority>,
}

impl Credentials {
    /// Puts them together at the time `now` of the wall clock. Each identity must be one that a member with the same
    /// authorities accepts; otherwise the mistake would show up in other clusters alone.
    pub fn new(
        callsign: CallsignId,
        member: MemberId,
        mut identities: Vec<Identity>,
        authorities: Vec<Authority>,
        now: UnixTime,
    ) -> Result<Self, CertificateError> {
        identities.sort_by_key(|identity| std::cmp::Reverse(identity.source));
        if identities.is_empty() || authorities.is_empty() {
            return Err(CertificateError::Nothing);
        }
        let credentials = Self {
            callsign,
            member,
            identities,
            authorities,
        };
        credentials.expired(now)?;
        Ok(credentials)
    }

    /// How long ago a certificate of this member expired at the time `now` of the wall clock, if one has; others accept
    /// it for [`ACCEPTED_AFTER_EXPIRY`](super::ACCEPTED_AFTER_EXPIRY). Fails once they no longer do.
    pub fn expired(&self, now: UnixTime) -> Result<Option<Duration>, CertificateError> {
        let mut expired = None;
        let in_roles = self
            .identities
            .iter()
            .flat_map(|identity| [(identity, Role::Server), (identity, Role::Client)]);
        for (identity, role) in in_roles {
            let (head, rest) = identity
                .key
                .cert
                .split_first()
                .ok_or(CertificateError::Empty("tls.crt"))?;
            let peer =
                check(&self.authorities, self.callsign, (head, rest), role, now).map_err(CertificateError::Refused)?;
            if peer.member != self.member {
                return Err(CertificateError::OtherMember {
                    found: peer.member.to_string(),
                    own: self.member.to_string(),
                });
            }
            expired = expired.max(peer.expired);
        }
        Ok(expired)
    }

    /// The callsign that they are for.
    pub fn callsign(&self) -> CallsignId {
        self.callsign
    }

    /// The member that they are for.
    pub fn member(&self) -> &MemberId {
        &self.member
    }

    /// The source of the best certificate.
    pub fn source(&self) -> Source {
        self.identities.first().map_or(Source::Derived, Identity::source)
    }

    /// The authorities that are accepted.
    pub fn authorities(&self) -> &[Authority] {
        &self.authorities
    }

    /// The best certificate whose authority the other side accepts; the best of all where it does not say, or accepts
    /// none, so that its refusal shows up.
    pub(crate) fn identity_for(&self, accepted: &[&[u8]]) -> Option<&Identity> {
        let suitable = self.identities.iter().find(|identity| identity.is_below(accepted));
        suitable.or_else(|| self.identities.first())
    }
}
