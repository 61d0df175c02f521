//! When a certificate is accepted: its chain, its names and its dates.

use std::time::Duration;

use failover::member::MemberId;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::authority::{Authority, Source};
use super::refusal::Refusal;
use crate::keys::CallsignId;
use crate::names::Named;

/// For how long a certificate is accepted after it has expired. A cluster whose clock is wrong, or whose certificates
/// nobody renews, must not lose its lease for that; it is reported instead.
pub const ACCEPTED_AFTER_EXPIRY: Duration = Duration::from_hours(7 * 24);

/// Who showed a certificate that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The member that it names.
    pub member: MemberId,
    /// The source of the authority that signed it.
    pub source: Source,
    /// How long ago the first certificate of its chain expired, if one has.
    pub expired: Option<Duration>,
}

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// By who accepts a connection.
    Server,
    /// By who dials.
    Client,
}

/// Decides whether a certificate is accepted for a callsign at the time `now` of the wall clock.
///
/// Dates of derived certificates mean nothing, because everybody who knows the callsign can write them; those of others
/// are accepted for [`ACCEPTED_AFTER_EXPIRY`].
pub fn check(
    authorities: &[Authority],
    callsign: CallsignId,
    (certificate, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
    role: Role,
    now: UnixTime,
) -> Result<Peer, Refusal> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|error| Refusal::Unreadable(error.to_string()))?;
    let mut refusal = Refusal::UnknownAuthority;
    for authority in authorities {
        match chain(authority, &certificate, intermediates, role, now) {
            Ok(expired) => {
                let named = Named::read(certificate.valid_uri_names()).map_err(Refusal::Names)?;
                if named.callsign != callsign {
                    return Err(Refusal::OtherCallsign);
                }
                return Ok(Peer {
                    member: named.member,
                    source: authority.source(),
                    expired,
                });
            }
            Err(Refusal::UnknownAuthority) => {}
            Err(other) => refusal = other,
        }
    }
    Err(refusal)
}

/// Verifies the chain; how long ago its first certificate expired.
fn chain(
    authority: &Authority,
    certificate: &EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    role: Role,
    now: UnixTime,
) -> Result<Option<Duration>, Refusal> {
    let derived = authority.source() == Source::Derived;
    let mut at = now;
    // Each certificate of the chain may move the time once in either direction.
    for _ in 0..2 * (intermediates.len() + 2) {
        let usage = match role {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        let anchors = authority.anchors();
        let algorithms = algorithms().all;
        let error = match certificate.verify_for_usage(algorithms, anchors, intermediates, at, usage, None, None) {
            Ok(_) => return Ok((!derived && at < now).then(|| since(now, at))),
            Err(error) => error,
        };
        at = match error {
            webpki::Error::CertExpired { not_after, .. } if derived => not_after,
            webpki::Error::CertNotValidYet { not_before, .. } if derived => not_before,
            webpki::Error::CertExpired { not_after, .. } if since(now, not_after) <= ACCEPTED_AFTER_EXPIRY => not_after,
            webpki::Error::CertExpired { not_after, .. } => return Err(Refusal::Expired(since(now, not_after))),
            webpki::Error::CertNotValidYet { not_before, .. } => {
                return Err(Refusal::NotYetValid(since(not_before, now)));
            }
            webpki::Error::UnknownIssuer => return Err(Refusal::UnknownAuthority),
            other => return Err(Refusal::Chain(other.to_string())),
        };
    }
    Err(Refusal::Chain(
        "its certificates are never valid at the same time".to_owned(),
    ))
}

fn since(later: UnixTime, earlier: UnixTime) -> Duration {
    Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()))
}

/// The signature algorithms that are accepted in certificates and handshakes.
pub(crate) fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}
